use std::path::PathBuf;

use outcrop_domain::{
    chat::{Citation, CitationPlace, ServiceTier, StopReason, ToolResultPart, ToolResultStatus},
    json::JsonObject,
    usage::Usage,
};
use serde_json::{Value, json};

use super::*;

fn meta() -> RenderMeta {
    RenderMeta { id: "msg_1".to_owned(), model_shown: "nova".to_owned(), request_id: None }
}

fn answer(content: Vec<Content>, stop: StopReason) -> ChatResponse {
    let usage = Usage { input: 5, output: 7, cache_read: 3, cache_write_5m: 2, cache_write_1h: 1, reasoning: Some(4) };
    ChatResponse { content, stop, usage, service_tier: None, trace: None, stop_sequence: None }
}

fn rendered(answer: &ChatResponse) -> Value {
    serde_json::to_value(render(answer, &meta())).unwrap()
}

fn content(content: Vec<Content>) -> Value {
    rendered(&answer(content, StopReason::EndTurn))["content"].clone()
}

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

fn call(name: &str, input: &str, origin: ToolOrigin) -> Content {
    Content::ToolUse { id: "toolu_1".to_owned(), name: name.to_owned(), input: JsonText::parse(input.to_owned()).unwrap(), origin }
}

fn thinking(text: &str, signature: Option<&str>) -> Content {
    Content::Reasoning(Reasoning::Text { text: text.to_owned(), signature: signature.map(str::to_owned) })
}

fn snapshot(name: &str, answer: &ChatResponse) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/anthropic_messages"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, serde_json::to_string_pretty(&render(answer, &meta())).unwrap()));
}

#[test]
fn a_plain_answer_has_every_member_that_clients_insist_on() {
    snapshot("answer_plain", &answer(vec![text("Hello")], StopReason::EndTurn));
}

#[test]
fn an_agents_turn_keeps_its_order() {
    let blocks = vec![
        thinking("I should look.", Some("SIG==")),
        Content::Reasoning(Reasoning::Redacted("ENC==".to_owned())),
        text("Let me look."),
        call("Read", r#"{"b":  2,"a":1.0}"#, ToolOrigin::Client),
    ];
    let answer = ChatResponse { service_tier: Some(ServiceTier::Default), ..answer(blocks, StopReason::ToolUse) };
    snapshot("answer_agent_turn", &answer);
    // The input is the model's own bytes.
    assert!(serde_json::to_string(&render(&answer, &meta())).unwrap().contains(r#""input":{"b":  2,"a":1.0}"#));
}

#[test]
fn pain_02_a_signature_alone_is_a_thinking_block_and_unsigned_thinking_has_an_empty_one() {
    assert_eq!(
        content(vec![thinking("", Some("SIG")), thinking("hm", None)]),
        json!([{"type": "thinking", "thinking": "", "signature": "SIG"}, {"type": "thinking", "thinking": "hm", "signature": ""}])
    );
}

#[test]
fn pain_04_no_empty_text_block_is_handed_out() {
    assert_eq!(content(vec![text(""), call("f", "{}", ToolOrigin::Client)])[0]["type"], "tool_use");
    assert_eq!(content(vec![text("")]), json!([]));
}

#[test]
fn pain_15_input_tokens_are_the_uncached_ones_and_writes_are_split_by_lifetime() {
    let usage = rendered(&answer(vec![text("x")], StopReason::EndTurn))["usage"].clone();
    assert_eq!(
        usage,
        json!({
            "input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 3,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 1},
            "output_tokens_details": {"thinking_tokens": 4},
        })
    );
}

#[test]
fn tiers_are_told_in_anthropics_words() {
    let tier = |tier| {
        let answer = ChatResponse { service_tier: Some(tier), ..answer(vec![], StopReason::EndTurn) };
        rendered(&answer)["usage"]["service_tier"].clone()
    };
    let words = [ServiceTier::Default, ServiceTier::Flex, ServiceTier::Priority, ServiceTier::Reserved].map(tier);
    assert_eq!(words, ["standard", "standard", "priority", "priority"].map(Value::from));
}

#[test]
fn the_providers_own_tools_are_not_shown_and_are_none_to_wait_for() {
    let result = Content::ToolResult {
        id: "toolu_1".to_owned(),
        parts: vec![ToolResultPart::Text("x".to_owned())],
        status: ToolResultStatus::Success,
    };
    let shown = rendered(&answer(vec![call("nova_grounding", "{}", ToolOrigin::Server), result, text("Rome")], StopReason::ToolUse));
    assert_eq!(shown["content"], json!([{"type": "text", "text": "Rome"}]));
    assert_eq!(shown["stop_reason"], "end_turn");
}

#[test]
fn a_call_makes_the_agent_run_tools_whatever_the_model_says() {
    let shown = rendered(&answer(vec![call("f", "{}", ToolOrigin::Client)], StopReason::EndTurn));
    assert_eq!(shown["stop_reason"], "tool_use");
    let cut = rendered(&answer(vec![call("f", "{}", ToolOrigin::Client)], StopReason::MaxTokens));
    assert_eq!(cut["stop_reason"], "max_tokens");
}

#[test]
fn input_that_is_no_object_is_an_empty_one() {
    assert_eq!(content(vec![call("f", "[1]", ToolOrigin::Client)])[0]["input"], json!({}));
}

#[test]
fn sources_are_told_where_this_api_can_tell_them() {
    let citation = |place| Citation { title: Some("T".to_owned()), source: Some("s".to_owned()), quoted: Some("q".to_owned()), place };
    let cited = Content::Cited {
        text: "Blue.".to_owned(),
        citations: vec![citation(Some(CitationPlace::SearchResult { result: 1, start: 0, end: 2 })), citation(None)],
    };
    assert_eq!(
        content(vec![cited]),
        json!([{"type": "text", "text": "Blue.", "citations": [{
            "type": "search_result_location", "cited_text": "q", "search_result_index": 1, "source": "s", "title": "T",
            "start_block_index": 0, "end_block_index": 2,
        }]}])
    );
}

#[test]
fn a_refusal_names_who_refused_and_carries_the_trace() {
    let trace = serde_json::from_str::<JsonObject>(r#"{"guardrail":{"action":"BLOCKED"}}"#).unwrap();
    let refused = ChatResponse { trace: Some(trace), ..answer(vec![text("Sorry.")], StopReason::GuardrailIntervened) };
    snapshot("answer_refusal", &refused);
    let filtered = rendered(&answer(vec![], StopReason::ContentFiltered));
    assert_ne!(filtered["stop_details"]["explanation"], rendered(&refused)["stop_details"]["explanation"]);
}

#[test]
fn the_stop_sequence_is_told_where_it_is_known() {
    let answer = ChatResponse { stop_sequence: Some("STOP".to_owned()), ..answer(vec![text("x")], StopReason::StopSequence) };
    assert_eq!((&rendered(&answer)["stop_reason"], &rendered(&answer)["stop_sequence"]), (&json!("stop_sequence"), &json!("STOP")));
}
