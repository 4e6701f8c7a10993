//! Every member of a rich body replaced by everything it should not be: a clear refusal or an answer, never a panic.

use std::time::Duration;

use base64::Engine as _;

use super::*;
use crate::{
    brain::{self, Memory, Setting},
    validate::{
        signature::{redact, sign},
        tests::{GPT_OSS, NOVA},
    },
};

/// Pointers of all values within `value`, its own included.
fn places(value: &Value, at: String, into: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| places(item, format!("{at}/{index}"), into)),
        Value::Object(map) => map.iter().for_each(|(key, item)| places(item, format!("{at}/{key}"), into)),
        _ => {}
    }
    into.push(at);
}

/// How many of the broken bodies were refused, and how many answered all the same.
fn broken(id: &str, whole: &Value) -> (usize, usize) {
    let model = model(id);
    let odd = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(""),
        json!("x"),
        json!("\u{0}é"),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"type": "text"}),
        json!([{"type": "tool_use"}]),
    ];
    let mut all = Vec::new();
    places(whole, String::new(), &mut all);
    let (mut refused, mut answered) = (0, 0);
    for place in all {
        for value in &odd {
            let mut body = whole.clone();
            *body.pointer_mut(&place).unwrap() = value.clone();
            match read(&model, body, ANSWER) {
                Err(refusal) => {
                    assert!((400..500).contains(&refusal.status) && refusal.message.len() > 10, "{place} = {value}: {refusal}");
                    refused += 1;
                }
                Ok(read) => {
                    let read = read.unwrap();
                    let request = read.request().unwrap();
                    brain::answer_in(&model, &request, &mut Memory::new(1), Duration::ZERO, Setting::default()).unwrap();
                    answered += 1;
                }
            }
        }
    }
    (refused, answered)
}

#[test]
fn a_broken_messages_body_is_refused_or_answered() {
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": STANDARD.encode(png(9, 9))}});
    let body = json!({
        "anthropic_version": "bedrock-2023-05-31", "anthropic_beta": ["tool-search-tool-2025-10-19", "context-management-2025-06-27"],
        "max_tokens": 3000, "temperature": 1, "stop_sequences": ["END"], "metadata": {"user_id": "u"},
        "thinking": {"type": "enabled", "budget_tokens": 1024}, "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
        "system": [{"type": "text", "text": "be kind", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "tools": [
            {"name": "look", "description": "looks", "input_schema": {"type": "object", "properties": {"at": {"type": "string", "pattern": "x"}}, "required": ["at"]}},
            {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"},
            {"name": "later", "input_schema": {"type": "object"}, "defer_loading": true},
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "look at later"}, image,
                {"type": "document", "title": "d", "citations": {"enabled": true}, "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
                {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "found"}]}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": sign("claude", "hm", 1)}, {"type": "redacted_thinking", "data": redact("claude", 2)},
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "tool_search_tool_regex", "input": {"query": "x"}},
                {"type": "tool_search_tool_result", "tool_use_id": "srvtoolu_1", "content": {"tool_references": [{"type": "tool_reference", "tool_name": "later"}]}},
                {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "x"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "is_error": false, "content": [{"type": "text", "text": "seen", "cache_control": {"type": "ephemeral"}}]},
                {"type": "text", "text": "well?"}]},
        ],
    });
    accepted(SONNET_45, &body);
    let (refused, answered) = broken(SONNET_45, &body);
    assert!(refused > 900 && answered > 150, "{refused} refused, {answered} answered");
}

#[test]
fn a_broken_nova_body_is_refused_or_answered() {
    let body = json!({
        "schemaVersion": "messages-v1", "system": [{"text": "be kind"}], "inferenceConfig": {"maxTokens": 9, "topK": 3, "stopSequences": ["x"]},
        "toolConfig": {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}]},
        "messages": [
            {"role": "user", "content": [{"text": "look"}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "look", "input": {}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "seen"}]}}]},
        ],
    });
    accepted(NOVA, &body);
    let (refused, answered) = broken(NOVA, &body);
    assert!(refused > 300 && answered > 10, "{refused} refused, {answered} answered");
}

#[test]
fn a_broken_chat_body_is_refused_or_answered() {
    let body = json!({
        "max_tokens": 9, "temperature": 0.5, "stop": ["x"], "reasoning_effort": "low", "stream_options": {"include_usage": true},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "properties": {}}}},
        "tools": [{"type": "function", "function": {"name": "look", "description": "looks", "parameters": {"type": "object", "properties": {}}}}],
        "messages": [
            {"role": "system", "content": "be kind"}, {"role": "user", "content": [{"type": "text", "text": "look"}]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "t1", "content": "seen"},
        ],
    });
    accepted(GPT_OSS, &body);
    let (refused, answered) = broken(GPT_OSS, &body);
    assert!(refused > 200 && answered > 60, "{refused} refused, {answered} answered");
}
