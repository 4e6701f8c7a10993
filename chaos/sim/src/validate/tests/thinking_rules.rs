//! Reasoning switches and replayed reasoning.

use super::*;

fn fields(change: Value) -> Value {
    body(json!({"additionalModelRequestFields": change}))
}

fn thinking(kind: Value) -> Value {
    fields(json!({"thinking": kind}))
}

fn budget(tokens: u64) -> Value {
    thinking(json!({"type": "enabled", "budget_tokens": tokens}))
}

fn thought(text: &str, signature: Option<&str>) -> Value {
    match signature {
        Some(signature) => json!({"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}),
        None => json!({"reasoningContent": {"reasoningText": {"text": text}}}),
    }
}

#[test]
fn thinking_takes_the_form_of_the_model() {
    accepted(SONNET_45, &budget(1024));
    accepted(SONNET_46, &budget(1024));
    refused(SONNET_45, &budget(1023), "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024");
    refused(SONNET_45, &thinking(json!({"type": "enabled"})), "budget_tokens: Field required");
    refused(SONNET_45, &thinking(json!({"type": "adaptive"})), "adaptive thinking is not supported on this model");
    accepted(SONNET_46, &thinking(json!({"type": "adaptive"})));
    for id in [OPUS_47, OPUS_48, SONNET_5, OPUS_55] {
        refused(id, &budget(2048), "\"thinking.type.enabled\" is not supported for this model");
        accepted(id, &thinking(json!({"type": "adaptive", "display": "summarized"})));
    }
    for id in [OPUS_55, SONNET_55] {
        refused(id, &thinking(json!({"type": "disabled"})), "\"thinking.type.disabled\" is not supported");
        accepted(id, &body(json!({})));
    }
    accepted(OPUS_48, &thinking(json!({"type": "disabled"})));
    refused(SONNET_35, &budget(2048), "thinking: Extra inputs are not permitted");
    refused(SONNET_45, &thinking(json!({"type": "on"})), "does not match any of the expected tags");
    refused(SONNET_45, &thinking(json!(true)), "thinking: Input should be a valid dictionary");
    refused(
        SONNET_46,
        &thinking(json!({"type": "adaptive", "budget_tokens": 2048})),
        "thinking.adaptive.budget_tokens: Extra inputs are not permitted",
    );
    accepted(SONNET_55, &thinking(json!({"type": "between_tools"})));
    refused(SONNET_46, &thinking(json!({"type": "between_tools"})), "does not match any of the expected tags");
    let between = fields(json!({"thinking": {"type": "between_tools"}, "output_config": {"effort": "max"}}));
    refused(SONNET_55, &between, "between_tools cannot be used");
}

#[test]
fn a_budget_stays_below_max_tokens() {
    let limited = |max: u64| {
        let mut body = budget(2048);
        body["inferenceConfig"] = json!({"maxTokens": max});
        body
    };
    refused(SONNET_45, &limited(2048), "`max_tokens` must be greater than `thinking.budget_tokens`");
    accepted(SONNET_45, &limited(2049));
}

#[test]
fn thinking_excludes_forced_tools_and_free_sampling() {
    let mut forced = budget(2048);
    forced["toolConfig"] = tools();
    accepted(SONNET_45, &forced);
    forced["toolConfig"]["toolChoice"] = json!({"any": {}});
    refused(SONNET_45, &forced, "Thinking may not be enabled when tool_choice forces tool use.");
    let sampled = |config: Value| {
        let mut body = budget(2048);
        body["inferenceConfig"] = config;
        body
    };
    refused(SONNET_45, &sampled(json!({"temperature": 0.5})), "`temperature` may only be set to 1 when thinking is enabled");
    accepted(SONNET_45, &sampled(json!({"temperature": 1})));
    refused(SONNET_45, &sampled(json!({"topP": 0.5})), "`top_p` must be greater than or equal to 0.95");
    refused(
        SONNET_45,
        &fields(json!({"thinking": {"type": "enabled", "budget_tokens": 2048}, "top_k": 4})),
        "`top_k` must be unset when thinking is enabled",
    );
    let mut loose = fields(json!({"reasoning_effort": "high"}));
    loose["toolConfig"] = tools();
    accepted(DEEPSEEK_V3, &loose);
    loose["toolConfig"]["toolChoice"] = json!({"any": {}});
    refused(DEEPSEEK_V3, &loose, "auto toolChoice while reasoning");
}

#[test]
fn with_thinking_a_tool_loop_replays_its_thinking_first() {
    let signed = signature::sign("claude", "I should look.", 1);
    let mut with = exchange(vec![thought("I should look.", Some(&signed))], json!([result("tool_1")]));
    let mut without = exchange(vec![], json!([result("tool_1")]));
    let mut text_first = exchange(vec![json!({"text": "Hm."})], json!([result("tool_1")]));
    for body in [&mut with, &mut without, &mut text_first] {
        body["additionalModelRequestFields"] = json!({"thinking": {"type": "enabled", "budget_tokens": 2048}});
    }
    accepted(SONNET_45, &with);
    refused(SONNET_45, &without, "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`");
    refused(SONNET_45, &text_first, "but found `text`");
    without["additionalModelRequestFields"] = json!({"thinking": {"type": "adaptive"}});
    accepted(SONNET_46, &without);
}

#[test]
fn signatures_protect_text_lineage_and_themselves() {
    let replay = |block: Value| exchange(vec![block], json!([result("tool_1")]));
    let signed = signature::sign("claude", "thought", 7);
    accepted(SONNET_45, &replay(thought("thought", Some(&signed))));
    accepted(OPUS_47, &replay(thought("thought", Some(&signed))));
    refused(SONNET_45, &replay(thought("thoughts", Some(&signed))), "messages.1.content.0: Invalid `signature` in `thinking` block");
    let mut bent = signed.clone().into_bytes();
    bent[20] = if bent[20] == b'A' { b'B' } else { b'A' };
    refused(SONNET_45, &replay(thought("thought", Some(&String::from_utf8(bent).unwrap()))), "Invalid `signature`");
    refused(SONNET_45, &replay(thought("thought", Some(""))), "Invalid `signature`");
    refused(SONNET_45, &replay(thought("thought", Some(&signature::sign("nova", "thought", 7)))), "Invalid `signature`");
    refused(SONNET_45, &replay(thought("thought", None)), "messages.1.content.0.thinking.signature: Field required");
    accepted(OPUS_47, &replay(thought("", Some(&signature::sign("claude", "", 9)))));
    let redacted = |data: &str| json!({"reasoningContent": {"redactedContent": data}});
    accepted(SONNET_45, &replay(redacted(&signature::redact("claude", 3))));
    refused(SONNET_45, &replay(redacted("AAAA")), "Invalid `data` in `redacted_thinking` block");
}

#[test]
fn other_families_take_back_only_what_they_sign_for() {
    let replay = |block: Value| exchange(vec![block], json!([result("tool_1")]));
    let signed = thought("x", Some(&signature::sign("claude", "x", 1)));
    accepted(GPT_OSS, &replay(thought("x", None)));
    refused(GPT_OSS, &replay(signed.clone()), "This model doesn't support the reasoningContent.reasoningText.signature field");
    for id in [LLAMA, GPT, PALMYRA, SONNET_35] {
        refused(id, &replay(signed.clone()), "This model doesn't support the reasoningContent field");
    }
    refused(NOVA_2, &replay(thought("x", None)), "User messages cannot contain reasoning content");
    for id in [NOVA, LLAMA, GPT_OSS, DEEPSEEK_V3] {
        refused(
            id,
            &replay(json!({"reasoningContent": {"redactedContent": signature::redact("claude", 1)}})),
            "reasoningContent.redactedContent",
        );
    }
}

#[test]
fn thinking_never_ends_a_turn() {
    let signed = signature::sign("claude", "x", 1);
    let ends = json!({"messages": [{"role": "user", "content": [{"text": "a"}]}, {"role": "assistant", "content": [thought("x", Some(&signed))]},
        {"role": "user", "content": [{"text": "b"}]}]});
    refused(SONNET_45, &ends, "The final block in an assistant message cannot be `thinking`");
}

#[test]
fn nova_reasoning_has_its_own_switch() {
    let config = |config: Value| fields(json!({"reasoningConfig": config}));
    accepted(NOVA_2, &config(json!({"type": "enabled", "maxReasoningEffort": "low"})));
    accepted(NOVA_2, &config(json!({"type": "disabled"})));
    refused(NOVA, &config(json!({"type": "enabled"})), "the provided reasoning config value is invalid");
    refused(NOVA_2, &config(json!({"type": "enabled", "maxReasoningEffort": "max"})), "reasoning config value is invalid");
    let mut high = config(json!({"type": "enabled", "maxReasoningEffort": "high"}));
    accepted(NOVA_2, &high);
    high["inferenceConfig"] = json!({"maxTokens": 100});
    refused(NOVA_2, &high, "The maxTokens field must not be set when maxReasoningEffort is high");
    let mut low = config(json!({"type": "enabled", "maxReasoningEffort": "low"}));
    low["inferenceConfig"] = json!({"maxTokens": 100});
    accepted(NOVA_2, &low);
}

#[test]
fn effort_words_follow_the_family() {
    accepted(GPT_OSS, &fields(json!({"reasoning_effort": "low"})));
    refused(GPT_OSS, &fields(json!({"reasoning_effort": "minimal"})), "Supported values are: 'low', 'medium' or 'high'");
    accepted(GPT, &fields(json!({"reasoning": {"effort": "none"}})));
    refused(GPT, &fields(json!({"reasoning": {"effort": "minimal"}})), "Invalid value for 'reasoning.effort': 'minimal'");
    refused("openai.gpt-6-astra", &fields(json!({"reasoning": {"effort": "none"}})), "'reasoning.effort'");
    refused(GROK, &fields(json!({"reasoning_effort": 3})), "Invalid value for 'reasoning_effort': 3");
    refused(GROK, &fields(json!({"reasoning_effort": "none"})), "'none'");
    accepted(GROK, &fields(json!({"reasoning_effort": "xhigh"})));
    refused(DEEPSEEK_R1, &fields(json!({"reasoning_effort": "low"})), "extraneous key [reasoning_effort]");
}
