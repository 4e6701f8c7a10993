//! Pains of other gateways' users, by their number in the project's notes: each must stay away, seen from the client's side.

mod bridges;
mod conversation;
mod service;

use serde_json::{Value, json};

use crate::support::CLAUDE;

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

/// An assistant turn that called `name` once for each id.
fn called(name: &str, arguments: &str, ids: &[&str]) -> Value {
    let calls: Vec<Value> =
        ids.iter().map(|id| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})).collect();
    json!({"role": "assistant", "content": null, "tool_calls": calls})
}

fn result(id: &str, content: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": content})
}

fn chat(messages: &[Value]) -> Value {
    json!({"model": CLAUDE, "messages": messages})
}

/// Content blocks of a turn of the only upstream body.
fn blocks(body: &Value, turn: usize) -> Vec<Value> {
    body["messages"][turn]["content"].as_array().unwrap_or_else(|| panic!("no turn {turn}: {body}")).clone()
}
