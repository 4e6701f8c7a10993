use std::path::PathBuf;

use outcrop_domain::{
    chat::{Citation, CitationPlace, StopReason, ToolOrigin},
    error::{Cause, UpstreamFailure},
};
use outcrop_protocol::openai::chat::{ChatCompletionChunk, FunctionDelta, ToolCallDelta};
use proptest::prelude::*;

use super::*;
use crate::openai_chat::CallShape;

fn meta() -> RenderMeta {
    RenderMeta { id: "chatcmpl-1".to_owned(), created_unix: 1_700_000_000, model_shown: "claude \"x\"".to_owned() }
}

fn writer(shape: AnswerShape, usage: UsageChunk, choices: u32) -> ChunkWriter {
    ChunkWriter::new(&meta(), shape, usage, choices)
}

fn text(index: u32, text: &str) -> ChatEvent {
    ChatEvent::Text { index, text: text.to_owned() }
}

fn tool(index: u32, id: &str, name: &str) -> ChatEvent {
    started_tool(index, id, name, ToolOrigin::Client)
}

fn started_tool(index: u32, id: &str, name: &str, origin: ToolOrigin) -> ChatEvent {
    ChatEvent::BlockStarted { index, kind: BlockKind::ToolUse { id: id.to_owned(), name: name.to_owned(), origin } }
}

fn input(index: u32, fragment: &str) -> ChatEvent {
    ChatEvent::ToolInput { index, fragment: fragment.to_owned() }
}

fn stopped(index: u32) -> ChatEvent {
    ChatEvent::BlockStopped { index }
}

fn stop(reason: StopReason) -> ChatEvent {
    ChatEvent::Stopped { reason, stop_sequence: None }
}

fn finished(input: u64, output: u64) -> ChatEvent {
    let usage = Usage { input, output, cache_read: 3, cache_write_5m: 2, cache_write_1h: 1, reasoning: Some(1) };
    ChatEvent::Finished { usage, service_tier: Some(ServiceTier::Flex), trace: None }
}

/// Writes events of several choices and ends the answer.
fn stream_of(shape: AnswerShape, usage: UsageChunk, choices: u32, events: &[(u32, ChatEvent)]) -> String {
    let mut writer = writer(shape, usage, choices);
    let mut out = Vec::new();
    for (choice, event) in events {
        writer.write(*choice, event, &mut out);
    }
    writer.finish(&mut out);
    String::from_utf8(out).unwrap()
}

fn single(events: Vec<ChatEvent>) -> String {
    let events: Vec<_> = events.into_iter().map(|event| (0, event)).collect();
    stream_of(AnswerShape::default(), UsageChunk::Omitted, 1, &events)
}

/// The chunks of a stream, each held to the schema; comments are skipped, `[DONE]` must come last and only there.
fn chunks(stream: &str) -> Vec<ChatCompletionChunk> {
    let body = stream.strip_suffix("data: [DONE]\n\n").expect("ends with [DONE]");
    let events = body.split_terminator("\n\n").filter(|event| !event.starts_with(':'));
    let chunks: Vec<ChatCompletionChunk> = events
        .map(|event| {
            let json = event.strip_prefix("data: ").expect("a data line");
            assert!(!json.contains('\n'), "one line each: {json}");
            serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
        })
        .collect();
    for chunk in &chunks {
        let meta = meta();
        assert_eq!((&chunk.id, chunk.created, &chunk.model), (&meta.id, meta.created_unix, &meta.model_shown));
        assert_eq!(chunk.object, "chat.completion.chunk");
    }
    chunks
}

fn content_of(chunks: &[ChatCompletionChunk], choice: u32) -> String {
    let choices = chunks.iter().flat_map(|chunk| &chunk.choices).filter(|seen| seen.index == choice);
    choices.filter_map(|seen| seen.delta.content.as_deref()).collect()
}

fn calls_of(chunks: &[ChatCompletionChunk]) -> Vec<ToolCallDelta> {
    chunks.iter().flat_map(|chunk| &chunk.choices).flat_map(|choice| choice.delta.tool_calls.clone().unwrap_or_default()).collect()
}

fn finish_of(chunks: &[ChatCompletionChunk]) -> Vec<String> {
    chunks.iter().flat_map(|chunk| &chunk.choices).filter_map(|choice| choice.finish_reason.clone()).collect()
}

fn snapshot(name: &str, stream: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/openai_chat"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, stream));
}

fn citation(place: CitationPlace) -> Citation {
    Citation { title: Some("T".to_owned()), source: None, quoted: None, place: Some(place) }
}

#[test]
fn a_plain_answer_streams_role_text_finish_and_done() {
    let stream = single(vec![
        ChatEvent::Started,
        text(0, "Hel"),
        text(0, ""),
        text(0, "lo\n"),
        stopped(0),
        stop(StopReason::EndTurn),
        finished(5, 2),
    ]);
    snapshot("stream_plain", &stream);
    let chunks = chunks(&stream);
    assert_eq!(chunks.len(), 4, "role, two texts, finish");
    assert_eq!(chunks[0].choices[0].delta.role.as_deref(), Some("assistant"));
    assert_eq!((content_of(&chunks, 0).as_str(), finish_of(&chunks)), ("Hello\n", vec!["stop".to_owned()]));
}

#[test]
fn pain_24_usage_comes_last_with_no_choices_and_is_null_before() {
    let events = [
        (0, ChatEvent::Started),
        (1, text(0, "b")),
        (0, text(0, "a")),
        (0, stop(StopReason::EndTurn)),
        (0, finished(10, 4)),
        (1, stop(StopReason::MaxTokens)),
        (1, finished(10, 5)),
    ];
    let stream = stream_of(AnswerShape::default(), UsageChunk::Sent, 2, &events);
    snapshot("stream_two_choices_with_usage", &stream);
    assert!(stream.lines().filter(|line| line.starts_with("data: {")).all(|line| line.contains("\"usage\":")));
    let chunks = chunks(&stream);
    let (last, before) = chunks.split_last().unwrap();
    assert!(last.choices.is_empty() && before.iter().all(|chunk| chunk.usage.is_none() && chunk.choices.len() == 1));
    let usage = last.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (32, 9, 41));
    assert_eq!((usage.prompt_tokens_details.cached_tokens, usage.prompt_tokens_details.cache_write_tokens), (6, 6));
    assert_eq!(usage.completion_tokens_details.reasoning_tokens, Some(2));
    assert_eq!((content_of(&chunks, 0), content_of(&chunks, 1)), ("a".to_owned(), "b".to_owned()));
    assert_eq!(finish_of(&chunks), ["stop", "length"]);
}

#[test]
fn pain_23_parallel_calls_have_contiguous_ordinals_and_whole_arguments() {
    let stream = single(vec![
        ChatEvent::Started,
        text(0, "Let me see"),
        stopped(0),
        tool(1, "c1", "get"),
        tool(4, "c2", "put"),
        input(1, "{\"a\""),
        input(4, "{\"b\":"),
        input(1, ":1}"),
        input(4, "\"\u{e9}\\n\"}"),
        stopped(1),
        stopped(4),
        stop(StopReason::ToolUse),
        finished(1, 1),
    ]);
    snapshot("stream_parallel_tool_calls", &stream);
    let chunks = chunks(&stream);
    let calls = calls_of(&chunks);
    let begun: Vec<_> = calls.iter().filter(|call| call.id.is_some()).collect();
    assert_eq!(begun.iter().map(|call| (call.index, call.id.as_deref().unwrap())).collect::<Vec<_>>(), [(0, "c1"), (1, "c2")]);
    for call in begun {
        assert_eq!(call.kind.as_deref(), Some("function"));
        assert_eq!(call.function.as_ref().unwrap().arguments.as_deref(), Some(""));
    }
    assert_eq!(arguments(&calls, 0), "{\"a\":1}");
    assert_eq!(arguments(&calls, 1), "{\"b\":\"\u{e9}\\n\"}");
    assert_eq!(finish_of(&chunks), ["tool_calls"]);
}

fn arguments(calls: &[ToolCallDelta], ordinal: u32) -> String {
    let own = calls.iter().filter(|call| call.index == ordinal);
    own.filter_map(|call| call.function.as_ref().and_then(|function| function.arguments.as_deref())).collect()
}

#[test]
fn pain_23_a_call_without_arguments_ends_as_an_empty_object() {
    let stream = single(vec![tool(0, "c1", "now"), stopped(0), tool(1, "c2", "here"), stop(StopReason::ToolUse)]);
    let calls = calls_of(&chunks(&stream));
    assert_eq!((arguments(&calls, 0).as_str(), arguments(&calls, 1).as_str()), ("{}", "{}"));
}

#[test]
fn pain_02_signatures_stream_as_reasoning_details() {
    let reasoning = |index, text: &str| ChatEvent::Reasoning { index, text: text.to_owned() };
    let stream = single(vec![
        ChatEvent::Started,
        reasoning(0, "I \"think\""),
        reasoning(0, " so"),
        ChatEvent::ReasoningSignature { index: 0, signature: "SIG==".to_owned() },
        stopped(0),
        ChatEvent::ReasoningRedacted { index: 1, data: "ENC==".to_owned() },
        ChatEvent::ReasoningSignature { index: 2, signature: "ONLY".to_owned() },
        text(3, "Yes"),
        stop(StopReason::EndTurn),
        finished(1, 1),
    ]);
    snapshot("stream_signed_reasoning", &stream);
    let deltas: Vec<_> = chunks(&stream).into_iter().flat_map(|chunk| chunk.choices).map(|choice| choice.delta).collect();
    let readable: String = deltas.iter().filter_map(|delta| delta.reasoning_content.as_deref()).collect();
    assert_eq!(readable, "I \"think\" so");
}

#[test]
fn hidden_reasoning_is_left_out() {
    let shape = AnswerShape { reasoning: ReasoningVisibility::Hidden, ..AnswerShape::default() };
    let events = [
        (0, ChatEvent::Reasoning { index: 0, text: "private".to_owned() }),
        (0, ChatEvent::ReasoningSignature { index: 0, signature: "SIG".to_owned() }),
        (0, ChatEvent::ReasoningRedacted { index: 1, data: "ENC".to_owned() }),
        (0, text(2, "public")),
        (0, stop(StopReason::EndTurn)),
    ];
    let stream = stream_of(shape, UsageChunk::Omitted, 1, &events);
    assert_eq!(chunks(&stream).len(), 3);
    assert!(!stream.contains("private") && !stream.contains("SIG") && !stream.contains("ENC") && !stream.contains("reasoning"));
}

#[test]
fn legacy_clients_get_one_function_call() {
    let shape = AnswerShape { calls: CallShape::FunctionCall, ..AnswerShape::default() };
    let events = [
        (0, tool(0, "c1", "f")),
        (0, input(0, "{\"a\":")),
        (0, input(0, "1}")),
        (0, stopped(0)),
        (0, tool(1, "c2", "g")),
        (0, input(1, "{}")),
        (0, stop(StopReason::ToolUse)),
    ];
    let stream = stream_of(shape.clone(), UsageChunk::Omitted, 1, &events);
    snapshot("stream_legacy_function_call", &stream);
    let calls: Vec<FunctionDelta> =
        chunks(&stream).into_iter().flat_map(|chunk| chunk.choices).filter_map(|choice| choice.delta.function_call).collect();
    assert_eq!(calls[0].name.as_deref(), Some("f"));
    assert_eq!(calls.iter().filter_map(|call| call.arguments.as_deref()).collect::<String>(), "{\"a\":1}");
    assert_eq!(finish_of(&chunks(&stream)), ["function_call"]);

    let bare = stream_of(shape, UsageChunk::Omitted, 1, &[(0, tool(0, "c1", "f")), (0, stop(StopReason::ToolUse))]);
    assert!(bare.contains(r#""function_call":{"arguments":"{}"}"#));
}

#[test]
fn custom_tools_hand_out_their_text_whole() {
    let shape = AnswerShape { custom_tools: ["patch".to_owned()].into(), ..AnswerShape::default() };
    let events = [
        (0, tool(0, "c1", "patch")),
        (0, input(0, "{\"input\": \"*** Be")),
        (0, input(0, "gin\\n\\\"x\\\"\"}")),
        (0, stopped(0)),
        (0, tool(1, "c2", "patch")),
        (0, input(1, "no object")),
        (0, stopped(1)),
        (0, stop(StopReason::ToolUse)),
    ];
    let stream = stream_of(shape, UsageChunk::Omitted, 1, &events);
    snapshot("stream_custom_tool_calls", &stream);
    let calls = calls_of(&chunks(&stream));
    let text = |ordinal: u32| -> String {
        let own = calls.iter().filter(|call| call.index == ordinal);
        own.filter_map(|call| call.custom.as_ref().and_then(|custom| custom.input.as_deref())).collect()
    };
    assert_eq!((text(0).as_str(), text(1).as_str()), ("*** Begin\n\"x\"", "no object"));
    assert!(calls.iter().all(|call| call.function.is_none()));
}

#[test]
fn tools_that_the_provider_runs_are_not_shown() {
    let stream = single(vec![
        text(0, "Searching. "),
        started_tool(1, "s1", "nova_grounding", ToolOrigin::Server),
        input(1, "{\"q\":1}"),
        stopped(1),
        ChatEvent::BlockStarted { index: 2, kind: BlockKind::ServerToolResult { id: "s1".to_owned() } },
        stopped(2),
        text(3, "Rome"),
        stop(StopReason::ToolUse),
    ]);
    let chunks = chunks(&stream);
    assert!(calls_of(&chunks).is_empty());
    assert_eq!((content_of(&chunks, 0).as_str(), finish_of(&chunks)), ("Searching. Rome", vec!["stop".to_owned()]));
}

#[test]
fn web_citations_stream_as_annotations_counted_in_code_points() {
    let web = CitationPlace::Web { url: "https://example.com/a".to_owned(), domain: None };
    let elsewhere = CitationPlace::DocumentPages { document: 0, start: 1, end: 2 };
    let stream = single(vec![
        text(0, "H\u{e9}llo "),
        text(1, "\u{1f30d}!"),
        ChatEvent::Cited { index: 1, citation: citation(web) },
        ChatEvent::Cited { index: 1, citation: citation(elsewhere) },
        stop(StopReason::EndTurn),
    ]);
    let annotations: Vec<_> =
        chunks(&stream).into_iter().flat_map(|chunk| chunk.choices).filter_map(|choice| choice.delta.annotations).flatten().collect();
    let expected = serde_json::json!([{"type": "url_citation", "url_citation":
        {"start_index": 6, "end_index": 8, "title": "T", "url": "https://example.com/a"}}]);
    assert_eq!(serde_json::to_value(annotations).unwrap(), expected);
}

#[test]
fn tier_and_trace_ride_on_the_finish_chunk() {
    let trace = serde_json::from_str::<JsonObject>(r#"{"guardrail":{"action":"NONE"}}"#).unwrap();
    let last = ChatEvent::Finished { usage: Usage::default(), service_tier: Some(ServiceTier::Priority), trace: Some(trace.clone()) };
    let stream = single(vec![text(0, "x"), stop(StopReason::GuardrailIntervened), last]);
    let finish = chunks(&stream).pop().unwrap();
    assert_eq!((finish.service_tier.as_deref(), finish.trace), (Some("priority"), Some(trace)));
    assert_eq!(finish.choices[0].finish_reason.as_deref(), Some("content_filter"));
}

#[test]
fn every_stop_reason_has_its_word() {
    let table = [
        (StopReason::EndTurn, "stop", "tool_calls"),
        (StopReason::StopSequence, "stop", "tool_calls"),
        (StopReason::ToolUse, "stop", "tool_calls"),
        (StopReason::MaxTokens, "length", "length"),
        (StopReason::ModelContextWindowExceeded, "length", "length"),
        (StopReason::GuardrailIntervened, "content_filter", "content_filter"),
        (StopReason::ContentFiltered, "content_filter", "content_filter"),
        (StopReason::MalformedModelOutput, "stop", "tool_calls"),
        (StopReason::MalformedToolUse, "stop", "tool_calls"),
        (StopReason::Unknown, "stop", "tool_calls"),
    ];
    for (reason, without_call, with_call) in table {
        assert_eq!(finish_of(&chunks(&single(vec![text(0, "x"), stop(reason)]))), [without_call], "{reason:?}");
        assert_eq!(finish_of(&chunks(&single(vec![tool(0, "c", "f"), stop(reason)]))), [with_call], "{reason:?}");
    }
}

#[test]
fn pain_21_a_failure_is_one_error_event_and_no_done() {
    let mut writer = writer(AnswerShape::default(), UsageChunk::Sent, 1);
    let mut out = Vec::new();
    writer.write(0, &text(0, "Hel"), &mut out);
    let error = GatewayError::Upstream(UpstreamFailure {
        cause: Cause::Throttled,
        status: 429,
        code: "ThrottlingException".to_owned(),
        message: "Too many \"tokens\"".to_owned(),
        request_id: None,
        retry_after: None,
        region: None,
        model_error: None,
    });
    writer.fail(&error, &mut out);
    writer.write(0, &text(0, "lo"), &mut out);
    writer.finish(&mut out);
    writer.fail(&error, &mut out);
    let stream = String::from_utf8(out).unwrap();
    snapshot("stream_failure", &stream);
    let last = stream.trim_end().rsplit("\n\n").next().unwrap().strip_prefix("data: ").unwrap();
    let expected = serde_json::to_value(errors::openai::reply(&error).body).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(last).unwrap(), expected);
    assert!(!stream.contains("[DONE]"));
}

#[test]
fn pain_21_an_answer_that_never_stopped_does_not_look_whole() {
    let mut writer = writer(AnswerShape::default(), UsageChunk::Omitted, 2);
    let mut out = Vec::new();
    writer.write(0, &text(0, "all"), &mut out);
    writer.write(0, &stop(StopReason::EndTurn), &mut out);
    writer.write(0, &finished(1, 1), &mut out);
    writer.write(1, &tool(0, "c", "f"), &mut out);
    writer.write(1, &input(0, "{\"half\":"), &mut out);
    writer.finish(&mut out);
    let stream = String::from_utf8(out).unwrap();
    assert!(stream.contains("\"error\":{") && !stream.contains("[DONE]"), "{stream}");
}

#[test]
fn pain_22_keep_alives_are_comments() {
    let mut writer = writer(AnswerShape::default(), UsageChunk::Omitted, 1);
    let mut out = Vec::new();
    ChunkWriter::keep_alive(&mut out);
    writer.write(0, &text(0, "x"), &mut out);
    ChunkWriter::keep_alive(&mut out);
    writer.write(0, &stop(StopReason::EndTurn), &mut out);
    writer.finish(&mut out);
    let stream = String::from_utf8(out).unwrap();
    assert!(stream.starts_with(": ping\n\n"));
    assert_eq!(chunks(&stream).len(), 3);
}

#[test]
fn events_of_a_choice_that_was_not_asked_for_write_nothing() {
    let mut writer = writer(AnswerShape::default(), UsageChunk::Omitted, 1);
    let mut out = Vec::new();
    writer.write(7, &text(0, "x"), &mut out);
    assert!(out.is_empty());
}

/// Cuts text at arbitrary character boundaries.
fn pieces(text: &str, cuts: &[usize]) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (characters.len() + 1)).chain([0, characters.len()]).collect();
    places.sort_unstable();
    places.windows(2).map(|pair| characters[pair[0]..pair[1]].iter().collect()).collect()
}

proptest! {
    #[test]
    fn the_texts_of_the_chunks_are_the_text(whole in any::<String>(), cuts in proptest::collection::vec(any::<usize>(), 0..8)) {
        let mut events: Vec<_> = pieces(&whole, &cuts).iter().map(|piece| text(0, piece)).collect();
        events.push(stop(StopReason::EndTurn));
        let stream = single(events);
        prop_assert_eq!(content_of(&chunks(&stream), 0), whole);
    }

    #[test]
    fn the_fragments_of_the_chunks_are_the_arguments(
        values in proptest::collection::vec(any::<String>(), 1..4),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let mut events = Vec::new();
        let mut whole = Vec::new();
        for (value, index) in values.iter().zip(0..) {
            let arguments = serde_json::json!({ "value": value }).to_string();
            events.push(tool(index * 2, &format!("c{index}"), "f"));
            events.extend(pieces(&arguments, &cuts).iter().map(|piece| input(index * 2, piece)));
            events.push(stopped(index * 2));
            whole.push(arguments);
        }
        events.push(stop(StopReason::ToolUse));
        let calls = calls_of(&chunks(&single(events)));
        for (arguments_written, index) in whole.iter().zip(0..) {
            prop_assert_eq!(&arguments(&calls, index), arguments_written);
        }
    }

    #[test]
    fn the_reasoning_of_the_chunks_is_the_reasoning(whole in any::<String>(), cuts in proptest::collection::vec(any::<usize>(), 0..8)) {
        let mut events: Vec<_> = pieces(&whole, &cuts).into_iter().map(|text| ChatEvent::Reasoning { index: 0, text }).collect();
        events.push(stop(StopReason::EndTurn));
        let deltas: Vec<_> = chunks(&single(events)).into_iter().flat_map(|chunk| chunk.choices).map(|choice| choice.delta).collect();
        let readable: String = deltas.iter().filter_map(|delta| delta.reasoning_content.as_deref()).collect();
        let details = deltas.iter().filter_map(|delta| delta.reasoning_details.as_ref()).flatten();
        let machine: String = details.map(|detail| detail["text"].as_str().unwrap()).collect();
        prop_assert_eq!(&readable, &whole);
        prop_assert_eq!(&machine, &whole);
    }
}
