//! Turns: their roles, their merging, which may say nothing, tool uses and their results, the last turn.

use std::collections::HashSet;

use serde_json::Value;

use super::super::super::Case;
use super::super::super::conversation::NO_PREFILL;
use super::super::super::kit::Path;
use super::super::super::shape::{Block, Message, Place, Placed, Role};
use super::content::{self, Reader};
use super::fields::{Fields, complaint};
use super::{Gate, Refusal};

/// Reads `messages` and merges consecutive turns of one role.
pub(super) fn read<'a>(reader: &Reader<'_>, messages: &'a Value) -> Result<Vec<Message<'a>>, Refusal> {
    let path = Path::Root.key("messages");
    let list = match messages {
        Value::Null => return Err(complaint(path, "Field required")),
        Value::Array(list) => list,
        _ => return Err(complaint(path, "Input should be a valid list")),
    };
    let Some(last) = list.len().checked_sub(1) else { return Err(complaint(path, "at least one message is required")) };
    let mut turns: Vec<Message<'a>> = Vec::with_capacity(list.len());
    for (index, raw) in list.iter().enumerate() {
        let turn = turn(reader, raw, index)?;
        if turn.content.is_empty() && !(index == last && turn.role == Role::Assistant) {
            return Err(Refusal::validation(format!(
                "messages.{index}: all messages must have non-empty content except for the optional final assistant message"
            )));
        }
        follows(reader.gate, turns.last(), &turn, index)?;
        match turns.last_mut().filter(|before| before.role == turn.role) {
            Some(before) => before.content.extend(turn.content),
            None => turns.push(turn),
        }
    }
    Ok(turns)
}

fn turn<'a>(reader: &Reader<'_>, raw: &'a Value, index: usize) -> Result<Message<'a>, Refusal> {
    let root = Path::Root.key("messages");
    let path = root.item(index);
    let fields = Fields::open(raw, path)?.only(&["role", "content"])?;
    let role = match fields.need_text("role")? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" if reader.gate.system_turns => Role::System,
        "system" => return Err(Refusal::validation(format!("messages.{index}: role 'system' is not supported on this model"))),
        _ => return Err(complaint(path.key("role"), "Input should be 'user' or 'assistant'")),
    };
    let path = path.key("content");
    let mut content = Vec::new();
    match fields.need("content")? {
        Value::String(text) if text.is_empty() => {}
        whole @ Value::String(text) => {
            content::spoken(text, "messages")?;
            content.push(Placed { raw: whole, at: Place { message: index, block: 0 }, block: Block::Text(text) });
        }
        Value::Array(blocks) => {
            for (place, raw) in blocks.iter().enumerate() {
                let at = Place { message: index, block: place };
                let (block, point) = content::block(reader, raw, path.item(place), role)?;
                content.push(Placed { raw, at, block });
                content.extend(point.map(|point| Placed { raw, at, block: Block::CachePoint(point) }));
            }
        }
        _ => return Err(complaint(path, "Input should be a valid list")),
    }
    Ok(Message { role, content })
}

/// Whether a turn may come after the one before it.
fn follows(gate: &Gate, before: Option<&Message<'_>>, turn: &Message<'_>, index: usize) -> Result<(), Refusal> {
    match (before.map(|before| before.role), turn.role) {
        (None, Role::User) => Ok(()),
        (None, _) => Err(Refusal::validation("messages: first message must use the \"user\" role")),
        (Some(Role::User), Role::User) if gate.strict_turns => Err(in_a_row("user")),
        (Some(Role::Assistant), Role::Assistant) if gate.strict_turns => Err(in_a_row("assistant")),
        (Some(Role::Assistant), Role::System) => {
            Err(Refusal::validation(format!("messages.{index}: a `system` message must directly follow a `user` message")))
        }
        _ => Ok(()),
    }
}

fn in_a_row(role: &str) -> Refusal {
    Refusal::validation(format!(
        "messages: roles must alternate between \"user\" and \"assistant\", but found multiple \"{role}\" roles in a row"
    ))
}

/// Forgets everything before the last summary: it stands for that.
pub(super) fn forget(turns: &mut Vec<Message<'_>>) {
    let is_summary = |placed: &Placed<'_>| placed.raw.get("type").and_then(Value::as_str) == Some("compaction");
    let Some(turn) = turns.iter().rposition(|turn| turn.content.iter().any(is_summary)) else { return };
    turns.drain(..turn);
    if let Some(first) = turns.first_mut()
        && let Some(summary) = first.content.iter().rposition(is_summary)
    {
        first.content.drain(..summary);
    }
}

/// Judges the merged turns.
pub(super) fn judge(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let turns = &case.request.messages;
    let mut seen = HashSet::new();
    for (index, turn) in turns.iter().enumerate() {
        let used = uses(turn);
        if used.iter().any(|id| !seen.insert(*id)) {
            return Err(Refusal::validation("messages: `tool_use` ids must be unique"));
        }
        let next = turns.get(index + 1).filter(|next| next.role == Role::User);
        answered(turn, &used, next)?;
        let before = index.checked_sub(1).and_then(|before| turns.get(before)).filter(|before| before.role == Role::Assistant);
        expected(turn, &before.map(uses).unwrap_or_default())?;
    }
    last(case)
}

/// Ids of the tools a turn asks the client to run.
fn uses<'a>(turn: &Message<'a>) -> Vec<&'a str> {
    let used = turn.content.iter().filter_map(|placed| match placed.block {
        Block::ToolUse { id, server: false, .. } => Some(id),
        _ => None,
    });
    used.collect()
}

/// Every tool use has its result at the beginning of the next turn.
fn answered(turn: &Message<'_>, used: &[&str], next: Option<&Message<'_>>) -> Result<(), Refusal> {
    let first = next.into_iter().flat_map(|next| &next.content).map_while(|placed| match placed.block {
        Block::ToolResult { id, .. } => Some(Some(id)),
        Block::CachePoint(_) => Some(None),
        _ => None,
    });
    let results: HashSet<&str> = first.flatten().collect();
    let missing: Vec<&str> = used.iter().copied().filter(|id| !results.contains(id)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let at = turn.content.first().map_or(0, |placed| placed.at.message);
    Err(Refusal::validation(format!(
        "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
        missing.join(", ")
    )))
}

/// Every result of a user turn answers a tool use of the turn before, once.
fn expected(turn: &Message<'_>, used: &[&str]) -> Result<(), Refusal> {
    if turn.role != Role::User {
        return Ok(());
    }
    let mut seen = HashSet::new();
    for placed in &turn.content {
        let Block::ToolResult { id, .. } = placed.block else { continue };
        if !used.contains(&id) {
            return Err(Refusal::validation(format!(
                "{}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
                placed.at
            )));
        }
        if !seen.insert(id) {
            return Err(Refusal::validation(format!(
                "{}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {id}",
                placed.at
            )));
        }
    }
    Ok(())
}

fn last(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let Some(turn) = case.request.messages.iter().rev().find(|turn| turn.role != Role::System) else { return Ok(()) };
    if turn.role != Role::Assistant {
        return Ok(());
    }
    if !case.traits.prefill {
        return Err(Refusal::validation(NO_PREFILL));
    }
    match turn.content.iter().rev().find(|placed| !matches!(placed.block, Block::CachePoint(_))).map(|placed| &placed.block) {
        Some(Block::Text(text)) if text.ends_with(char::is_whitespace) => {
            Err(Refusal::validation("messages: final assistant content cannot end with trailing whitespace"))
        }
        _ => Ok(()),
    }
}
