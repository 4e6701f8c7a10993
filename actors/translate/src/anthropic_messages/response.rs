//! Hub answers -> `Message`.

use std::borrow::Cow;

use outcrop_domain::{
    chat::{ChatResponse, Content, Reasoning, ToolOrigin},
    json::JsonText,
};
use outcrop_protocol::anthropic::messages::{AnswerBlock, Message};
use serde_json::value::RawValue;

use super::{RenderMeta, citations, stop, usage::message_usage};

/// Writes an answer as a message. Texts are borrowed where they can be.
///
/// Left out, because this API has no place for them: calls and results of the provider's own tools, sources that point
/// nowhere, media.
#[must_use]
pub fn render<'a>(answer: &'a ChatResponse, meta: &'a RenderMeta) -> Message<'a> {
    let content: Vec<AnswerBlock<'a>> = answer.content.iter().filter_map(block).collect();
    let calls = content.iter().any(|block| matches!(block, AnswerBlock::ToolUse { .. }));
    Message {
        id: Cow::Borrowed(&meta.id),
        kind: "message",
        role: "assistant",
        model: Cow::Borrowed(&meta.model_shown),
        content,
        stop_reason: stop::reason(answer.stop, calls),
        stop_sequence: answer.stop_sequence.as_deref().map(Cow::Borrowed),
        stop_details: stop::details(answer.stop),
        usage: message_usage(&answer.usage, answer.service_tier),
        trace: answer.trace.as_ref(),
    }
}

fn block(content: &Content) -> Option<AnswerBlock<'_>> {
    match content {
        // A client that sends an empty text back is refused by Anthropic.
        Content::Text(text) | Content::Guarded { text, .. } if text.is_empty() => None,
        Content::Text(text) | Content::Guarded { text, .. } => Some(AnswerBlock::Text { text: Cow::Borrowed(text), citations: Vec::new() }),
        Content::Cited { text, citations } => {
            Some(AnswerBlock::Text { text: Cow::Borrowed(text), citations: citations.iter().filter_map(citations::write).collect() })
        }
        Content::Reasoning(Reasoning::Text { text, signature }) => Some(AnswerBlock::Thinking {
            thinking: Cow::Borrowed(text),
            signature: Cow::Borrowed(signature.as_deref().unwrap_or_default()),
        }),
        Content::Reasoning(Reasoning::Redacted(data)) => Some(AnswerBlock::RedactedThinking { data: Cow::Borrowed(data) }),
        Content::ToolUse { id, name, input, origin: ToolOrigin::Client } => {
            Some(AnswerBlock::ToolUse { id: Cow::Borrowed(id), name: Cow::Borrowed(name), input: object(input) })
        }
        Content::ToolUse { origin: ToolOrigin::Server, .. }
        | Content::ToolResult { .. }
        | Content::Media(_)
        | Content::SearchResult(_)
        | Content::CachePoint(_) => None,
    }
}

/// The input of a call, byte for byte; what is no object is an empty one, since clients read members of it.
fn object(input: &JsonText) -> Cow<'_, RawValue> {
    if input.is_object() { Cow::Borrowed(input.raw()) } else { Cow::Owned(JsonText::empty_object().raw().to_owned()) }
}

#[cfg(test)]
mod tests;
