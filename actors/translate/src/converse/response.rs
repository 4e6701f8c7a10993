//! Reads a whole Converse answer.

use std::collections::HashMap;

use outcrop_domain::{
    chat::{
        ChatResponse, Citation, Content, Media, MediaFormat, MediaKind, MediaSource, Reasoning, ReasoningVisibility, ToolOrigin,
        ToolResultPart, ToolResultStatus,
    },
    error::{Cause, UpstreamFailure},
    json::JsonText,
};
use outcrop_protocol::bedrock::converse::{
    AnswerBlock, AnswerImage, AnswerReasoning, AnswerToolResult, AnswerToolUse, CitationsContent, ConverseResponse,
};
use serde_json::value::RawValue;

use super::{
    answer,
    context::{FormatTool, ReplyContext, ToolCalls},
    tags::{Piece, TagLifter, TagState},
};

/// Reads the body of a Converse answer.
///
/// # Errors
/// [`Cause::Malformed`] when the body is not a Converse answer.
pub fn read(body: &[u8], context: &ReplyContext) -> Result<ChatResponse, UpstreamFailure> {
    let response: ConverseResponse = serde_json::from_slice(body).map_err(|error| answer::malformed("the Converse answer", &error))?;
    let Some(message) = response.output.message else {
        return Err(answer::failure(Cause::Malformed, "MalformedAnswer", "the Converse answer holds no message".to_owned()));
    };
    let mut reader = Reader { context, content: Vec::with_capacity(message.content.len()), calls: false, answered: false, withheld: None };
    for block in message.content {
        reader.block(block);
    }
    reader.explain_withheld();
    let fields = response.additional_model_response_fields;
    let stop = answer::stop_with_calls(answer::stop_reason(&response.stop_reason), reader.calls);
    Ok(ChatResponse {
        stop,
        content: reader.content,
        usage: answer::usage(&response.usage.unwrap_or_default(), fields.as_ref()),
        service_tier: answer::service_tier(response.service_tier),
        trace: response.trace,
        stop_sequence: context.stop_sequence(stop, fields.and_then(|fields| fields.stop_sequence)),
    })
}

/// What stands in place of an answer that consists of calls the client did not allow.
pub(super) fn withheld_text(tool: &str) -> String {
    format!("The model asked for the tool `{tool}`, which this request does not allow.")
}

struct Reader<'c> {
    context: &'c ReplyContext,
    content: Vec<Content>,
    /// The client must run tools.
    calls: bool,
    /// The answer came as a call of the format tool.
    answered: bool,
    /// A call that was left out.
    withheld: Option<String>,
}

impl Reader<'_> {
    fn block(&mut self, block: AnswerBlock) {
        if let Some(text) = block.text {
            self.text(text);
        } else if let Some(call) = block.tool_use {
            self.tool_use(call);
        } else if let Some(reasoning) = block.reasoning_content {
            self.reasoning(reasoning);
        } else if let Some(cited) = block.citations_content {
            self.cited(cited);
        } else if let Some(result) = block.tool_result {
            self.content.push(tool_result(result));
        } else if let Some(media) = block.image.and_then(image) {
            self.content.push(Content::Media(media));
        }
    }

    fn text(&mut self, text: String) {
        if self.answered || text.is_empty() {
            return;
        }
        if self.context.reasoning_tags.is_empty() {
            self.content.push(Content::Text(text));
            return;
        }
        let mut pieces = Vec::new();
        let mut lifter = TagLifter::new(&self.context.reasoning_tags, TagState::default());
        lifter.push(text, |piece| pieces.push(piece));
        lifter.finish(|piece| pieces.push(piece));
        for piece in joined(pieces) {
            match piece {
                Piece::Text(text) => self.content.push(Content::Text(text)),
                Piece::Reasoning(text) if self.context.reasoning == ReasoningVisibility::Shown => {
                    self.content.push(Content::Reasoning(Reasoning::Text { text, signature: None }));
                }
                Piece::Reasoning(_) => {}
            }
        }
    }

    fn tool_use(&mut self, call: AnswerToolUse) {
        let input = call.input.map_or_else(JsonText::empty_object, JsonText::from);
        if let Some(tool) = self.context.format_tool.as_ref().filter(|tool| tool.name == call.name) {
            if !std::mem::replace(&mut self.answered, true) {
                // The call is the answer; what the model said around it is not JSON.
                self.content.retain(|content| !matches!(content, Content::Text(_) | Content::Cited { .. }));
                self.content.push(Content::Text(format_answer(tool, &input)));
            }
            return;
        }
        let server = call.kind.is_some();
        let name = self.context.client_name(call.name);
        if !server && self.context.tool_calls == ToolCalls::Withheld {
            self.withheld = Some(name);
            return;
        }
        self.calls |= !server;
        let origin = if server { ToolOrigin::Server } else { ToolOrigin::Client };
        self.content.push(Content::ToolUse { id: call.tool_use_id, name, input, origin });
    }

    fn reasoning(&mut self, reasoning: AnswerReasoning) {
        let hidden = self.context.reasoning == ReasoningVisibility::Hidden;
        if let Some(readable) = reasoning.reasoning_text {
            let text = if hidden { String::new() } else { readable.text };
            // A block that is neither readable nor signed says nothing; a signature alone must live.
            if !text.is_empty() || readable.signature.is_some() {
                self.content.push(Content::Reasoning(Reasoning::Text { text, signature: readable.signature }));
            }
        } else if let Some(data) = reasoning.redacted_content {
            self.content.push(Content::Reasoning(Reasoning::Redacted(data)));
        }
    }

    fn cited(&mut self, cited: CitationsContent) {
        if self.answered {
            return;
        }
        let text = answer::joined(cited.content);
        let mut citations: Vec<Citation> = cited.citations.into_iter().map(answer::citation).collect();
        // Nova tells the sources of a text in a block of their own behind it.
        match self.content.last_mut().filter(|_| text.is_empty()) {
            Some(before @ Content::Text(_)) => {
                if let Content::Text(text) = before {
                    *before = Content::Cited { text: std::mem::take(text), citations };
                }
            }
            Some(Content::Cited { citations: before, .. }) => before.append(&mut citations),
            _ => self.content.push(Content::Cited { text, citations }),
        }
    }

    /// An answer must not be empty only because a call was left out.
    fn explain_withheld(&mut self) {
        let silent = !self.content.iter().any(|content| matches!(content, Content::Text(_) | Content::Cited { .. }));
        if let Some(tool) = self.withheld.take().filter(|_| silent) {
            self.content.push(Content::Text(withheld_text(&tool)));
        }
    }
}

/// The answer in the arguments of the format tool.
pub(super) fn format_answer(tool: &FormatTool, input: &JsonText) -> String {
    let members = tool.wrapped.then(|| serde_json::from_str::<HashMap<String, &RawValue>>(input.get()).ok()).flatten();
    match members.as_ref().and_then(|members| members.get(FormatTool::MEMBER)) {
        Some(answer) => answer.get().to_owned(),
        None => input.get().to_owned(),
    }
}

fn tool_result(result: AnswerToolResult) -> Content {
    let parts = result
        .content
        .into_iter()
        .filter_map(|part| match (part.text, part.json) {
            (Some(text), _) => Some(ToolResultPart::Text(text)),
            (None, Some(json)) => Some(ToolResultPart::Json(JsonText::from(json))),
            (None, None) => None,
        })
        .collect();
    let status = match result.status.as_deref() {
        Some("success") => ToolResultStatus::Success,
        Some("error") => ToolResultStatus::Error,
        _ => ToolResultStatus::Unstated,
    };
    Content::ToolResult { id: result.tool_use_id, parts, status }
}

fn image(image: AnswerImage) -> Option<Media> {
    let name = ["png", "jpeg", "gif", "webp"].into_iter().find(|name| *name == image.format)?;
    let source = MediaSource::Base64(image.source.bytes?);
    Some(Media { format: MediaFormat { kind: MediaKind::Image, name }, source, name: None, context: None, citations: false })
}

/// Neighbouring pieces of one kind as one.
fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(text)), Piece::Text(more)) | (Some(Piece::Reasoning(text)), Piece::Reasoning(more)) => text.push_str(&more),
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

#[cfg(test)]
mod tests;
