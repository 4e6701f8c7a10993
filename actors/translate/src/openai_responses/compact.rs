//! `POST /v1/responses/compact`: a conversation in short, to go on from in place of itself.
//!
//! A model is asked for a summary; what the user and the developer said stays beside it word for word. The summary
//! travels sealed in a `compaction` item and comes back as part of the conversation wherever that item is sent.

use outcrop_domain::{
    adjust::Adjustments,
    chat::{ChatRequest, ChatResponse, Content, Message, ResponseFormat, Role, StopReason, ToolChoice},
    error::{Cause, GatewayError, UpstreamFailure},
    json::JsonText,
};
use outcrop_protocol::openai::{
    body::decode_text,
    responses::{Compaction, InputItem, OutputItem, ResponsesRequest},
};

use super::{
    ResponseMeta,
    ids::{self, ItemKind},
    json::text_of,
    request::{self, Earlier, ResponsesOptions, input_resources},
    response::usage_of,
    sealed::seal_summary,
};
use crate::dialect::media::FetchedMedia;

/// What the model is asked at the end of the conversation. Fixed, so that the conversation before it is the cached
/// prefix it always was.
const ASK: &str = "Your context is nearly full. Write a summary of this conversation that can stand in its place: whoever \
goes on will have the summary and the user's own messages, and nothing else of what you see above. Keep, in this order: what the \
user wants and the rules they set; what was done, and what came of it; decisions and their reasons; the present state, with \
every name, path, identifier, number and command that is still of use, exactly as written; what was tried and failed; what is \
left to do, the next step first. Leave out courtesies. Do not call tools. Answer with the summary alone.";

/// Stands at the end of a summary that the model could not finish.
const CUT_OFF: &str = "\n[the summary was cut off here]";

/// A request for a summary, read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadCompact {
    /// The model, by the caller's name.
    pub model: String,
    /// The conversation, and the wish for its summary.
    pub request: ChatRequest,
    /// What was changed.
    pub adjustments: Adjustments,
    /// The items that stay beside the summary.
    pub kept: Vec<JsonText>,
}

/// Reads a request: the same body as a response's, with fewer members. `response_id` is the answer's id.
///
/// # Errors
/// As [`request::read`].
pub fn read(
    wire: ResponsesRequest,
    earlier: &Earlier,
    fetched: &FetchedMedia,
    options: &ResponsesOptions,
    response_id: &str,
) -> Result<ReadCompact, GatewayError> {
    let mut kept: Vec<JsonText> = earlier.items.iter().filter(|item| is_kept(item)).cloned().collect();
    kept.extend(input_resources(wire.input.as_ref(), response_id)?.into_iter().filter(is_kept));
    let read = request::read(wire, earlier, fetched, options)?;
    let mut request = read.request;
    ask_for_summary(&mut request);
    Ok(ReadCompact { model: read.model, request, adjustments: read.adjustments, kept })
}

/// Asks for the summary of a conversation in place of an answer to it.
pub(super) fn ask_for_summary(request: &mut ChatRequest) {
    request.messages.push(Message { role: Role::User, content: vec![Content::Text(ASK.to_owned())] });
    request.tool_choice = ToolChoice::None;
    request.format = ResponseFormat::Text;
}

/// A conversation in short.
#[derive(Debug, Clone, PartialEq)]
pub struct Compacted {
    /// The items that stand for the conversation, to be stored.
    pub items: Vec<JsonText>,
    /// The answer's body.
    pub body: JsonText,
}

/// Writes the answer: the kept items and the sealed summary.
///
/// # Errors
/// `Upstream` when the model wrote no summary.
pub fn render(answer: &ChatResponse, kept: Vec<JsonText>, meta: &ResponseMeta) -> Result<Compacted, GatewayError> {
    let index = u32::try_from(kept.len()).unwrap_or(u32::MAX);
    let item = summary_item(&said(&answer.content), answer.stop, &meta.id, index).ok_or_else(no_summary)?;
    let mut items = kept;
    items.push(text_of(&item)?);
    let body = text_of(&Compaction {
        id: &meta.id,
        object: "response.compaction",
        created_at: meta.created_unix,
        output: items.iter().map(JsonText::raw).collect(),
        usage: usage_of(&answer.usage),
    })?;
    Ok(Compacted { items, body })
}

/// What people and developers said stays; what the model said and did is in the summary.
fn is_kept(item: &JsonText) -> bool {
    decode_text::<InputItem>(item.get()).is_ok_and(|item| {
        let is_message = matches!(item.kind.as_deref(), None | Some("message"));
        is_message && matches!(item.role.as_deref(), Some("user" | "developer" | "system"))
    })
}

/// All that an answer says.
pub(super) fn said(content: &[Content]) -> String {
    let texts = content.iter().filter_map(|block| match block {
        Content::Text(text) | Content::Cited { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// The item that holds a summary; `None` when the model wrote none.
pub(super) fn summary_item(summary: &str, stop: StopReason, response_id: &str, index: u32) -> Option<OutputItem> {
    if summary.trim().is_empty() {
        return None;
    }
    let cut_off = if stop == StopReason::MaxTokens { CUT_OFF } else { "" };
    let id = ids::of_output(response_id, ItemKind::Compaction, index);
    Some(OutputItem::Compaction { id, encrypted_content: seal_summary(&format!("{summary}{cut_off}")) })
}

pub(super) fn no_summary() -> GatewayError {
    GatewayError::Upstream(UpstreamFailure {
        cause: Cause::Malformed,
        status: 0,
        code: "NoSummary".to_owned(),
        message: "the model wrote no summary of the conversation".to_owned(),
        request_id: None,
        retry_after: None,
        region: None,
        model_error: None,
    })
}

#[cfg(test)]
mod tests;
