//! Members of a Messages body, flags, limits.

use super::*;

fn with(key: &str, value: Value) -> Value {
    let mut body = claude(json!({}));
    body[key] = value;
    body
}

fn beta(flags: Value) -> Value {
    with("anthropic_beta", flags)
}

#[test]
fn version_and_length_are_required() {
    accepted(SONNET_45, &claude(json!({})));
    refused(SONNET_45, &claude(json!({"anthropic_version": null})), "anthropic_version: Field required");
    refused(SONNET_45, &with("anthropic_version", json!("2023-06-01")), "Invalid API version: 2023-06-01");
    refused(SONNET_45, &with("anthropic_version", json!(1)), "#/anthropic_version: expected type: String");
    refused(SONNET_45, &claude(json!({"max_tokens": null})), "max_tokens: Field required");
    refused(SONNET_45, &with("max_tokens", json!(0)), "max_tokens: Input should be greater than or equal to 1");
    refused(SONNET_45, &with("max_tokens", json!("many")), "max_tokens: Input should be a valid integer");
    refused(
        SONNET_45,
        &with("max_tokens", json!(64_001)),
        "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens for claude-sonnet-4-5-20250929",
    );
    accepted(SONNET_45, &with("max_tokens", json!(64_000)));
}

#[test]
fn members_of_other_surfaces_are_extra_inputs() {
    for (key, value) in [
        ("model", json!("claude-sonnet-4-5")),
        ("stream", json!(true)),
        ("service_tier", json!("auto")),
        ("mcp_servers", json!([])),
        ("container", json!("x")),
        ("cache_control", json!({"type": "ephemeral"})),
        ("inference_geo", json!("us")),
        ("anything", json!(null)),
    ] {
        refused(SONNET_45, &with(key, value), &format!("{key}: Extra inputs are not permitted"));
    }
}

#[test]
fn one_unknown_flag_refuses_the_request_whatever_the_others() {
    accepted(SONNET_45, &beta(json!(["interleaved-thinking-2025-05-14", "context-1m-2025-08-07", "claude-code-20250219"])));
    for flag in ["oauth-2025-04-20", "prompt-caching-scope-2026-01-05", "fast-mode-2026-02-01", "files-api-2025-04-14", ""] {
        refused(SONNET_45, &beta(json!(["interleaved-thinking-2025-05-14", flag])), "invalid beta flag");
    }
    refused(SONNET_45, &beta(json!("interleaved-thinking-2025-05-14")), "anthropic_beta: Input should be a valid list");
    refused(SONNET_45, &beta(json!([1])), "anthropic_beta: Input should be a valid string");
    // They vary by model.
    refused(OPUS_47, &beta(json!(["claude-code-20250219"])), "invalid beta flag");
    refused(OPUS_47, &beta(json!(["tool-search-tool-2025-10-19"])), "invalid beta flag");
    accepted(OPUS_48, &beta(json!(["tool-search-tool-2025-10-19", "compact-2026-01-12"])));
    refused(SONNET_46, &beta(json!(["effort-2025-11-24"])), "invalid beta flag");
    accepted("anthropic.claude-opus-4-5-20251101-v1:0", &beta(json!(["effort-2025-11-24", "computer-use-2025-11-24"])));
}

#[test]
fn context_management_needs_its_flag_and_known_edits() {
    let mut body = with("context_management", json!({"edits": [{"type": "clear_tool_uses_20250919"}]}));
    refused(SONNET_45, &body, "context_management: Extra inputs are not permitted");
    body["anthropic_beta"] = json!(["context-management-2025-06-27"]);
    accepted(SONNET_45, &body);
    assert!(verdict(SONNET_45, &body).unwrap().unwrap().asks.context_edits);
    body["context_management"]["edits"] = json!([{"type": "compact_20260112"}]);
    refused(OPUS_48, &body, "context_management.edits.0: Input tag 'compact_20260112' found using 'type' does not match");
    body["anthropic_beta"] = json!(["context-management-2025-06-27", "compact-2026-01-12"]);
    accepted(OPUS_48, &body);
    body["context_management"] = json!({"edit": []});
    refused(OPUS_48, &body, "context_management.edit: Extra inputs are not permitted");
}

#[test]
fn effort_needs_a_flag_where_the_model_says_so() {
    let opus = "anthropic.claude-opus-4-5-20251101-v1:0";
    let mut body = with("output_config", json!({"effort": "high"}));
    refused(opus, &body, "output_config: Extra inputs are not permitted");
    refused(SONNET_45, &body, "output_config.effort: Extra inputs are not permitted");
    accepted(SONNET_46, &body);
    body["anthropic_beta"] = json!(["effort-2025-11-24"]);
    accepted(opus, &body);
    body["output_config"]["effort"] = json!("xhigh");
    refused(opus, &body, "output_config.effort: Input should be 'low', 'medium' or 'high'");
    let format = json!({"format": {"type": "json_schema", "schema": {"type": "object", "properties": {}, "additionalProperties": false}}});
    accepted(SONNET_45, &with("output_config", format.clone()));
    refused(OPUS_47, &with("output_config", format), "output_config.format: Extra inputs are not permitted");
}

#[test]
fn sampling_follows_the_model() {
    let both = claude(json!({"temperature": 0.5, "top_p": 0.9}));
    accepted(SONNET_35, &both);
    refused(SONNET_45, &both, "`temperature` and `top_p` cannot both be specified for this model. Please use only one.");
    accepted(SONNET_45, &with("temperature", json!(0.5)));
    for (key, value) in [("temperature", json!(1)), ("top_p", json!(0.9)), ("top_k", json!(3))] {
        refused(OPUS_48, &with(key, value), &format!("`{key}` is deprecated for this model."));
    }
    refused(SONNET_45, &with("temperature", json!(1.5)), "temperature: range: 0..1");
    refused(SONNET_45, &with("top_k", json!(-1)), "top_k: Input should be a valid integer");
    refused(SONNET_45, &with("stop_sequences", json!([" "])), "stop_sequences: each stop sequence must contain non-whitespace");
    refused(SONNET_45, &with("stop_sequences", json!("x")), "stop_sequences: Input should be a valid list");
    refused(SONNET_45, &with("metadata", json!({"user": "x"})), "metadata.user: Extra inputs are not permitted");
    accepted(SONNET_45, &with("metadata", json!({"user_id": "x"})));
}

#[test]
fn cache_markers_are_four_at_most_and_live_as_long_as_the_model_lets_them() {
    let text = |words: &str, marker: Value| json!({"type": "text", "text": words, "cache_control": marker});
    let plain = json!({"type": "ephemeral"});
    let marked = |count: usize| content(json!(vec![text("x", plain.clone()); count]));
    accepted(SONNET_45, &marked(4));
    refused(SONNET_45, &marked(5), "A maximum of 4 blocks with cache_control may be provided. Found 5.");
    let mut spread = marked(3);
    spread["system"] = json!([text("be kind", plain.clone())]);
    spread["tools"] = json!([{"name": "a", "input_schema": {"type": "object"}, "cache_control": plain}]);
    refused(SONNET_45, &spread, "Found 5.");
    let hour = json!({"type": "ephemeral", "ttl": "1h"});
    accepted(SONNET_45, &content(json!([text("x", hour.clone())])));
    let sonnet_4 = "anthropic.claude-sonnet-4-20250514-v1:0";
    accepted(sonnet_4, &content(json!([text("x", plain.clone())])));
    for ttl in ["1h", "5m"] {
        let body = content(json!([text("x", json!({"type": "ephemeral", "ttl": ttl}))]));
        refused(sonnet_4, &body, "messages.0.content.0.text.cache_control.ephemeral.ttl: Extra inputs are not permitted");
    }
    refused(
        SONNET_45,
        &content(json!([text("x", plain.clone()), text("y", hour)])),
        "messages.0.content.1.text.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block",
    );
    refused(SONNET_45, &content(json!([text("x", json!({"type": "lasting"}))])), "cache_control.type: Input should be 'ephemeral'");
    refused(SONNET_45, &content(json!([text("x", json!({"type": "ephemeral", "ttl": "2h"}))])), "Input should be '5m' or '1h'");
    let mut scoped = claude(json!({}));
    scoped["system"] = json!([text("be kind", json!({"type": "ephemeral", "scope": "global"}))]);
    refused(SONNET_45, &scoped, "system.0.cache_control.ephemeral.scope: Extra inputs are not permitted");
    refused(
        SONNET_45,
        &content(json!([text("", plain.clone())])),
        "messages.0.content.0.text: cache_control cannot be set for empty text blocks",
    );
    let old = "anthropic.claude-3-haiku-20240307-v1:0";
    refused(old, &content(json!([text("x", plain)])), "messages.0.content.0.text.cache_control: Extra inputs are not permitted");
}

#[test]
fn the_window_bounds_what_is_answered_and_not_what_is_counted() {
    let long = content(json!([{"type": "text", "text": "word ".repeat(161_000)}]));
    refused(SONNET_45, &long, "prompt is too long: 201254 tokens > 200000 maximum");
    let count = |body: &Value| read(&model(SONNET_45), body.clone(), Purpose::Count).is_ok();
    assert!(count(&long));
    let mut longer = long.clone();
    longer["anthropic_beta"] = json!(["context-1m-2025-08-07"]);
    accepted(SONNET_45, &longer);
    let mut full = content(json!([{"type": "text", "text": "word ".repeat(159_000)}]));
    full["max_tokens"] = json!(8_000);
    accepted(SONNET_45, &full);
    let opus = "anthropic.claude-opus-4-1-20250805-v1:0";
    refused(
        opus,
        &full,
        "input length and `max_tokens` exceed context limit: 198754 + 8000 > 200000, decrease input length or `max_tokens` and try again",
    );
    full["max_tokens"] = json!(1_000);
    accepted(opus, &full);
}
