//! Results of tools: the client's own, and those that a provider ran.

use outcrop_domain::{
    chat::{Content, ToolResultPart, ToolResultStatus},
    error::GatewayError,
    json::JsonText,
};
use outcrop_protocol::anthropic::messages::{BlockContent, ContentBlock};

use super::{
    blocks::{BlockReader, kind_of},
    conversation::report_unread,
    faults::{missing, unknown_tag},
    place::Place,
};

/// Kinds that a `tool_result` may hold.
const PART_KINDS: [&str; 5] = ["text", "image", "search_result", "document", "tool_reference"];

/// A `tool_result` block. Nothing can be marked inside a result, so a mark in it stands after it.
pub(super) fn tool_result(
    reader: &mut BlockReader<'_>,
    block: ContentBlock,
    place: &Place<'_>,
    content: &mut Vec<Content>,
) -> Result<(), GatewayError> {
    let mut mark = reader.mark(&block, place)?;
    report_unread("messages.content", &block.rest, reader.notes);
    let status = status(&block);
    let id = block.tool_use_id.filter(|id| !id.is_empty()).ok_or_else(|| missing(place.of("tool_use_id")))?;
    let blocks = match block.content {
        None => Vec::new(),
        Some(BlockContent::Text(text)) => vec![ContentBlock { text: Some(text), ..ContentBlock::default() }],
        Some(BlockContent::List(blocks)) => blocks,
        Some(BlockContent::Object(block)) => vec![*block],
    };
    let mut parts = Vec::with_capacity(blocks.len());
    for (position, block) in blocks.into_iter().enumerate() {
        let place = place.inside("content", position);
        mark = mark.or(reader.mark(&block, &place)?);
        read_part(reader, block, &place, &mut parts)?;
    }
    content.push(Content::ToolResult { id, parts, status });
    content.extend(mark);
    Ok(())
}

fn read_part(
    reader: &mut BlockReader<'_>,
    block: ContentBlock,
    place: &Place<'_>,
    parts: &mut Vec<ToolResultPart>,
) -> Result<(), GatewayError> {
    match kind_of(&block, place)? {
        "text" => parts.push(ToolResultPart::Text(block.text.ok_or_else(|| missing(place.of("text")))?)),
        "image" | "document" => parts.extend(super::media::read(reader, block, place)?.into_iter().map(ToolResultPart::Media)),
        "search_result" => parts.push(ToolResultPart::SearchResult(reader.found(block, place)?)),
        "tool_reference" => {
            // Tools are never left out of the prompt here, so that the one found need only be named.
            let name = block.tool_name.ok_or_else(|| missing(place.of("tool_name")))?;
            reader.notes.harmless("messages.content.tool_reference", "text");
            parts.push(ToolResultPart::Text(format!("Found the tool `{name}`.")));
        }
        kind => return Err(unknown_tag(place.to_string(), kind, &PART_KINDS)),
    }
    Ok(())
}

/// A result of a tool that a provider ran, carried as it is: only a surface that has that tool can use it.
pub(super) fn server_result(
    reader: &mut BlockReader<'_>,
    block: ContentBlock,
    place: &Place<'_>,
    content: &mut Vec<Content>,
) -> Result<(), GatewayError> {
    let mark = reader.mark(&block, place)?;
    let status = status(&block);
    let id = block.tool_use_id.filter(|id| !id.is_empty()).ok_or_else(|| missing(place.of("tool_use_id")))?;
    let parts = match block.content {
        None => Vec::new(),
        Some(BlockContent::Text(text)) => vec![ToolResultPart::Text(text)],
        Some(other) => vec![ToolResultPart::Json(JsonText::of(&other).map_err(|error| unwritable(&error))?)],
    };
    content.push(Content::ToolResult { id, parts, status });
    content.extend(mark);
    Ok(())
}

fn status(block: &ContentBlock) -> ToolResultStatus {
    match block.is_error {
        None => ToolResultStatus::Unstated,
        Some(true) => ToolResultStatus::Error,
        Some(false) => ToolResultStatus::Success,
    }
}

fn unwritable(error: &serde_json::Error) -> GatewayError {
    GatewayError::Internal { message: format!("a tool's result could not be written: {error}") }
}
