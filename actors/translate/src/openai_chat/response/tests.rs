use std::path::PathBuf;

use outcrop_domain::{
    chat::{BlockKind, ChatEvent, CitationPlace, ReasoningVisibility, StopReason},
    json::JsonText,
};
use serde_json::{Value, json};

use super::*;
use crate::openai_chat::{
    request::{FetchedMedia, ReadOptions, Sniff, read},
    stream::{ChunkWriter, UsageChunk},
};

fn meta() -> RenderMeta {
    RenderMeta { id: "chatcmpl-1".to_owned(), created_unix: 1_700_000_000, model_shown: "claude".to_owned() }
}

fn answer(content: Vec<Content>, stop: StopReason) -> ChatResponse {
    let usage = Usage { input: 10, output: 7, cache_read: 3, cache_write_5m: 2, cache_write_1h: 1, reasoning: None };
    ChatResponse { content, stop, usage, service_tier: None, trace: None, stop_sequence: None }
}

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

fn tool_use(id: &str, name: &str, input: &str, origin: ToolOrigin) -> Content {
    Content::ToolUse { id: id.to_owned(), name: name.to_owned(), input: JsonText::parse(input.to_owned()).unwrap(), origin }
}

fn signed(text: &str, signature: &str) -> Reasoning {
    Reasoning::Text { text: text.to_owned(), signature: Some(signature.to_owned()) }
}

fn rendered(choices: &[ChatResponse], shape: &AnswerShape) -> Value {
    let meta = meta();
    serde_json::to_value(render(choices, &meta, shape)).unwrap()
}

fn one(content: Vec<Content>, stop: StopReason) -> Value {
    rendered(&[answer(content, stop)], &AnswerShape::default())
}

fn snapshot(name: &str, value: &Value) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/openai_chat"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, serde_json::to_string_pretty(value).unwrap()));
}

#[test]
fn a_plain_answer_has_every_required_member() {
    let value = one(vec![text("Hello"), text(" there")], StopReason::EndTurn);
    snapshot("answer_plain", &value);
    assert_eq!(value["choices"][0]["message"]["content"], "Hello there");
    for (place, members) in [
        (&value, vec!["id", "object", "created", "model", "choices", "usage"]),
        (&value["choices"][0], vec!["index", "message", "logprobs", "finish_reason"]),
        (&value["choices"][0]["message"], vec!["role", "content", "refusal", "annotations"]),
    ] {
        for member in members {
            assert!(place.get(member).is_some(), "{member} is missing");
        }
    }
}

#[test]
fn pain_15_prompt_tokens_are_all_input_and_the_details_tell_the_cache() {
    let value = one(vec![text("x")], StopReason::EndTurn);
    let usage = &value["usage"];
    assert_eq!(
        (usage["prompt_tokens"].as_u64(), usage["completion_tokens"].as_u64(), usage["total_tokens"].as_u64()),
        (Some(16), Some(7), Some(23))
    );
    assert_eq!(usage["prompt_tokens_details"], json!({"cached_tokens": 3, "cache_write_tokens": 3, "audio_tokens": 0}));
    assert!(usage["completion_tokens_details"].get("reasoning_tokens").is_none(), "unknown is not zero");
}

#[test]
fn several_choices_share_one_usage() {
    let mut second = answer(vec![text("b")], StopReason::MaxTokens);
    second.usage.reasoning = Some(5);
    second.service_tier = Some(ServiceTier::Flex);
    second.trace = json!({"guardrail": {}}).as_object().cloned();
    let value = rendered(&[answer(vec![text("a")], StopReason::EndTurn), second], &AnswerShape::default());
    snapshot("answer_two_choices", &value);
    assert_eq!((value["choices"][1]["index"].as_u64(), value["usage"]["total_tokens"].as_u64()), (Some(1), Some(46)));
}

#[test]
fn tool_calls_stand_beside_null_content() {
    let calls = vec![
        tool_use("c1", "f", r#"{"a": [1,  2]}"#, ToolOrigin::Client),
        tool_use("s1", "nova_grounding", "{}", ToolOrigin::Server),
        Content::ToolResult { id: "s1".to_owned(), parts: Vec::new(), status: outcrop_domain::chat::ToolResultStatus::Success },
        tool_use("c2", "g", "{}", ToolOrigin::Client),
    ];
    let value = one(calls, StopReason::ToolUse);
    snapshot("answer_tool_calls", &value);
    let message = &value["choices"][0]["message"];
    assert_eq!(message["content"], Value::Null);
    assert_eq!(message["tool_calls"].as_array().unwrap().len(), 2);
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], r#"{"a": [1,  2]}"#);
    assert_eq!(value["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn pain_35_json_text_of_a_schema_answer_finishes_with_stop() {
    let value = one(vec![text("{\"a\":1}")], StopReason::ToolUse);
    assert_eq!(value["choices"][0]["finish_reason"], "stop");
    assert!(value["choices"][0]["message"].get("tool_calls").is_none());
}

#[test]
fn legacy_clients_get_function_call() {
    let shape = AnswerShape { calls: CallShape::FunctionCall, ..AnswerShape::default() };
    let value = rendered(&[answer(vec![tool_use("c1", "f", "{}", ToolOrigin::Client)], StopReason::ToolUse)], &shape);
    let choice = &value["choices"][0];
    assert_eq!(choice["message"]["function_call"], json!({"name": "f", "arguments": "{}"}));
    assert_eq!(choice["finish_reason"], "function_call");
    assert!(choice["message"].get("tool_calls").is_none());
}

#[test]
fn custom_tools_hand_back_their_text() {
    let shape = AnswerShape { custom_tools: ["patch".to_owned()].into(), ..AnswerShape::default() };
    let content = vec![
        tool_use("c1", "patch", r#"{"input":"*** Begin\n"}"#, ToolOrigin::Client),
        tool_use("c2", "patch", r#"{"other":1}"#, ToolOrigin::Client),
        tool_use("c3", "f", "{}", ToolOrigin::Client),
    ];
    let value = rendered(&[answer(content, StopReason::ToolUse)], &shape);
    let calls = &value["choices"][0]["message"]["tool_calls"];
    assert_eq!(calls[0], json!({"type": "custom", "id": "c1", "custom": {"name": "patch", "input": "*** Begin\n"}}));
    assert_eq!(calls[1]["custom"]["input"], r#"{"other":1}"#);
    assert_eq!(calls[2]["type"], "function");
}

#[test]
fn web_citations_become_annotations_and_others_only_text() {
    let citation = |title: Option<&str>, source: Option<&str>, place| Citation {
        title: title.map(str::to_owned),
        source: source.map(str::to_owned),
        quoted: None,
        place,
    };
    let web = CitationPlace::Web { url: "https://example.com/a".to_owned(), domain: None };
    let search = CitationPlace::SearchResult { result: 0, start: 0, end: 1 };
    let cited = Content::Cited {
        text: "\u{1f30d} is round".to_owned(),
        citations: vec![
            citation(Some("Earth"), None, Some(web)),
            citation(None, Some("https://example.com/b"), Some(search)),
            citation(Some("doc"), Some("report.pdf"), None),
        ],
    };
    let value = one(vec![text("The "), cited, text(".")], StopReason::EndTurn);
    let message = &value["choices"][0]["message"];
    assert_eq!(message["content"], "The \u{1f30d} is round.");
    let annotation = |title: &str, url: &str| json!({"type": "url_citation", "url_citation": {"start_index": 4, "end_index": 14, "title": title, "url": url}});
    let expected = json!([annotation("Earth", "https://example.com/a"), annotation("https://example.com/b", "https://example.com/b")]);
    assert_eq!(message["annotations"], expected);
}

#[test]
fn an_answer_without_text_has_empty_content_not_null() {
    let value = one(vec![Content::Reasoning(signed("hm", "S"))], StopReason::MaxTokens);
    assert_eq!(
        (value["choices"][0]["message"]["content"].as_str(), value["choices"][0]["finish_reason"].as_str()),
        (Some(""), Some("length"))
    );
}

#[test]
fn hidden_reasoning_is_left_out() {
    let shape = AnswerShape { reasoning: ReasoningVisibility::Hidden, ..AnswerShape::default() };
    let content = vec![Content::Reasoning(signed("private", "SIG")), Content::Reasoning(Reasoning::Redacted("ENC".to_owned())), text("x")];
    let shown = rendered(&[answer(content, StopReason::EndTurn)], &shape).to_string();
    assert!(!shown.contains("private") && !shown.contains("SIG") && !shown.contains("ENC"), "{shown}");
}

fn history() -> Vec<Reasoning> {
    vec![
        signed("first thought", "SIG1=="),
        Reasoning::Redacted("ENC==".to_owned()),
        signed("", "ONLY SIGNED"),
        signed("second\n\u{1f4ad}", "SIG2=="),
    ]
}

/// Sends an assistant message back in a next request and returns what the hub gets.
fn sent_back(message: &Value) -> Vec<Content> {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "q"}, message, {"role": "user", "content": "r"}]});
    let wire = serde_json::from_str(&body.to_string()).unwrap();
    let no_media: Sniff = |_, _, _| None;
    let chat = read(wire, &FetchedMedia::default(), &ReadOptions::new(no_media)).unwrap();
    assert!(chat.adjustments.is_empty(), "{}", chat.adjustments);
    chat.request.messages[1].content.clone()
}

#[test]
fn pain_02_a_whole_answer_sent_back_is_the_same_answer() {
    let mut content: Vec<Content> = history().into_iter().map(Content::Reasoning).collect();
    content.push(text("Hello"));
    content.push(tool_use("c1", "f", r#"{"a": 1.0}"#, ToolOrigin::Client));
    let value = one(content.clone(), StopReason::ToolUse);
    snapshot("answer_signed_reasoning", &value);
    assert_eq!(sent_back(&value["choices"][0]["message"]), content);
}

#[test]
fn pain_02_unsigned_reasoning_sent_back_is_the_same_and_still_unsigned() {
    let content = vec![Content::Reasoning(Reasoning::Text { text: "plain".to_owned(), signature: None }), text("Hello")];
    let value = one(content.clone(), StopReason::EndTurn);
    assert_eq!(sent_back(&value["choices"][0]["message"]), content);
}

/// The stream of the reasoning blocks of [`history`], cut into small deltas, as chunks.
fn streamed_deltas() -> Vec<Value> {
    let meta = meta();
    let mut writer = ChunkWriter::new(&meta, AnswerShape::default(), UsageChunk::Omitted, 1);
    let mut out = Vec::new();
    let mut write = |event: ChatEvent| writer.write(0, &event, &mut out);
    write(ChatEvent::Started);
    for (block, index) in history().into_iter().zip(0..) {
        write(ChatEvent::BlockStarted { index, kind: BlockKind::Reasoning });
        match block {
            Reasoning::Text { text, signature } => {
                for character in text.chars() {
                    write(ChatEvent::Reasoning { index, text: character.to_string() });
                }
                write(ChatEvent::ReasoningSignature { index, signature: signature.unwrap() });
            }
            Reasoning::Redacted(data) => write(ChatEvent::ReasoningRedacted { index, data }),
        }
        write(ChatEvent::BlockStopped { index });
    }
    write(ChatEvent::Text { index: 9, text: "Hello".to_owned() });
    write(ChatEvent::Stopped { reason: StopReason::EndTurn, stop_sequence: None });
    let stream = String::from_utf8(out).unwrap();
    let chunks = stream.split_terminator("\n\n").map(|event| serde_json::from_str::<Value>(event.strip_prefix("data: ").unwrap()).unwrap());
    chunks.map(|chunk| chunk["choices"][0]["delta"].clone()).collect()
}

fn expected_content() -> Vec<Content> {
    history().into_iter().map(Content::Reasoning).chain([text("Hello")]).collect()
}

/// What a client makes of a stream that appends every list it gets.
#[test]
fn pain_02_a_streamed_answer_collected_by_appending_is_the_same_answer() {
    let mut details = Vec::new();
    let mut readable = String::new();
    for delta in streamed_deltas() {
        details.extend(delta["reasoning_details"].as_array().cloned().unwrap_or_default());
        readable.push_str(delta["reasoning_content"].as_str().unwrap_or_default());
    }
    let message = json!({"role": "assistant", "content": "Hello", "reasoning_content": readable, "reasoning_details": details});
    assert_eq!(sent_back(&message), expected_content());
}

/// What the official clients make of a stream: list entries of one `index` are merged, their texts joined.
#[test]
fn pain_02_a_streamed_answer_collected_by_index_is_the_same_answer() {
    let mut details: Vec<serde_json::Map<String, Value>> = Vec::new();
    for delta in streamed_deltas() {
        for entry in delta["reasoning_details"].as_array().into_iter().flatten() {
            let index = usize::try_from(entry["index"].as_u64().unwrap()).unwrap();
            if index == details.len() {
                details.push(entry.as_object().unwrap().clone());
                continue;
            }
            for (name, value) in entry.as_object().unwrap() {
                match (details[index].get_mut(name), value) {
                    (Some(Value::String(before)), Value::String(more)) if name != "type" => before.push_str(more),
                    _ => {
                        details[index].insert(name.clone(), value.clone());
                    }
                }
            }
        }
    }
    let message = json!({"role": "assistant", "content": "Hello", "reasoning_details": details});
    assert_eq!(sent_back(&message), expected_content());
}
