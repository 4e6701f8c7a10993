//! Thinking in a Messages body, and thinking replayed.

use super::*;
use crate::validate::signature::{redact, sign};

fn thinking(kind: Value) -> Value {
    let mut body = claude(json!({}));
    body["thinking"] = kind;
    body
}

fn budget(tokens: u64) -> Value {
    thinking(json!({"type": "enabled", "budget_tokens": tokens}))
}

/// A tool loop whose assistant turn begins with these blocks.
fn replay(mut before: Vec<Value>) -> Value {
    before.push(json!({"type": "tool_use", "id": "t1", "name": "look", "input": {}}));
    let mut body = turns(json!([
        {"role": "user", "content": "look"}, {"role": "assistant", "content": before},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1"}]},
    ]));
    body["tools"] = json!([{"name": "look", "input_schema": {"type": "object"}}]);
    body
}

fn thought(text: &str, signature: &str) -> Value {
    json!({"type": "thinking", "thinking": text, "signature": signature})
}

#[test]
fn budgets_stay_between_the_least_and_the_length() {
    accepted(SONNET_45, &budget(1024));
    refused(SONNET_45, &budget(1023), "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024");
    refused(SONNET_45, &budget(4096), "`max_tokens` must be greater than `thinking.budget_tokens`");
    refused(SONNET_45, &thinking(json!({"type": "adaptive"})), "adaptive thinking is not supported on this model");
    refused(OPUS_48, &budget(1024), "\"thinking.type.enabled\" is not supported for this model");
    accepted(OPUS_48, &thinking(json!({"type": "adaptive"})));
    refused(OPUS_55, &thinking(json!({"type": "disabled"})), "\"thinking.type.disabled\" is not supported");
    refused(SONNET_35, &budget(1024), "thinking: Extra inputs are not permitted");
    let mut between = budget(4096);
    between["anthropic_beta"] = json!(["interleaved-thinking-2025-05-14"]);
    accepted(SONNET_45, &between);
    let mut counted = budget(4096);
    counted["max_tokens"] = json!(1);
    assert!(read(&model(SONNET_45), counted, Purpose::Count).is_ok());
}

#[test]
fn thinking_excludes_forced_tools_and_free_sampling() {
    let mut forced = budget(1024);
    forced["tools"] = json!([{"name": "look", "input_schema": {"type": "object"}}]);
    accepted(SONNET_45, &forced);
    forced["tool_choice"] = json!({"type": "any"});
    refused(SONNET_45, &forced, "Thinking may not be enabled when tool_choice forces tool use.");
    let mut cool = budget(1024);
    cool["temperature"] = json!(0.5);
    refused(SONNET_45, &cool, "`temperature` may only be set to 1 when thinking is enabled");
}

#[test]
fn replayed_thinking_is_signed_and_unchanged() {
    let signed = sign("claude", "hm", 1);
    accepted(SONNET_45, &replay(vec![thought("hm", &signed)]));
    accepted(SONNET_5, &replay(vec![thought("", &sign("claude", "", 1))]));
    refused(SONNET_45, &replay(vec![thought("hmm", &signed)]), "messages.1.content.0: Invalid `signature` in `thinking` block");
    refused(SONNET_45, &replay(vec![thought("hm", "")]), "messages.1.content.0: Invalid `signature` in `thinking` block");
    refused(
        SONNET_45,
        &replay(vec![json!({"type": "thinking", "thinking": "hm"})]),
        "messages.1.content.0.thinking.signature: Field required",
    );
    accepted(SONNET_45, &replay(vec![json!({"type": "redacted_thinking", "data": redact("claude", 3)})]));
    refused(SONNET_45, &replay(vec![json!({"type": "redacted_thinking", "data": "%"})]), "Invalid `data` in `redacted_thinking` block");
    let mut marked = thought("hm", &signed);
    marked["cache_control"] = json!({"type": "ephemeral"});
    refused(SONNET_45, &replay(vec![marked]), "messages.1.content.0.thinking.cache_control: Extra inputs are not permitted");
    refused(
        SONNET_45,
        &content(json!([thought("hm", &signed)])),
        "messages.0.content.0: `thinking` blocks can only be in `assistant` messages",
    );
}

#[test]
fn with_a_budget_a_tool_loop_replays_its_thinking_first() {
    let mut without = replay(vec![json!({"type": "text", "text": "hm"})]);
    accepted(SONNET_45, &without);
    without["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
    refused(
        SONNET_45,
        &without,
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`. When `thinking` is enabled, a final `assistant` message must start with a thinking block",
    );
    let last =
        turns(json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": [thought("hm", &sign("claude", "hm", 1))]}]));
    refused(SONNET_45, &last, "messages.1: The final block in an assistant message cannot be `thinking`.");
}
