//! Native Bedrock bodies and events: what routing and accounting must know of them. Not a byte of them is changed, but for what
//! the operator, or a header of the client's, adds to a request.

use outcrop_domain::{
    chat::{ServiceTier, StopReason},
    error::{Cause, GatewayError, UpstreamFailure},
    estimate::Size,
    routing::{
        affinity::{ConversationHints, affinity_key},
        view::CacheLife,
    },
    usage::Usage,
};
use outcrop_protocol::bedrock::{
    converse::{AnswerTier, BlockDeltaEvent, MessageStopEvent, MetadataEvent, ResponseFields, TokenUsage},
    invoke::{ClaudeUsage, OpenAiUsage, OtherAnswer},
};
use serde::Deserialize;

use super::{
    json::{Kind, Scanner, Span, elements_of, members_of},
    messages_body::{CachedPrefix, Purpose, read},
    stream::stop_reason as claude_stop_reason,
    usage::UsageTally,
};
use crate::converse::answer;

mod added;
mod piece;
mod skim;

pub use added::{AddedTo, INVOKE_FIELD, invoke_field, labelled};

/// What a request is made of.
#[derive(Debug, Clone, Default)]
pub struct NativeRequest {
    /// Most tokens of the answer, where the body says so.
    pub max_tokens: Option<u64>,
    /// Input tokens, by the rules of [`outcrop_domain::estimate`].
    pub prompt_tokens: u64,
    /// What its cache marks cover; whether that is enough to be cached is for the model's data to say.
    pub cached: Option<CachedPrefix>,
    /// Estimated tokens without the newest turn: what a model can have cached that caches by itself.
    pub earlier_tokens: u64,
    /// The tier that a Converse body asks for: InvokeModel has a header for it.
    pub service_tier: Option<ServiceTier>,
    /// What is the same in every turn of the conversation.
    opening: Vec<Span>,
}

impl NativeRequest {
    /// The number of its conversation. `body` is the body that was read; `scope` and `session` as in
    /// [`super::messages_body::MessagesBody::affinity`].
    #[must_use]
    pub fn affinity(&self, body: &[u8], scope: &[&str], session: Option<&str>) -> u64 {
        let hints = ConversationHints { session, ..ConversationHints::default() };
        affinity_key(scope, &hints, self.opening.iter().map(|span| span.of(body)))
    }
}

/// Looks at a Converse body.
///
/// # Errors
/// [`GatewayError::InvalidRequest`] when it is no JSON object.
pub fn converse_request(body: &[u8]) -> Result<NativeRequest, GatewayError> {
    skim::converse(body)
}

/// Looks at an InvokeModel body of any family: closely where it is Anthropic's, by its texts otherwise.
///
/// # Errors
/// [`GatewayError::InvalidRequest`] when it is no JSON object.
pub fn invoke_request(body: &[u8]) -> Result<NativeRequest, GatewayError> {
    let members = skim::top(body)?;
    let claude = skim::is_claude(body, &members).then(|| read(body, Purpose::Count).ok()).flatten();
    let Some(claude) = claude else { return Ok(skim::any(body, &members)) };
    Ok(NativeRequest {
        max_tokens: claude.max_tokens(),
        prompt_tokens: claude.prompt_tokens(),
        cached: claude.marked(),
        // No Claude caches what is not marked.
        earlier_tokens: 0,
        service_tier: None,
        opening: claude.opening().collect(),
    })
}

/// Looks only whether a body is one that can be read.
///
/// # Errors
/// [`GatewayError::InvalidRequest`] when it is no JSON object, or has more members than are looked at.
pub fn checked(body: &[u8]) -> Result<(), GatewayError> {
    skim::top(body).map(drop)
}

/// Looks at a CountTokens body, of which nobody here must know more than that it is one.
///
/// # Errors
/// [`GatewayError::InvalidRequest`] when it is no JSON object.
pub fn count_request(body: &[u8]) -> Result<NativeRequest, GatewayError> {
    skim::top(body).map(|_| NativeRequest::default())
}

/// What an answer says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NativeAnswer {
    /// Tokens; `None` when none were told.
    pub usage: Option<Usage>,
    /// Why it ended.
    pub stop: Option<StopReason>,
    /// The tier that served it, where told.
    pub service_tier: Option<ServiceTier>,
    /// Bytes of text and tool calls in it: by them it is metered where it tells no tokens.
    pub produced_bytes: u64,
}

/// Reads a whole answer of Converse, as far as it can be read.
#[must_use]
pub fn converse_answer(body: &[u8]) -> NativeAnswer {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Skim {
        stop_reason: Option<String>,
        usage: Option<TokenUsage>,
        additional_model_response_fields: Option<ResponseFields>,
        service_tier: Option<AnswerTier>,
    }
    let skim: Skim = serde_json::from_slice(body).unwrap_or_default();
    NativeAnswer {
        usage: skim.usage.map(|usage| answer::usage(&usage, skim.additional_model_response_fields.as_ref())),
        stop: skim.stop_reason.as_deref().map(answer::stop_reason),
        service_tier: answer::service_tier(skim.service_tier),
        produced_bytes: skim::answer(body).found.produced_bytes,
    }
}

/// Token counts of InvokeModel's response headers, `x-amzn-bedrock-input-token-count` and `-output-token-count`: for families
/// whose answers tell none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeaderCounts {
    /// Input tokens.
    pub input: Option<u64>,
    /// Output tokens.
    pub output: Option<u64>,
}

impl HeaderCounts {
    /// Reads the values of the two headers.
    #[must_use]
    pub fn read(input: Option<&str>, output: Option<&str>) -> Self {
        let number = |text: Option<&str>| text.and_then(|text| text.trim().parse().ok());
        Self { input: number(input), output: number(output) }
    }

    fn usage(self) -> Option<Usage> {
        let told = self.input.or(self.output).is_some();
        told.then(|| Usage { input: self.input.unwrap_or(0), output: self.output.unwrap_or(0), ..Usage::default() })
    }
}

/// Reads a whole answer of InvokeModel, of any family, as far as it can be read.
#[must_use]
pub fn invoke_answer(body: &[u8], headers: HeaderCounts) -> NativeAnswer {
    let skim = event(body);
    let usage = skim.usage.or_else(|| headers.usage());
    NativeAnswer { usage, stop: skim.stop, service_tier: skim.service_tier, produced_bytes: skim.produced_bytes }
}

/// Pictures in an answer of InvokeModel: those that were held back stand there as `null`. Source: pages of Amazon's and
/// Stability's image models in the Bedrock user guide.
#[must_use]
pub fn pictures(body: &[u8]) -> u64 {
    let members = members_of(body, Span::new(Scanner::new(body).at(), body.len()));
    let lists = members.iter().filter(|(key, _)| PICTURES.iter().any(|name| key.is(body, name)));
    let made = lists.flat_map(|(_, list)| elements_of(body, list.span)).filter(|picture| picture.kind != Kind::Null).count();
    u64::try_from(made).unwrap_or(u64::MAX)
}

/// Members that hold them.
const PICTURES: [&str; 2] = ["images", "artifacts"];

/// Follows the events of one ConverseStream answer.
#[derive(Debug, Clone, Default)]
pub struct ConverseFrames {
    usage: Option<Usage>,
    stop: Option<StopReason>,
    service_tier: Option<ServiceTier>,
    fields: Option<ResponseFields>,
    produced: u64,
}

impl ConverseFrames {
    /// Takes one event. What cannot be read is the client's business.
    pub fn frame(&mut self, event_type: &str, payload: &[u8]) {
        match event_type {
            "contentBlockDelta" => {
                let said = piece::said(payload).or_else(|| of_delta(payload));
                self.produced = self.produced.saturating_add(said.unwrap_or(0));
            }
            "messageStop" => {
                let Ok(event) = serde_json::from_slice::<MessageStopEvent>(payload) else { return };
                self.stop = Some(answer::stop_reason(&event.stop_reason));
                self.fields = event.additional_model_response_fields;
            }
            "metadata" => {
                let Ok(event) = serde_json::from_slice::<MetadataEvent>(payload) else { return };
                let usage = event.usage.map(|usage| answer::usage(&usage, self.fields.as_ref()));
                self.usage = usage.or(self.usage);
                self.service_tier = answer::service_tier(event.service_tier).or(self.service_tier);
            }
            _ => {}
        }
    }

    /// What was told so far.
    #[must_use]
    pub fn answer(&self) -> NativeAnswer {
        NativeAnswer { usage: self.usage, stop: self.stop, service_tier: self.service_tier, produced_bytes: self.produced }
    }

    /// Bytes of text, tool calls and reasoning that the model has written so far.
    #[must_use]
    pub fn produced_bytes(&self) -> u64 {
        self.produced
    }

    /// True once the answer is complete and its tokens are told.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.stop.is_some() && self.usage.is_some()
    }

    /// Says how the answer ended when the connection did.
    ///
    /// # Errors
    /// [`Cause::BrokenStream`] when the model had not said that it was done.
    pub fn end(&self) -> Result<(), UpstreamFailure> {
        if self.stop.is_some() {
            return Ok(());
        }
        let message = "the stream ended before the model had finished its answer".to_owned();
        Err(answer::failure(Cause::BrokenStream, "TruncatedStream", message))
    }
}

/// Bytes that a `contentBlockDelta` says, however it is written; `None` when it cannot be read.
fn of_delta(payload: &[u8]) -> Option<u64> {
    let event: BlockDeltaEvent = serde_json::from_slice(payload).ok()?;
    let reasoning = event.delta.reasoning_content.unwrap_or_default();
    let texts = [event.delta.text, event.delta.tool_use.map(|call| call.input), reasoning.text, reasoning.redacted_content];
    u64::try_from(texts.iter().flatten().map(String::len).sum::<usize>()).ok()
}

/// What an answer or an event of any family says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Skim {
    pub(super) usage: Option<Usage>,
    pub(super) stop: Option<StopReason>,
    pub(super) service_tier: Option<ServiceTier>,
    pub(super) produced_bytes: u64,
}

/// Reads an answer, or an event of a stream, of any family.
pub(super) fn event(json: &[u8]) -> Skim {
    let mut skim = skim::answer(json);
    let other: OtherAnswer = serde_json::from_slice(json).unwrap_or_default();
    let mut tally = UsageTally::default();
    if let Some(usage) = skim.usage_object.and_then(|span| serde_json::from_slice::<ClaudeUsage>(span.of(json)).ok())
        && usage.input_tokens.or(usage.output_tokens).is_some()
    {
        tally.told_by_model(&usage);
        skim.found.service_tier = usage.service_tier.as_deref().and_then(super::usage::service_tier);
    }
    if let Some(metrics) = &other.metrics {
        tally.told_by_bedrock(metrics);
    }
    skim.found.usage = tally.usage().or_else(|| usage_of(&other));
    skim.found
}

/// Tokens in the names of families other than Claude.
fn usage_of(answer: &OtherAnswer) -> Option<Usage> {
    if let Some(usage) = &answer.usage {
        return usage_of_object(usage);
    }
    if let Some(nova) = answer.metadata.and_then(|metadata| metadata.usage) {
        return usage_of_object(&OpenAiUsage { nova, ..OpenAiUsage::default() });
    }
    let llama = answer.prompt_token_count.or(answer.generation_token_count);
    if llama.is_some() {
        return Some(counts(answer.prompt_token_count, answer.generation_token_count));
    }
    if let Some(input) = answer.input_text_token_count {
        let output = answer.results.iter().flatten().filter_map(|result| result.token_count).sum();
        return Some(counts(Some(input), Some(output)));
    }
    let billed = answer.meta.and_then(|meta| meta.billed_units)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count that is written as a float; casts saturate")]
    let whole = |count: Option<f64>| count.map(|count| count as u64);
    Some(counts(whole(billed.input_tokens), whole(billed.output_tokens)))
}

fn usage_of_object(usage: &OpenAiUsage) -> Option<Usage> {
    if usage.nova.input_tokens.or(usage.nova.output_tokens).is_some() {
        return Some(Usage {
            cache_read: usage.nova.cache_read_input_token_count.unwrap_or(0),
            cache_write_5m: usage.nova.cache_write_input_token_count.unwrap_or(0),
            ..counts(usage.nova.input_tokens, usage.nova.output_tokens)
        });
    }
    usage.prompt_tokens.or(usage.completion_tokens)?;
    let cached = usage.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
    Some(Usage {
        // Theirs holds what was read from the cache, ours does not.
        input: usage.prompt_tokens.unwrap_or(0).saturating_sub(cached),
        cache_read: cached,
        reasoning: usage.completion_tokens_details.and_then(|details| details.reasoning_tokens),
        ..counts(None, usage.completion_tokens)
    })
}

fn counts(input: Option<u64>, output: Option<u64>) -> Usage {
    Usage { input: input.unwrap_or(0), output: output.unwrap_or(0), ..Usage::default() }
}

/// A prefix as marks were found to cover it.
fn prefix(covered: Size, before_last: Size, life: CacheLife) -> CachedPrefix {
    CachedPrefix { tokens: covered.tokens().min(before_last.tokens()), life }
}

#[cfg(test)]
mod tests;
