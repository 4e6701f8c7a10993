//! Conversations that the service sums up when they have grown too long.

use super::*;
use crate::support::simulator;

const OPUS: &str = "us.anthropic.claude-opus-4-8";

fn body(messages: Value, pause: bool) -> Value {
    let edit = json!({"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 50_000}, "pause_after_compaction": pause});
    claude(messages, json!({"anthropic_beta": ["compact-2026-01-12"], "context_management": {"edits": [edit]}}))
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

#[tokio::test]
async fn a_long_conversation_is_summed_up_once_and_what_came_before_is_forgotten() {
    let simulator = simulator().await;
    let long = "bees and their hives ".repeat(20_000);
    let mut messages = json!([user(&long), {"role": "assistant", "content": "I see."}, user("Say exactly: on we go")]);
    let whole = parsed(&invoke(&simulator, OPUS, &body(messages.clone(), false)).await.unwrap());
    let summary = &whole["content"][0];
    assert_eq!((&summary["type"], &whole["stop_reason"]), (&json!("compaction"), &json!("end_turn")));
    assert!(summary["content"].as_str().unwrap().contains("bees"), "{summary}");
    assert_eq!(whole["content"][1]["text"], "on we go");
    assert!(whole["usage"]["input_tokens"].as_u64().unwrap() > 50_000);

    let events: Vec<Value> = stream(&simulator, OPUS, &body(messages.clone(), false)).await.iter().map(|bytes| parsed(bytes)).collect();
    let begun = events.iter().find(|event| event["type"] == "content_block_start").unwrap();
    assert_eq!(begun["content_block"], json!({"type": "compaction", "content": null}));
    let delta = events.iter().find(|event| event["type"] == "content_block_delta").unwrap();
    assert_eq!(delta["delta"], json!({"type": "compaction_delta", "content": summary["content"]}));

    let turns = messages.as_array_mut().unwrap();
    turns.extend([json!({"role": "assistant", "content": whole["content"]}), user("Say exactly: and on")]);
    let next = parsed(&invoke(&simulator, OPUS, &body(messages, false)).await.unwrap());
    assert_eq!(next["content"], json!([{"type": "text", "text": "and on"}]));
    assert!(next["usage"]["input_tokens"].as_u64().unwrap() < 500, "{}", next["usage"]);
}

#[tokio::test]
async fn a_client_may_look_at_the_summary_first_and_short_conversations_have_none() {
    let simulator = simulator().await;
    let paused = parsed(&invoke(&simulator, OPUS, &body(json!([user(&"bees ".repeat(60_000))]), true)).await.unwrap());
    assert_eq!((paused["content"].as_array().unwrap().len(), &paused["stop_reason"]), (1, &json!("compaction")));
    let short = parsed(&invoke(&simulator, OPUS, &body(json!([user("Say exactly: short")]), true)).await.unwrap());
    assert_eq!(short["content"], json!([{"type": "text", "text": "short"}]));
}
