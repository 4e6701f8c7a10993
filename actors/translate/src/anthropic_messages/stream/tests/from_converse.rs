//! From the frames of ConverseStream to the client's events, through the hub.

use outcrop_domain::chat::ChatResponse;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    client::{Received, receive},
    meta, pieces, snapshot,
};
use crate::{
    anthropic_messages::{response, stream::MessageWriter},
    converse::{self, ReplyContext, stream::StreamReader},
};

type Frame = (&'static str, Value);

/// Plays frames to a client: in batches as the job hands them on, of `batch` frames each.
fn play(frames: &[Frame], batch: usize) -> String {
    let mut reader = StreamReader::new(ReplyContext::default());
    let mut writer = MessageWriter::new(meta(), Some(9));
    let mut stream = Vec::new();
    for batch in frames.chunks(batch.max(1)) {
        let mut events = Vec::new();
        for (name, payload) in batch {
            reader.read(name, payload.to_string().as_bytes(), &mut events).unwrap();
        }
        for event in &events {
            writer.write(event, &mut stream);
        }
    }
    let mut events = Vec::new();
    let end = reader.end(&mut events);
    for event in &events {
        writer.write(event, &mut stream);
    }
    match end {
        Ok(_) => writer.finish(&mut stream),
        Err(failure) => writer.fail(&outcrop_domain::error::GatewayError::Upstream(failure), &mut stream),
    }
    String::from_utf8(stream).unwrap()
}

fn received(frames: &[Frame]) -> Received {
    let stream = play(frames, 1);
    receive(&stream).unwrap_or_else(|rule| panic!("{rule}\n{stream}"))
}

fn delta(index: u32, delta: Value) -> Frame {
    ("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta, "p": "abcd"}))
}

fn stop(index: u32) -> Frame {
    ("contentBlockStop", json!({"contentBlockIndex": index}))
}

fn call(index: u32, id: &str, name: &str) -> Frame {
    ("contentBlockStart", json!({"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": id, "name": name}}}))
}

/// The content with a proper beginning and end.
fn whole(content: Vec<Frame>, reason: &str) -> Vec<Frame> {
    let usage = json!({"usage": {
        "inputTokens": 100, "outputTokens": 20, "totalTokens": 420, "cacheReadInputTokens": 200, "cacheWriteInputTokens": 100,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 60}, {"ttl": "5m", "inputTokens": 40}],
    }, "metrics": {"latencyMs": 5}, "serviceTier": {"type": "default"}});
    let end = vec![("messageStop", json!({"stopReason": reason})), ("metadata", usage)];
    [vec![("messageStart", json!({"role": "assistant"}))], content, end].concat()
}

/// A block of an answer: its content, cut anyhow.
#[derive(Debug, Clone)]
enum Block {
    Text(String),
    Thinking(String, String),
    Redacted(String),
    Call(String),
}

fn any_block() -> impl Strategy<Value = Block> {
    prop_oneof![
        3 => "[a-z \\n\u{e9}\u{2028}]{1,12}".prop_map(Block::Text),
        1 => ("[a-z]{0,8}", "[a-zA-Z0-9+/]{4}").prop_map(|(text, signature)| Block::Thinking(text, signature)),
        1 => "[a-zA-Z0-9+/]{4}".prop_map(Block::Redacted),
        3 => any::<Option<i32>>().prop_map(|value| Block::Call(value.map_or_else(String::new, |value| json!({ "value": value }).to_string()))),
    ]
}

fn frames_of(blocks: &[Block], cuts: &[usize]) -> Vec<Frame> {
    let mut frames = Vec::new();
    for (block, index) in blocks.iter().zip(0..) {
        match block {
            Block::Text(text) => frames.extend(pieces(text, cuts).into_iter().map(|piece| delta(index, json!({"text": piece})))),
            Block::Thinking(text, signature) => {
                let pieces = pieces(text, cuts).into_iter().map(|piece| delta(index, json!({"reasoningContent": {"text": piece}})));
                frames.extend(pieces.chain([delta(index, json!({"reasoningContent": {"signature": signature}}))]));
            }
            Block::Redacted(data) => frames.push(delta(index, json!({"reasoningContent": {"redactedContent": data}}))),
            Block::Call(input) => {
                frames.push(call(index, &format!("id{index}"), "f"));
                frames.extend(pieces(input, cuts).into_iter().map(|piece| delta(index, json!({"toolUse": {"input": piece}}))));
            }
        }
        frames.push(stop(index));
    }
    frames
}

/// The same answer as Converse gives it whole.
fn whole_answer(blocks: &[Block], reason: &str) -> ChatResponse {
    let content: Vec<Value> = blocks
        .iter()
        .enumerate()
        .map(|(index, block)| match block {
            Block::Text(text) => json!({"text": text}),
            Block::Thinking(text, signature) => json!({"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}),
            Block::Redacted(data) => json!({"reasoningContent": {"redactedContent": data}}),
            Block::Call(input) => {
                let input: Value = serde_json::from_str(input).unwrap_or_else(|_| json!({}));
                json!({"toolUse": {"toolUseId": format!("id{index}"), "name": "f", "input": input}})
            }
        })
        .collect();
    let (_, metadata) = whole(Vec::new(), reason).pop().unwrap();
    let mut body = json!({"output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason});
    body.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
    converse::response::read(body.to_string().as_bytes(), &ReplyContext::default()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn any_split_of_the_frames_gives_the_answer_that_comes_whole(
        blocks in prop::collection::vec(any_block(), 0..5),
        cuts in prop::collection::vec(any::<usize>(), 0..5),
        batch in 1..9_usize,
        reason in prop::sample::select(vec!["end_turn", "tool_use", "max_tokens", "guardrail_intervened"]),
    ) {
        let frames = whole(frames_of(&blocks, &cuts), reason);
        let stream = play(&frames, batch);
        prop_assert_eq!(&stream, &play(&frames, 1), "how many frames come at once does not show");
        let received = receive(&stream);
        prop_assert!(received.is_ok(), "{:?}\n{stream}", received);
        let received = received.unwrap();

        let (answer, meta) = (whole_answer(&blocks, reason), meta());
        let message = serde_json::to_value(response::render(&answer, &meta)).unwrap();
        prop_assert_eq!(&json!(received.content), &message["content"]);
        prop_assert_eq!(&json!(received.stop_reason), &message["stop_reason"]);
        prop_assert_eq!(&json!(received.usage), &message["usage"]);
        prop_assert_eq!(json!(received.stop_details), message.get("stop_details").cloned().unwrap_or_default());
    }

    #[test]
    fn pain_21_a_stream_cut_anywhere_ends_with_an_error_unless_it_was_complete(
        blocks in prop::collection::vec(any_block(), 0..4),
        cuts in prop::collection::vec(any::<usize>(), 0..3),
        cut in any::<prop::sample::Index>(),
    ) {
        let frames = whole(frames_of(&blocks, &cuts), "end_turn");
        let kept = cut.index(frames.len() + 1);
        let stream = play(&frames[..kept], 1);
        let received = receive(&stream);
        prop_assert!(received.as_ref().is_ok_and(|received| received.ended), "{:?}\n{stream}", received);
        // Without the metadata alone the answer is all there, only its tokens are not told.
        prop_assert_eq!(received.unwrap().error.is_none(), kept + 1 >= frames.len());
    }
}

#[test]
fn a_turn_of_an_agent_streams_as_the_official_clients_expect_it() {
    let content = vec![
        delta(0, json!({"reasoningContent": {"text": "The user wants "}})),
        delta(0, json!({"reasoningContent": {"text": "two files."}})),
        delta(0, json!({"reasoningContent": {"signature": "EqQBCkYIBxgC"}})),
        stop(0),
        delta(1, json!({"text": "I'll read "})),
        delta(1, json!({"text": "both."})),
        stop(1),
        call(2, "toolu_1", "Read"),
        delta(2, json!({"toolUse": {"input": "{\"file_path\":"}})),
        delta(2, json!({"toolUse": {"input": "\"a.txt\"}"}})),
        stop(2),
        call(3, "toolu_2", "ListFiles"),
        stop(3),
    ];
    let stream = play(&whole(content, "tool_use"), 1);
    snapshot("stream_agent_turn", &stream);
    let received = receive(&stream).unwrap();
    assert_eq!(received.content.len(), 4);
    assert_eq!(received.content[3]["input"], json!({}));
}

#[test]
fn pain_15_cache_reads_and_both_kinds_of_writes_are_told_apart() {
    let usage = json!(received(&whole(vec![delta(0, json!({"text": "x"})), stop(0)], "end_turn")).usage);
    assert_eq!(
        usage,
        json!({
            "input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 200, "cache_creation_input_tokens": 100,
            "cache_creation": {"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 60}, "service_tier": "standard",
        })
    );
}

#[test]
fn pain_02_a_converse_stream_with_only_a_signature_is_one_thinking_block() {
    let signed = delta(0, json!({"reasoningContent": {"signature": "c2lnbmF0dXJl"}}));
    let content = received(&whole(vec![signed, stop(0), delta(1, json!({"text": "x"})), stop(1)], "end_turn")).content;
    assert_eq!(content[0], json!({"type": "thinking", "thinking": "", "signature": "c2lnbmF0dXJl"}));
}

#[test]
fn sources_of_every_place_stream_in_anthropics_kinds() {
    let source = |location: Value| {
        delta(0, json!({"citation": {"title": "T", "source": "s", "sourceContent": [{"text": "quoted"}], "location": location}}))
    };
    let content = received(&whole(
        vec![
            delta(0, json!({"text": "x"})),
            source(json!({"documentChar": {"documentIndex": 0, "start": 1, "end": 2}})),
            source(json!({"documentPage": {"documentIndex": 0, "start": 1, "end": 2}})),
            source(json!({"documentChunk": {"documentIndex": 0, "start": 1, "end": 2}})),
            source(json!({"searchResultLocation": {"searchResultIndex": 0, "start": 1, "end": 2}})),
            source(json!({"web": {"url": "https://a.example", "domain": "a.example"}})),
            stop(0),
        ],
        "end_turn",
    ))
    .content;
    let kinds: Vec<&str> = content[0]["citations"].as_array().unwrap().iter().map(|source| source["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["char_location", "page_location", "content_block_location", "search_result_location", "web_search_result_location"]);
}
