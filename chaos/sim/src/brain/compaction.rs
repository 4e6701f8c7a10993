//! Compaction by the service itself: a Claude that is asked to sums up a conversation that has grown too long, and goes on from there.

use serde_json::{Value, json};

use super::Block;
use super::scene::Scene;
use super::words::keywords;
use crate::validate::shape::Request;

/// The edit that asks for it.
const EDIT: &str = "compact_20260112";
/// Input tokens from which it happens, unless told otherwise. Source: the published description of that edit.
const TRIGGER: u64 = 150_000;

/// A summary that begins the answer.
pub(super) struct Compaction {
    /// Its block.
    pub(super) block: Block,
    /// Nothing else is answered: the client wants to look at it first.
    pub(super) pause: bool,
}

/// The summary of a conversation of so many tokens, where it is asked for and due.
pub(super) fn of(request: &Request<'_>, scene: &Scene<'_>, tokens: u64) -> Option<Compaction> {
    let edits = request.additional?.get("context_management")?.get("edits")?.as_array()?;
    let edit = edits.iter().find(|edit| edit.get("type").and_then(Value::as_str) == Some(EDIT))?;
    if tokens < edit.pointer("/trigger/value").and_then(Value::as_u64).unwrap_or(TRIGGER) {
        return None;
    }
    let topics = keywords(&scene.earlier.join(" "), 5).join(", ");
    let summary = format!("<summary>{} turns were about {topics}.</summary>", request.messages.len());
    let pause = edit.get("pause_after_compaction").and_then(Value::as_bool).unwrap_or(false);
    Some(Compaction { block: Block::Native(json!({"type": "compaction", "content": summary})), pause })
}
