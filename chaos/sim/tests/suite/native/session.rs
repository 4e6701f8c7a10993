//! A long conversation as an agent holds it: thinking, tools, caching, searching, replayed as it came.

use super::*;
use crate::support::simulator;

/// What the client of the next turn sends back: the blocks as they came.
fn replayed(message: &Value) -> Value {
    json!({"role": "assistant", "content": message["content"]})
}

fn results(message: &Value) -> Value {
    let uses = message["content"].as_array().unwrap().iter().filter(|block| block["type"] == "tool_use");
    let results: Vec<Value> = uses
        .map(|block| {
            let text = format!("{} is sunny", block["input"]["city"].as_str().unwrap_or("It"));
            json!({"type": "tool_result", "tool_use_id": block["id"], "content": [{"type": "text", "text": text}]})
        })
        .collect();
    json!({"role": "user", "content": results})
}

/// Moves the marker to the end of the last turn.
fn mark_last(messages: &mut [Value]) {
    for message in messages.iter_mut() {
        for block in message["content"].as_array_mut().into_iter().flatten() {
            block.as_object_mut().unwrap().remove("cache_control");
        }
    }
    if let Some(block) = messages.last_mut().and_then(|message| message["content"].as_array_mut()?.last_mut()) {
        block["cache_control"] = json!({"type": "ephemeral"});
    }
}

#[tokio::test]
async fn thirty_turns_with_thinking_tools_and_caching() {
    let simulator = simulator().await;
    let system = json!([{"type": "text", "text": "You are a helper. ".repeat(400), "cache_control": {"type": "ephemeral", "ttl": "1h"}}]);
    let members = json!({
        "system": system, "tools": [weather()], "thinking": {"type": "enabled", "budget_tokens": 1024},
        "anthropic_beta": ["interleaved-thinking-2025-05-14"],
    });
    let mut messages: Vec<Value> = Vec::new();
    let (mut read_before, mut thoughts, mut calls) = (0, 0, 0);
    for turn in 0..15 {
        let city = ["Paris", "London", "Tokyo"][turn % 3];
        messages.push(json!({"role": "user", "content": [{"type": "text", "text": format!("What is the weather in {city}?")}]}));
        for step in 0..2 {
            mark_last(&mut messages);
            let body = claude(json!(messages), members.clone());
            let operation = if (turn + step) % 2 == 0 { "invoke" } else { "invoke-with-response-stream" };
            let message = if operation == "invoke" {
                parsed(&invoke(&simulator, CLAUDE, &body).await.unwrap())
            } else {
                gathered(&stream(&simulator, CLAUDE, &body).await.iter().map(|bytes| parsed(bytes)).collect::<Vec<_>>())
            };
            let [_, _, read, written] = counts_of(&message["usage"]);
            assert!(written > 0 && read >= read_before, "turn {turn}: {read} read, {written} written");
            read_before = read;
            thoughts += message["content"].as_array().unwrap().iter().filter(|block| block["type"] == "thinking").count();
            messages.push(replayed(&message));
            if step == 0 {
                assert_eq!(message["stop_reason"], "tool_use", "turn {turn}");
                calls += 1;
                messages.push(results(&message));
            } else {
                assert_eq!(message["stop_reason"], "end_turn", "turn {turn}");
            }
        }
    }
    assert_eq!((thoughts, calls), (30, 15), "it thinks between tools too");
    // One changed letter of one thought, and the whole conversation is refused.
    let thought =
        messages.iter_mut().find_map(|message| message["content"].as_array_mut()?.iter_mut().find(|block| block["type"] == "thinking"));
    let thought = thought.unwrap();
    thought["thinking"] = json!(thought["thinking"].as_str().unwrap().to_uppercase());
    messages.push(json!({"role": "user", "content": "and?"}));
    let (_, text) = invoke(&simulator, CLAUDE, &claude(json!(messages), members)).await.unwrap_err();
    assert_eq!(text.as_deref(), Some("messages.1.content.0: Invalid `signature` in `thinking` block"));
}

#[tokio::test]
async fn redacted_and_hidden_thinking_can_be_replayed() {
    let simulator = simulator().await;
    let ask = async |id: &str, messages: &[Value], thinking: Value| {
        let body = claude(json!(messages), json!({"thinking": thinking}));
        gathered(&stream(&simulator, id, &body).await.iter().map(|bytes| parsed(bytes)).collect::<Vec<_>>())
    };
    for (id, thinking, text) in [
        (CLAUDE, json!({"type": "enabled", "budget_tokens": 1024}), "REDACTED_THINKING please"),
        ("us.anthropic.claude-opus-4-8", json!({"type": "adaptive"}), "hello"),
    ] {
        let mut messages = vec![json!({"role": "user", "content": text})];
        let message = ask(id, &messages, thinking.clone()).await;
        let first = &message["content"][0];
        match first["type"].as_str().unwrap() {
            "redacted_thinking" => assert!(first["data"].as_str().is_some_and(|data| data.len() > 40)),
            "thinking" => assert_eq!((&first["thinking"], first["signature"].as_str().unwrap().len() > 40), (&json!(""), true)),
            other => panic!("{other}"),
        }
        messages.extend([replayed(&message), json!({"role": "user", "content": "go on"})]);
        assert!(ask(id, &messages, thinking).await["content"].as_array().unwrap().len() >= 2);
    }
}

#[tokio::test]
async fn deferred_tools_are_searched_before_their_first_call() {
    let simulator = simulator().await;
    let mut later = weather();
    later["defer_loading"] = json!(true);
    let search = json!({"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"});
    let members = json!({"tools": [search, later], "anthropic_beta": ["tool-search-tool-2025-10-19"]});
    let mut messages = vec![json!({"role": "user", "content": "What is the weather in Paris?"})];
    let message = parsed(&invoke(&simulator, CLAUDE, &claude(json!(messages), members.clone())).await.unwrap());
    let kinds = |message: &Value| -> Vec<String> {
        message["content"].as_array().unwrap().iter().map(|block| block["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&message), ["text", "server_tool_use", "tool_search_tool_result", "tool_use"]);
    let blocks = &message["content"];
    assert_eq!(blocks[1]["id"], blocks[2]["tool_use_id"]);
    assert_eq!(blocks[2]["content"]["tool_references"], json!([{"type": "tool_reference", "tool_name": "get_weather"}]));
    assert_eq!((&blocks[3]["name"], &message["usage"]["server_tool_use"]["tool_search_requests"]), (&json!("get_weather"), &json!(1)));
    assert!(blocks[3]["id"].as_str().unwrap().starts_with("toolu_bdrk_01"));
    messages.extend([replayed(&message), results(&message), json!({"role": "user", "content": "And the weather in London?"})]);
    let again = parsed(&invoke(&simulator, CLAUDE, &claude(json!(messages), members)).await.unwrap());
    assert!(kinds(&again).contains(&"tool_use".to_owned()) && !kinds(&again).contains(&"server_tool_use".to_owned()), "{again}");
}

#[tokio::test]
async fn context_edits_are_told_where_they_were_asked_for() {
    let simulator = simulator().await;
    let members = json!({
        "anthropic_beta": ["context-management-2025-06-27"], "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
    });
    let body = claude(json!([{"role": "user", "content": "hello"}]), members);
    let message = parsed(&invoke(&simulator, CLAUDE, &body).await.unwrap());
    assert_eq!(message["context_management"], json!({"applied_edits": []}));
    let events: Vec<Value> = stream(&simulator, CLAUDE, &body).await.iter().map(|bytes| parsed(bytes)).collect();
    let end = events.iter().find(|event| event["type"] == "message_delta").unwrap();
    assert_eq!(end["context_management"], json!({"applied_edits": []}));
    assert!(parsed(&invoke(&simulator, CLAUDE, &hello()).await.unwrap()).get("context_management").is_none());
}
