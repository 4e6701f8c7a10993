//! Which guardrail applies.

use outcrop_domain::{
    chat::{Guardrail, GuardrailStreamMode, GuardrailTrace},
    error::GatewayError,
};
use outcrop_protocol::extension::GuardrailConfig;

/// Who chooses the guardrail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardrailRule {
    /// The body may; this one applies when it does not.
    Open(Option<Guardrail>),
    /// The operator: a guardrail in the body is refused.
    Fixed(Guardrail),
}

/// The guardrail that a body names (`guardrail` or `guardrailConfig`), under the operator's rule.
///
/// # Errors
/// When it names two, none of its own, or one where the operator has fixed another.
pub(crate) fn chosen(
    ours: Option<GuardrailConfig>,
    converses: Option<GuardrailConfig>,
    rule: &GuardrailRule,
) -> Result<Option<Guardrail>, GatewayError> {
    let (config, place) = match (ours, converses) {
        (Some(_), Some(_)) => {
            return Err(invalid("invalid_value", "guardrailConfig", "`guardrailConfig` repeats `guardrail`: send one of them"));
        }
        (Some(config), None) => (config, "guardrail"),
        (None, Some(config)) => (config, "guardrailConfig"),
        (None, None) => {
            return Ok(match rule {
                GuardrailRule::Open(fallback) => fallback.clone(),
                GuardrailRule::Fixed(fixed) => Some(fixed.clone()),
            });
        }
    };
    if matches!(rule, GuardrailRule::Fixed(_)) {
        return Err(invalid(
            "unsupported_parameter",
            place,
            "the guardrail is set by this gateway's operator and cannot be replaced by a request",
        ));
    }
    Ok(Some(Guardrail {
        identifier: config.identifier.filter(|text| !text.is_empty()).ok_or_else(|| missing(&format!("{place}.identifier")))?,
        version: config.version.filter(|text| !text.is_empty()).ok_or_else(|| missing(&format!("{place}.version")))?,
        trace: config.trace.map(|word| trace(&word, place)).transpose()?,
        stream_mode: config.stream_mode.map(|word| stream_mode(&word, place)).transpose()?,
    }))
}

fn trace(word: &str, place: &str) -> Result<GuardrailTrace, GatewayError> {
    match word {
        "enabled" => Ok(GuardrailTrace::Enabled),
        "disabled" => Ok(GuardrailTrace::Disabled),
        "enabled_full" => Ok(GuardrailTrace::EnabledFull),
        _ => Err(invalid(
            "invalid_value",
            format!("{place}.trace"),
            format!("`{place}.trace` must be `enabled`, `disabled` or `enabled_full`"),
        )),
    }
}

fn stream_mode(word: &str, place: &str) -> Result<GuardrailStreamMode, GatewayError> {
    match word {
        "sync" => Ok(GuardrailStreamMode::Sync),
        "async" => Ok(GuardrailStreamMode::Async),
        _ => Err(invalid("invalid_value", format!("{place}.stream_mode"), format!("`{place}.stream_mode` must be `sync` or `async`"))),
    }
}

fn invalid(code: &'static str, param: impl Into<String>, message: impl Into<String>) -> GatewayError {
    GatewayError::invalid_with_code(param, message, code)
}

fn missing(param: &str) -> GatewayError {
    GatewayError::invalid_with_code(param, format!("missing required parameter: `{param}`"), "missing_required_parameter")
}
