//! Writes a chat request as a Converse body.
//!
//! The hub's blocks become wire blocks that borrow their content, the wire blocks are put in the order and number
//! that Converse insists on, and the result is serialised once. Whatever had to be changed is reported.

use std::fmt;

use outcrop_domain::{
    adjust::Adjustments,
    chat::{CacheTtl, ChatRequest, Content, Effort, MediaSource, SearchResult, ToolResultPart},
    error::GatewayError,
    model::{ChatCapabilities, SystemSupport, ToolSupport},
};
use outcrop_protocol::bedrock::converse::{ConverseRequest, Message, Role, ToolConfig};
use serde::Serialize;

use self::turns::Turn;
pub(crate) use self::{
    extras::{MAX_LABELS, clean_labels},
    names::{ToolIdMap, is_tool_id},
    reasoning::{EFFORT_BETA, nearest_effort},
    turns::MID_SYSTEM_NOTE,
};
use super::context::ReplyContext;

mod cache;
mod documents;
mod extras;
mod inference;
mod media;
mod names;
mod order;
mod pairing;
mod reasoning;
mod schema;
mod search_results;
mod structured;
mod system;
mod tools;
mod turns;

#[cfg(test)]
mod tests;

/// Writes `request` for a model.
///
/// # Errors
/// [`GatewayError::InvalidRequest`] when the model cannot take something that the request is about (media, tools, a
/// guardrail), when a size limit of Converse is passed, or when there is no conversation at all.
pub fn write(request: &ChatRequest, model: &ChatCapabilities, options: &WriteOptions) -> Result<ConverseBody, GatewayError> {
    let assembled = assemble(Scope { request, model, options })?;
    Ok(ConverseBody {
        bytes: to_bytes(&assembled.body, request)?,
        mode: assembled.mode,
        max_tokens: assembled.body.inference_config.as_ref().and_then(|config| config.max_tokens),
        reply: assembled.reply,
        continuable: assembled.continuable,
        adjustments: assembled.adjustments,
    })
}

/// What the writer must know beside the request and the model's data.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// The model by the name the caller used, for error texts.
    pub model: String,
    /// What the client wants.
    pub mode: Mode,
    /// Most tokens the model can produce; a higher wish is lowered. `None`: not known.
    pub max_output_tokens: Option<u32>,
    /// Thinking budgets per effort.
    pub budgets: EffortBudgets,
}

/// How an answer travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// ConverseStream.
    Stream,
    /// Converse.
    Whole,
}

/// Thinking tokens per effort, for models that take a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffortBudgets {
    /// [`Effort::Minimal`].
    pub minimal: u32,
    /// [`Effort::Low`].
    pub low: u32,
    /// [`Effort::Medium`].
    pub medium: u32,
    /// [`Effort::High`].
    pub high: u32,
    /// [`Effort::Xhigh`].
    pub xhigh: u32,
    /// [`Effort::Max`].
    pub max: u32,
}

impl Default for EffortBudgets {
    /// Doubling from Claude's least budget; the highest stays below the smallest output limit (32,000) of the
    /// models that take budgets.
    fn default() -> Self {
        Self { minimal: 1024, low: 2048, medium: 4096, high: 8192, xhigh: 16_384, max: 31_999 }
    }
}

impl EffortBudgets {
    /// The budget of an effort.
    #[must_use]
    pub fn budget(&self, effort: Effort) -> u32 {
        match effort {
            Effort::Minimal => self.minimal,
            Effort::Low => self.low,
            Effort::Medium => self.medium,
            Effort::High => self.high,
            Effort::Xhigh => self.xhigh,
            Effort::Max => self.max,
        }
    }

    /// The highest effort whose budget fits into `tokens`, at least [`Effort::Low`].
    #[must_use]
    pub fn effort(&self, tokens: u32) -> Effort {
        [Effort::Max, Effort::Xhigh, Effort::High, Effort::Medium]
            .into_iter()
            .find(|effort| self.budget(*effort) <= tokens)
            .unwrap_or(Effort::Low)
    }
}

/// A body ready to be sent.
pub struct ConverseBody {
    /// The JSON.
    pub bytes: Vec<u8>,
    /// The operation to call. `Whole` although the client streams when the model cannot stream with tools: the
    /// answer is then replayed as events.
    pub mode: Mode,
    /// Most tokens of the answer, as the body says; `None` leaves it to the model.
    pub max_tokens: Option<u32>,
    /// For the readers of the answer.
    pub reply: ReplyContext,
    /// An answer that breaks in mid-stream can go on in another call, because it is plain text that the model can be shown as
    /// its own begun turn.
    pub continuable: bool,
    /// What was changed.
    pub adjustments: Adjustments,
}

impl fmt::Debug for ConverseBody {
    /// Callers' content never reaches logs: of the body only its size is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConverseBody")
            .field("bytes", &self.bytes.len())
            .field("mode", &self.mode)
            .field("adjustments", &self.adjustments)
            .finish_non_exhaustive()
    }
}

/// The three inputs of every rule.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) request: &'a ChatRequest,
    pub(super) model: &'a ChatCapabilities,
    pub(super) options: &'a WriteOptions,
}

/// A request in wire structs.
pub(super) struct Assembled<'a> {
    pub(super) body: ConverseRequest<'a>,
    pub(super) mode: Mode,
    pub(super) reply: ReplyContext,
    pub(super) continuable: bool,
    pub(super) adjustments: Adjustments,
}

/// Applies every rule, in an order where each sees what it depends on.
pub(super) fn assemble(scope: Scope<'_>) -> Result<Assembled<'_>, GatewayError> {
    let Scope { request, model, options } = scope;
    let mut notes = Adjustments::default();
    let mut names = match model.tools {
        // Names that only appear in text need not be changed.
        ToolSupport::None => names::ToolNames::default(),
        ToolSupport::WithoutStreaming | ToolSupport::Full => names::ToolNames::of(request, &mut notes),
    };
    let mut turns = turns::collect(scope, &names, &mut notes)?;
    if model.tools == ToolSupport::None {
        pairing::flatten(&mut turns, &mut notes);
    } else {
        turns = pairing::pair(turns, model, &mut notes);
    }
    order::arrange(&mut turns, &mut notes);
    order::open_with_user(&mut turns, scope, &mut notes)?;

    let reasoning = reasoning::plan(scope, &turns, &mut notes);
    let format = structured::plan(scope, &mut names, &mut notes)?;
    let mut tools = tools::plan(scope, &names, &turns, format.tool(), reasoning.active, &mut notes)?;
    let mut system = system::blocks(scope, &mut notes);
    system.extend(structured::instruction(&format, tools.choice.is_some()));
    if model.system == SystemSupport::FirstUserTurn {
        system::move_into_first_turn(&mut system, &mut turns, &mut notes);
    }
    order::close(&mut turns, model, reasoning.active, &mut notes);
    order::check_counts(&turns)?;
    cache::place(&mut tools.entries, &mut system, &mut turns, scope, &mut notes);

    let additional_model_request_fields = extras::request_fields(scope, &reasoning, !tools.entries.is_empty(), &mut notes);
    let mode = match (options.mode, model.tools) {
        (Mode::Stream, ToolSupport::WithoutStreaming) if !tools.entries.is_empty() => Mode::Whole,
        (mode, _) => mode,
    };
    let (output_config, format_tool) = format.into_parts();
    let inference_config = inference::config(scope, &reasoning, &mut notes);
    let reply = ReplyContext {
        tool_names: names.into_reply_names(),
        format_tool,
        tool_calls: tools.calls,
        reasoning_tags: model.reasoning_tags.clone(),
        reasoning: request.reasoning.visibility,
        only_stop_text: inference::only_stop_text(inference_config.as_ref(), request),
    };
    let default_ttl = cache::default_ttl(model);
    let body = ConverseRequest {
        tool_config: (!tools.entries.is_empty())
            .then(|| ToolConfig { tools: cache::emit(tools.entries, default_ttl, cache::tool_point), tool_choice: tools.choice }),
        system: cache::emit(system, default_ttl, cache::system_point),
        inference_config,
        output_config,
        additional_model_request_fields,
        additional_model_response_field_paths: extras::response_paths(scope, &reasoning),
        guardrail_config: extras::guardrail(scope, mode)?,
        performance_config: extras::performance(request),
        service_tier: extras::service_tier(request),
        request_metadata: clean_labels(&request.metadata, &mut notes),
        messages: messages(turns, default_ttl),
    };
    let continuable = mode == Mode::Stream && model.prefill && !reasoning.active && is_plain_text(&body);
    Ok(Assembled { body, mode, reply, continuable, adjustments: notes })
}

/// Its answer will be text, and reaches the client as the model wrote it.
fn is_plain_text(body: &ConverseRequest<'_>) -> bool {
    let ends_with_user = body.messages.last().is_some_and(|message| message.role == Role::User);
    ends_with_user
        && body.tool_config.is_none()
        && body.output_config.is_none()
        // What stops the answer may stand across the break, where no call would see it.
        && body.inference_config.as_ref().is_none_or(|config| config.stop_sequences.is_empty())
        // What a guardrail let through of an answer is no longer what the model wrote.
        && body.guardrail_config.is_none()
}

/// Turns as messages, cache marks written out as blocks of their own.
fn messages(turns: Vec<Turn<'_>>, default_ttl: Option<CacheTtl>) -> Vec<Message<'_>> {
    turns
        .into_iter()
        .map(|turn| Message { role: turn.role, content: cache::emit(turn.pieces, default_ttl, cache::message_point) })
        .collect()
}

/// Serialises in one go, into a buffer that need not grow while megabytes of base64 pass.
pub(super) fn to_bytes<T: Serialize>(body: &T, request: &ChatRequest) -> Result<Vec<u8>, GatewayError> {
    let mut bytes = Vec::with_capacity(expected_size(request));
    serde_json::to_writer(&mut bytes, body)
        .map_err(|error| GatewayError::Internal { message: format!("the request could not be written as JSON: {error}") })?;
    Ok(bytes)
}

/// A guess of the body's size, good where it matters: for large content.
fn expected_size(request: &ChatRequest) -> usize {
    fn media(source: &MediaSource) -> usize {
        match source {
            MediaSource::Base64(data) => data.len(),
            MediaSource::Text(text) => text.len() * 2,
            MediaSource::TextBlocks(blocks) => blocks.iter().map(|text| text.len() * 2).sum(),
            MediaSource::S3 { uri, .. } => uri.len(),
        }
    }
    fn part(part: &ToolResultPart) -> usize {
        match part {
            ToolResultPart::Text(text) => text.len(),
            ToolResultPart::Json(json) => json.get().len(),
            ToolResultPart::Media(item) => media(&item.source),
            ToolResultPart::SearchResult(result) => found(result),
        }
    }
    fn found(result: &SearchResult) -> usize {
        const FRAME: usize = 12;
        result.source.len() + result.title.len() + result.blocks.iter().map(|text| text.len() + FRAME).sum::<usize>()
    }
    fn block(content: &Content) -> usize {
        const FRAME: usize = 96;
        FRAME
            + match content {
                Content::Text(text) | Content::Guarded { text, .. } | Content::Cited { text, .. } => text.len(),
                Content::Media(item) => media(&item.source),
                Content::SearchResult(result) => found(result),
                Content::ToolUse { input, .. } => input.get().len(),
                Content::ToolResult { parts, .. } => parts.iter().map(part).sum(),
                Content::Reasoning(_) => 2048,
                Content::CachePoint(_) => 0,
            }
    }
    let content: usize = request.messages.iter().flat_map(|message| &message.content).map(block).sum();
    // A sixteenth for characters that JSON escapes, a kilobyte for everything else.
    content + content / 16 + 1024
}
