//! Turns of a Messages body: roles, texts, tool uses and their results, the last one.

use super::*;

fn use_of(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "look", "input": {}})
}

fn result(id: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": "seen"})
}

/// Question, call, and this as the answer to it.
fn exchange(calls: Value, answer: Value) -> Value {
    turns(json!([{"role": "user", "content": "look"}, {"role": "assistant", "content": calls}, {"role": "user", "content": answer}]))
}

#[test]
fn turns_of_one_role_are_merged_by_newer_models_and_refused_by_older_ones() {
    let user = turns(json!([{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]}]));
    accepted(SONNET_45, &user);
    let merged = verdict(SONNET_45, &user).unwrap().unwrap();
    let request = merged.request().unwrap();
    assert_eq!((request.messages.len(), request.messages[0].content.len()), (1, 2));
    assert_eq!(request.messages[0].content[1].at.to_string(), "messages.1.content.0");
    refused(
        SONNET_35,
        &user,
        "messages: roles must alternate between \"user\" and \"assistant\", but found multiple \"user\" roles in a row",
    );
    refused(SONNET_45, &turns(json!([{"role": "assistant", "content": "a"}])), "messages: first message must use the \"user\" role");
    refused(SONNET_45, &turns(json!([])), "messages: at least one message is required");
    refused(SONNET_45, &claude(json!({"messages": null})), "messages: Field required");
    refused(SONNET_45, &turns(json!("hello")), "messages: Input should be a valid list");
    refused(SONNET_45, &turns(json!([{"role": "tool", "content": "x"}])), "messages.0.role: Input should be 'user' or 'assistant'");
    refused(SONNET_45, &turns(json!([{"role": "user"}])), "messages.0.content: Field required");
    refused(SONNET_45, &turns(json!([{"role": "user", "content": "x", "name": "me"}])), "messages.0.name: Extra inputs are not permitted");
}

#[test]
fn instructions_in_mid_conversation_are_for_models_that_know_them() {
    let body = turns(json!([{"role": "user", "content": "a"}, {"role": "system", "content": "be brief"}]));
    accepted(OPUS_48, &body);
    refused(OPUS_47, &body, "messages.1: role 'system' is not supported on this model");
    refused(OPUS_48, &turns(json!([{"role": "system", "content": "x"}, {"role": "user", "content": "a"}])), "first message must use");
    let after = turns(json!([
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "system", "content": "c"}, {"role": "user", "content": "d"},
    ]));
    refused(OPUS_48, &after, "messages.2: a `system` message must directly follow a `user` message");
    let calling = turns(json!([{"role": "user", "content": "a"}, {"role": "system", "content": [use_of("t")]}]));
    refused(OPUS_48, &calling, "messages.1.content.0: `tool_use` blocks can only be in `assistant` messages");
}

#[test]
fn texts_must_say_something() {
    refused(SONNET_45, &content(json!([{"type": "text", "text": ""}])), "messages: text content blocks must be non-empty");
    refused(
        SONNET_45,
        &content(json!([{"type": "text", "text": " \n"}])),
        "messages: text content blocks must contain non-whitespace text",
    );
    refused(
        SONNET_45,
        &content(json!("")),
        "messages.0: all messages must have non-empty content except for the optional final assistant message",
    );
    refused(SONNET_45, &content(json!([])), "messages.0: all messages must have non-empty content");
    accepted(SONNET_45, &turns(json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": []}])));
    let system = |system: Value| {
        let mut body = claude(json!({}));
        body["system"] = system;
        body
    };
    refused(SONNET_45, &system(json!([{"type": "text", "text": ""}])), "system: text content blocks must be non-empty");
    refused(SONNET_45, &system(json!([{"type": "image"}])), "system.0.type: Input should be 'text'");
    refused(SONNET_45, &system(json!(1)), "system: Input should be a valid list");
    accepted(SONNET_45, &system(json!("be kind")));
}

#[test]
fn blocks_have_a_known_type_their_members_and_a_role() {
    refused(SONNET_45, &content(json!([{"text": "x"}])), "messages.0.content.0.type: Field required");
    refused(SONNET_45, &content(json!([{"type": "video"}])), "messages.0.content.0: Input tag 'video' found using 'type' does not match");
    refused(SONNET_45, &content(json!([{"type": "text"}])), "messages.0.content.0.text.text: Field required");
    refused(SONNET_45, &content(json!([{"type": "text", "text": 1}])), "messages.0.content.0.text.text: Input should be a valid string");
    refused(SONNET_45, &content(json!(["x"])), "messages.0.content.0: Input should be a valid dictionary");
    refused(SONNET_45, &content(json!([use_of("a")])), "messages.0.content.0: `tool_use` blocks can only be in `assistant` messages");
    let answered = turns(json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": [result("a")]}]));
    refused(SONNET_45, &answered, "messages.1.content.0: `tool_result` blocks can only be in `user` messages");
    let extra = json!([{"type": "text", "text": "x", "id": "y"}]);
    refused(SONNET_45, &content(extra), "messages.0.content.0.text.id: Extra inputs are not permitted");
}

#[test]
fn every_tool_use_has_its_result_at_the_start_of_the_next_turn() {
    let two = json!([use_of("a"), use_of("b")]);
    accepted(SONNET_45, &exchange(two.clone(), json!([result("b"), result("a"), {"type": "text", "text": "well?"}])));
    refused(
        SONNET_45,
        &exchange(two.clone(), json!([result("b")])),
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: a. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
    );
    refused(SONNET_45, &exchange(two.clone(), json!("well?")), "immediately after: a, b.");
    refused(
        SONNET_45,
        &exchange(two.clone(), json!([{"type": "text", "text": "well?"}, result("a"), result("b")])),
        "immediately after: a, b.",
    );
    refused(
        SONNET_45,
        &turns(json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": two}])),
        "immediately after: a, b.",
    );
    // Results may come in several turns: they are one.
    let apart = turns(json!([
        {"role": "user", "content": "look"}, {"role": "assistant", "content": [use_of("a"), use_of("b")]},
        {"role": "user", "content": [result("a")]}, {"role": "user", "content": [result("b")]},
    ]));
    accepted(SONNET_45, &apart);
}

#[test]
fn every_result_answers_one_tool_use() {
    refused(
        SONNET_45,
        &content(json!([result("a")])),
        "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: a. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
    );
    refused(
        SONNET_45,
        &exchange(json!([use_of("a")]), json!([result("a"), result("a")])),
        "messages.2.content.1: each tool_use must have a single result. Found multiple `tool_result` blocks with id: a",
    );
    refused(SONNET_45, &exchange(json!([use_of("a"), use_of("a")]), json!([result("a")])), "messages: `tool_use` ids must be unique");
    let odd = exchange(json!([use_of("a b")]), json!([result("a b")]));
    refused(SONNET_45, &odd, "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'");
    let mut broken = exchange(json!([use_of("a")]), json!([result("a")]));
    broken["messages"][1]["content"][0]["input"] = json!("{}");
    refused(SONNET_45, &broken, "messages.1.content.0.tool_use.input: Input should be a valid dictionary");
    let mut empty = exchange(json!([use_of("a")]), json!([result("a")]));
    empty["messages"][2]["content"][0]["content"] = json!([{"type": "text", "text": ""}]);
    refused(SONNET_45, &empty, "messages: text content blocks must be non-empty");
    empty["messages"][2]["content"][0].as_object_mut().unwrap().remove("content");
    accepted(SONNET_45, &empty);
}

#[test]
fn a_begun_answer_is_for_models_that_go_on_with_it() {
    let begun = |text: &str| turns(json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": text}]));
    accepted(SONNET_45, &begun("Well,"));
    refused(SONNET_45, &begun("Well, "), "messages: final assistant content cannot end with trailing whitespace");
    for id in [SONNET_46, OPUS_48, OPUS_55] {
        refused(
            id,
            &begun("Well,"),
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        );
    }
}
