//! OpenAI's chat body.

use base64::Engine as _;

use super::*;
use crate::validate::shape::{Block as Said, Role, Tool};
use crate::validate::tests::{GPT_OSS, KIMI};

const QWEN: &str = "qwen.qwen3-vl-235b-a22b";

fn chat(change: Value) -> Value {
    let mut body = json!({"max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]});
    patch(&mut body, change);
    body
}

fn said(messages: Value) -> Value {
    chat(json!({"messages": messages}))
}

fn function(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}})
}

#[test]
fn messages_become_turns() {
    let body = said(json!([
        {"role": "system", "content": "be kind"}, {"role": "developer", "content": [{"type": "text", "text": "and brief"}]},
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
            {"id": "c2", "type": "function", "function": {"name": "look", "arguments": ""}},
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": "seen"}, {"role": "tool", "tool_call_id": "c2", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "well?"}]},
    ]));
    let read = verdict(GPT_OSS, &body).unwrap().unwrap();
    let request = read.request().unwrap();
    let roles: Vec<Role> = request.messages.iter().map(|turn| turn.role).collect();
    assert_eq!((request.system.len(), roles), (2, vec![Role::User, Role::Assistant, Role::User]));
    let Said::ToolUse { id, input, .. } = request.messages[1].content[0].block else { panic!("no tool use") };
    assert_eq!((id, input), ("c1", &json!({"at": 1})));
    assert_eq!(request.messages[2].content.len(), 3);
    // The tool is known from the history alone, and not offered.
    let tools = &request.tools.as_ref().unwrap().tools;
    assert!(matches!(tools.as_slice(), [(_, Tool::Spec { name: "look", .. })]));
    assert_eq!(request.additional.unwrap()["tool_choice"]["type"], "none");
}

#[test]
fn what_cannot_be_read_is_malformed() {
    let rows = [
        (chat(json!({"messages": null})), "#: required key [messages] not found"),
        (said(json!([])), "#/messages: expected minimum item count: 1, found: 0"),
        (said(json!([{"role": "robot", "content": "x"}])), "#/messages/0/role: the value is not one of"),
        (said(json!([{"role": "user", "content": 5}])), "#/messages/0/content: expected type: JSONArray, found: Integer"),
        (said(json!([{"role": "user", "content": [{"type": "video"}]}])), "#/messages/0/content/0/type"),
        (said(json!([{"role": "tool", "content": "x"}])), "#/messages/0: required key [tool_call_id] not found"),
        (
            said(
                json!([{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "b", "arguments": "{"}}]}]),
            ),
            "#/messages/1/tool_calls/0/function/arguments",
        ),
        (chat(json!({"max_tokens": 0})), "#/max_tokens: expected type: Integer"),
        (chat(json!({"temperature": 3})), "#/temperature: 3 is not between 0 and 2"),
        (chat(json!({"n": 2})), "#/n: 2 is not a valid enum value"),
        (chat(json!({"stream": "yes"})), "#/stream: expected type: Boolean"),
        (chat(json!({"response_format": {"type": "xml"}})), "#/response_format/type"),
        (chat(json!({"response_format": {"type": "json_schema"}})), "required key [schema] not found"),
        (chat(json!({"tools": [{"type": "custom"}]})), "#/tools/0/type"),
        (chat(json!({"tool_choice": "required"})), "#/tool_choice: tools must be given with it"),
        (chat(json!({"stream_options": true})), "#/stream_options: expected type: JSONObject"),
    ];
    for (body, fragment) in rows {
        refused(GPT_OSS, &body, fragment);
    }
}

#[test]
fn the_rules_of_the_model_hold() {
    accepted(GPT_OSS, &chat(json!({"reasoning_effort": "low", "model": "x", "stream": true, "seed": 4, "temperature": 1.7, "stop": "x"})));
    refused(GPT_OSS, &chat(json!({"reasoning_effort": "none"})), "Invalid value for 'reasoning_effort'");
    refused(GPT_OSS, &chat(json!({"logit_bias": {}})), "logit_bias is not supported for this model");
    refused(KIMI, &chat(json!({"stop": ["x"]})), "stopSequences");
    refused(GPT_OSS, &chat(json!({"max_completion_tokens": 20_000})), "exceeds the model limit of 16384");
    let tools = json!([function("look")]);
    accepted(QWEN, &chat(json!({"tools": tools, "tool_choice": "auto"})));
    refused(GPT_OSS, &chat(json!({"tools": tools, "tool_choice": "required"})), "toolConfig.toolChoice.any");
    let none = verdict(GPT_OSS, &chat(json!({"tools": tools, "tool_choice": "none"}))).unwrap().unwrap();
    assert_eq!(none.request().unwrap().additional.unwrap()["tool_choice"]["type"], "none");
    assert!(verdict(GPT_OSS, &chat(json!({"stream_options": {"include_usage": true}}))).unwrap().unwrap().asks.usage_chunk);
}

#[test]
fn images_come_inline() {
    let image = |url: String| {
        said(json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "?"}]}]))
    };
    let data = format!("data:image/png;base64,{}", STANDARD.encode(png(10, 10)));
    accepted(QWEN, &image(data.clone()));
    refused(GPT_OSS, &image(data), "image");
    refused(QWEN, &image("https://example.com/a.png".to_owned()), "#/messages/0/content/0/image_url/url: only base64 data URLs");
}
