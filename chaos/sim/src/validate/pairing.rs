//! Every tool use has exactly one result, in the next turn, before anything else.

use std::collections::HashSet;

use super::conversation::blank;
use super::shape::{Block, Message, ResultPart, Role};
use super::{Case, Refusal};
use crate::models::Dialect;

/// Checks toolUse and toolResult blocks against each other.
pub(super) fn check(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let messages = &case.request.messages;
    let used = messages
        .iter()
        .flat_map(|message| &message.content)
        .any(|placed| matches!(placed.block, Block::ToolUse { .. } | Block::ToolResult { .. }));
    if !used {
        return Ok(());
    }
    if case.request.tools.is_none() {
        return Err(Refusal::validation("The toolConfig field must be defined when using toolUse and toolResult content blocks."));
    }
    let mut previous: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        results(case, message, index, &previous)?;
        previous = uses(message);
        duplicates(&previous, "toolUse", index)?;
        unbroken(message, index)?;
    }
    if !previous.is_empty() {
        return Err(expected(messages.len(), &previous));
    }
    identifiers(case)
}

/// Ids of the tools a turn asks the client to run.
fn uses<'a>(message: &Message<'a>) -> Vec<&'a str> {
    let mut ids = Vec::new();
    for placed in &message.content {
        if let Block::ToolUse { id, server: false, .. } = &placed.block {
            ids.push(*id);
        }
    }
    ids
}

fn results(case: &Case<'_, '_>, message: &Message<'_>, index: usize, previous: &[&str]) -> Result<(), Refusal> {
    if message.role != Role::User {
        return if previous.is_empty() { Ok(()) } else { Err(expected(index, previous)) };
    }
    let mut answered = Vec::new();
    let mut others = 0_usize;
    for (place, placed) in message.content.iter().enumerate() {
        match &placed.block {
            Block::ToolResult { id, content, .. } => {
                if others > 0 && previous.contains(id) {
                    return Err(Refusal::model(format!(
                        "messages.{}: `tool_use` ids were found without `tool_result` blocks immediately after: {id}. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
                        index.saturating_sub(1)
                    )));
                }
                answered.push(*id);
                parts(content, &format!("messages.{index}.content.{place}.toolResult"))?;
            }
            Block::CachePoint(_) => {}
            _ => others += 1,
        }
    }
    duplicates(&answered, "toolResult", index)?;
    if answered.len() > previous.len() {
        return Err(Refusal::validation(format!(
            "The number of toolResult blocks at messages.{index}.content exceeds the number of toolUse blocks of previous turn."
        )));
    }
    let missing: Vec<&str> = previous.iter().copied().filter(|id| !answered.contains(id)).collect();
    if !missing.is_empty() {
        return Err(expected(index, &missing));
    }
    if !answered.is_empty() && others > 0 && !case.traits.mixed_tool_turns {
        return Err(Refusal::validation("Conversation blocks and tool result blocks cannot be provided in the same turn."));
    }
    Ok(())
}

fn parts(content: &[ResultPart<'_>], at: &str) -> Result<(), Refusal> {
    for (index, part) in content.iter().enumerate() {
        match part {
            ResultPart::Text(text) => blank(text, "ToolResultContentBlock", &format!("{at}.content.{index}"))?,
            ResultPart::Json(value) if holds_type_key(value) => {
                return Err(Refusal::validation(format!(
                    "The format of the value at {at}.content.{index}.json is invalid. Provide a json object for the field and try again."
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// AWS's document reader trips over nested `__type` members.
fn holds_type_key(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Object(map) => map.iter().any(|(key, value)| key == "__type" || holds_type_key(value)),
        serde_json::Value::Array(items) => items.iter().any(holds_type_key),
        _ => false,
    }
}

fn duplicates(ids: &[&str], kind: &str, index: usize) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    match ids.iter().find(|id| !seen.insert(**id)) {
        Some(id) => Err(Refusal::validation(format!("The {kind} blocks at messages.{index}.content contain duplicate Ids: {id}"))),
        None => Ok(()),
    }
}

/// A text between two tool uses of one turn hides the later ones from the pairing.
fn unbroken(message: &Message<'_>, index: usize) -> Result<(), Refusal> {
    let mut tools = false;
    let mut broken = false;
    for placed in &message.content {
        match placed.block {
            Block::ToolUse { id, server: false, .. } if broken => return Err(expected(index + 1, &[id])),
            Block::ToolUse { server: false, .. } => tools = true,
            Block::Text(_) if tools => broken = true,
            _ => {}
        }
    }
    Ok(())
}

fn expected(index: usize, ids: &[&str]) -> Refusal {
    Refusal::validation(format!("Expected toolResult blocks at messages.{index}.content for the following Ids: {}", ids.join(", ")))
}

fn identifiers(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for placed in case.request.messages.iter().flat_map(|message| &message.content) {
        let Block::ToolUse { id, .. } = placed.block else { continue };
        if case.traits.nine_character_ids && !(id.len() == 9 && id.chars().all(|c| c.is_ascii_alphanumeric())) {
            return Err(Refusal::model(format!("Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9.")));
        }
        if !seen.insert(id) && case.traits.dialect == Dialect::Claude {
            return Err(Refusal::model("messages: `tool_use` ids must be unique"));
        }
    }
    Ok(())
}
