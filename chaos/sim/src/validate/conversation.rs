//! Rules of a conversation that hold before tools and media are looked at: order of roles, empty content, who may say what.

use super::shape::{Block, Message, Request, Role, SystemBlock, Tool};
use super::{Case, Refusal};
use crate::models::Dialect;

/// What Claude models that take no begun answer say.
pub(super) const NO_PREFILL: &str = "This model does not support assistant message prefill. The conversation must end with a user message.";

/// Checks turns, texts, system prompt and the last turn.
pub(super) fn check(case: &Case<'_, '_>) -> Result<(), Refusal> {
    system_prompt(case)?;
    roles(case)?;
    for (index, message) in case.request.messages.iter().enumerate() {
        if message.content.is_empty() {
            return Err(Refusal::validation(format!(
                "The content field in the Message object at messages.{index} is empty. Add a ContentBlock object to the content field and try again."
            )));
        }
        for (place, placed) in message.content.iter().enumerate() {
            block(case.request, message, &placed.block, &format!("messages.{index}.content.{place}"))?;
        }
    }
    last_turn(case)
}

fn system_prompt(case: &Case<'_, '_>) -> Result<(), Refusal> {
    if !case.traits.system && !case.request.system.is_empty() {
        return Err(Refusal::validation(
            "This model doesn't support system messages. Try again without a system message or use a model that supports system messages.",
        ));
    }
    for (index, (_, block)) in case.request.system.iter().enumerate() {
        if let SystemBlock::Text(text) = block {
            blank(text, "SystemContentBlock", &format!("system.{index}"))?;
        }
    }
    Ok(())
}

fn roles(case: &Case<'_, '_>) -> Result<(), Refusal> {
    if let Some(index) = case.request.messages.iter().position(|message| message.role == Role::System)
        && !case.traits.system_turns
    {
        return Err(Refusal::validation(format!(
            "1 validation error detected: Value 'system' at 'messages.{}.member.role' failed to satisfy constraint: Member must satisfy enum value set: [user, assistant]",
            index + 1
        )));
    }
    if case.request.messages.first().is_none_or(|message| message.role != Role::User) {
        return Err(Refusal::validation(
            "A conversation must start with a user message. Try again with a conversation that starts with a user message.",
        ));
    }
    let spoken: Vec<Role> = case.request.messages.iter().map(|message| message.role).filter(|role| *role != Role::System).collect();
    if spoken.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(Refusal::validation(
            "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.",
        ));
    }
    Ok(())
}

fn block(request: &Request<'_>, message: &Message<'_>, block: &Block<'_>, at: &str) -> Result<(), Refusal> {
    let role = message.role;
    match block {
        Block::Text(text) => blank(text, "ContentBlock", at),
        Block::ToolChange { name } => tool_change(request, role, *name, at),
        _ if role == Role::System => Err(only("system messages can only hold text, toolAddition and toolRemoval blocks", at)),
        Block::ToolUse { .. } if role == Role::User => Err(only("toolUse blocks are only allowed in messages with the assistant role", at)),
        Block::Image(_) if role == Role::Assistant => Err(only("image blocks are only allowed in messages with the user role", at)),
        Block::Document(_) if role == Role::Assistant => Err(only("document blocks are only allowed in messages with the user role", at)),
        Block::Video(_) if role == Role::Assistant => Err(only("video blocks are only allowed in messages with the user role", at)),
        Block::Audio(_) if role == Role::Assistant => Err(only("audio blocks are only allowed in messages with the user role", at)),
        Block::Reasoning { .. } | Block::Redacted(_) if role == Role::User => {
            Err(Refusal::validation("User messages cannot contain reasoning content. Please remove the reasoning content and try again."))
        }
        Block::ToolResult { id, .. } if role == Role::Assistant && !answers_server_tool(message, id) => {
            Err(only("toolResult blocks are only allowed in messages with the user role", at))
        }
        _ => Ok(()),
    }
}

/// System tools answer inside the assistant turn that used them.
fn answers_server_tool(message: &Message<'_>, result: &str) -> bool {
    message.content.iter().any(|placed| matches!(placed.block, Block::ToolUse { id, server: true, .. } if id == result))
}

fn tool_change(request: &Request<'_>, role: Role, name: Option<&str>, at: &str) -> Result<(), Refusal> {
    if role != Role::System {
        return Err(only("toolAddition and toolRemoval blocks are only allowed in messages with the system role", at));
    }
    let Some(name) = name else { return Ok(()) };
    let declared = request
        .tools
        .iter()
        .flat_map(|config| &config.tools)
        .any(|(_, tool)| matches!(tool, Tool::Spec { name: known, .. } if *known == name));
    if declared {
        Ok(())
    } else {
        Err(Refusal::validation(format!("The tool {name} referenced at {at} is not defined in toolConfig.tools.")))
    }
}

fn last_turn(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let Some(last) = case.request.messages.iter().rev().find(|message| message.role != Role::System) else { return Ok(()) };
    if last.role != Role::Assistant {
        return Ok(());
    }
    if !case.traits.prefill {
        return Err(if case.traits.dialect == Dialect::Claude {
            Refusal::model(NO_PREFILL)
        } else {
            Refusal::validation("A conversation must end with a user message. Try again with a conversation that ends with a user message.")
        });
    }
    match last.content.last().map(|placed| &placed.block) {
        Some(Block::Text(text)) if case.traits.dialect == Dialect::Claude && text.ends_with(char::is_whitespace) => {
            Err(Refusal::model("messages: final assistant content cannot end with trailing whitespace"))
        }
        _ => Ok(()),
    }
}

fn only(rule: &str, at: &str) -> Refusal {
    Refusal::validation(format!("The ContentBlock object at {at} is invalid: {rule}. Update the request and try again."))
}

/// The refusal of blank text, as worded for `kind` at `at`.
pub(super) fn blank(text: &str, kind: &str, at: &str) -> Result<(), Refusal> {
    if text.chars().all(char::is_whitespace) {
        return Err(Refusal::validation(format!(
            "The text field in the {kind} object at {at} is blank. Add text to the text field, and try again."
        )));
    }
    Ok(())
}
