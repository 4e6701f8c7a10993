//! Reports and refusals.

use std::borrow::Cow;

use outcrop_domain::{adjust::Adjustments, error::GatewayError};

use super::Strictness;

/// Longest name of a caller's field that is repeated in a report.
const LONGEST_LABEL: usize = 64;

/// Collects what is changed; in strict mode refuses what would change the meaning.
pub(crate) struct Notes {
    strictness: Strictness,
    adjustments: Adjustments,
}

impl Notes {
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
    pub(crate) fn meaning(&mut self, field: &'static str, action: &'static str) -> Result<(), GatewayError> {
        if self.strictness == Strictness::Strict {
            return Err(unsupported(field, format!("`{field}` cannot be honoured (it would be {action}), and strict mode is on")));
        }
        self.adjustments.note(field, action);
        Ok(())
    }

    pub(crate) fn into_adjustments(self) -> Adjustments {
        self.adjustments
    }
}

/// A caller's own field name, made fit for a header: anything odd in it becomes `_`.
pub(crate) fn label(name: &str) -> String {
    let fit = |character: char| if character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.') { character } else { '_' };
    name.chars().take(LONGEST_LABEL).map(fit).collect()
}

pub(crate) fn missing(param: impl Into<String>) -> GatewayError {
    let param = param.into();
    let message = format!("missing required parameter: `{param}`");
    GatewayError::invalid_with_code(param, message, "missing_required_parameter")
}

pub(crate) fn invalid_value(param: impl Into<String>, message: impl Into<String>) -> GatewayError {
    GatewayError::invalid_with_code(param, message, "invalid_value")
}

pub(crate) fn invalid_type(param: impl Into<String>, message: impl Into<String>) -> GatewayError {
    GatewayError::invalid_with_code(param, message, "invalid_type")
}

pub(crate) fn unsupported(param: impl Into<String>, message: impl Into<String>) -> GatewayError {
    GatewayError::invalid_with_code(param, message, "unsupported_parameter")
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
