//! One answer in every dialect.

use outcrop_sim::encode_frame;

use super::*;

fn events(dialect: Dialect, data: &[&str]) -> Seen {
    let mut all = Seen::default();
    for data in data {
        let seen = event(dialect, data.as_bytes()).unwrap_or_else(|| panic!("not {dialect:?}: {data}"));
        gather(&mut all, seen);
    }
    all
}

fn gather(all: &mut Seen, seen: Seen) {
    all.parts.extend(seen.parts);
    (all.finish, all.done) = (all.finish | seen.finish, all.done | seen.done);
    all.usage = seen.usage.or(all.usage);
    all.error = seen.error.or(all.error.take());
}

fn said() -> Vec<Part> {
    vec![
        Part::Text("5.0 ".into()),
        Part::Text("5.1".into()),
        Part::Call,
        Part::Arguments("{\"note\":".into()),
        Part::Arguments("\"5.2\"}".into()),
    ]
}

#[test]
fn messages_are_read() {
    let seen = events(
        Dialect::Messages,
        &[
            r#"{"type":"message_start","message":{"usage":{"input_tokens":7,"cache_read_input_tokens":3,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"5.0 "}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"5.1"}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"n","input":{}}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"note\":"}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\"5.2\"}"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"input_tokens":7,"cache_read_input_tokens":3,"output_tokens":9}}"#,
            r#"{"type":"message_stop"}"#,
        ],
    );
    assert_eq!((seen.parts, seen.finish, seen.done), (said(), true, true));
    assert_eq!(seen.usage, Some(Tokens { input: 7, output: 9, cache_read: 3, cache_write: 0 }));
    let error = events(Dialect::Messages, &[r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#]).error.unwrap();
    assert!(error.well_formed);
    assert_eq!(event(Dialect::Messages, br#"{"choices":[]}"#), None);
    let whole =
        br#"{"content":[{"type":"text","text":"5.0"},{"type":"tool_use","input":{"note":"5.1"}}],"stop_reason":"tool_use","usage":{}}"#;
    let whole = super::whole(Dialect::Messages, whole).unwrap();
    assert_eq!((whole.parts.len(), whole.finish), (3, true));
}

#[test]
fn responses_are_read() {
    let seen = events(
        Dialect::Responses,
        &[
            r#"{"type":"response.created","sequence_number":0,"response":{"id":"r"}}"#,
            r#"{"type":"response.output_item.added","sequence_number":1,"item":{"type":"message"}}"#,
            r#"{"type":"response.output_text.delta","sequence_number":2,"delta":"5.0 "}"#,
            r#"{"type":"response.output_text.delta","sequence_number":3,"delta":"5.1"}"#,
            r#"{"type":"response.output_text.done","sequence_number":4,"text":"5.0 5.1"}"#,
            r#"{"type":"response.output_item.added","sequence_number":5,"item":{"type":"function_call"}}"#,
            r#"{"type":"response.function_call_arguments.delta","sequence_number":6,"delta":"{\"note\":"}"#,
            r#"{"type":"response.function_call_arguments.delta","sequence_number":7,"delta":"\"5.2\"}"}"#,
            r#"{"type":"response.completed","sequence_number":8,"response":{"usage":{"input_tokens":10,"output_tokens":9,"input_tokens_details":{"cached_tokens":3}}}}"#,
        ],
    );
    assert_eq!((seen.parts, seen.finish, seen.done), (said(), true, true));
    assert_eq!(seen.usage, Some(Tokens { input: 7, output: 9, cache_read: 3, cache_write: 0 }));
    assert_eq!(event(Dialect::Responses, br#"{"type":"response.created"}"#), None, "a number is missing");
    let failed = events(
        Dialect::Responses,
        &[r#"{"type":"response.failed","sequence_number":3,"response":{"error":{"code":"server_error","message":"m"}}}"#],
    );
    assert!(failed.error.unwrap().well_formed);
}

#[test]
fn frames_are_read_however_they_fall_into_reads_and_damage_is_seen() {
    let frame_of = |kind: &str, payload: &str| encode_frame(&[(":event-type", kind), (":message-type", "event")], payload.as_bytes());
    let stream = [
        frame_of("messageStart", r#"{"role":"assistant"}"#),
        frame_of("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"5.0 "}}"#),
        frame_of("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"5.1"}}"#),
        frame_of("contentBlockStart", r#"{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"t","name":"n"}}}"#),
        frame_of("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"note\":"}}}"#),
        frame_of("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"toolUse":{"input":"\"5.2\"}"}}}"#),
        frame_of("messageStop", r#"{"stopReason":"tool_use"}"#),
        frame_of("metadata", r#"{"usage":{"inputTokens":7,"outputTokens":9,"cacheReadInputTokens":3}}"#),
    ]
    .concat();
    for size in [1, 7, 100, stream.len()] {
        let (mut frames, mut seen) = (Frames::default(), Seen::default());
        for piece in stream.chunks(size) {
            frames.feed(piece);
            while let Some(read) = frames.next() {
                gather(&mut seen, frame(&read.unwrap()).unwrap());
            }
        }
        assert_eq!((seen.parts, seen.finish, seen.done), (said(), true, true));
        assert_eq!(seen.usage, Some(Tokens { input: 7, output: 9, cache_read: 3, cache_write: 0 }));
    }
    for at in [3, 9, 20, 80] {
        let mut damaged = frame_of("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"5.0 "},"p":"abcdefgh"}"#);
        damaged[at] ^= 1;
        let mut frames = Frames::default();
        frames.feed(&damaged);
        frames.feed(&[0; 300]);
        assert!(frames.next().unwrap().is_err(), "{at}");
        assert!(frames.next().is_none());
    }
}

#[test]
fn errors_are_read_by_their_dialect() {
    let exception = encode_frame(&[(":exception-type", "throttlingException"), (":message-type", "exception")], br#"{"message":"slow"}"#);
    let mut frames = Frames::default();
    frames.feed(&exception);
    let error = frame(&frames.next().unwrap().unwrap()).unwrap().error.unwrap();
    assert_eq!((error.well_formed, error.kind.as_str()), (true, "throttlingException"));
    assert!(super::error(Dialect::Converse, br#"{"message":"no"}"#, Some("ValidationException")).unwrap().well_formed);
    assert!(!super::error(Dialect::Converse, br#"{"message":"no"}"#, None).unwrap().well_formed);
    assert!(super::error(Dialect::Messages, br#"{"type":"error","error":{"type":"x","message":"m"}}"#, None).unwrap().well_formed);
    assert_eq!(super::error(Dialect::Messages, b"Bad Gateway", None), None);
}
