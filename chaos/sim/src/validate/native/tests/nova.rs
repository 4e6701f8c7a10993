//! Nova's body.

use super::*;
use crate::validate::tests::{NOVA, NOVA_2};

fn nova(change: Value) -> Value {
    let mut body = json!({"schemaVersion": "messages-v1", "messages": [{"role": "user", "content": [{"text": "hello"}]}]});
    patch(&mut body, change);
    body
}

#[test]
fn the_schema_is_closed() {
    accepted(NOVA, &nova(json!({"schemaVersion": null})));
    refused(NOVA, &nova(json!({"schemaVersion": "messages-v2"})), "#/schemaVersion: \"messages-v2\" is not a valid enum value");
    refused(NOVA, &nova(json!({"messages": null})), "Malformed input request: #: required key [messages] not found, please reformat");
    refused(NOVA, &nova(json!({"max_tokens": 5})), "Malformed input request: #: extraneous key [max_tokens] is not permitted");
    refused(NOVA, &nova(json!({"inferenceConfig": {"max_tokens": 5}})), "#/inferenceConfig: extraneous key [max_tokens]");
    refused(NOVA, &nova(json!({"inferenceConfig": 5})), "#/inferenceConfig: expected type: JSONObject, found: Integer");
    accepted(
        NOVA,
        &nova(json!({"inferenceConfig": {"max_new_tokens": 5, "top_p": 0.5, "topK": 20, "temperature": 0, "stopSequences": ["x"]}})),
    );
}

#[test]
fn the_rules_of_the_model_hold() {
    let parsed = verdict(NOVA, &nova(json!({"inferenceConfig": {"maxTokens": 7}, "system": [{"text": "be kind"}]}))).unwrap().unwrap();
    let request = parsed.request().unwrap();
    assert_eq!((request.inference.max_tokens, request.system.len(), parsed.manner), (Some(7), 1, Manner::Nova));
    refused(NOVA, &nova(json!({"inferenceConfig": {"maxTokens": 10_001}})), "exceeds the model limit of 10000");
    refused(NOVA, &nova(json!({"inferenceConfig": {"topK": 129}})), "#/inferenceConfig/topK: value is not less or equal to 128");
    refused(NOVA, &nova(json!({"messages": [{"role": "assistant", "content": [{"text": "x"}]}]})), "must start with a user message");
    refused(NOVA, &nova(json!({"reasoningConfig": {"type": "enabled"}})), "the provided reasoning config value is invalid");
    accepted(NOVA_2, &nova(json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}})));
}
