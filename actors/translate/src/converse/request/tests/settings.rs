//! Sampling, limits, and everything beside the conversation.

use outcrop_domain::chat::{
    ChatRequest, Guardrail, GuardrailStreamMode, GuardrailTrace, Latency, ReasoningMode, ReasoningRequest, Sampling, ServiceTier,
};
use outcrop_domain::model::ChatCapabilities;
use serde_json::{Value, json};

use super::{Mode, WriteOptions, asking, options, presets, refused, user, written, written_with};
use crate::converse::count_tokens;

fn sampled(sampling: Sampling) -> ChatRequest {
    ChatRequest { sampling, ..asking(vec![user("Hi")]) }
}

fn limited(max_tokens: u32) -> ChatRequest {
    ChatRequest { max_tokens: Some(max_tokens), ..asking(vec![user("Hi")]) }
}

#[test]
fn pain_20_no_limit_is_invented() {
    assert_eq!(written(&asking(vec![user("Hi")]), &presets::claude_budget()).json["inferenceConfig"], Value::Null);
}

#[test]
fn limits_stay_within_what_the_model_takes() {
    let lowered = written(&limited(100_000), &presets::nova());
    assert_eq!((&lowered.json["inferenceConfig"]["maxTokens"], lowered.adjusted().as_str()), (&json!(64_000), "max_tokens=lowered"));
    let raised = written(&limited(5), &presets::gpt());
    assert_eq!((&raised.json["inferenceConfig"]["maxTokens"], raised.adjusted().as_str()), (&json!(16), "max_tokens=raised"));
}

#[test]
fn temperature_is_clamped_and_one_of_two_wins() {
    let both = sampled(Sampling { temperature: Some(1.7), top_p: Some(0.5), ..Sampling::default() });
    let nova = written(&both, &presets::nova());
    assert_eq!(
        (&nova.json["inferenceConfig"], nova.adjusted().as_str()),
        (&json!({"temperature": 1.0, "topP": 0.5}), "temperature=clamped")
    );
    let claude = written(&both, &presets::claude_budget());
    assert_eq!(
        (&claude.json["inferenceConfig"], claude.adjusted().as_str()),
        (&json!({"temperature": 1.0}), "temperature=clamped,top_p=dropped")
    );
    let refused = written(&both, &presets::claude_adaptive());
    assert_eq!((&refused.json["inferenceConfig"], refused.adjusted().as_str()), (&Value::Null, "temperature=dropped,top_p=dropped"));
}

#[test]
fn some_models_take_sampling_only_while_they_do_not_reason() {
    let warm = sampled(Sampling { temperature: Some(0.5), ..Sampling::default() });
    assert_eq!(written(&warm, &presets::gpt()).adjusted(), "temperature=dropped");
    let reasoning = ReasoningRequest { mode: ReasoningMode::Off, ..ReasoningRequest::default() };
    assert_eq!(written(&ChatRequest { reasoning, ..warm }, &presets::gpt()).json["inferenceConfig"], json!({"temperature": 0.5}));
}

#[test]
fn top_k_goes_where_the_family_wants_it() {
    let request = sampled(Sampling { top_k: Some(9), ..Sampling::default() });
    assert_eq!(written(&request, &presets::claude_budget()).fields(), &json!({"top_k": 9}));
    assert_eq!(written(&request, &presets::nova()).fields(), &json!({"inferenceConfig": {"topK": 9}}));
    assert_eq!(written(&request, &presets::llama()).adjusted(), "top_k=dropped");
    let k = ChatCapabilities { top_k: outcrop_domain::model::TopKField::K, ..presets::llama() };
    assert_eq!(written(&request, &k).fields(), &json!({"k": 9}));
}

#[test]
fn stop_sequences_are_counted_and_never_empty() {
    let stops = |count: usize| {
        sampled(Sampling { stop: (0..count).map(|number| number.to_string()).chain([String::new()]).collect(), ..Sampling::default() })
    };
    let nova = written(&stops(5), &presets::nova());
    assert_eq!(nova.json["inferenceConfig"]["stopSequences"], json!(["0", "1", "2", "3"]));
    assert_eq!(nova.adjusted(), "stop=empty_removed,stop=truncated");
    assert_eq!(written(&stops(1), &presets::gpt()).adjusted(), "stop=empty_removed,stop=ignored");
    assert_eq!(written(&stops(1), &presets::claude_budget()).json["additionalModelResponseFieldPaths"], json!(["/stop_sequence"]));
}

#[test]
fn the_only_stop_text_is_remembered_for_the_answer() {
    let only = |stops: &[&str], extra: Value, model: &ChatCapabilities| {
        let request = sampled(Sampling { stop: stops.iter().map(|text| (*text).to_owned()).collect(), ..Sampling::default() });
        let request = ChatRequest { extra: extra.as_object().unwrap().clone(), ..request };
        written(&request, model).body.reply.only_stop_text
    };
    let nova = presets::nova();
    assert_eq!(only(&["END"], json!({"topK": 3}), &nova).as_deref(), Some("END"));
    assert_eq!(only(&["END", ""], json!({}), &nova).as_deref(), Some("END"), "an empty one never reached the model");
    assert_eq!(only(&["END", "STOP"], json!({}), &nova), None);
    assert_eq!(only(&[], json!({}), &nova), None);
    assert_eq!(only(&["END"], json!({}), &presets::gpt()), None, "a model that takes none ended for another reason");
    assert_eq!(only(&["END"], json!({"inferenceConfig": {"stopSequences": ["x"]}}), &nova), None, "the caller's own fields name others");
}

#[test]
fn parameters_of_some_models_pass_there_and_are_told_elsewhere() {
    let optional = json!({"seed": 7, "logit_bias": {"5": 1}}).as_object().unwrap().clone();
    let request = sampled(Sampling { optional, ..Sampling::default() });
    let mistral = written(&request, &presets::mistral());
    assert_eq!((mistral.fields(), mistral.adjusted().as_str()), (&json!({"seed": 7}), "logit_bias=ignored"));
    assert_eq!(written(&request, &presets::nova()).adjusted(), "logit_bias=ignored,seed=ignored");
}

#[test]
fn the_callers_own_fields_merge_deeply_and_win() {
    let extra = json!({"inferenceConfig": {"seed": 1}, "reasoningConfig": {"maxReasoningEffort": "medium"}}).as_object().unwrap().clone();
    let reasoning = ReasoningRequest { effort: Some(outcrop_domain::chat::Effort::Low), ..ReasoningRequest::default() };
    let request = ChatRequest { extra, reasoning, ..sampled(Sampling { top_k: Some(9), ..Sampling::default() }) };
    assert_eq!(
        written(&request, &presets::nova_2()).fields(),
        &json!({"inferenceConfig": {"topK": 9, "seed": 1}, "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}})
    );
}

#[test]
fn pain_01_beta_flags_are_intersected_and_the_dropped_ones_named() {
    let beta_flags = ["context-1m-2025-08-07", "oauth-2025-04-20", " context-1m-2025-08-07", ""].map(str::to_owned).to_vec();
    let request = ChatRequest { beta_flags, ..asking(vec![user("Hi")]) };
    let claude = written(&request, &presets::claude_budget());
    assert_eq!(claude.fields(), &json!({"anthropic_beta": ["context-1m-2025-08-07"]}));
    assert_eq!(claude.adjusted(), "anthropic_beta=dropped:oauth-2025-04-20");
    assert_eq!(written(&request, &presets::nova()).fields(), &Value::Null);
}

#[test]
fn guardrails_carry_a_stream_mode_only_on_streams_and_are_never_dropped() {
    let guardrail = Guardrail {
        identifier: "gr1".to_owned(),
        version: "DRAFT".to_owned(),
        trace: Some(GuardrailTrace::EnabledFull),
        stream_mode: Some(GuardrailStreamMode::Async),
    };
    let request = ChatRequest { guardrail: Some(guardrail), ..asking(vec![user("Hi")]) };
    let whole = json!({"guardrailIdentifier": "gr1", "guardrailVersion": "DRAFT", "trace": "enabled_full"});
    assert_eq!(written(&request, &presets::nova()).json["guardrailConfig"], whole);
    let stream = written_with(&request, &presets::nova(), &WriteOptions { mode: Mode::Stream, ..options() });
    assert_eq!(stream.json["guardrailConfig"]["streamProcessingMode"], "async");
    let unguardable = ChatCapabilities { guardrails: false, ..presets::nova() };
    assert_eq!(refused(&request, &unguardable).0, "model `test-model` does not support guardrails");
}

#[test]
fn tier_latency_and_labels_are_sent() {
    let long = "v".repeat(300);
    let mut request = ChatRequest { service_tier: Some(ServiceTier::Flex), latency: Some(Latency::Optimized), ..asking(vec![user("Hi")]) };
    request.metadata.insert("team".to_owned(), "a/b & c".to_owned());
    request.metadata.insert(String::new(), "x".to_owned());
    request.metadata.insert("long".to_owned(), long);
    let written = written(&request, &presets::nova());
    assert_eq!(written.json["serviceTier"], json!({"type": "flex"}));
    assert_eq!(written.json["performanceConfig"], json!({"latency": "optimized"}));
    assert_eq!(written.json["requestMetadata"], json!({"team": "a/b _ c", "long": "v".repeat(256)}));
    assert_eq!(written.adjusted(), "metadata=dropped,metadata=cleaned");
}

#[test]
fn at_most_sixteen_labels_are_sent_and_the_default_tier_goes_without_saying() {
    let metadata = (0..20).map(|number| (format!("k{number:02}"), "v".to_owned())).collect();
    let request = ChatRequest { metadata, service_tier: Some(ServiceTier::Default), ..asking(vec![user("Hi")]) };
    let written = written(&request, &presets::nova());
    assert_eq!(written.json["requestMetadata"].as_object().unwrap().len(), 16);
    assert_eq!(written.json["serviceTier"], Value::Null);
    assert_eq!(written.adjusted(), "metadata=truncated");
}

#[test]
fn pain_18_counting_sends_the_parts_that_count_and_no_others() {
    let request = ChatRequest {
        max_tokens: Some(9),
        service_tier: Some(ServiceTier::Flex),
        ..super::instructed(super::with_tools(vec![user("Hi")], vec![super::tool("f")]), "s")
    };
    let answered = written(&request, &presets::claude_budget());
    let counted: Value =
        serde_json::from_slice(&count_tokens::write(&request, &presets::claude_budget(), &options()).unwrap().bytes).unwrap();
    let converse = counted["input"]["converse"].as_object().unwrap();
    assert_eq!(converse.keys().collect::<Vec<_>>(), ["messages", "system", "toolConfig"]);
    assert!(converse.iter().all(|(member, value)| answered.json[member] == *value));
    assert_eq!(count_tokens::read(br#"{"inputTokens":42,"new":1}"#).unwrap(), 42);
    assert!(count_tokens::read(b"{}").is_err());
}
