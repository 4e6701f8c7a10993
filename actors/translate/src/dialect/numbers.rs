//! Numbers and texts that every dialect checks alike and refuses in its own words.

use std::ops::RangeInclusive;

use outcrop_domain::error::GatewayError;
use outcrop_protocol::loose::{TextOrList, Whole};

use super::notes::Notes;

/// Beyond which end of its range a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// It is too small.
    Least,
    /// It is too large.
    Most,
}

/// A number within its range. `refuse` words the refusal of another.
pub(crate) fn within(
    value: Option<f64>,
    range: RangeInclusive<f64>,
    refuse: impl FnOnce(f64, Beyond) -> GatewayError,
) -> Result<Option<f64>, GatewayError> {
    match value {
        Some(number) if !range.contains(&number) => Err(refuse(number, if number < *range.start() { Beyond::Least } else { Beyond::Most })),
        other => Ok(other),
    }
}

/// A count of at least `least`. `refuse` words the refusal of a smaller one; one that is beyond 32 bits is beyond any
/// model's limit anyway, and surfaces cap it to the model's.
pub(crate) fn count(value: Option<Whole>, least: i64, refuse: impl FnOnce(i64) -> GatewayError) -> Result<Option<u32>, GatewayError> {
    match value {
        None => Ok(None),
        Some(Whole(number)) if number < least => Err(refuse(number)),
        Some(Whole(number)) => Ok(Some(u32::try_from(number).unwrap_or(u32::MAX))),
    }
}

/// Texts that end an answer, one or several. Empty ones would end it before it begins: they go, which is reported as
/// `field`.
pub(crate) fn stop_texts(wire: Option<TextOrList<String>>, field: &'static str, notes: &mut Notes) -> Vec<String> {
    let mut texts = match wire {
        None => Vec::new(),
        Some(TextOrList::Text(text)) => vec![text],
        Some(TextOrList::List(texts)) => texts,
    };
    let given = texts.len();
    texts.retain(|text| !text.is_empty());
    if texts.len() < given {
        notes.harmless(field, "empty_dropped");
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::notes::Strictness;

    #[test]
    fn a_number_beyond_its_range_is_told_with_the_end_it_is_beyond() {
        let told = |number| within(Some(number), -2.0..=2.0, |number, beyond| GatewayError::invalid("p", format!("{number} {beyond:?}")));
        assert_eq!(told(2.0).unwrap(), Some(2.0));
        assert!(told(-2.5).unwrap_err().to_string().contains("-2.5 Least"));
        assert!(told(3.0).unwrap_err().to_string().contains("3 Most"));
        assert_eq!(within(None, 0.0..=1.0, |_, _| GatewayError::WorkerLost).unwrap(), None);
    }

    #[test]
    fn a_count_beyond_what_fits_is_as_large_as_can_be() {
        let read = |number| count(Some(Whole(number)), 1, |number| GatewayError::invalid("p", number.to_string()));
        assert_eq!(read(i64::MAX).unwrap(), Some(u32::MAX));
        assert_eq!(read(1).unwrap(), Some(1));
        assert!(read(0).is_err());
    }

    #[test]
    fn empty_stop_texts_go_and_that_is_reported() {
        let mut notes = Notes::new(Strictness::Strict);
        let texts = stop_texts(Some(TextOrList::List(vec![String::new(), "x".to_owned()])), "stop", &mut notes);
        assert_eq!(texts, ["x"]);
        assert_eq!(notes.into_adjustments().to_string(), "stop=empty_dropped");
    }
}
