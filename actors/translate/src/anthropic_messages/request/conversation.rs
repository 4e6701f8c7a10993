//! Messages. Each stays where it is, instructions in mid-conversation too: moving them to the front would change the
//! cached prefix at every turn. One block of the client's becomes one of the hub's, so that the errors of a surface name
//! the client's.

use outcrop_domain::{
    chat::{Content, Message, Role},
    error::GatewayError,
    json::JsonObject,
};
use outcrop_protocol::anthropic::messages::{self as wire, ContentBlock, MessageParam};

use super::{
    blocks::BlockReader,
    faults::{fault, missing, not_one_of, unknown_tag},
    place::Place,
};
use crate::dialect::{
    media::MediaReader,
    notes::{Notes, label},
};

/// Reads `messages`.
pub(super) fn read(messages: Option<Vec<MessageParam>>, media: MediaReader<'_>, notes: &mut Notes) -> Result<Vec<Message>, GatewayError> {
    let messages = messages.ok_or_else(|| missing("messages"))?;
    if messages.is_empty() {
        return Err(fault("messages", "at least one message is required"));
    }
    let mut reader = BlockReader { media, notes };
    messages
        .into_iter()
        .enumerate()
        .map(|(position, message)| read_message(message, &Place::top("messages", position), &mut reader))
        .collect()
}

fn read_message(message: MessageParam, place: &Place<'_>, reader: &mut BlockReader<'_>) -> Result<Message, GatewayError> {
    let role = match message.role.as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        None => return Err(missing(place.of("role"))),
        Some(_) => return Err(not_one_of(place.of("role"), &["user", "assistant", "system"])),
    };
    report_unread("messages", &message.rest, reader.notes);
    let blocks = match message.content {
        None => return Err(missing(place.of("content"))),
        Some(wire::Content::Text(text)) => return Ok(Message { role, content: vec![Content::Text(text)] }),
        Some(wire::Content::List(blocks)) => blocks,
    };
    if blocks.is_empty() {
        reader.notes.harmless("messages.content", "empty_dropped");
    }
    let mut content = Vec::with_capacity(blocks.len());
    for (position, block) in blocks.into_iter().enumerate() {
        let place = place.inside("content", position);
        match role {
            Role::User => reader.user(block, &place, &mut content)?,
            Role::Assistant => reader.assistant(block, &place, &mut content)?,
            Role::System => instruction(block, &place, reader, &mut content)?,
        }
    }
    Ok(Message { role, content })
}

/// Kinds of blocks of instructions in mid-conversation that change which tools are on offer.
const TOOL_CHANGES: [&str; 2] = ["tool_addition", "tool_removal"];

fn instruction(
    block: ContentBlock,
    place: &Place<'_>,
    reader: &mut BlockReader<'_>,
    content: &mut Vec<Content>,
) -> Result<(), GatewayError> {
    match block.kind.as_deref() {
        Some("text") => reader.text(block, place, content),
        None if block.text.is_some() => reader.text(block, place, content),
        None => Err(missing(place.of("type"))),
        // All tools that the request declares are on offer throughout.
        Some(kind) if TOOL_CHANGES.contains(&kind) => reader.notes.meaning(format!("messages.content.{kind}"), "ignored"),
        Some(kind) => Err(unknown_tag(place.to_string(), kind, &["text", "tool_addition", "tool_removal"])),
    }
}

/// Reports members that are not known; a null is as good as absent.
pub(super) fn report_unread(of: &str, rest: &JsonObject, notes: &mut Notes) {
    for name in rest.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name) {
        notes.harmless(format!("{of}.{}", label(name)), "ignored");
    }
}
