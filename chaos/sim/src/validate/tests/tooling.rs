//! Tool configuration and the pairing of calls and results.

use super::*;

fn spec(spec: Value) -> Value {
    body(json!({"toolConfig": {"tools": [{"toolSpec": spec}]}}))
}

fn plain(name: &str) -> Value {
    json!({"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}})
}

#[test]
fn tools_need_support() {
    let with_tools = body(json!({"toolConfig": tools()}));
    for id in [LLAMA_3, DEEPSEEK_R1, MISTRAL_7B] {
        refused(id, &with_tools, "This model doesn't support tool use.");
    }
    accepted(LLAMA, &with_tools);
    let streamed = converse(&model(LLAMA), &with_tools, true).unwrap_err();
    assert_eq!(streamed.message, "This model doesn't support tool use in streaming mode.");
    assert_eq!(converse(&model(SONNET_45), &with_tools, true), Ok(()));
}

#[test]
fn tool_specs_follow_their_patterns() {
    let schema = json!({"json": {"type": "object"}});
    let rows = [
        (json!({"name": "a b", "inputSchema": schema}), "Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+"),
        (json!({"name": "a.b", "inputSchema": schema}), "pattern"),
        (json!({"name": "x".repeat(65), "inputSchema": schema}), "Member must have length less than or equal to 64"),
        (json!({"name": "", "inputSchema": schema}), "length greater than or equal to 1"),
        (json!({"inputSchema": schema}), "'toolConfig.tools.1.member.toolSpec.name' failed to satisfy constraint: Member must not be null"),
        (json!({"name": "a"}), "toolSpec.inputSchema' failed to satisfy constraint: Member must not be null"),
        (
            json!({"name": "a", "description": "", "inputSchema": schema}),
            "toolSpec.description' failed to satisfy constraint: Member must have length greater",
        ),
        (
            json!({"name": "a", "inputSchema": {"json": {}}}),
            "The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the following: object.",
        ),
        (json!({"name": "a", "inputSchema": {"json": {"type": "array"}}}), "must be one of the following: object."),
        (json!({"name": "a", "inputSchema": {"json": "x"}}), "Provide a json object for the field"),
    ];
    for (change, fragment) in rows {
        refused(SONNET_45, &spec(change), fragment);
    }
    accepted(SONNET_45, &spec(json!({"name": "x".repeat(64), "description": "d", "inputSchema": schema})));
    refused(SONNET_45, &body(json!({"toolConfig": {"tools": [plain("a"), plain("a")]}})), "Tool names must be unique");
    accepted(SONNET_45, &body(json!({"toolConfig": {"tools": [plain("a"), plain("b")]}})));
    refused(
        SONNET_45,
        &body(json!({"toolConfig": {"tools": [{"cachePoint": {"type": "default"}}]}})),
        "at least one toolSpec or systemTool",
    );
}

#[test]
fn strict_tools_follow_the_model_and_the_subset() {
    let strict = |schema: Value| spec(json!({"name": "a", "strict": true, "inputSchema": {"json": schema}}));
    let good = strict(json!({"type": "object", "properties": {}, "additionalProperties": false}));
    accepted(SONNET_45, &good);
    refused(OPUS_48, &good, "tools.0.custom.strict: Extra inputs are not permitted");
    for id in [NOVA, LLAMA, GPT_OSS] {
        refused(id, &good, "This model doesn't support the toolConfig.tools.0.toolSpec.strict field");
    }
    refused(SONNET_45, &strict(json!({"type": "object"})), "'additionalProperties' must be explicitly set to false");
}

#[test]
fn forced_choices_follow_the_model() {
    let forced = |choice: Value| {
        let mut body = body(json!({"toolConfig": tools()}));
        body["toolConfig"]["toolChoice"] = choice;
        body
    };
    let (auto, any, named) = (json!({"auto": {}}), json!({"any": {}}), json!({"tool": {"name": "get_weather"}}));
    for id in [SONNET_45, NOVA, LLAMA, OPUS_55, GPT_OSS] {
        accepted(id, &forced(auto.clone()));
    }
    for id in [SONNET_45, NOVA, GPT, MISTRAL_LARGE] {
        accepted(id, &forced(any.clone()));
    }
    for id in [LLAMA, OPUS_55, SONNET_55, GPT_OSS, PALMYRA] {
        refused(id, &forced(any.clone()), "This model doesn't support the toolConfig.toolChoice.any field");
    }
    refused(MISTRAL_LARGE, &forced(named.clone()), "toolConfig.toolChoice.tool");
    accepted(SONNET_45, &forced(named));
    refused(SONNET_45, &forced(json!({"tool": {"name": "other"}})), "Tool 'other' not found in provided tools");
    refused(SONNET_45, &forced(json!({"tool": {}})), "Member must not be null");
}

#[test]
fn system_tools_follow_the_model() {
    let grounding = |name: &str| body(json!({"toolConfig": {"tools": [{"systemTool": {"name": name}}]}}));
    accepted(NOVA_2, &grounding("nova_grounding"));
    refused(NOVA, &grounding("nova_grounding"), "toolConfig.tools.0.systemTool");
    refused(NOVA_2, &grounding("web"), "The system tool web");
    let mut forced = grounding("nova_grounding");
    forced["toolConfig"]["toolChoice"] = json!({"any": {}});
    refused(NOVA_2, &forced, "only holds system tools");
}

#[test]
fn lookaround_is_refused_where_the_grammar_lacks_it() {
    let pattern = |pattern: &str| {
        spec(json!({"name": "a", "inputSchema": {"json": {"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}}}}))
    };
    for id in [KIMI, GROK] {
        refused(id, &pattern("^(?!x).*$"), "regex lookaround is not supported");
        accepted(id, &pattern("^[a-z]+$"));
    }
    accepted(SONNET_45, &pattern("^(?!x).*$"));
}

#[test]
fn tool_history_needs_definitions() {
    let mut undefined = exchange(vec![], json!([result("tool_1")]));
    undefined.as_object_mut().unwrap().remove("toolConfig");
    refused(SONNET_45, &undefined, "The toolConfig field must be defined when using toolUse and toolResult content blocks.");
    accepted(SONNET_45, &exchange(vec![], json!([result("tool_1")])));
}

#[test]
fn every_call_has_exactly_one_result_in_the_next_turn() {
    let rows = [
        (json!([{"text": "never mind"}]), "Expected toolResult blocks at messages.2.content for the following Ids: tool_1"),
        (json!([result("other")]), "Expected toolResult blocks at messages.2.content for the following Ids: tool_1"),
        (
            json!([result("tool_1"), result("other")]),
            "The number of toolResult blocks at messages.2.content exceeds the number of toolUse blocks of previous turn.",
        ),
        (json!([result("tool_1"), result("tool_1")]), "The toolResult blocks at messages.2.content contain duplicate Ids: tool_1"),
        (json!([{"text": "first"}, result("tool_1")]), "`tool_use` ids were found without `tool_result` blocks immediately after: tool_1"),
    ];
    for (answer, fragment) in rows {
        refused(SONNET_45, &exchange(vec![], answer), fragment);
    }
    accepted(SONNET_45, &exchange(vec![json!({"text": "One moment."})], json!([result("tool_1"), {"text": "and now?"}])));
    let orphan = json!({"toolConfig": tools(), "messages": [{"role": "user", "content": [result("tool_1")]}]});
    refused(SONNET_45, &orphan, "exceeds the number of toolUse blocks of previous turn");
}

#[test]
fn calls_within_a_turn_are_distinct_and_unbroken() {
    let twice = |second: &str, between: Option<Value>| {
        let mut calls = vec![json!({"toolUse": {"toolUseId": "a", "name": "get_weather", "input": {}}})];
        calls.extend(between);
        calls.push(json!({"toolUse": {"toolUseId": second, "name": "get_weather", "input": {}}}));
        json!({"toolConfig": tools(), "messages": [{"role": "user", "content": [{"text": "q"}]}, {"role": "assistant", "content": calls},
            {"role": "user", "content": [result("a"), result("b")]}]})
    };
    accepted(SONNET_45, &twice("b", None));
    refused(SONNET_45, &twice("a", None), "The toolUse blocks at messages.1.content contain duplicate Ids: a");
    refused(
        SONNET_45,
        &twice("b", Some(json!({"text": "and"}))),
        "Expected toolResult blocks at messages.2.content for the following Ids: b",
    );
}

#[test]
fn tool_use_ids_follow_pattern_and_family() {
    let with_id = |id: &str| {
        let mut body = exchange(vec![], json!([result(id)]));
        body["messages"][1]["content"][0]["toolUse"]["toolUseId"] = json!(id);
        body
    };
    accepted(SONNET_45, &with_id("call_1.a:b-c"));
    refused(SONNET_45, &with_id("call/1"), "Member must satisfy regular expression pattern: [a-zA-Z0-9_.:-]+");
    refused(SONNET_45, &with_id(&"x".repeat(65)), "length less than or equal to 64");
    accepted(MISTRAL_LARGE, &with_id("abcDEF123"));
    refused(MISTRAL_LARGE, &with_id("tooluse_abc"), "Tool call id was tooluse_abc but must be a-z, A-Z, 0-9, with a length of 9.");
}

#[test]
fn inputs_and_json_results_are_objects() {
    let mut bad = exchange(vec![], json!([result("tool_1")]));
    bad["messages"][1]["content"][0]["toolUse"]["input"] = json!("{}");
    refused(SONNET_45, &bad, "The format of the value at messages.1.content.0.toolUse.input is invalid. Provide a json object");
    let json_result = |value: Value| exchange(vec![], json!([{"toolResult": {"toolUseId": "tool_1", "content": [{"json": value}]}}]));
    accepted(SONNET_45, &json_result(json!({"a": [1]})));
    refused(SONNET_45, &json_result(json!([1])), "messages.2.content.0.toolResult.content.0.json is invalid");
    refused(SONNET_45, &json_result(json!({"a": {"__type": "x"}})), "messages.2.content.0.toolResult.content.0.json is invalid");
    let text =
        |text: &str| exchange(vec![], json!([{"toolResult": {"toolUseId": "tool_1", "content": [{"text": text}], "status": "error"}}]));
    refused(
        SONNET_45,
        &text(" "),
        "The text field in the ToolResultContentBlock object at messages.2.content.0.toolResult.content.0 is blank",
    );
    accepted(SONNET_45, &text("failed"));
    accepted(SONNET_45, &exchange(vec![], json!([{"toolResult": {"toolUseId": "tool_1", "content": []}}])));
}

#[test]
fn llama_does_not_mix_results_with_other_content() {
    let mixed = exchange(vec![], json!([result("tool_1"), {"text": "and?"}]));
    refused(LLAMA, &mixed, "Conversation blocks and tool result blocks cannot be provided in the same turn.");
    accepted(LLAMA, &exchange(vec![], json!([result("tool_1")])));
}
