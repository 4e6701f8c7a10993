//! What translating a long agent history costs, in every dialect that is translated. For reading, in release:
//!
//! ```text
//! cargo test --release -p outcrop-translate --test history_cost -- --ignored --nocapture
//! ```
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "the numbers are for reading")]

use std::{hint::black_box, time::Instant};

use outcrop_domain::{
    chat::{ChatEvent, ChatRequest, StopReason},
    model::{BUILTIN, ModelBook},
    usage::Usage,
};
use outcrop_protocol::{
    anthropic::messages::MessagesRequest,
    body,
    openai::{chat::ChatCompletionRequest, responses::ResponsesRequest},
};
use outcrop_translate::{
    anthropic_messages::{self, RenderMeta, stream::MessageWriter},
    converse::{self, EffortBudgets, Mode, WriteOptions},
    dialect::{ReadOptions, media::FetchedMedia},
    openai_chat,
    openai_responses::{
        self,
        request::{Earlier, ResponsesOptions},
    },
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
    println!("{name:54} {best:10.3} ms");
    best
}

/// One turn of an agent: a remark, a call, and what the tool found.
struct Turn {
    id: String,
    tool: String,
    found: String,
}

fn turns() -> impl Iterator<Item = Turn> {
    let filler = "    let value = compute(&input)?; // \"quoted\" and \\escaped\\\n";
    let found = filler.repeat(BODY_BYTES / (TURNS / 2) / (filler.len() + 4));
    (0..TURNS / 2).map(move |turn| Turn { id: format!("call_{turn}"), tool: format!("Tool{}", turn % TOOLS), found: found.clone() })
}

fn tools(tool: impl Fn(String, String, Value) -> Value) -> Vec<Value> {
    let property = |field: usize| (format!("field_{field}"), json!({"type": "string", "description": "What it is."}));
    let schema = || json!({"type": "object", "properties": (0..6).map(property).collect::<Value>()});
    (0..TOOLS).map(|number| tool(format!("Tool{number}"), "Does something useful. ".repeat(20), schema())).collect()
}

const WISH: &str = "Fix it.";
const REMARK: &str = "Looking.";
const SYSTEM: &str = "You are an agent.";

/// Two megabytes of an agent's conversation, as Anthropic's clients send it: calls, long results, thinking, marks.
fn messages() -> Value {
    let mut messages = vec![json!({"role": "user", "content": WISH})];
    for Turn { id, tool, found } in turns() {
        messages.push(json!({"role": "assistant", "content": [
            {"type": "thinking", "thinking": "I should look at the next file.", "signature": "EqQBCkYIBxgCKkDsig".repeat(8)},
            {"type": "text", "text": REMARK},
            {"type": "tool_use", "id": id, "name": tool, "input": {"field_0": "src/lib.rs"}},
        ]}));
        messages.push(json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": found}]}));
    }
    json!({
        "model": "m", "max_tokens": 32_000, "stream": true, "messages": messages,
        "tools": tools(|name, description, schema| json!({"name": name, "description": description, "input_schema": schema})),
        "system": [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}],
    })
}

/// The same from a client of chat completions.
fn chat() -> Value {
    let mut messages = vec![json!({"role": "system", "content": SYSTEM}), json!({"role": "user", "content": WISH})];
    for Turn { id, tool, found } in turns() {
        let function = json!({"name": tool, "arguments": r#"{"field_0": "src/lib.rs"}"#});
        let call = json!({"id": id, "type": "function", "function": function});
        messages.push(json!({"role": "assistant", "content": REMARK, "tool_calls": [call]}));
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": found}));
    }
    let tool = |name, description, schema| json!({"type": "function", "function": {"name": name, "description": description, "parameters": schema}});
    json!({"model": "m", "max_completion_tokens": 32_000, "stream": true, "messages": messages, "tools": tools(tool)})
}

/// And from one of the Responses API.
fn responses() -> Value {
    let mut input = vec![json!({"role": "user", "content": WISH})];
    for Turn { id, tool, found } in turns() {
        input.push(json!({"role": "assistant", "content": REMARK}));
        input.push(json!({"type": "function_call", "call_id": id, "name": tool, "arguments": r#"{"field_0": "src/lib.rs"}"#}));
        input.push(json!({"type": "function_call_output", "call_id": id, "output": found}));
    }
    let tool = |name, description, schema| json!({"type": "function", "name": name, "description": description, "parameters": schema});
    let tools = tools(tool);
    json!({"model": "m", "max_output_tokens": 32_000, "stream": true, "store": false, "instructions": SYSTEM, "input": input, "tools": tools})
}

/// A dialect: its body, and how the gateway reads one.
type Dialect = (&'static str, fn() -> Value, fn(&[u8]) -> ChatRequest);

const DIALECTS: [Dialect; 3] = [
    ("chat", chat, |body| {
        let wire: ChatCompletionRequest = body::decode(body).expect("a body");
        openai_chat::request::read(wire, &FetchedMedia::default(), &options()).expect("a request").request
    }),
    ("Responses", responses, |body| {
        let wire: ResponsesRequest = body::decode(body).expect("a body");
        let options = ResponsesOptions::new(options());
        openai_responses::request::read(wire, &Earlier::default(), &FetchedMedia::default(), &options).expect("a request").request
    }),
    ("Messages", messages, |body| {
        let wire: MessagesRequest = body::decode(body).expect("a body");
        anthropic_messages::request::read(wire, &FetchedMedia::default(), &options()).expect("a request").request
    }),
];

fn options() -> ReadOptions {
    ReadOptions::new(|_, _, _| None)
}

#[test]
#[ignore = "a measurement, for release builds"]
fn a_history_of_two_megabytes_takes_less_than_fifteen_milliseconds_in_every_dialect() {
    let book = ModelBook::load(BUILTIN).expect("the built-in book");
    let mut costs = Vec::new();
    for (dialect, history, read) in DIALECTS {
        let body = history().to_string().into_bytes();
        assert!(body.len() > BODY_BYTES, "{dialect}: {}", body.len());
        for id in ["amazon.nova-2-lite-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0", "openai.gpt-oss-120b-1:0"] {
            let spec = book.get(id).expect("a model of the book");
            let chat = spec.chat.as_ref().expect("a chat model");
            let options = WriteOptions {
                model: "m".to_owned(),
                mode: Mode::Stream,
                max_output_tokens: spec.max_output_tokens,
                budgets: EffortBudgets::default(),
            };
            let name = format!("{dialect} to {id}");
            let cost = measure(&name, || {
                let request = read(&body);
                converse::request::write(&request, chat, &options).expect("a Converse body").bytes.len()
            });
            costs.push((name, cost));
        }
    }
    deltas();
    let too_dear: Vec<_> = costs.iter().filter(|(_, cost)| *cost >= MOST_MS).collect();
    assert!(too_dear.is_empty(), "more than {MOST_MS} ms: {too_dear:?}");
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
