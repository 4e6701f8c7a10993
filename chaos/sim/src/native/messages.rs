//! An Anthropic Message, whole or as the events of its stream.

mod events;
mod shapes;

use serde::Serialize;
use serde_json::Value;

pub(super) use events::chunks;
use shapes::{Citations, Usage, content};

use super::{Answer, Guarded, INTERVENED};
use crate::{
    brain::Block,
    converse::json,
    validate::{Refusal, native_name},
};

#[derive(Serialize)]
struct Message<'a> {
    model: &'a str,
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    content: Vec<shapes::Block<'a>>,
    stop_reason: Option<&'a str>,
    stop_sequence: Option<&'a str>,
    usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_management: Option<Edits>,
    #[serde(flatten)]
    guarded: Option<Guarded<'a>>,
}

/// Context edits that were applied: the mock model never has to.
#[derive(Serialize, Clone, Copy)]
struct Edits {
    applied_edits: [(); 0],
}

impl<'a> Message<'a> {
    /// A message that has said nothing yet.
    fn begun(answer: &'a Answer<'_>, usage: Usage) -> Self {
        Self {
            model: native_name(answer.model),
            id: format!("msg_bdrk_{}", answer.id),
            kind: "message",
            role: "assistant",
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage,
            context_management: None,
            guarded: None,
        }
    }
}

/// The body of an unstreamed answer.
pub(super) fn whole(answer: &Answer<'_>) -> Result<Vec<u8>, Refusal> {
    let citations: Vec<Citations<'_>> = answer.turn.blocks.iter().map(Citations::of).collect();
    let message = Message {
        content: answer.turn.blocks.iter().zip(&citations).map(|(block, citations)| content(block, citations)).collect(),
        stop_reason: Some(stop_reason(answer.turn.stop_reason)),
        stop_sequence: answer.turn.stop_sequence.as_deref(),
        context_management: edits(answer),
        guarded: Some(answer.guarded()),
        ..Message::begun(answer, Usage::of(answer.turn))
    };
    json(&message)
}

fn edits(answer: &Answer<'_>) -> Option<Edits> {
    answer.asks.context_edits.then_some(Edits { applied_edits: [] })
}

/// Converse's word in Anthropic's. A guardrail ends a turn as if it had ended by itself; only the action tells.
fn stop_reason(reason: &str) -> &str {
    match reason {
        INTERVENED => "end_turn",
        "content_filtered" => "refusal",
        other => other,
    }
}

/// Searches among tools in a turn: they are counted in its usage.
fn searches(blocks: &[Block]) -> u64 {
    let is_search = |value: &Value| value.get("type").and_then(Value::as_str) == Some("server_tool_use");
    blocks.iter().filter(|block| matches!(block, Block::Native(value) if is_search(value))).count() as u64
}
