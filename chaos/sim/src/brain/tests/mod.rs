//! The mock model, seen through its public functions.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::models::ModelBook;
use crate::validate;

mod accounting;
mod orders;
mod properties;
mod reasoning;
mod talking;
mod tooling;

pub(super) const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
pub(super) const OPUS: &str = "anthropic.claude-opus-4-8";
pub(super) const NOVA: &str = "amazon.nova-lite-v1:0";
pub(super) const NOVA_2: &str = "amazon.nova-2-lite-v1:0";
pub(super) const GPT: &str = "openai.gpt-6-sol";
pub(super) const GPT_OSS: &str = "openai.gpt-oss-120b-1:0";

/// Parsed once: the file is long.
static BOOK: LazyLock<ModelBook> = LazyLock::new(ModelBook::builtin);

pub(super) fn model(id: &str) -> SimModel {
    BOOK.all().iter().find(|model| model.id == id).unwrap_or_else(|| panic!("no model {id}")).clone()
}

/// Validates and answers, as the server does.
pub(super) fn ask_with(memory: &mut Memory, id: &str, body: &Value, now: u64) -> Turn {
    let model = model(id);
    if let Err(refusal) = validate::converse(&model, body, false) {
        panic!("{id} refused {body}: {refusal}");
    }
    answer(&model, body, memory, Duration::from_secs(now)).unwrap()
}

pub(super) fn ask(id: &str, body: &Value) -> Turn {
    ask_with(&mut Memory::new(7), id, body, 0)
}

pub(super) fn user(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": [{"text": text}]}]})
}

/// `user(text)` with further members.
pub(super) fn with(text: &str, members: Value) -> Value {
    let mut body = user(text);
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body
}

pub(super) fn said(turn: &Turn) -> String {
    let texts = turn.blocks.iter().filter_map(|block| match block {
        Block::Text(text) | Block::Cited { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

pub(super) fn calls(turn: &Turn) -> Vec<(&str, &Value)> {
    let uses = turn.blocks.iter().filter_map(|block| match block {
        Block::ToolUse { name, input, .. } => Some((name.as_str(), input)),
        _ => None,
    });
    uses.collect()
}

/// A turn's blocks as the next request must replay them.
pub(super) fn replay(turn: &Turn) -> Value {
    let blocks = turn.blocks.iter().map(|block| match block {
        Block::Native(value) => panic!("Converse has no member for {value}"),
        Block::Text(text) => json!({"text": text}),
        Block::ToolUse { id, name, input } => json!({"toolUse": {"toolUseId": id, "name": name, "input": input}}),
        Block::SystemToolUse { id, name, input } => {
            json!({"toolUse": {"toolUseId": id, "name": name, "input": input, "type": "server_tool_use"}})
        }
        Block::SystemToolResult { id, kind, text, failed } => json!({"toolResult": {"toolUseId": id, "content": [{"text": text}],
            "status": if *failed { "error" } else { "success" }, "type": kind}}),
        Block::Reasoning { text, signature } if signature.is_empty() => json!({"reasoningContent": {"reasoningText": {"text": text}}}),
        Block::Reasoning { text, signature } => json!({"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}),
        Block::Redacted(data) => json!({"reasoningContent": {"redactedContent": data}}),
        Block::Cited { text, citations } => json!({"citationsContent": {"content": [{"text": text}], "citations": citations}}),
    });
    json!({"role": "assistant", "content": blocks.collect::<Vec<_>>()})
}

pub(super) fn tool(name: &str, description: &str, schema: Value) -> Value {
    json!({"toolSpec": {"name": name, "description": description, "inputSchema": {"json": schema}}})
}

pub(super) fn weather() -> Value {
    tool(
        "get_weather",
        "Current weather of a city",
        json!({"type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}}, "required": ["city"]}),
    )
}
