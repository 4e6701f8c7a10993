use super::*;

fn reasoning(turn: &Turn) -> Option<(&str, &str)> {
    turn.blocks.iter().find_map(|block| match block {
        Block::Reasoning { text, signature } => Some((text.as_str(), signature.as_str())),
        _ => None,
    })
}

fn fields(fields: Value) -> Value {
    with("Why is the sky blue?", json!({"additionalModelRequestFields": fields}))
}

#[test]
fn claude_thinks_visibly_with_a_signature_and_says_how_much() {
    let mut body = fields(json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}));
    body["additionalModelResponseFieldPaths"] = json!(["/usage/output_tokens_details"]);
    let turn = ask(CLAUDE, &body);
    let (text, signature) = reasoning(&turn).unwrap();
    assert!(text.contains("sky") && !signature.is_empty());
    assert_eq!(turn.usage.thinking, tokens::text(text));
    assert!(turn.usage.output > turn.usage.thinking);
    let reported = &turn.additional_response_fields.as_ref().unwrap()["usage"]["output_tokens_details"]["thinking_tokens"];
    assert_eq!(reported, turn.usage.thinking);
    assert_eq!(reasoning(&ask(CLAUDE, &user("Why is the sky blue?"))), None);
}

#[test]
fn newer_claude_hides_the_text_unless_a_summary_is_asked() {
    let hidden = ask(OPUS, &fields(json!({"thinking": {"type": "adaptive"}})));
    let (text, signature) = reasoning(&hidden).unwrap();
    assert!(text.is_empty() && !signature.is_empty() && hidden.usage.thinking > 0);
    let shown = ask(OPUS, &fields(json!({"thinking": {"type": "adaptive", "display": "summarized"}})));
    assert!(!reasoning(&shown).unwrap().0.is_empty());
    for always in ["anthropic.claude-opus-5-5", "anthropic.claude-sonnet-5"] {
        assert!(reasoning(&ask(always, &user("hi there"))).is_some(), "{always}");
    }
    assert_eq!(reasoning(&ask(OPUS, &user("hi there"))), None);
}

#[test]
fn every_reasoning_block_is_accepted_back_in_a_tool_loop() {
    for (id, fields) in [
        (CLAUDE, json!({"thinking": {"type": "enabled", "budget_tokens": 2048}})),
        (OPUS, json!({"thinking": {"type": "adaptive"}})),
        (GPT_OSS, json!({"reasoning_effort": "high"})),
    ] {
        let mut memory = Memory::new(3);
        let text = if id == CLAUDE { "weather in Paris, REDACTED_THINKING" } else { "weather in Paris" };
        let mut body = with(text, json!({"toolConfig": {"tools": [weather()]}, "additionalModelRequestFields": fields}));
        let turn = ask_with(&mut memory, id, &body, 0);
        assert!(reasoning(&turn).is_some(), "{id}");
        assert_eq!(turn.blocks.iter().any(|block| matches!(block, Block::Redacted(_))), id == CLAUDE);
        let Some(Block::ToolUse { id: call, .. }) = turn.blocks.last() else { panic!("{turn:?}") };
        let result = json!({"role": "user", "content": [{"toolResult": {"toolUseId": call, "content": [{"text": "sunny"}]}}]});
        body["messages"].as_array_mut().unwrap().extend([replay(&turn), result]);
        assert!(said(&ask_with(&mut memory, id, &body, 0)).contains("sunny"), "{id}");
    }
}

#[test]
fn other_families_show_reasoning_their_way() {
    let nova = ask(NOVA_2, &fields(json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}})));
    assert_eq!(reasoning(&nova), Some(("[REDACTED]", "")));
    assert!(nova.usage.thinking > 0);
    assert_eq!(reasoning(&ask(NOVA_2, &user("hi there"))), None);
    for always in [GPT_OSS, "deepseek.r1-v1:0"] {
        let turn = ask(always, &user("hi there"));
        assert!(reasoning(&turn).is_some_and(|(text, signature)| !text.is_empty() && signature.is_empty()), "{always}");
    }
    let gpt = ask(GPT, &user("hi there"));
    assert!(reasoning(&gpt).is_none() && gpt.usage.thinking > 0);
    let silent = ask(GPT, &fields(json!({"reasoning": {"effort": "none"}})));
    assert_eq!(silent.usage.thinking, 0);
    assert!(reasoning(&ask("deepseek.v3.2", &fields(json!({"reasoning_effort": "low"})))).is_some());
    assert!(reasoning(&ask("deepseek.v3.2", &user("hi there"))).is_none());
}

#[test]
fn thinking_that_spends_max_tokens_leaves_no_answer() {
    let mut body = with("Why is the sky blue?", json!({"inferenceConfig": {"maxTokens": 5}}));
    let turn = ask(GPT_OSS, &body);
    assert_eq!((turn.stop_reason, turn.usage.output, turn.usage.thinking), ("max_tokens", 5, 5));
    assert!(said(&turn).is_empty() && !turn.blocks.is_empty());
    body["inferenceConfig"]["maxTokens"] = json!(2000);
    assert!(!said(&ask(GPT_OSS, &body)).is_empty());
}
