//! Hub answers -> response objects.

mod draft;
mod stored;

use std::{borrow::Cow, fmt};

use outcrop_domain::{
    chat::{ChatResponse, ServiceTier, StopReason},
    error::{Cause, GatewayError},
    json::{JsonObject, JsonText},
    usage::Usage,
};
use outcrop_protocol::openai::responses::{
    ConversationEcho, IncompleteDetails, ItemStatus, OutputItem, ReasoningEcho, ResponseError, ResponseObject, ResponseUsage, Status,
    UsageInput, UsageOutput,
};

use super::{AnswerForm, Include, ResponseMeta, ResponseShape, compact, json::text_of};
use crate::errors;
use draft::Draft;
pub(super) use stored::read;
pub use stored::{cancelled, failed_later, shown, shown_item};

/// Writes a whole answer as a response.
///
/// Left out, because this API has no place for them: results of searches, citations that point neither to the web nor to
/// a document, media.
#[must_use]
pub fn render(answer: ChatResponse, meta: ResponseMeta, shape: ResponseShape, completed_unix: u64) -> FinalResponse {
    let ChatResponse { content, stop, usage, service_tier, trace, stop_sequence: _ } = answer;
    let facts = Facts { usage: Some(usage), service_tier, trace };
    if shape.answer == AnswerForm::Summary {
        return FinalResponse::summarised(meta, shape, &compact::said(&content), stop, facts, completed_unix);
    }
    let cut = ending_of(stop).cuts_off();
    let mut draft = Draft::new(&meta, &shape);
    for block in content {
        draft.add(block);
    }
    let output = draft.into_output(cut);
    FinalResponse::ended(meta, shape, output, stop, facts, completed_unix)
}

/// A response that is under way, as it is stored and shown until it ends: queued in the background, or at work.
///
/// # Errors
/// A bug: the response has no JSON form.
pub fn under_way(meta: &ResponseMeta, shape: &ResponseShape, status: Status) -> Result<JsonText, GatewayError> {
    text_of(&object(meta, shape, status))
}

/// A response that broke before the model wrote anything of it.
#[must_use]
pub fn failed(meta: ResponseMeta, shape: ResponseShape, error: &GatewayError) -> FinalResponse {
    FinalResponse::failed(meta, shape, Vec::new(), error, Facts::default())
}

/// A response that has ended, one way or another.
#[derive(Debug, Clone, PartialEq)]
pub struct FinalResponse {
    meta: ResponseMeta,
    shape: ResponseShape,
    status: Status,
    output: Vec<OutputItem>,
    error: Option<Failure>,
    /// `incomplete_details.reason`.
    incomplete: Option<&'static str>,
    facts: Facts,
    completed_unix: Option<u64>,
}

/// What the end of an answer tells.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) usage: Option<Usage>,
    pub(super) service_tier: Option<ServiceTier>,
    pub(super) trace: Option<JsonObject>,
}

impl fmt::Debug for Facts {
    /// A guardrail's trace holds what was said, and is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts").field("usage", &self.usage).field("service_tier", &self.service_tier).finish_non_exhaustive()
    }
}

/// Code and words of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    code: &'static str,
    message: String,
}

impl FinalResponse {
    /// A response whose model has stopped.
    pub(super) fn ended(
        meta: ResponseMeta,
        shape: ResponseShape,
        output: Vec<OutputItem>,
        stop: StopReason,
        facts: Facts,
        completed_unix: u64,
    ) -> Self {
        let ending = ending_of(stop);
        let (status, incomplete, error) = match ending {
            Ending::Whole => (Status::Completed, None, None),
            Ending::CutOff(reason) => (Status::Incomplete, Some(reason), None),
            Ending::Unusable(message) => (Status::Failed, None, Some(Failure { code: SERVER_ERROR, message: message.to_owned() })),
        };
        let completed_unix = (status == Status::Completed).then_some(completed_unix);
        Self { meta, shape, status, output, error, incomplete, facts, completed_unix }
    }

    /// A response that is a summary of its conversation. One that was cut off says so in its text, and is as whole as it
    /// will be.
    pub(super) fn summarised(
        meta: ResponseMeta,
        shape: ResponseShape,
        summary: &str,
        stop: StopReason,
        facts: Facts,
        completed_unix: u64,
    ) -> Self {
        match compact::summary_item(summary, stop, &meta.id, 0) {
            Some(item) => Self::ended(meta, shape, vec![item], StopReason::EndTurn, facts, completed_unix),
            None => Self::failed(meta, shape, Vec::new(), &compact::no_summary(), facts),
        }
    }

    /// A response that broke. `output` is what was written of it.
    pub(super) fn failed(meta: ResponseMeta, shape: ResponseShape, output: Vec<OutputItem>, error: &GatewayError, facts: Facts) -> Self {
        let failure = Failure { code: error_code(error), message: errors::openai::reply(error).body.error.message.into_owned() };
        Self { meta, shape, status: Status::Failed, output, error: Some(failure), incomplete: None, facts, completed_unix: None }
    }

    /// A response that its client gave up.
    pub(super) fn cancelled(meta: ResponseMeta, shape: ResponseShape, output: Vec<OutputItem>, facts: Facts) -> Self {
        Self { meta, shape, status: Status::Cancelled, output, error: None, incomplete: None, facts, completed_unix: None }
    }

    /// `resp_...`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.meta.id
    }

    /// How it ended.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Tokens used, where they are known.
    #[must_use]
    pub fn usage(&self) -> Option<&Usage> {
        self.facts.usage.as_ref()
    }

    /// What it put out.
    #[must_use]
    pub fn output(&self) -> &[OutputItem] {
        &self.output
    }

    /// The response as this request's client gets it.
    ///
    /// # Errors
    /// A bug: the response has no JSON form.
    pub fn shown(&self) -> Result<JsonText, GatewayError> {
        text_of(&self.object(self.shape.include))
    }

    /// The response as it is stored: with all that later requests need. [`shown`] makes of it what a client gets.
    ///
    /// # Errors
    /// A bug: the response has no JSON form.
    pub fn stored(&self) -> Result<JsonText, GatewayError> {
        text_of(&self.object(Include::ALL))
    }

    /// What it shows beyond the usual.
    pub(super) fn include(&self) -> super::Include {
        self.shape.include
    }

    /// The same, as one that is not stored.
    #[must_use]
    pub fn unstored(mut self) -> Self {
        self.shape = self.shape.unstored();
        self
    }

    /// The items that it put out, as they are stored for the requests that go on from it.
    ///
    /// # Errors
    /// A bug: an item has no JSON form.
    pub fn items(&self) -> Result<Vec<JsonText>, GatewayError> {
        self.output.iter().map(text_of).collect()
    }

    /// The object that the terminal event holds.
    pub(super) fn shown_object(&self) -> ResponseObject<'_> {
        self.object(self.shape.include)
    }

    fn object(&self, include: Include) -> ResponseObject<'_> {
        let tier = self.facts.service_tier.map(tier_word).map(Cow::Borrowed);
        let mut object = object(&self.meta, &self.shape, self.status);
        object.completed_at = self.completed_unix;
        object.error = self
            .error
            .as_ref()
            .map(|failure| ResponseError { code: Cow::Borrowed(failure.code), message: Cow::Borrowed(&failure.message) });
        object.incomplete_details = self.incomplete.map(|reason| IncompleteDetails { reason: Cow::Borrowed(reason) });
        object.output = self.output.iter().map(|item| visible(item, include)).collect();
        object.usage = self.facts.usage.as_ref().map(usage_of);
        object.service_tier = tier.or(object.service_tier);
        object.trace = self.facts.trace.as_ref().map(Cow::Borrowed);
        object
    }
}

/// An item with no more than `include` asks for.
fn visible(item: &OutputItem, include: Include) -> Cow<'_, OutputItem> {
    match item {
        OutputItem::Reasoning { id, summary, encrypted_content: Some(_), status } if !include.encrypted_reasoning => {
            Cow::Owned(OutputItem::Reasoning { id: id.clone(), summary: summary.clone(), encrypted_content: None, status: *status })
        }
        OutputItem::CodeInterpreterCall { id, status, code, container_id, outputs: Some(_) } if !include.code_outputs => {
            let (id, code, container_id) = (id.clone(), code.clone(), container_id.clone());
            Cow::Owned(OutputItem::CodeInterpreterCall { id, status: *status, code, container_id, outputs: None })
        }
        item => Cow::Borrowed(item),
    }
}

/// An item as this request's client gets it.
pub(super) fn visible_to<'i>(item: &'i OutputItem, shape: &ResponseShape) -> Cow<'i, OutputItem> {
    visible(item, shape.include)
}

/// The response without anything that its model adds.
pub(super) fn object<'a>(meta: &'a ResponseMeta, shape: &'a ResponseShape, status: Status) -> ResponseObject<'a> {
    let echo = &*shape.echo;
    let text = |text: &'a Option<String>| text.as_deref().map(Cow::Borrowed);
    ResponseObject {
        id: Cow::Borrowed(&meta.id),
        object: Cow::Borrowed("response"),
        created_at: meta.created_unix,
        status,
        background: echo.background,
        completed_at: None,
        error: None,
        incomplete_details: None,
        instructions: text(&echo.instructions),
        max_output_tokens: echo.max_output_tokens,
        max_tool_calls: echo.max_tool_calls,
        model: Cow::Borrowed(&meta.model_shown),
        output: Vec::new(),
        parallel_tool_calls: echo.parallel_tool_calls,
        previous_response_id: text(&echo.previous_response_id),
        conversation: text(&echo.conversation).map(|id| ConversationEcho { id }),
        prompt_cache_key: text(&echo.prompt_cache_key),
        prompt_cache_retention: text(&echo.prompt_cache_retention),
        reasoning: ReasoningEcho { effort: text(&echo.effort), summary: text(&echo.summary) },
        safety_identifier: text(&echo.safety_identifier),
        service_tier: text(&echo.service_tier),
        store: echo.store,
        temperature: echo.temperature,
        text: Cow::Borrowed(echo.text.raw()),
        tool_choice: Cow::Borrowed(echo.tool_choice.raw()),
        tools: echo.tools.iter().map(|tool| Cow::Borrowed(tool.raw())).collect(),
        top_logprobs: echo.top_logprobs,
        top_p: echo.top_p,
        truncation: Cow::Borrowed(&echo.truncation),
        usage: None,
        user: text(&echo.user),
        metadata: Cow::Borrowed(&echo.metadata),
        trace: None,
    }
}

/// How a stop reason looks to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Completed.
    Whole,
    /// Incomplete, for this reason.
    CutOff(&'static str),
    /// Failed, in these words: nobody can use what was written.
    Unusable(&'static str),
}

impl Ending {
    /// The last item is not whole.
    pub(super) fn cuts_off(self) -> bool {
        !matches!(self, Self::Whole)
    }
}

pub(super) fn ending_of(stop: StopReason) -> Ending {
    match stop {
        StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => Ending::CutOff("max_output_tokens"),
        StopReason::GuardrailIntervened | StopReason::ContentFiltered => Ending::CutOff("content_filter"),
        StopReason::MalformedModelOutput => Ending::Unusable("the model's output was malformed"),
        StopReason::MalformedToolUse => Ending::Unusable("the model's tool call was malformed"),
        StopReason::EndTurn | StopReason::ToolUse | StopReason::StopSequence | StopReason::Unknown => Ending::Whole,
    }
}

const SERVER_ERROR: &str = "server_error";

/// OpenAI's code for what went wrong. `context_length_exceeded` is not in the published list, but it is what agents look
/// for to shorten their prompt.
fn error_code(error: &GatewayError) -> &'static str {
    match error {
        GatewayError::RateLimited { .. } => "rate_limit_exceeded",
        GatewayError::InvalidRequest { .. } => "invalid_prompt",
        GatewayError::FetchFailed { .. } => "failed_to_download_image",
        GatewayError::Upstream(failure) => match failure.cause {
            Cause::Throttled | Cause::QuotaExhausted => "rate_limit_exceeded",
            Cause::ContextOverflow => "context_length_exceeded",
            Cause::BadRequest => "invalid_prompt",
            _ => SERVER_ERROR,
        },
        _ => SERVER_ERROR,
    }
}

/// The tier by a word that OpenAI has: reserved capacity is what it calls scale.
fn tier_word(tier: ServiceTier) -> &'static str {
    match tier {
        ServiceTier::Reserved => "scale",
        other => other.as_str(),
    }
}

/// Tokens in OpenAI's terms: input is all input.
#[must_use]
pub fn usage_of(usage: &Usage) -> ResponseUsage {
    ResponseUsage {
        input_tokens: usage.prompt(),
        input_tokens_details: UsageInput { cached_tokens: usage.cache_read, cache_write_tokens: usage.cache_write() },
        output_tokens: usage.output,
        output_tokens_details: UsageOutput { reasoning_tokens: usage.reasoning.unwrap_or(0) },
        total_tokens: usage.total(),
    }
}

/// Marks an item that was cut off.
pub(super) fn mark_incomplete(item: &mut OutputItem) {
    match item {
        OutputItem::Message { status, .. }
        | OutputItem::FunctionCall { status, .. }
        | OutputItem::CustomToolCall { status, .. }
        | OutputItem::CodeInterpreterCall { status, .. } => *status = ItemStatus::Incomplete,
        OutputItem::Reasoning { status, .. } => *status = Some(ItemStatus::Incomplete),
        OutputItem::WebSearchCall { .. } | OutputItem::Compaction { .. } => {}
    }
}

#[cfg(test)]
mod tests;
