//! What translating a long agent history costs. For reading, in release:
//!
//! ```text
//! cargo test --release -p outcrop-translate --test messages_cost -- --ignored --nocapture
//! ```
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "the numbers are for reading")]

use std::{hint::black_box, time::Instant};

use outcrop_domain::{
    chat::{ChatEvent, StopReason},
    model::{BUILTIN, ModelBook},
    usage::Usage,
};
use outcrop_protocol::{anthropic::messages::MessagesRequest, body};
use outcrop_translate::{
    anthropic_messages::{
        RenderMeta,
        request::{FetchedMedia, ReadOptions, read},
        stream::MessageWriter,
    },
    converse::{self, EffortBudgets, Mode, WriteOptions},
};
use serde_json::{Value, json};

const TURNS: usize = 200;
const TOOLS: usize = 40;
const BODY_BYTES: usize = 2 * 1024 * 1024;
/// Most milliseconds for such a history, from body to body.
const MOST_MS: f64 = 15.0;

/// Milliseconds per call: the best of several rounds, the rest is noise.
fn measure<T>(name: &str, mut work: impl FnMut() -> T) -> f64 {
    let round = |_| {
        let began = Instant::now();
        black_box(work());
        began.elapsed().as_secs_f64() * 1e3
    };
    let best = (0..30).map(round).fold(f64::INFINITY, f64::min);
    println!("{name:44} {best:10.3} ms");
    best
}

/// Two megabytes of an agent's conversation: calls, long results, thinking, marks.
fn history() -> Vec<u8> {
    let filler = "    let value = compute(&input)?; // \"quoted\" and \\escaped\\\n";
    let result = filler.repeat(BODY_BYTES / (TURNS / 2) / (filler.len() + 4));
    let tools: Vec<Value> = (0..TOOLS)
        .map(|number| {
            let properties: Value = (0..6).map(|field| (format!("field_{field}"), json!({"type": "string", "description": "What it is."}))).collect();
            json!({"name": format!("Tool{number}"), "description": "Does something useful. ".repeat(20), "input_schema": {"type": "object", "properties": properties}})
        })
        .collect();
    let mut messages = vec![json!({"role": "user", "content": "Fix it."})];
    for turn in 0..TURNS / 2 {
        let id = format!("toolu_{turn}");
        messages.push(json!({"role": "assistant", "content": [
            {"type": "thinking", "thinking": "I should look at the next file.", "signature": "EqQBCkYIBxgCKkDsig".repeat(8)},
            {"type": "text", "text": "Looking."},
            {"type": "tool_use", "id": id, "name": format!("Tool{}", turn % TOOLS), "input": {"field_0": "src/lib.rs"}},
        ]}));
        messages.push(json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": result}]}));
    }
    let body = json!({
        "model": "m", "max_tokens": 32_000, "stream": true, "tools": tools, "messages": messages,
        "system": [{"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}}],
    });
    body.to_string().into_bytes()
}

#[test]
#[ignore = "a measurement, for release builds"]
fn a_history_of_two_megabytes_takes_less_than_fifteen_milliseconds() {
    let body = history();
    assert!(body.len() > BODY_BYTES, "{}", body.len());
    let book = ModelBook::load(BUILTIN).expect("the built-in book");
    let mut costs = Vec::new();
    for id in ["amazon.nova-2-lite-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0", "openai.gpt-oss-120b-1:0"] {
        let spec = book.get(id).expect("a model of the book");
        let chat = spec.chat.as_ref().expect("a chat model");
        let options = WriteOptions {
            model: "m".to_owned(),
            mode: Mode::Stream,
            max_output_tokens: spec.max_output_tokens,
            budgets: EffortBudgets::default(),
        };
        costs.push(measure(id, || {
            let wire: MessagesRequest = body::decode(&body).expect("a body");
            let read = read(wire, &FetchedMedia::default(), &ReadOptions::new(|_, _, _| None)).expect("a request");
            converse::request::write(&read.request, chat, &options).expect("a Converse body").bytes.len()
        }));
    }
    measure("of which decoding", || body::decode::<MessagesRequest>(&body).expect("a body"));
    deltas();
    assert!(costs.iter().all(|cost| *cost < MOST_MS), "{costs:?}");
}

fn deltas() {
    const DELTAS: usize = 1_000;
    let delta = ChatEvent::Text { index: 0, text: "a few words ".to_owned() };
    measure("a stream of a thousand deltas", || {
        let meta = RenderMeta { id: "msg_1".to_owned(), model_shown: "m".to_owned(), request_id: None };
        let mut writer = MessageWriter::new(meta, None);
        let mut out = Vec::with_capacity(4096);
        let mut written = 0;
        for _ in 0..DELTAS {
            out.clear();
            writer.write(&delta, &mut out);
            written += out.len();
        }
        writer.write(&ChatEvent::Stopped { reason: StopReason::EndTurn, stop_sequence: None }, &mut out);
        writer.write(&ChatEvent::Finished { usage: Usage::default(), service_tier: None, trace: None }, &mut out);
        written
    });
}
