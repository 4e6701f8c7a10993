//! What the gateway changed in a request so that a model would take it.
//!
//! Nothing is dropped silently: every repair and every field that could not be honoured becomes one
//! [`Adjustment`], reported in the `x-outcrop-adjusted` response header and in the request's log line.

use std::{borrow::Cow, fmt};

/// One change: the client's field and what was done with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Adjustment {
    /// Client-side name of the field, e.g. `temperature` or `tools.name`. ASCII, no `=` and no comma.
    pub field: Cow<'static, str>,
    /// What happened, e.g. `dropped`, `clamped`, `renamed`. ASCII, no comma.
    pub action: Cow<'static, str>,
}

/// The changes of one request, in the order they were made, each listed once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adjustments(Vec<Adjustment>);

impl Adjustments {
    /// Notes that `field` was treated by `action`. A repeated pair is kept once; beyond 256 pairs only the
    /// fact that there are more is kept.
    pub fn note(&mut self, field: impl Into<Cow<'static, str>>, action: impl Into<Cow<'static, str>>) {
        let adjustment = Adjustment { field: field.into(), action: action.into() };
        if self.0.len() > MAX_LISTED || self.0.contains(&adjustment) {
            return;
        }
        let full = self.0.len() == MAX_LISTED;
        self.0.push(if full { Adjustment { field: "more".into(), action: "not_listed".into() } } else { adjustment });
    }

    /// Adds all of `other`, keeping each pair once.
    pub fn extend(&mut self, other: Adjustments) {
        for adjustment in other.0 {
            self.note(adjustment.field, adjustment.action);
        }
    }

    /// True when nothing was changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Adjustment> {
        self.0.iter()
    }
}

/// A client's own word, fit to stand in an adjustment: visible ASCII without the separators, 256 characters of it.
#[must_use]
pub fn word(text: &str) -> String {
    let fit = |character: char| character.is_ascii_graphic() && !matches!(character, '=' | ',');
    text.chars().take(MAX_WORD_LENGTH).map(|character| if fit(character) { character } else { '_' }).collect()
}

/// Longest word of a client's that is shown.
const MAX_WORD_LENGTH: usize = 256;

/// Most changes that are listed. A client has a handful; a body made of a million unknown names must not make a list
/// that is searched a million times.
const MAX_LISTED: usize = 256;

impl fmt::Display for Adjustments {
    /// `field=action,field=action`, the value of `x-outcrop-adjusted`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, adjustment) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{}={}", adjustment.field, adjustment.action)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_without_end_says_that_there_is_more() {
        let mut adjustments = Adjustments::default();
        for number in 0..1000 {
            adjustments.note(format!("field_{number}"), "dropped");
        }
        assert_eq!(adjustments.iter().count(), MAX_LISTED + 1);
        assert!(adjustments.to_string().ends_with("field_255=dropped,more=not_listed"));
    }

    #[test]
    fn a_clients_word_separates_nothing() {
        assert_eq!(word("a=b,c d\u{e9}\n"), "a_b_c_d__");
        assert_eq!(word(&"x".repeat(300)).len(), 256);
    }

    #[test]
    fn adjustments_print_once_each_in_order() {
        let mut adjustments = Adjustments::default();
        adjustments.note("seed", "dropped");
        adjustments.note("temperature", "clamped");
        adjustments.note("seed", "dropped");
        assert_eq!(adjustments.to_string(), "seed=dropped,temperature=clamped");
    }
}
