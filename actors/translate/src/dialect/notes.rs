//! Reports of what is changed.

use std::borrow::Cow;

use outcrop_domain::{adjust::Adjustments, error::GatewayError};

/// What to do with a field whose meaning must change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strictness {
    /// Change it and report it.
    #[default]
    Lenient,
    /// 400.
    Strict,
}

/// Longest name of a caller's field that is repeated in a report.
const LONGEST_LABEL: usize = 64;

/// Collects what is changed; in strict mode refuses what would change the meaning.
pub(crate) struct Notes {
    strictness: Strictness,
    adjustments: Adjustments,
}

impl Notes {
    /// Nothing changed yet.
    pub(crate) fn new(strictness: Strictness) -> Self {
        Self { strictness, adjustments: Adjustments::default() }
    }

    /// Reports a repair, or a hint that was not taken.
    pub(crate) fn harmless(&mut self, field: impl Into<Cow<'static, str>>, action: &'static str) {
        self.adjustments.note(field, action);
    }

    /// Reports a change of what was asked for.
    ///
    /// # Errors
    /// In strict mode.
    pub(crate) fn meaning(&mut self, field: impl Into<Cow<'static, str>>, action: &'static str) -> Result<(), GatewayError> {
        let field = field.into();
        if self.strictness == Strictness::Strict {
            return Err(cannot_be_honoured(field, action));
        }
        self.adjustments.note(field, action);
        Ok(())
    }

    /// What was changed.
    pub(crate) fn into_adjustments(self) -> Adjustments {
        self.adjustments
    }
}

/// What strict mode refuses a change with.
pub(crate) fn cannot_be_honoured(field: impl Into<String>, action: &str) -> GatewayError {
    let field = field.into();
    let message = format!("`{field}` cannot be honoured (it would be {action}), and strict mode is on");
    GatewayError::invalid_with_code(field, message, "unsupported_parameter")
}

/// A caller's own field name, made fit for a header: anything odd in it becomes `_`.
pub(crate) fn label(name: &str) -> String {
    let fit = |character: char| if character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.') { character } else { '_' };
    name.chars().take(LONGEST_LABEL).map(fit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_field_name_cannot_break_out_of_the_header() {
        assert_eq!(label("a=b,c\r\nx-evil: 1 é"), "a_b_c__x-evil__1__");
        assert_eq!(label(&"x".repeat(200)).len(), LONGEST_LABEL);
    }

    #[test]
    fn strict_mode_refuses_changes_of_meaning_and_nothing_else() {
        let mut notes = Notes::new(Strictness::Strict);
        notes.harmless("prediction", "ignored");
        let error = notes.meaning("store", "ignored").unwrap_err();
        assert!(matches!(error, GatewayError::InvalidRequest { param: Some(param), .. } if param == "store"));
        assert_eq!(notes.into_adjustments().to_string(), "prediction=ignored");
    }
}
