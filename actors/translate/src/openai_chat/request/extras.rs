//! What is not OpenAI's: guardrails, beta flags, and parameters for the model itself.

use outcrop_domain::{
    chat::{Guardrail, GuardrailStreamMode, GuardrailTrace},
    error::GatewayError,
    json::JsonObject,
};
use outcrop_protocol::openai::{chat::ChatCompletionRequest, loose::TextOrList};

use super::{
    GuardrailRule,
    notes::{Notes, invalid_value, label, missing, unsupported},
};

/// Top-level fields that steer other gateways and clients. They are not the model's business: a model would
/// refuse the request for them, and some hold secrets. Sorted.
const CONTROL_FIELDS: &[&str] = &[
    "additional_drop_params",
    "allowed_openai_params",
    "api_base",
    "api_key",
    "api_version",
    "azure_ad_token",
    "base_model",
    "base_url",
    "cache",
    "caching",
    "chat_id",
    "client",
    "context_window_fallback_dict",
    "cooldown_time",
    "custom_llm_provider",
    "custom_prompt_dict",
    "deployment_id",
    "disable_add_transform_inline_image_block",
    "drop_params",
    "extra_headers",
    "extra_query",
    "fallbacks",
    "force_timeout",
    "headers",
    "hf_model_name",
    "input_cost_per_token",
    "keep_alive",
    "logger_fn",
    "max_retries",
    "mock_response",
    "mock_tool_calls",
    "model_info",
    "model_list",
    "models",
    "no-log",
    "num_retries",
    "organization",
    "output_cost_per_token",
    "plugins",
    "preset",
    "project",
    "provider",
    "proxy_server_request",
    "request_timeout",
    "retry_policy",
    "retry_strategy",
    "route",
    "rpm",
    "secret_fields",
    "session_id",
    "ssl_verify",
    "stream_timeout",
    "tags",
    "timeout",
    "tpm",
    "transforms",
    "usage",
    "use_in_pass_through",
    "user_continue_message",
];

/// Prefixes of further control fields.
const CONTROL_PREFIXES: &[&str] = &["aws_", "litellm_", "vertex_"];

/// Parameters for the model itself: unknown top-level fields, then `extra_body`, then
/// `additional_model_request_fields`, the later winning. Control fields are taken out of the first two.
pub(crate) fn model_parameters(wire: &mut ChatCompletionRequest, notes: &mut Notes) -> JsonObject {
    let mut parameters = JsonObject::new();
    let loose = std::mem::take(&mut wire.extra).into_iter().chain(wire.extra_body.take().into_iter().flatten());
    for (name, value) in loose {
        if value.is_null() {
            continue;
        }
        if is_control(&name) {
            notes.harmless(label(&name), "dropped");
            continue;
        }
        parameters.insert(name, value);
    }
    parameters.extend(wire.additional_model_request_fields.take().into_iter().flatten());
    parameters
}

/// Beta flags of header and body: split at commas, trimmed, each once.
pub(crate) fn beta_flags(wire: &mut ChatCompletionRequest, headers: &[String]) -> Vec<String> {
    let body = match wire.anthropic_beta.take() {
        None => Vec::new(),
        Some(TextOrList::Text(text)) => vec![text],
        Some(TextOrList::List(flags)) => flags,
    };
    let mut flags: Vec<String> = Vec::new();
    for flag in headers.iter().chain(&body).flat_map(|list| list.split(',')).map(str::trim) {
        if !flag.is_empty() && !flags.iter().any(|known| known == flag) {
            flags.push(flag.to_owned());
        }
    }
    flags
}

/// The guardrail, under the operator's rule.
pub(crate) fn guardrail(wire: &mut ChatCompletionRequest, rule: &GuardrailRule) -> Result<Option<Guardrail>, GatewayError> {
    let (config, place) = match (wire.guardrail.take(), wire.guardrail_config.take()) {
        (Some(_), Some(_)) => return Err(invalid_value("guardrailConfig", "`guardrailConfig` repeats `guardrail`: send one of them")),
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
        return Err(unsupported(place, "the guardrail is set by this gateway's operator and cannot be replaced by a request"));
    }
    Ok(Some(Guardrail {
        identifier: config.identifier.filter(|text| !text.is_empty()).ok_or_else(|| missing(format!("{place}.identifier")))?,
        version: config.version.filter(|text| !text.is_empty()).ok_or_else(|| missing(format!("{place}.version")))?,
        trace: config.trace.map(|word| trace(&word, place)).transpose()?,
        stream_mode: config.stream_mode.map(|word| stream_mode(&word, place)).transpose()?,
    }))
}

fn is_control(name: &str) -> bool {
    CONTROL_FIELDS.binary_search(&name).is_ok() || CONTROL_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn trace(word: &str, place: &str) -> Result<GuardrailTrace, GatewayError> {
    match word {
        "enabled" => Ok(GuardrailTrace::Enabled),
        "disabled" => Ok(GuardrailTrace::Disabled),
        "enabled_full" => Ok(GuardrailTrace::EnabledFull),
        _ => Err(invalid_value(format!("{place}.trace"), format!("`{place}.trace` must be `enabled`, `disabled` or `enabled_full`"))),
    }
}

fn stream_mode(word: &str, place: &str) -> Result<GuardrailStreamMode, GatewayError> {
    match word {
        "sync" => Ok(GuardrailStreamMode::Sync),
        "async" => Ok(GuardrailStreamMode::Async),
        _ => Err(invalid_value(format!("{place}.stream_mode"), format!("`{place}.stream_mode` must be `sync` or `async`"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn control_fields_are_sorted_for_the_search() {
        assert!(CONTROL_FIELDS.is_sorted());
        for name in CONTROL_FIELDS {
            assert!(is_control(name), "{name}");
        }
        assert!(is_control("aws_secret_access_key") && is_control("litellm_call_id"));
        assert!(!is_control("top_a"));
    }

    #[test]
    fn explicit_model_parameters_pass_whatever_their_name() {
        let body = r#"{"provider": "x", "additional_model_request_fields": {"provider": "y", "k": 3}}"#;
        let mut wire: ChatCompletionRequest = serde_json::from_str(body).unwrap();
        let mut notes = Notes::new(super::super::Strictness::Lenient);
        let parameters = model_parameters(&mut wire, &mut notes);
        assert_eq!(Value::Object(parameters), serde_json::json!({"provider": "y", "k": 3}));
        assert_eq!(notes.into_adjustments().to_string(), "provider=dropped");
    }

    #[test]
    fn nulls_are_as_good_as_absent() {
        let mut wire: ChatCompletionRequest = serde_json::from_str(r#"{"min_p": null, "top_a": 1}"#).unwrap();
        let mut notes = Notes::new(super::super::Strictness::Lenient);
        assert_eq!(model_parameters(&mut wire, &mut notes).len(), 1);
        assert!(notes.into_adjustments().is_empty());
    }
}
