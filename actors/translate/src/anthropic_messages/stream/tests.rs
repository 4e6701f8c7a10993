mod client;
mod from_converse;

use std::path::PathBuf;

use outcrop_domain::{
    chat::{Citation, CitationPlace},
    error::{Cause, UpstreamFailure},
};
use outcrop_protocol::anthropic::messages::StreamEvent;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use client::{Received, receive};

fn meta() -> RenderMeta {
    RenderMeta { id: "msg_1".to_owned(), model_shown: "nova \"x\"".to_owned(), request_id: Some("req_1".to_owned()) }
}

fn text(index: u32, text: &str) -> ChatEvent {
    ChatEvent::Text { index, text: text.to_owned() }
}

fn thought(index: u32, text: &str) -> ChatEvent {
    ChatEvent::Reasoning { index, text: text.to_owned() }
}

fn signature(index: u32, signature: &str) -> ChatEvent {
    ChatEvent::ReasoningSignature { index, signature: signature.to_owned() }
}

fn redacted(index: u32, data: &str) -> ChatEvent {
    ChatEvent::ReasoningRedacted { index, data: data.to_owned() }
}

fn started(index: u32, kind: BlockKind) -> ChatEvent {
    ChatEvent::BlockStarted { index, kind }
}

fn tool_of(index: u32, id: &str, name: &str, origin: ToolOrigin) -> ChatEvent {
    started(index, BlockKind::ToolUse { id: id.to_owned(), name: name.to_owned(), origin })
}

fn tool(index: u32, id: &str, name: &str) -> ChatEvent {
    tool_of(index, id, name, ToolOrigin::Client)
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

fn finished(usage: Usage) -> ChatEvent {
    ChatEvent::Finished { usage, service_tier: None, trace: None }
}

fn tokens() -> Usage {
    Usage { input: 5, output: 7, cache_read: 3, cache_write_5m: 2, cache_write_1h: 1, reasoning: Some(4) }
}

/// Writes events and ends the answer.
fn stream_of(events: &[ChatEvent]) -> String {
    let mut writer = MessageWriter::new(meta(), Some(11));
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    writer.finish(&mut out);
    String::from_utf8(out).unwrap()
}

/// What a client has of events that end an answer.
fn received(events: &[ChatEvent]) -> Received {
    let stream = stream_of(events);
    let received = receive(&stream).unwrap_or_else(|rule| panic!("{rule}\n{stream}"));
    assert!(received.ended, "it does not end\n{stream}");
    received
}

/// As [`received`], with an end put to the answer.
fn answered(content: Vec<ChatEvent>) -> Received {
    received(&[content, vec![stop(StopReason::EndTurn), finished(tokens())]].concat())
}

fn snapshot(name: &str, stream: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/anthropic_messages"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, stream));
}

fn upstream_failure() -> GatewayError {
    GatewayError::Upstream(UpstreamFailure {
        cause: Cause::Unavailable,
        status: 503,
        code: "serviceUnavailableException".to_owned(),
        message: "Too many \"clients\"".to_owned(),
        request_id: None,
        retry_after: None,
        region: None,
        model_error: None,
    })
}

#[test]
fn a_plain_answer_has_six_kinds_of_events_in_anthropics_order() {
    let events = [
        ChatEvent::Started,
        started(0, BlockKind::Text),
        text(0, "Hel"),
        text(0, ""),
        text(0, "lo\n\u{2028}"),
        stopped(0),
        stop(StopReason::EndTurn),
        finished(tokens()),
    ];
    snapshot("stream_plain", &stream_of(&events));
    let names: Vec<String> = received(&events).events.iter().map(|event| json!(event)["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        names,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
}

#[test]
fn pain_24_input_tokens_are_at_the_start_where_known_and_at_the_end_in_any_case() {
    let events = [text(0, "x"), stop(StopReason::EndTurn), finished(tokens())];
    let received = received(&events);
    let StreamEvent::MessageStart { message } = &received.events[0] else { panic!("{received:?}") };
    assert_eq!((message.usage.input_tokens, message.usage.output_tokens), (11, 0));
    let usage = json!(received.usage);
    assert_eq!(
        usage,
        json!({
            "input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 3,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 1},
            "output_tokens_details": {"thinking_tokens": 4},
        })
    );
    let mut unknown = MessageWriter::new(meta(), None);
    let mut out = Vec::new();
    unknown.write(&ChatEvent::Started, &mut out);
    assert!(String::from_utf8(out).unwrap().contains("\"usage\":{\"input_tokens\":0,"));
}

#[test]
fn pain_15_usage_told_twice_is_the_larger_and_not_the_sum() {
    let mut writer = MessageWriter::new(meta(), None);
    let mut out = Vec::new();
    writer.write(&finished(Usage { output: 3, ..tokens() }), &mut out);
    writer.write(&stop(StopReason::EndTurn), &mut out);
    writer.write(&finished(tokens()), &mut out);
    assert_eq!(writer.usage(), &tokens());
}

#[test]
fn pain_02_a_signature_alone_is_a_thinking_block() {
    let events = vec![
        started(0, BlockKind::Reasoning),
        signature(0, "SIG=="),
        stopped(0),
        started(1, BlockKind::Reasoning),
        thought(1, "I \"think\""),
        thought(1, " so"),
        signature(1, "SIG2"),
        stopped(1),
        redacted(2, "ENC=="),
        stopped(2),
        text(3, "Yes"),
        stopped(3),
    ];
    snapshot("stream_signed_thinking", &stream_of(&[events.clone(), vec![stop(StopReason::EndTurn), finished(tokens())]].concat()));
    assert_eq!(
        answered(events).content,
        [
            json!({"type": "thinking", "thinking": "", "signature": "SIG=="}),
            json!({"type": "thinking", "thinking": "I \"think\" so", "signature": "SIG2"}),
            json!({"type": "redacted_thinking", "data": "ENC=="}),
            json!({"type": "text", "text": "Yes"}),
        ]
    );
}

#[test]
fn readable_and_encrypted_reasoning_of_one_hub_block_are_blocks_of_their_own() {
    let content = answered(vec![thought(0, "a"), redacted(0, "E1"), redacted(0, "E2"), thought(0, "b"), text(0, "c"), stopped(0)]).content;
    let kinds: Vec<&str> = content.iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["thinking", "redacted_thinking", "redacted_thinking", "thinking", "text"]);
}

#[test]
fn pain_23_parallel_calls_come_one_after_another_even_if_they_interleave() {
    let events = [
        ChatEvent::Started,
        text(0, "Let me see"),
        stopped(0),
        tool(1, "c1", "get"),
        tool(4, "c2", "put"),
        input(1, "{\"a\""),
        input(4, "{\"b\":"),
        input(1, ":1}"),
        tool(5, "c3", "now"),
        input(4, "\"\u{e9}\\n\"}"),
        stopped(4),
        stopped(1),
        stopped(5),
        stop(StopReason::ToolUse),
        finished(tokens()),
    ];
    snapshot("stream_parallel_tool_calls", &stream_of(&events));
    let received = received(&events);
    assert_eq!(
        received.content[1..],
        [
            json!({"type": "tool_use", "id": "c1", "name": "get", "input": {"a": 1}}),
            json!({"type": "tool_use", "id": "c2", "name": "put", "input": {"b": "\u{e9}\n"}}),
            json!({"type": "tool_use", "id": "c3", "name": "now", "input": {}}),
        ]
    );
    assert_eq!(received.stop_reason.as_deref(), Some("tool_use"));
}

#[test]
fn pain_23_fragments_of_input_are_forwarded_as_they_come() {
    let mut writer = MessageWriter::new(meta(), None);
    let mut out = Vec::new();
    writer.write(&tool(0, "c1", "get"), &mut out);
    for fragment in ["{\"a\"", ":", "1}"] {
        out.clear();
        writer.write(&input(0, fragment), &mut out);
        let event = String::from_utf8(out.clone()).unwrap();
        assert!(event.contains(&json!({"partial_json": fragment}).to_string()[1..]), "{event}");
    }
}

#[test]
fn pain_23_a_call_without_input_ends_as_an_empty_object() {
    let content = answered(vec![tool(0, "c1", "now"), stopped(0), tool(1, "c2", "here"), input(1, "")]).content;
    assert_eq!((&content[0]["input"], &content[1]["input"]), (&json!({}), &json!({})));
}

#[test]
fn blocks_without_content_are_not_shown() {
    let content = answered(vec![
        started(0, BlockKind::Text),
        text(0, ""),
        stopped(0),
        started(1, BlockKind::Reasoning),
        thought(1, ""),
        stopped(1),
        text(2, "x"),
    ]);
    assert_eq!(content.content, [json!({"type": "text", "text": "x"})]);
}

#[test]
fn tools_that_the_provider_runs_are_not_shown_and_leave_no_gap() {
    let events = [
        text(0, "Searching. "),
        stopped(0),
        tool_of(1, "s1", "nova_grounding", ToolOrigin::Server),
        input(1, "{\"q\":1}"),
        stopped(1),
        started(2, BlockKind::ServerToolResult { id: "s1".to_owned() }),
        stopped(2),
        text(3, "Rome"),
        stopped(3),
        tool(4, "c1", "f"),
        stop(StopReason::ToolUse),
        finished(tokens()),
    ];
    let seen = received(&events);
    assert_eq!(seen.content.iter().map(|block| block["type"].clone()).collect::<Vec<_>>(), ["text", "text", "tool_use"]);
    let alone = received(&[&events[..9], &events[10..]].concat());
    assert_eq!((alone.content.len(), alone.stop_reason.as_deref()), (2, Some("end_turn")));
}

#[test]
fn sources_stream_as_citations_in_their_block() {
    let source = |place: Option<CitationPlace>| {
        let citation = Citation { title: Some("T".to_owned()), source: None, quoted: Some("x\u{85}y".to_owned()), place };
        ChatEvent::Cited { index: 0, citation }
    };
    let events = vec![
        text(0, "Blue"),
        source(Some(CitationPlace::DocumentPages { document: 1, start: 2, end: 3 })),
        source(Some(CitationPlace::Web { url: "https://a.example".to_owned(), domain: None })),
        source(None),
        text(0, "."),
    ];
    snapshot("stream_citations", &stream_of(&[events.clone(), vec![stop(StopReason::EndTurn), finished(tokens())]].concat()));
    let content = answered(events).content;
    assert_eq!(content.len(), 1);
    assert_eq!((content[0]["text"].as_str(), content[0]["citations"].as_array().map(Vec::len)), (Some("Blue."), Some(2)));
    assert_eq!(content[0]["citations"][0]["cited_text"], "x\u{85}y");
}

#[test]
fn every_stop_reason_has_its_word() {
    let table = [
        (StopReason::EndTurn, "end_turn", "tool_use"),
        (StopReason::ToolUse, "end_turn", "tool_use"),
        (StopReason::MaxTokens, "max_tokens", "max_tokens"),
        (StopReason::StopSequence, "stop_sequence", "stop_sequence"),
        (StopReason::GuardrailIntervened, "refusal", "refusal"),
        (StopReason::ContentFiltered, "refusal", "refusal"),
        (StopReason::ModelContextWindowExceeded, "model_context_window_exceeded", "model_context_window_exceeded"),
        (StopReason::MalformedModelOutput, "end_turn", "tool_use"),
        (StopReason::MalformedToolUse, "end_turn", "tool_use"),
        (StopReason::Unknown, "end_turn", "tool_use"),
    ];
    for (reason, without_call, with_call) in table {
        let of = |event: ChatEvent| received(&[event, stop(reason), finished(tokens())]).stop_reason;
        assert_eq!(of(text(0, "x")).as_deref(), Some(without_call), "{reason:?}");
        assert_eq!(of(tool(0, "c", "f")).as_deref(), Some(with_call), "{reason:?}");
    }
}

#[test]
fn a_refusal_says_who_refused_and_carries_the_trace() {
    let trace = serde_json::from_str::<JsonObject>(r#"{"guardrail":{"action":"BLOCKED\u2029"}}"#).unwrap();
    let last = ChatEvent::Finished { usage: tokens(), service_tier: Some(ServiceTier::Priority), trace: Some(trace.clone()) };
    let events = [text(0, "Sorry"), stop(StopReason::GuardrailIntervened), last];
    snapshot("stream_refusal", &stream_of(&events));
    let received = received(&events);
    assert_eq!(received.trace, Some(trace));
    assert_eq!(received.stop_details.unwrap()["type"], "refusal");
    assert_eq!(received.usage.unwrap().service_tier.as_deref(), Some("priority"));
}

#[test]
fn the_stop_sequence_is_told_where_it_is_known() {
    let stop = ChatEvent::Stopped { reason: StopReason::StopSequence, stop_sequence: Some("\n\nHuman:".to_owned()) };
    let received = received(&[text(0, "x"), stop, finished(tokens())]);
    assert_eq!((received.stop_reason.as_deref(), received.stop_sequence.as_deref()), (Some("stop_sequence"), Some("\n\nHuman:")));
}

#[test]
fn pain_21_a_failure_in_mid_input_is_one_error_event_and_no_stop() {
    let mut writer = MessageWriter::new(meta(), None);
    let mut out = Vec::new();
    writer.write(&tool(0, "c", "f"), &mut out);
    writer.write(&input(0, "{\"half\":"), &mut out);
    writer.fail(&upstream_failure(), &mut out);
    writer.write(&input(0, "1}"), &mut out);
    writer.write(&stop(StopReason::EndTurn), &mut out);
    writer.finish(&mut out);
    writer.fail(&upstream_failure(), &mut out);
    let stream = String::from_utf8(out).unwrap();
    snapshot("stream_failure", &stream);
    let received = receive(&stream).unwrap();
    assert_eq!((received.ended, received.stop_reason), (true, None));
    let error = received.error.unwrap();
    assert_eq!((error["type"].as_str(), error["message"].as_str()), (Some("overloaded_error"), Some("Too many \"clients\"")));
    assert!(!stream.contains("message_stop"));
    let body = serde_json::to_string(&errors::anthropic::reply(&upstream_failure(), Some("req_1")).body).unwrap();
    let last = stream.trim_end().rsplit("data: ").next().unwrap();
    assert_eq!(serde_json::from_str::<Value>(last).unwrap(), serde_json::from_str::<Value>(&body).unwrap());
}

#[test]
fn pain_21_an_answer_that_never_stopped_does_not_look_whole() {
    for events in [vec![], vec![text(0, "all")], vec![text(0, "all"), stopped(0), finished(tokens())]] {
        let received = received(&events);
        assert_eq!(received.error.unwrap()["type"], "api_error", "{events:?}");
    }
}

#[test]
fn an_answer_whose_tokens_are_never_told_still_ends() {
    let received = received(&[text(0, "x"), stop(StopReason::MaxTokens)]);
    assert_eq!((received.stop_reason.as_deref(), received.error), (Some("max_tokens"), None));
}

#[test]
fn pain_22_pings_may_stand_anywhere() {
    let events = [text(0, "x"), tool(1, "c", "f"), input(1, "{}"), stop(StopReason::ToolUse), finished(tokens())];
    let mut writer = MessageWriter::new(meta(), None);
    let mut out = PING.to_vec();
    for event in &events {
        writer.write(event, &mut out);
        out.extend_from_slice(if matches!(event, ChatEvent::Finished { .. }) { b"" } else { PING });
    }
    writer.finish(&mut out);
    let received = receive(&String::from_utf8(out).unwrap()).unwrap();
    assert_eq!((received.pings, received.ended, received.content.len()), (5, true, 2));
}

#[test]
fn an_open_stream_keeps_little() {
    // Thousands may be open: what was written is not kept.
    assert!(std::mem::size_of::<MessageWriter>() <= 256, "{}", std::mem::size_of::<MessageWriter>());
}

/// Cuts text at arbitrary character boundaries.
fn pieces(text: &str, cuts: &[usize]) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (characters.len() + 1)).chain([0, characters.len()]).collect();
    places.sort_unstable();
    places.windows(2).map(|pair| characters[pair[0]..pair[1]].iter().collect()).collect()
}

fn any_event() -> impl Strategy<Value = ChatEvent> {
    let index = 0..4_u32;
    let words = prop::sample::select(vec!["", "x", "{\"a\":", "1}", "\u{2028}\"\n"]);
    let origin = prop::sample::select(vec![ToolOrigin::Client, ToolOrigin::Server]);
    let place = prop::sample::select(vec![None, Some(CitationPlace::DocumentPages { document: 0, start: 1, end: 2 })]);
    let reason = prop::sample::select(vec![StopReason::EndTurn, StopReason::ToolUse, StopReason::GuardrailIntervened]);
    prop_oneof![
        1 => Just(ChatEvent::Started),
        3 => index.clone().prop_map(|index| started(index, BlockKind::Text)),
        2 => index.clone().prop_map(|index| started(index, BlockKind::Reasoning)),
        1 => index.clone().prop_map(|index| started(index, BlockKind::ServerToolResult { id: "s".to_owned() })),
        3 => (index.clone(), origin).prop_map(|(index, origin)| tool_of(index, "id", "f", origin)),
        5 => (index.clone(), words.clone()).prop_map(|(index, words)| text(index, words)),
        4 => (index.clone(), words.clone()).prop_map(|(index, words)| thought(index, words)),
        2 => (index.clone(), words.clone()).prop_map(|(index, words)| signature(index, words)),
        1 => (index.clone(), words.clone()).prop_map(|(index, words)| redacted(index, words)),
        5 => (index.clone(), words.clone()).prop_map(|(index, words)| input(index, words)),
        1 => (index.clone(), words, place).prop_map(|(index, words, place)| ChatEvent::Cited {
            index,
            citation: Citation { title: None, source: None, quoted: Some(words.to_owned()), place },
        }),
        5 => index.prop_map(stopped),
        1 => reason.prop_map(stop),
        1 => Just(finished(tokens())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_events_whatever_make_a_stream_that_keeps_the_rules(events in prop::collection::vec(any_event(), 0..40), fails in any::<bool>()) {
        let mut writer = MessageWriter::new(meta(), None);
        let mut out = Vec::new();
        for event in &events {
            writer.write(event, &mut out);
        }
        if fails {
            writer.fail(&upstream_failure(), &mut out);
        } else {
            writer.finish(&mut out);
        }
        let stream = String::from_utf8(out).unwrap();
        let received = receive(&stream);
        prop_assert!(received.as_ref().is_ok_and(|received| received.ended), "{:?}\n{stream}", received);
        let stops = events.iter().any(|event| matches!(event, ChatEvent::Stopped { .. }));
        prop_assert!(stops || received.unwrap().error.is_some());
    }

    #[test]
    fn the_texts_of_the_deltas_are_the_text(whole in any::<String>(), cuts in prop::collection::vec(any::<usize>(), 0..8)) {
        let content = answered(pieces(&whole, &cuts).iter().map(|piece| text(0, piece)).collect()).content;
        let joined: String = content.iter().map(|block| block["text"].as_str().unwrap()).collect();
        prop_assert_eq!(joined, whole);
    }

    #[test]
    fn interleaved_calls_keep_their_own_input(
        values in prop::collection::vec(any::<String>(), 1..4),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        order in prop::collection::vec(any::<usize>(), 0..40),
    ) {
        let whole: Vec<String> = values.iter().map(|value| json!({ "value": value }).to_string()).collect();
        let mut queues: Vec<Vec<ChatEvent>> = whole.iter().zip(0..).map(|(arguments, index)| {
            let fragments = pieces(arguments, &cuts).into_iter().map(|piece| input(index, &piece));
            std::iter::once(tool(index, &format!("c{index}"), "f")).chain(fragments).chain([stopped(index)]).collect()
        }).collect();
        // Calls begin in order; after that, anything goes.
        let mut events: Vec<ChatEvent> = queues.iter_mut().map(|queue| queue.remove(0)).collect();
        for choice in order {
            let open: Vec<usize> = (0..queues.len()).filter(|queue| !queues[*queue].is_empty()).collect();
            if let Some(queue) = open.get(choice % open.len().max(1)) {
                events.push(queues[*queue].remove(0));
            }
        }
        events.extend(queues.into_iter().flatten());
        let content = answered(events).content;
        let inputs: Vec<&str> = content.iter().map(|block| block["input"]["value"].as_str().unwrap()).collect();
        prop_assert_eq!(inputs, values.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
