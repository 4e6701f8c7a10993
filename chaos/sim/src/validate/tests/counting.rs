//! CountTokens.

use super::*;

fn verdict(id: &str, body: &Value) -> Result<(), String> {
    count_tokens(&model(id), body).map_err(|refusal| format!("{}: {}", refusal.error_type, refusal.message))
}

fn native(body: &Value) -> Value {
    json!({"input": {"invokeModel": {"body": STANDARD.encode(body.to_string())}}})
}

#[test]
fn counting_takes_converse_or_a_native_body() {
    assert_eq!(verdict(SONNET_45, &json!({"input": {"converse": body(json!({}))}})), Ok(()));
    let hello = json!([{"role": "user", "content": "hello"}]);
    let claude = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 1, "messages": hello});
    assert_eq!(verdict(SONNET_45, &native(&claude)), Ok(()));
}

#[test]
fn counting_refuses_what_it_cannot_read() {
    let rows = [
        (json!({}), "'input' failed to satisfy constraint: Member must not be null"),
        (json!({"input": {}}), "CountTokensInput object at input must set one of the following keys"),
        (json!({"input": {"converse": body(json!({"inferenceConfig": {"maxTokens": 5}}))}}), "extraneous key [inferenceConfig]"),
        (json!({"input": {"converse": {"messages": []}}}), "A conversation must start with a user message"),
        (json!({"input": {"invokeModel": {"body": {"messages": []}}}}), "START_OBJECT can not be converted to a Blob"),
        (json!({"input": {"invokeModel": {"body": "%%%"}}}), "invalid base64"),
        (json!({"input": {"invokeModel": {"body": STANDARD.encode("{")}}}), "the body is not valid JSON"),
        (native(&json!({"messages": []})), "anthropic_version: Field required"),
        (
            native(&json!({"anthropic_version": "bedrock-2023-05-31", "messages": [{"role": "user", "content": "x"}]})),
            "max_tokens: Field required",
        ),
        (native(&json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 1, "messages": []})), "at least one message is required"),
        (native(&json!([])), "expected type: JSONObject"),
    ];
    for (body, fragment) in rows {
        let refusal = verdict(SONNET_45, &body).unwrap_err();
        assert!(refusal.contains(fragment), "expected `{fragment}` in `{refusal}`");
    }
}

#[test]
fn counting_is_missing_on_most_models() {
    for id in [OPUS_48, NOVA, GPT, LLAMA] {
        let refusal = verdict(id, &json!({"input": {"converse": body(json!({}))}})).unwrap_err();
        assert!(refusal.contains("doesn't support counting tokens"), "{refusal}");
    }
}
