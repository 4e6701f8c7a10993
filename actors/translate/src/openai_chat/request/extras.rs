//! What is not OpenAI's: guardrails, beta flags, and parameters for the model itself.

use outcrop_domain::{chat::Guardrail, error::GatewayError, json::JsonObject};
use outcrop_protocol::openai::chat::ChatCompletionRequest;
use serde_json::Value;

use super::{
    GuardrailRule,
    notes::{Notes, label},
};
use crate::dialect::{beta_flags::flags, control_fields::is_control, guardrail::chosen};

/// Parameters for the model itself: unknown top-level fields, then `extra_body`, then
/// `additional_model_request_fields`, the later winning. Control fields are taken out of the first two.
pub(crate) fn model_parameters(wire: &mut ChatCompletionRequest, notes: &mut Notes) -> JsonObject {
    let mut parameters = JsonObject::new();
    // Beside `messages` it is a parameter like any other.
    match wire.input.take().map(|input| serde_json::from_str(input.get())) {
        Some(Ok(Value::Null)) | None => {}
        Some(Ok(input)) => _ = parameters.insert("input".to_owned(), input),
        // It nests deeper than can be read.
        Some(Err(_)) => notes.harmless("input", "dropped"),
    }
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

/// Beta flags of header and body.
pub(crate) fn beta_flags(wire: &mut ChatCompletionRequest, headers: &[String]) -> Vec<String> {
    flags(wire.anthropic_beta.take(), headers)
}

/// The guardrail, under the operator's rule.
pub(crate) fn guardrail(wire: &mut ChatCompletionRequest, rule: &GuardrailRule) -> Result<Option<Guardrail>, GatewayError> {
    chosen(wire.guardrail.take(), wire.guardrail_config.take(), rule)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn input_beside_messages_is_a_parameter_of_the_models() {
        let mut wire: ChatCompletionRequest = serde_json::from_str(r#"{"messages": [], "input": {"a": 1}}"#).unwrap();
        let parameters = model_parameters(&mut wire, &mut Notes::new(super::super::Strictness::Lenient));
        assert_eq!(Value::Object(parameters), serde_json::json!({"input": {"a": 1}}));
    }

    #[test]
    fn nulls_are_as_good_as_absent() {
        let mut wire: ChatCompletionRequest = serde_json::from_str(r#"{"min_p": null, "top_a": 1}"#).unwrap();
        let mut notes = Notes::new(super::super::Strictness::Lenient);
        assert_eq!(model_parameters(&mut wire, &mut notes).len(), 1);
        assert!(notes.into_adjustments().is_empty());
    }
}
