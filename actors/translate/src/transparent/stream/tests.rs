use outcrop_domain::error::GatewayError;
use proptest::{prelude::*, sample::select};

use super::*;
use crate::anthropic_messages::{RenderMeta, stream::MessageWriter};

/// A frame's payload around an event.
fn frame(event: &str) -> String {
    format!("{{\"bytes\":\"{}\",\"p\":\"abcdefgh\"}}", STANDARD.encode(event))
}

fn messages() -> ChunkRelay {
    ChunkRelay::new(RelayMode::Messages { model: None })
}

/// Relays events; what the client sees.
fn relayed(relay: &mut ChunkRelay, events: &[&str]) -> String {
    let mut out = Vec::new();
    for event in events {
        relay.chunk(frame(event).as_bytes(), &mut out).unwrap();
    }
    String::from_utf8(out).unwrap()
}

const START: &str = r#"{"type":"message_start","message":{"model":"claude-opus-5-20260101","id":"msg_bdrk_1","type":"message","role":"assistant","content":[],"stop_reason":null,"usage":{"input_tokens":12,"cache_creation_input_tokens":300,"cache_read_input_tokens":40,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},"output_tokens":3,"service_tier":"priority"}}}"#;
const TEXT_START: &str = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
const TEXT: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello \u00e9"}}"#;
const TEXT_STOP: &str = r#"{"type":"content_block_stop","index":0}"#;
const DELTA: &str = r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":45,"input_tokens":12,"cache_creation_input_tokens":300,"output_tokens_details":{"thinking_tokens":7}}}"#;
const STOP: &str = r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":12,"outputTokenCount":45,"invocationLatency":900,"firstByteLatency":300,"cacheReadInputTokenCount":40,"cacheWriteInputTokenCount":300}}"#;

#[test]
fn events_reach_the_client_byte_for_byte_with_their_names() {
    let mut relay = messages();
    let shown = relayed(&mut relay, &[START, TEXT_START, TEXT, TEXT_STOP, DELTA]);
    let expected: String = [
        ("message_start", START),
        ("content_block_start", TEXT_START),
        ("content_block_delta", TEXT),
        ("content_block_stop", TEXT_STOP),
        ("message_delta", DELTA),
    ]
    .iter()
    .map(|(name, json)| format!("event: {name}\ndata: {json}\n\n"))
    .collect();
    assert_eq!(shown, expected);
    assert!(!relay.is_complete());
    assert_eq!(relayed(&mut relay, &[STOP]), "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    assert!(relay.is_complete() && relay.end().is_ok());
    assert_eq!(
        (relay.stop_reason(), relay.service_tier(), relay.produced_bytes()),
        (Some(StopReason::ToolUse), Some(ServiceTier::Priority), 8)
    );
}

#[test]
fn pain_15_three_reports_of_one_call_are_merged_and_lifetimes_kept_apart() {
    let mut relay = messages();
    assert_eq!(relay.usage(), None);
    relayed(&mut relay, &[START]);
    assert_eq!(relay.usage().unwrap().output, 3, "a cut stream has at least this");
    relayed(&mut relay, &[DELTA, STOP]);
    let all = Usage { input: 12, output: 45, cache_read: 40, cache_write_5m: 100, cache_write_1h: 200, reasoning: Some(7) };
    assert_eq!(relay.usage(), Some(all));
    let mut metrics_alone = messages();
    relayed(&mut metrics_alone, &[STOP]);
    assert_eq!(metrics_alone.usage(), Some(Usage { input: 12, output: 45, cache_read: 40, cache_write_5m: 300, ..Usage::default() }));
}

#[test]
fn pain_15_compaction_that_the_sums_leave_out_is_counted_once() {
    let delta = |iterations: &str| {
        format!(r#"{{"type":"message_delta","delta":{{}},"usage":{{"input_tokens":10,"output_tokens":20,"iterations":[{iterations}]}}}}"#)
    };
    let compaction =
        r#"{"type":"compaction","input_tokens":1000,"output_tokens":50},{"type":"message","input_tokens":10,"output_tokens":20}"#;
    let mut relay = messages();
    relayed(&mut relay, &[&delta(compaction), &delta(compaction)]);
    assert_eq!(relay.usage(), Some(Usage { input: 1010, output: 70, ..Usage::default() }));
    // Bedrock's own numbers may hold it: whichever counts more, never both.
    relayed(&mut relay, &[r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":1010,"outputTokenCount":70}}"#]);
    assert_eq!(relay.usage(), Some(Usage { input: 1010, output: 70, ..Usage::default() }));
}

#[test]
fn pain_02_signatures_pass_untouched() {
    let signature = r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"Eq\/+a\u003d=="}}"#;
    let mut relay = messages();
    assert_eq!(relayed(&mut relay, &[signature]), format!("event: content_block_delta\ndata: {signature}\n\n"));
    assert_eq!(relay.produced_bytes(), 0, "what the model did not write is not billed as its text");
}

#[test]
fn the_model_is_called_as_the_client_called_it_and_nothing_else_changes() {
    let mut relay = ChunkRelay::new(RelayMode::Messages { model: Some("my \"alias\"".to_owned()) });
    let shown = relayed(
        &mut relay,
        &[START, r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\"model\":\"claude\""},"model":"x"}"#],
    );
    let expected = START.replace("\"claude-opus-5-20260101\"", r#""my \"alias\"""#);
    assert!(shown.starts_with(&format!("event: message_start\ndata: {expected}\n\n")), "{shown}");
    assert!(shown.contains(r#""model":"x""#), "only the message's own");
}

#[test]
fn bytes_written_are_counted_over_all_kinds_of_blocks() {
    let mut relay = messages();
    relayed(
        &mut relay,
        &[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1","name":"find","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"redacted_thinking","data":"abcd"}}"#,
            r#"{"type":"ping"}"#,
        ],
    );
    assert_eq!(relay.produced_bytes(), 4 + 6 + 2 + 4);
}

#[test]
fn pain_21_a_stream_that_just_ends_is_broken() {
    let mut relay = messages();
    assert_eq!(relay.end().unwrap_err().cause, Cause::BrokenStream);
    relayed(&mut relay, &[START, TEXT_START, TEXT, TEXT_STOP, DELTA]);
    let failure = relay.end().unwrap_err();
    assert_eq!((failure.cause, failure.code.as_str()), (Cause::BrokenStream, "TruncatedStream"));
    assert_eq!(failure.message, "the stream ended before the model had finished its answer");
}

/// The data of the event that ends the client's stream.
fn told_to_client(failure: UpstreamFailure) -> String {
    let meta = RenderMeta { id: "msg_1".to_owned(), model_shown: "m".to_owned(), request_id: None };
    let mut out = Vec::new();
    MessageWriter::new(meta, None).fail(&GatewayError::Upstream(failure), &mut out);
    let text = String::from_utf8(out).unwrap();
    text.strip_prefix("event: error\ndata: ").unwrap().strip_suffix("\n\n").unwrap().to_owned()
}

#[test]
fn pain_21_an_error_event_of_the_models_is_a_failure_with_its_own_type() {
    let mut relay = messages();
    let mut out = Vec::new();
    let event = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let failure = relay.chunk(frame(event).as_bytes(), &mut out).unwrap_err();
    assert_eq!((failure.cause, failure.code.as_str(), failure.message.as_str()), (Cause::Unavailable, "overloaded_error", "Overloaded"));
    assert!(out.is_empty(), "whoever may still ask elsewhere does not show it");
    relayed(&mut relay, &[STOP]);
    assert!(!relay.is_complete());
    assert_eq!(relay.end(), Err(failure.clone()));
    assert_eq!(told_to_client(failure), event, "as the model wrote it");
}

#[test]
fn what_cannot_be_read_is_malformed_and_shows_no_content() {
    for payload in [
        "".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"bytes":5}"#.to_owned(),
        r#"{"bytes":"secret!"}"#.to_owned(),
        r#"{"bytes":"c2VjcmV0"#.to_owned(),
        frame("secret"),
        frame(r#"{"type":"content_block_delta","delta":{"text":"secret"}"#),
        frame("\"secret\""),
    ] {
        let mut out = Vec::new();
        let failure = messages().chunk(payload.as_bytes(), &mut out).unwrap_err();
        assert_eq!(failure.cause, Cause::Malformed, "{payload}");
        assert!(out.is_empty() && !failure.message.contains("secret"), "{payload}: {}", failure.message);
    }
}

#[test]
fn frames_and_names_are_known_however_they_are_written() {
    let encoded = STANDARD.encode(TEXT).replace('/', "\\/");
    let payload = format!(" {{\"p\":\"\\u0041\", \"b\\u0079tes\" :\"{}\\u003d\"}}", encoded.trim_end_matches('='));
    let mut out = Vec::new();
    let mut relay = messages();
    let padded = TEXT.len() % 3 == 2;
    assert!(padded, "the example ends in one `=`");
    relay.chunk(payload.as_bytes(), &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), format!("event: content_block_delta\ndata: {TEXT}\n\n"));
    let odd = "{\"usage\":{\"output_tokens\":9},\n \"delta\":{\"stop_reason\":\"end_turn\"},\"typ\\u0065\":\"message\\u005fdelta\"}";
    let mut relay = messages();
    assert_eq!(relayed(&mut relay, &[odd]), format!("event: message_delta\ndata: {}\n\n", odd.replace('\n', " ")));
    assert_eq!((relay.usage().unwrap().output, relay.stop_reason()), (9, Some(StopReason::EndTurn)));
}

#[test]
fn a_name_cannot_break_out_of_its_line() {
    let mut relay = messages();
    let event = r#"{"type":"a\n\ndata: evil"}"#;
    assert_eq!(relayed(&mut relay, &[event]), format!("event: adata: evil\ndata: {event}\n\n"));
}

#[test]
fn metrics_are_cut_out_wherever_they_stand() {
    let metrics = r#""amazon-bedrock-invocationMetrics":{"inputTokenCount":1}"#;
    for (event, shown) in [
        (format!("{{{metrics},\"type\":\"message_stop\"}}"), "{\"type\":\"message_stop\"}"),
        (format!("{{\"type\":\"message_stop\" , {metrics} , \"x\":1}}"), "{\"type\":\"message_stop\" , \"x\":1}"),
        (format!(" {{ \"type\":\"message_stop\",{metrics} }} "), " { \"type\":\"message_stop\" } "),
    ] {
        assert_eq!(relayed(&mut messages(), &[&event]), format!("event: message_stop\ndata: {shown}\n\n"));
    }
    assert_eq!(relayed(&mut messages(), &[&format!("{{{metrics}}}")]), "", "metrics alone are nothing to the client");
}

#[test]
fn stop_reasons_that_only_claude_has_are_known() {
    let of = |word: &str| {
        let mut relay = messages();
        relayed(&mut relay, &[&format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"{word}"}}}}"#)]);
        relay.stop_reason().unwrap()
    };
    assert_eq!(of("refusal"), StopReason::ContentFiltered);
    assert_eq!(of("model_context_window_exceeded"), StopReason::ModelContextWindowExceeded);
    assert_eq!(of("pause_turn"), StopReason::Unknown);
}

#[test]
fn of_native_frames_the_tokens_are_read_and_nothing_is_shown() {
    let mut relay = ChunkRelay::new(RelayMode::Native);
    let mut out = Vec::new();
    for event in [START, TEXT, DELTA, STOP] {
        relay.chunk(frame(event).as_bytes(), &mut out).unwrap();
    }
    assert!(out.is_empty());
    assert!(relay.is_complete());
    assert_eq!((relay.usage().unwrap().cache_write_1h, relay.produced_bytes(), relay.stop_reason()), (200, 8, Some(StopReason::ToolUse)));
}

#[test]
fn native_frames_that_cannot_be_read_are_told_of_at_the_end() {
    let mut relay = ChunkRelay::new(RelayMode::Native);
    let mut out = Vec::new();
    relay.chunk(b"no json", &mut out).unwrap();
    assert_eq!(relay.end().unwrap_err().cause, Cause::Malformed);
    let mut relay = ChunkRelay::new(RelayMode::Native);
    relay.chunk(frame(r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#).as_bytes(), &mut out).unwrap();
    assert_eq!(relay.end().unwrap_err().code, "api_error");
}

#[test]
fn native_events_of_other_families_tell_their_tokens_too() {
    let metrics = r#""amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":8}"#;
    for (events, usage, stop, produced) in [
        (
            vec![
                r#"{"contentBlockDelta":{"delta":{"text":"Hello"},"contentBlockIndex":0}}"#.to_owned(),
                r#"{"messageStop":{"stopReason":"end_turn"}}"#.to_owned(),
                format!(r#"{{"metadata":{{"usage":{{"inputTokens":7,"outputTokens":8,"cacheReadInputTokenCount":2}}}},{metrics}}}"#),
            ],
            Usage { input: 7, output: 8, ..Usage::default() },
            StopReason::EndTurn,
            5,
        ),
        (
            vec![
                r#"{"generation":"Hel","prompt_token_count":7,"generation_token_count":1,"stop_reason":null}"#.to_owned(),
                format!(r#"{{"generation":"lo","prompt_token_count":null,"generation_token_count":8,"stop_reason":"length",{metrics}}}"#),
            ],
            Usage { input: 7, output: 8, ..Usage::default() },
            StopReason::MaxTokens,
            5,
        ),
        (
            vec![
                r#"{"choices":[{"delta":{"content":"Hello","tool_calls":[{"function":{"arguments":"{}"}}]},"finish_reason":null}]}"#
                    .to_owned(),
                format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"tool_calls"}}],{metrics}}}"#),
            ],
            Usage { input: 7, output: 8, ..Usage::default() },
            StopReason::ToolUse,
            7,
        ),
    ] {
        let mut relay = ChunkRelay::new(RelayMode::Native);
        for event in &events {
            assert!(!relay.is_complete());
            relay.chunk(frame(event).as_bytes(), &mut Vec::new()).unwrap();
        }
        assert!(relay.is_complete() && relay.end().is_ok(), "{events:?}");
        assert_eq!((relay.usage(), relay.stop_reason(), relay.produced_bytes()), (Some(usage), Some(stop), produced), "{events:?}");
    }
}

/// An event by its members, in any order.
fn any_event() -> impl Strategy<Value = (Vec<(String, String)>, u64)> {
    let text = "[a-z \\n\"\\\\\u{e9}\u{1f600}]{0,20}";
    (text, select(vec!["text", "partial_json", "thinking"]), 0u32..3, any::<bool>()).prop_flat_map(|(text, member, index, spaced)| {
        let space = if spaced { " " } else { "" };
        let said = serde_json::to_string(&text).unwrap();
        let members = vec![
            ("type".to_owned(), "\"content_block_delta\"".to_owned()),
            ("index".to_owned(), index.to_string()),
            ("delta".to_owned(), format!("{{\"{member}\":{space}{said},\"type\":\"x_delta\"}}")),
            ("novel".to_owned(), "[{\"type\":\"message_stop\",\"text\":\"no\"}]".to_owned()),
        ];
        (Just(members).prop_shuffle(), Just(text.len() as u64))
    })
}

proptest! {
    #[test]
    fn any_order_of_members_and_any_split_of_a_text_is_relayed_and_counted(events in prop::collection::vec(any_event(), 1..8), escape in any::<bool>()) {
        let mut relay = messages();
        let mut native = ChunkRelay::new(RelayMode::Native);
        let (mut out, mut expected, mut total) = (Vec::new(), String::new(), 0);
        for (members, length) in &events {
            let members: Vec<String> = members.iter().map(|(key, value)| {
                let key = if escape && key == "type" { "\\u0074ype" } else { key };
                format!("\"{key}\":{value}")
            }).collect();
            let json = format!("{{{}}}", members.join(","));
            relay.chunk(frame(&json).as_bytes(), &mut out).unwrap();
            native.chunk(frame(&json).as_bytes(), &mut Vec::new()).unwrap();
            expected.push_str(&format!("event: content_block_delta\ndata: {json}\n\n"));
            total += length;
        }
        prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
        prop_assert_eq!((relay.produced_bytes(), native.produced_bytes()), (total, total));
        prop_assert!(!relay.is_complete());
    }

    #[test]
    fn any_payload_is_relayed_or_refused(payload in prop::collection::vec(any::<u8>(), 0..80), event in "[\\[\\]{}\",:a-z0-9\\\\]{0,60}") {
        for mode in [RelayMode::Native, RelayMode::Messages { model: Some("m".to_owned()) }] {
            let mut relay = ChunkRelay::new(mode);
            let _outcome = relay.chunk(&payload, &mut Vec::new());
            let _outcome = relay.chunk(frame(&event).as_bytes(), &mut Vec::new());
            let _end = relay.end();
        }
    }
}

/// Texts as models write them, with what JSON must escape.
fn texts() -> impl Strategy<Value = String> {
    select(vec!["", "Hello", " \n", "\"quoted\"", "\\", "\u{1}", "\u{e9}\u{4e2d}\u{1f600}", "{\"a\":[1,2"]).prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn a_piece_is_relayed_as_every_other_event_is(
        text in texts(),
        (kind, member) in select(vec![
            ("text_delta", "text"),
            ("input_json_delta", "partial_json"),
            ("thinking_delta", "thinking"),
            ("signature_delta", "signature"),
        ]),
        index in 0u32..300,
    ) {
        let quoted = serde_json::to_string(&text).unwrap();
        let piece = format!(r#"{{"type":"content_block_delta","index":{index},"delta":{{"type":"{kind}","{member}":{quoted}}}}}"#);
        // White space is read the long way, and is the only difference.
        let spaced = piece.replacen(":{\"type\"", ": {\"type\"", 1);
        for mode in [RelayMode::Messages { model: None }, RelayMode::Native] {
            let (mut short, mut long) = (ChunkRelay::new(mode.clone()), ChunkRelay::new(mode.clone()));
            let shown = relayed(&mut short, &[&piece]);
            let shown_long = relayed(&mut long, &[&spaced]);
            prop_assert_eq!(short.produced_bytes(), long.produced_bytes());
            prop_assert_eq!(short.produced_bytes(), if kind == "signature_delta" { 0 } else { u64::try_from(text.len()).unwrap() });
            if mode != RelayMode::Native {
                prop_assert_eq!(&shown, &format!("event: content_block_delta\ndata: {piece}\n\n"));
                prop_assert_eq!(&shown_long, &format!("event: content_block_delta\ndata: {spaced}\n\n"));
            }
        }
    }
}

#[test]
fn what_only_begins_like_a_piece_is_read_as_every_other_event() {
    for tail in [
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"},"amazon-bedrock-invocationMetrics":{"inputTokenCount":3}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"},"usage":{"output_tokens":3}}"#,
    ] {
        let mut relay = messages();
        let shown = relayed(&mut relay, &[tail]);
        assert_eq!(relay.usage().map(|usage| usage.input + usage.output), Some(3), "{shown}");
        assert!(!shown.contains("invocationMetrics"), "{shown}");
    }
    for broken in [
        r#"{"type":"content_block_delta","index":00,"delta":{"type":"text_delta","text":"a"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a}}"#,
    ] {
        let mut out = b"before".to_vec();
        assert!(messages().chunk(frame(broken).as_bytes(), &mut out).is_err(), "{broken}");
        assert_eq!(out, b"before", "nothing of it is shown");
    }
}
