//! Turns, texts, system prompts, prefill.

use super::*;

fn turns(turns: &[(&str, &str)]) -> Value {
    let messages: Vec<Value> = turns.iter().map(|(role, text)| json!({"role": role, "content": [{"text": text}]})).collect();
    json!({"messages": messages})
}

#[test]
fn conversations_start_with_the_user_and_alternate() {
    refused(NOVA, &json!({"messages": []}), "A conversation must start with a user message");
    refused(NOVA, &turns(&[("assistant", "hi")]), "A conversation must start with a user message");
    refused(NOVA, &turns(&[("user", "a"), ("user", "b")]), "A conversation must alternate between user and assistant roles");
    refused(NOVA, &turns(&[("user", "a"), ("assistant", "b"), ("assistant", "c")]), "must alternate");
    accepted(NOVA, &turns(&[("user", "a"), ("assistant", "b"), ("user", "c")]));
}

#[test]
fn empty_content_and_blank_text_are_refused() {
    refused(SONNET_45, &content(json!([])), "The content field in the Message object at messages.0 is empty.");
    for blank in ["", " ", "\n\t "] {
        refused(
            SONNET_45,
            &content(json!([{"text": blank}])),
            "The text field in the ContentBlock object at messages.0.content.0 is blank.",
        );
    }
    refused(SONNET_45, &body(json!({"system": [{"text": "  "}]})), "The text field in the SystemContentBlock object at system.0 is blank.");
    accepted(SONNET_45, &content(json!([{"text": "\n x"}])));
}

#[test]
fn system_prompts_need_support() {
    let system = body(json!({"system": [{"text": "Be brief."}]}));
    refused(MISTRAL_7B, &system, "This model doesn't support system messages");
    accepted(MISTRAL_7B, &body(json!({})));
    accepted(LLAMA, &system);
}

#[test]
fn system_turns_need_support() {
    let turn = turns(&[("user", "a"), ("system", "be kind"), ("assistant", "b"), ("user", "c")]);
    refused(SONNET_45, &turn, "Member must satisfy enum value set: [user, assistant]");
    accepted(OPUS_48, &turn);
    refused(OPUS_48, &turns(&[("system", "a"), ("user", "b")]), "must start with a user message");
    let change = |name: &str| {
        json!({"toolConfig": tools(), "messages": [{"role": "user", "content": [{"text": "a"}]},
            {"role": "system", "content": [{"toolRemoval": {"tool": {"name": name}}}]}]})
    };
    accepted(OPUS_48, &change("get_weather"));
    refused(OPUS_48, &change("other"), "is not defined in toolConfig.tools");
    refused(OPUS_48, &content(json!([{"toolAddition": {"tool": {"name": "x"}}}])), "only allowed in messages with the system role");
}

#[test]
fn the_last_turn_may_be_the_assistants_only_where_prefill_exists() {
    let prefill = turns(&[("user", "a"), ("assistant", "Sure,")]);
    accepted(SONNET_45, &prefill);
    accepted(NOVA, &prefill);
    for id in [SONNET_46, OPUS_47, OPUS_55, SONNET_5] {
        refused(id, &prefill, "This model does not support assistant message prefill. The conversation must end with a user message.");
    }
    refused(LLAMA, &prefill, "A conversation must end with a user message");
    refused(SONNET_45, &turns(&[("user", "a"), ("assistant", "Sure, ")]), "final assistant content cannot end with trailing whitespace");
    accepted(NOVA, &turns(&[("user", "a"), ("assistant", "Sure, ")]));
    accepted(SONNET_46, &turns(&[("user", "a"), ("assistant", "Sure, "), ("user", "b")]));
}

#[test]
fn blocks_belong_to_their_role() {
    let assistant = |block: Value| {
        json!({"toolConfig": tools(), "messages": [{"role": "user", "content": [{"text": "a"}]}, {"role": "assistant", "content": [{"text": "b"}, block]},
            {"role": "user", "content": [{"text": "c"}]}]})
    };
    let rows = [
        (assistant(image("png", &png(8, 8))), "image blocks are only allowed in messages with the user role"),
        (assistant(document("a", "txt", b"x")), "document blocks are only allowed in messages with the user role"),
        (assistant(result("tool_1")), "toolResult blocks are only allowed in messages with the user role"),
        (
            content(json!([{"toolUse": {"toolUseId": "a", "name": "b", "input": {}}}])),
            "toolUse blocks are only allowed in messages with the assistant role",
        ),
        (content(json!([{"reasoningContent": {"reasoningText": {"text": "x"}}}])), "User messages cannot contain reasoning content"),
    ];
    for (body, fragment) in rows {
        refused(SONNET_45, &body, fragment);
    }
    let server = json!({"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}, "messages": [
        {"role": "user", "content": [{"text": "a"}]},
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "s1", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}, result("s1"), {"text": "b"}]},
        {"role": "user", "content": [{"text": "c"}]}]});
    accepted(NOVA_2, &server);
}
