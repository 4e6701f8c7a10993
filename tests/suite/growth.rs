//! The cost of a request grows as its size does, and not faster: else one client could hold a core for minutes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    chat::base64_of,
    support::{CLAUDE, EAST, TestGateway, png_data_url},
    tools::weather,
};

const EXPLAIN: &str = "/v1/explain/chat/completions";

/// A body of `count` things.
type Shape = fn(usize) -> Value;

fn user(content: Value) -> Value {
    json!({"role": "user", "content": content})
}

fn chat(messages: Vec<Value>) -> Value {
    json!({"model": CLAUDE, "messages": messages})
}

fn call(number: usize, name: &str) -> Value {
    json!({"id": format!("call_{number}"), "type": "function", "function": {"name": name, "arguments": "{}"}})
}

fn result(number: usize) -> Value {
    json!({"role": "tool", "tool_call_id": format!("call_{number}"), "content": "done"})
}

const SHAPES: [(&str, usize, Shape); 11] = [
    ("turns", 4000, |count| {
        chat((0..count).map(|number| json!({"role": if number % 2 == 0 { "user" } else { "assistant" }, "content": "hello"})).collect())
    }),
    ("turns of one role", 4000, |count| chat((0..count).map(|_| user(json!("hello"))).collect())),
    ("parts of one turn", 4000, |count| chat(vec![user(json!(vec![json!({"type": "text", "text": "hello"}); count]))])),
    ("parallel calls", 2000, |count| {
        let calls: Vec<Value> = (0..count).map(|number| call(number, "f")).collect();
        let turn = json!({"role": "assistant", "tool_calls": calls});
        chat([user(json!("go")), turn].into_iter().chain((0..count).rev().map(result)).collect())
    }),
    ("calls one by one", 1500, |count| {
        let round = |number| [json!({"role": "assistant", "tool_calls": [call(number, &format!("tool.{number}"))]}), result(number)];
        chat([user(json!("go"))].into_iter().chain((0..count).flat_map(round)).collect())
    }),
    ("legacy calls", 2000, |count| {
        let call = |number| json!({"role": "assistant", "function_call": {"name": format!("f{number}"), "arguments": "{}"}});
        let answer = |number| json!({"role": "function", "name": format!("f{number}"), "content": "done"});
        chat([user(json!("go"))].into_iter().chain((0..count).map(call)).chain((0..count).rev().map(answer)).collect())
    }),
    ("marked documents", 1000, |count| {
        let data = format!("data:text/plain;base64,{}", base64_of(b"text"));
        let file = json!({"type": "file", "file": {"filename": "a.txt", "file_data": data}, "cache_control": {"type": "ephemeral"}});
        chat(vec![user(json!(vec![file; count]))])
    }),
    ("orphan results", 2000, |count| chat([user(json!("go"))].into_iter().chain((0..count).map(result)).collect())),
    ("documents of one name", 600, |count| {
        let file = json!({"type": "file", "file": {"filename": "same.txt", "file_data": format!("data:text/plain;base64,{}", base64_of(b"text"))}});
        chat(
            (0..count)
                .flat_map(|_| [user(json!([{"type": "text", "text": "see"}, file])), json!({"role": "assistant", "content": "seen"})])
                .chain([user(json!("go"))])
                .collect(),
        )
    }),
    ("pictures", 600, |count| {
        let picture = json!({"type": "image_url", "image_url": {"url": png_data_url()}});
        chat(
            (0..count)
                .flat_map(|_| [user(json!([picture])), json!({"role": "assistant", "content": "seen"})])
                .chain([user(json!("go"))])
                .collect(),
        )
    }),
    ("tools with names that must change", 250, |count| {
        let mut body = chat(vec![user(json!("go"))]);
        body["tools"] = (0..count).map(|number| weather(&format!("server.{}.{number}", "x".repeat(60)))).collect();
        body
    }),
];

/// Four times the size: four is linear, sixteen is quadratic.
const MOST_GROWTH: f64 = 10.0;

/// What is over within this may be noise.
const NOISE: Duration = Duration::from_millis(20);

#[tokio::test]
async fn the_cost_of_a_request_grows_as_its_size_does() {
    let gateway = TestGateway::builder().regions([EAST]).start().await;
    for (name, count, shape) in SHAPES {
        // The machine may be busy at one look; what is quadratic is so at each.
        let mut looks = Vec::new();
        for _ in 0..4 {
            let (small, large) = (fastest(&gateway, &shape(count)).await, fastest(&gateway, &shape(4 * count)).await);
            looks.push((small, large));
            if large < NOISE || large.as_secs_f64() < MOST_GROWTH * small.as_secs_f64() {
                break;
            }
        }
        assert!(looks.len() < 4, "{name}: {looks:?}");
    }
    gateway.untouched().await;
    gateway.end().await;
}

/// The best of a few runs. Explaining does all that precedes the first call.
async fn fastest(gateway: &TestGateway, body: &Value) -> Duration {
    let body = body.to_string();
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let began = Instant::now();
        let answer = gateway.post_bytes(EXPLAIN, &[], body.clone()).await;
        best = best.min(began.elapsed());
        assert!(matches!(answer.status, 200 | 400), "{}", answer.status);
    }
    best
}
