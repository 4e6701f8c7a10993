use outcrop_domain::chat::{ChatResponse, Content};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::converse::{context::FormatTool, response};

type Script = Vec<(String, Value)>;

fn fixture(kind: &str, name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/fixtures/converse/{kind}/{name}.json", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn play(context: &ReplyContext, script: &Script) -> (Vec<ChatEvent>, Result<StreamEnd, UpstreamFailure>) {
    let mut reader = StreamReader::new(context.clone());
    let mut events = Vec::new();
    for (event, payload) in script {
        reader.read(event, payload.to_string().as_bytes(), &mut events).unwrap();
    }
    let end = reader.end(&mut events);
    check_blocks(&events);
    (events, end)
}

/// Blocks start once, stop once, and get deltas only in between.
fn check_blocks(events: &[ChatEvent]) {
    let (mut open, mut seen) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            ChatEvent::BlockStarted { index, .. } => {
                assert!(!seen.contains(index), "block {index} starts twice");
                seen.push(*index);
                open.push(*index);
            }
            ChatEvent::Text { index, .. }
            | ChatEvent::ToolInput { index, .. }
            | ChatEvent::Reasoning { index, .. }
            | ChatEvent::ReasoningSignature { index, .. }
            | ChatEvent::ReasoningRedacted { index, .. }
            | ChatEvent::ServerToolOutput { index, .. }
            | ChatEvent::Cited { index, .. } => assert!(open.contains(index), "a delta of block {index}, which is not open"),
            ChatEvent::BlockStopped { index } => {
                assert!(open.contains(index), "block {index} stops without being open");
                open.retain(|other| other != index);
            }
            ChatEvent::Stopped { .. } => assert!(open.is_empty(), "blocks {open:?} are never stopped"),
            ChatEvent::Started | ChatEvent::Finished { .. } => {}
        }
    }
}

/// A stream of these content events, properly begun and ended.
fn answer_of(content: &[(&str, Value)], stop: &str) -> Script {
    let usage = json!({"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}});
    let mut script = vec![("messageStart".to_owned(), json!({"role": "assistant"}))];
    script.extend(content.iter().map(|(event, payload)| ((*event).to_owned(), payload.clone())));
    script.push(("messageStop".to_owned(), json!({"stopReason": stop})));
    script.push(("metadata".to_owned(), usage));
    script
}

fn delta(index: u32, delta: Value) -> (&'static str, Value) {
    ("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}))
}

fn said(index: u32, text: &str) -> (&'static str, Value) {
    delta(index, json!({"text": text}))
}

fn argued(index: u32, fragment: &str) -> (&'static str, Value) {
    delta(index, json!({"toolUse": {"input": fragment}}))
}

fn called(index: u32, name: &str) -> (&'static str, Value) {
    ("contentBlockStart", json!({"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": format!("id{index}"), "name": name}}}))
}

fn stopped(index: u32) -> (&'static str, Value) {
    ("contentBlockStop", json!({"contentBlockIndex": index}))
}

/// The events between `Started` and `Stopped` in short, and the stop reason.
fn brief(context: &ReplyContext, content: &[(&str, Value)], stop: &str) -> (Vec<String>, StopReason) {
    let (events, end) = play(context, &answer_of(content, stop));
    assert_eq!(end, Ok(StreamEnd::Complete));
    let reason = events.iter().find_map(|event| match event {
        ChatEvent::Stopped { reason, .. } => Some(*reason),
        _ => None,
    });
    let lines = events.iter().filter_map(|event| match event {
        ChatEvent::BlockStarted { index, kind: BlockKind::Text } => Some(format!("{index} text")),
        ChatEvent::BlockStarted { index, kind: BlockKind::Reasoning } => Some(format!("{index} reasoning")),
        ChatEvent::BlockStarted { index, kind: BlockKind::ToolUse { name, origin, .. } } => Some(format!("{index} {origin:?} {name}")),
        ChatEvent::BlockStarted { index, kind: BlockKind::ServerToolResult { id } } => Some(format!("{index} result {id}")),
        ChatEvent::Text { index, text } | ChatEvent::Reasoning { index, text } => Some(format!("{index}+{text}")),
        ChatEvent::ToolInput { index, fragment } => Some(format!("{index}+{fragment}")),
        ChatEvent::ReasoningSignature { index, signature } => Some(format!("{index} signed {signature}")),
        ChatEvent::ReasoningRedacted { index, data } => Some(format!("{index} redacted {data}")),
        ChatEvent::ServerToolOutput { index, text } => Some(format!("{index} told {text}")),
        ChatEvent::Cited { index, .. } => Some(format!("{index} cited")),
        ChatEvent::BlockStopped { index } => Some(format!("{index} stop")),
        ChatEvent::Started | ChatEvent::Stopped { .. } | ChatEvent::Finished { .. } => None,
    });
    (lines.collect(), reason.unwrap())
}

fn lines(context: &ReplyContext, content: &[(&str, Value)]) -> Vec<String> {
    brief(context, content, "end_turn").0
}

fn plain() -> ReplyContext {
    ReplyContext::default()
}

fn format_tool(wrapped: bool) -> ReplyContext {
    ReplyContext { format_tool: Some(FormatTool { name: "json_output".to_owned(), wrapped }), ..plain() }
}

/// The response that events stand for, to compare streams with whole answers.
fn collected(events: Vec<ChatEvent>) -> (Vec<String>, ChatResponse) {
    let mut blocks: Vec<(u32, String)> = Vec::new();
    let mut add = |index: u32, text: &str| match blocks.iter_mut().find(|block| block.0 == index) {
        Some(block) => block.1.push_str(text),
        None => blocks.push((index, text.to_owned())),
    };
    let mut response = ChatResponse {
        content: Vec::<Content>::new(),
        stop: StopReason::Unknown,
        usage: Usage::default(),
        service_tier: None,
        trace: None,
        stop_sequence: None,
    };
    for event in events {
        match event {
            ChatEvent::BlockStarted { index, kind } => add(index, &format!("{kind:?}:")),
            ChatEvent::Text { index, text } | ChatEvent::Reasoning { index, text } | ChatEvent::ServerToolOutput { index, text } => {
                add(index, &text);
            }
            ChatEvent::ToolInput { index, fragment } => add(index, &fragment),
            ChatEvent::ReasoningSignature { index, signature } => add(index, &format!(" signed {signature}")),
            ChatEvent::ReasoningRedacted { index, data } => add(index, &format!(" redacted {data}")),
            ChatEvent::Stopped { reason, stop_sequence } => (response.stop, response.stop_sequence) = (reason, stop_sequence),
            ChatEvent::Finished { usage, service_tier, trace } => {
                (response.usage, response.service_tier, response.trace) = (usage, service_tier, trace);
            }
            ChatEvent::Started | ChatEvent::BlockStopped { .. } | ChatEvent::Cited { .. } => {}
        }
    }
    (blocks.into_iter().map(|block| block.1).collect(), response)
}

#[test]
fn a_streamed_answer_equals_the_replayed_whole_one() {
    let mut context = plain();
    context.tool_names.insert("get_weather_ab12".to_owned(), "get.weather".to_owned());
    let script: Script = serde_json::from_slice(&fixture("streams", "thinking_tool_call")).unwrap();
    let (streamed, end) = play(&context, &script);
    assert_eq!(end, Ok(StreamEnd::Complete));
    let whole = response::read(&fixture("answers", "thinking_tool_call"), &context).unwrap();
    let replayed = replay(whole);
    check_blocks(&replayed);
    assert_eq!(collected(streamed), collected(replayed));
}

#[test]
fn blocks_open_with_their_first_delta_and_interleave_by_number() {
    let content = [said(0, ""), said(0, "a"), called(1, "f"), argued(1, "{\"x\""), said(0, "b"), argued(1, ":1}"), stopped(1), stopped(0)];
    assert_eq!(lines(&plain(), &content), ["0 text", "0+a", "1 Client f", "1+{\"x\"", "0+b", "1+:1}", "1 stop", "0 stop"]);
}

#[test]
fn pain_23_a_tool_without_arguments_ends_as_an_empty_object() {
    let content = [called(0, "f"), argued(0, ""), stopped(0), called(1, "g")];
    assert_eq!(
        brief(&plain(), &content, "end_turn"),
        (["0 Client f", "0+{}", "0 stop", "1 Client g", "1+{}", "1 stop"].map(str::to_owned).to_vec(), StopReason::ToolUse)
    );
}

#[test]
fn pain_02_a_signature_alone_makes_a_block() {
    let content = [delta(0, json!({"reasoningContent": {"signature": "s"}})), stopped(0), said(1, "a"), stopped(1)];
    assert_eq!(lines(&plain(), &content), ["0 reasoning", "0 signed s", "0 stop", "1 text", "1+a", "1 stop"]);
    let hidden = ReplyContext { reasoning: ReasoningVisibility::Hidden, ..plain() };
    let content =
        [delta(0, json!({"reasoningContent": {"text": "why"}})), delta(0, json!({"reasoningContent": {"signature": "s"}})), stopped(0)];
    assert_eq!(lines(&hidden, &content), ["0 reasoning", "0 signed s", "0 stop"]);
    assert!(lines(&hidden, &content[..1]).is_empty());
}

#[test]
fn pain_35_the_format_tools_input_streams_as_text_and_chatter_goes() {
    let content = [
        said(0, "Here:"),
        stopped(0),
        called(1, "json_output"),
        argued(1, "{\"a\""),
        argued(1, ":1}"),
        stopped(1),
        said(2, "Bye"),
        stopped(2),
    ];
    assert_eq!(
        brief(&format_tool(false), &content, "tool_use"),
        (["0 text", "0+{\"a\"", "0+:1}", "0 stop"].map(str::to_owned).to_vec(), StopReason::EndTurn)
    );
    let wrapped = [called(0, "json_output"), argued(0, "{\"answer\":"), argued(0, "[1, 2]}"), stopped(0)];
    assert_eq!(lines(&format_tool(true), &wrapped), ["0 text", "0+[1, 2]", "0 stop"]);
    let nothing = [called(0, "json_output"), stopped(0)];
    assert_eq!(lines(&format_tool(false), &nothing), ["0 text", "0+{}", "0 stop"]);
}

#[test]
fn pain_35_without_the_format_tools_call_the_text_is_the_answer() {
    let content = [said(0, "{\"a\""), said(0, ":1}"), stopped(0)];
    assert_eq!(lines(&format_tool(false), &content), ["0 text", "0+{\"a\"", "0+:1}", "0 stop"]);
    let with_call = [said(0, "Looking."), stopped(0), called(1, "f"), argued(1, "{}"), stopped(1)];
    assert_eq!(
        brief(&format_tool(false), &with_call, "tool_use"),
        (["0 text", "0+Looking.", "0 stop", "1 Client f", "1+{}", "1 stop"].map(str::to_owned).to_vec(), StopReason::ToolUse)
    );
}

fn searched(index: u32) -> (&'static str, Value) {
    let call = json!({"toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use"});
    ("contentBlockStart", json!({"contentBlockIndex": index, "start": {"toolUse": call}}))
}

#[test]
fn a_source_in_a_block_of_its_own_is_of_the_text_before_it() {
    let source = |index| delta(index, json!({"citation": {"location": {"web": {"url": "https://example.com"}}}}));
    let content = [
        searched(0),
        stopped(0),
        said(1, "Sun"),
        stopped(1),
        source(2),
        stopped(2),
        source(3),
        stopped(3),
        said(4, "."),
        stopped(4),
        source(5),
        stopped(5),
    ];
    let search = ["0 Server nova_grounding", "0+{}", "0 stop"];
    let told = ["1 text", "1+Sun", "1 cited", "1 cited", "1 stop", "2 text", "2+.", "2 cited", "2 stop"];
    assert_eq!(lines(&plain(), &content), [search.as_slice(), told.as_slice()].concat());
}

#[test]
fn tools_that_bedrock_runs_are_told_apart_and_wait_for_nobody() {
    let content = [
        searched(0),
        argued(0, "{\"q\":1}"),
        stopped(0),
        ("contentBlockStart", json!({"contentBlockIndex": 1, "start": {"toolResult": {"toolUseId": "s", "status": "success"}}})),
        delta(1, json!({"toolResult": [{"text": "found"}, {"json": {"a": 2}}]})),
        stopped(1),
        said(2, "So."),
        delta(2, json!({"citation": {"location": {"web": {"url": "https://example.com"}}}})),
        stopped(2),
    ];
    assert_eq!(
        brief(&plain(), &content, "end_turn"),
        (
            [
                "0 Server nova_grounding",
                "0+{\"q\":1}",
                "0 stop",
                "1 result s",
                "1 told found",
                "1 told {\"a\":2}",
                "1 stop",
                "2 text",
                "2+So.",
                "2 cited",
                "2 stop"
            ]
            .map(str::to_owned)
            .to_vec(),
            StopReason::EndTurn
        )
    );
}

#[test]
fn pain_03_a_call_the_client_did_not_allow_does_not_leak() {
    let context = ReplyContext { tool_calls: ToolCalls::Withheld, ..plain() };
    let call = [called(0, "f"), argued(0, "{}"), stopped(0)];
    let explained = format!("0+{}", withheld_text("f"));
    assert_eq!(brief(&context, &call, "tool_use"), (vec!["0 text".to_owned(), explained, "0 stop".to_owned()], StopReason::EndTurn));
    assert_eq!(lines(&context, &[said(0, "a"), stopped(0), called(1, "f"), stopped(1)]), ["0 text", "0+a", "0 stop"]);
}

#[test]
fn kinds_newer_than_this_code_are_skipped() {
    let content = [
        ("contentBlockStart", json!({"contentBlockIndex": 0, "start": {"hologram": {}}})),
        delta(0, json!({"hologram": {"x": 1}})),
        stopped(0),
        ("contentBlockStart", json!({"contentBlockIndex": 1, "start": {"image": {"format": "png"}}})),
        delta(1, json!({"image": {"source": {"bytes": "eA=="}}})),
        stopped(1),
        ("heartbeat", json!([])),
        said(2, "a"),
        stopped(2),
    ];
    assert_eq!(lines(&plain(), &content), ["0 text", "0+a", "0 stop"]);
}

#[test]
fn pain_21_a_stream_that_just_ends_is_an_error() {
    let mut script = answer_of(&[said(0, "a")], "end_turn");
    script.truncate(2);
    let (events, end) = play(&plain(), &script);
    let failure = end.unwrap_err();
    assert_eq!((failure.cause, failure.code.as_str()), (Cause::BrokenStream, "TruncatedStream"));
    assert!(!events.iter().any(|event| matches!(event, ChatEvent::Stopped { .. } | ChatEvent::Finished { .. })));
}

#[test]
fn pain_24_the_end_waits_for_the_tokens_and_missing_ones_are_flagged() {
    let script = answer_of(&[said(0, "a"), stopped(0)], "end_turn");
    let mut reader = StreamReader::new(plain());
    let mut events = Vec::new();
    let (metadata, before) = script.split_last().unwrap();
    for (event, payload) in before {
        reader.read(event, payload.to_string().as_bytes(), &mut events).unwrap();
    }
    assert!(!events.iter().any(|event| matches!(event, ChatEvent::Stopped { .. })));
    assert!(!reader.is_finished(), "its tokens are not told");
    let mut unmetered = StreamReader { finished: None, ..StreamReader::new(plain()) };
    for (event, payload) in before {
        unmetered.read(event, payload.to_string().as_bytes(), &mut Vec::new()).unwrap();
    }
    reader.read(&metadata.0, metadata.1.to_string().as_bytes(), &mut events).unwrap();
    assert!(matches!(&events[events.len() - 2..], [ChatEvent::Stopped { .. }, ChatEvent::Finished { usage, .. }] if usage.total() == 3));
    assert!(reader.is_finished());
    assert_eq!(reader.end(&mut events), Ok(StreamEnd::Complete));
    let mut late = Vec::new();
    assert_eq!(unmetered.end(&mut late), Ok(StreamEnd::UsageMissing));
    assert!(matches!(&late[..], [ChatEvent::Stopped { .. }, ChatEvent::Finished { usage, .. }] if usage.total() == 0));
}

#[test]
fn metadata_may_come_before_the_stop_and_blocks_left_open_are_closed() {
    let mut script = answer_of(&[said(0, "a"), called(1, "f")], "tool_use");
    let last = script.len() - 1;
    script.swap(last, last - 1);
    let (events, end) = play(&plain(), &script);
    assert_eq!(end, Ok(StreamEnd::Complete));
    assert!(matches!(events.last(), Some(ChatEvent::Finished { usage, .. }) if usage.total() == 3));
}

#[test]
fn an_unreadable_event_is_malformed_without_its_content() {
    let mut reader = StreamReader::new(plain());
    for payload in [&b"{"[..], br#"{"contentBlockIndex":"secret","delta":{}}"#] {
        let failure = reader.read("contentBlockDelta", payload, &mut Vec::new()).unwrap_err();
        assert_eq!(failure.cause, Cause::Malformed);
        assert!(!failure.message.contains("secret"), "{}", failure.message);
    }
}

#[test]
fn a_guardrail_intervention_is_text_with_its_reason() {
    let (lines, reason) = brief(&plain(), &[said(0, "Blocked."), stopped(0)], "guardrail_intervened");
    assert_eq!((lines.len(), reason), (3, StopReason::GuardrailIntervened));
}

fn any_event() -> impl Strategy<Value = (&'static str, Value)> {
    let index = 0_u32..3;
    prop_oneof![
        3 => (index.clone(), prop::sample::select(vec!["", "a", "<think>", "</think>b", " "])).prop_map(|(index, text)| said(index, text)),
        1 => index.clone().prop_map(|index| delta(index, json!({"reasoningContent": {"text": "why"}}))),
        1 => index.clone().prop_map(|index| delta(index, json!({"reasoningContent": {"signature": "s"}}))),
        1 => index.clone().prop_map(|index| delta(index, json!({"reasoningContent": {"redactedContent": "cmVk"}}))),
        1 => index.clone().prop_map(|index| delta(index, json!({"citation": {"title": "t"}}))),
        2 => (index.clone(), prop::sample::select(vec!["f", "json_output"])).prop_map(|(index, name)| called(index, name)),
        1 => index.clone().prop_map(|index| {
            ("contentBlockStart", json!({"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": "s", "name": "g", "type": "server_tool_use"}}}))
        }),
        1 => index.clone().prop_map(|index| ("contentBlockStart", json!({"contentBlockIndex": index, "start": {"toolResult": {"toolUseId": "s"}}}))),
        2 => (index.clone(), prop::sample::select(vec!["", "{}", "{"])).prop_map(|(index, fragment)| argued(index, fragment)),
        2 => index.prop_map(stopped),
    ]
}

fn any_context() -> impl Strategy<Value = ReplyContext> {
    (any::<[bool; 3]>(), prop::option::of(any::<bool>())).prop_map(|([tags, withheld, hidden], wrapped)| ReplyContext {
        reasoning_tags: if tags { vec!["think".to_owned()] } else { vec![] },
        tool_calls: if withheld { ToolCalls::Withheld } else { ToolCalls::Passed },
        reasoning: if hidden { ReasoningVisibility::Hidden } else { ReasoningVisibility::Shown },
        ..wrapped.map_or_else(plain, format_tool)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_comes_blocks_are_paired_and_the_reason_fits_the_calls(context in any_context(), content in prop::collection::vec(any_event(), 0..14)) {
        // `play` checks the pairing.
        let (events, end) = play(&context, &answer_of(&content, "tool_use"));
        prop_assert_eq!(end, Ok(StreamEnd::Complete));
        let calls = events.iter().any(|event| matches!(event, ChatEvent::BlockStarted { kind: BlockKind::ToolUse { origin: ToolOrigin::Client, .. }, .. }));
        let expected = if calls { StopReason::ToolUse } else { StopReason::EndTurn };
        let stops: Vec<_> = events.iter().filter_map(|event| match event {
            ChatEvent::Stopped { reason, .. } => Some(*reason),
            _ => None,
        }).collect();
        prop_assert_eq!(stops, vec![expected]);
        let leaked = events.iter().any(|event| matches!(event, ChatEvent::BlockStarted { kind: BlockKind::ToolUse { name, .. }, .. } if context.is_format_tool(name)));
        prop_assert!(!leaked);
    }

    #[test]
    fn tags_are_lifted_alike_however_the_stream_cuts_them(
        parts in prop::collection::vec(prop_oneof!["<think>", "</think>", "</", "<", "[ \\n]{1,2}", "[a-z]{1,4}"], 1..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let text = parts.concat();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).chain([0, text.len()]).collect();
        places.sort_unstable();
        let context = ReplyContext { reasoning_tags: vec!["think".to_owned()], ..plain() };
        let split: Vec<_> = places.windows(2).map(|pair| said(0, &text[pair[0]..pair[1]])).collect();
        let in_one = collected(play(&context, &answer_of(&[said(0, &text)], "end_turn")).0);
        prop_assert_eq!(collected(play(&context, &answer_of(&split, "end_turn")).0), in_one);
    }
}

#[test]
fn everything_the_model_writes_is_counted_shown_or_not() {
    let delta = |delta: Value| ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": delta}));
    let script = answer_of(
        &[
            delta(json!({"reasoningContent": {"text": "hmm"}})),
            delta(json!({"reasoningContent": {"signature": "not counted"}})),
            delta(json!({"text": "r\u{e9}"})),
            delta(json!({"toolUse": {"input": "{}"}})),
        ],
        "end_turn",
    );
    let mut reader = StreamReader::new(ReplyContext { reasoning: ReasoningVisibility::Hidden, ..ReplyContext::default() });
    for (event, payload) in &script {
        reader.read(event, payload.to_string().as_bytes(), &mut Vec::new()).unwrap();
    }
    assert_eq!(reader.produced_bytes(), 3 + 3 + 2);
}

#[test]
fn a_stop_sequence_that_the_model_does_not_name_is_the_only_one_there_was() {
    let context = ReplyContext { only_stop_text: Some("STOP".to_owned()), ..plain() };
    let told = |context: &ReplyContext, script: &Script| collected(play(context, script).0).1.stop_sequence;
    assert_eq!(told(&context, &answer_of(&[said(0, "a")], "stop_sequence")).as_deref(), Some("STOP"));
    assert_eq!(told(&context, &answer_of(&[said(0, "a")], "end_turn")), None);
    assert_eq!(told(&plain(), &answer_of(&[said(0, "a")], "stop_sequence")), None);
    let mut named = answer_of(&[said(0, "a")], "stop_sequence");
    named[2].1 = json!({"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": "END"}});
    assert_eq!(told(&context, &named).as_deref(), Some("END"), "the model knows best");
}
