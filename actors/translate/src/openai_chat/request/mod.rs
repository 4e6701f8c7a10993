//! `POST /v1/chat/completions` -> the chat hub.
//!
//! Every published property is carried over, or changed and reported, or refused by name; so are the spellings
//! of other providers that clients send. The rest goes to the model.

pub(crate) mod caching;
mod conversation;
pub(crate) mod extras;
pub(crate) mod format;
pub(crate) mod history;
pub(crate) mod media;
pub(crate) mod notes;
pub(crate) mod parameters;
mod parts;
pub(crate) mod reasoning;
pub(crate) mod tools;

use outcrop_domain::{adjust::Adjustments, chat::ChatRequest, error::GatewayError};
use outcrop_protocol::openai::chat::ChatCompletionRequest;

use super::{AnswerShape, stream::UsageChunk};
pub use crate::dialect::{
    ReadOptions, Sniff,
    guardrail::GuardrailRule,
    media::{Fetched, FetchedMedia, MediaUrl},
    notes::Strictness,
};
use crate::openai_responses::cursor;
pub use media::media_urls;
use notes::{Notes, invalid_value, missing, unsupported};

/// A request, read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadChat {
    /// The model, by the caller's name.
    pub model: String,
    /// The request in no dialect.
    pub request: ChatRequest,
    /// What was changed.
    pub adjustments: Adjustments,
    /// Answers asked for, at least 1.
    pub choices: u32,
    /// Whole or bit by bit.
    pub delivery: Delivery,
    /// How the client wants its answer written.
    pub shape: AnswerShape,
}

/// How the answer goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// One JSON body.
    Whole,
    /// Server-sent events.
    Stream {
        /// `stream_options.include_usage`.
        usage: UsageChunk,
    },
}

/// True for a Responses body that a client posts to the chat path (Cursor does): `input` and no `messages`.
#[must_use]
pub fn is_responses_body(wire: &ChatCompletionRequest) -> bool {
    wire.messages.is_none() && wire.input.is_some()
}

/// Reads a request. `fetched` holds what [`media_urls`] named.
///
/// # Errors
/// `InvalidRequest` that names the field; `FetchFailed` for an address that `fetched` lacks.
pub fn read(mut wire: ChatCompletionRequest, fetched: &FetchedMedia, options: &ReadOptions) -> Result<ReadChat, GatewayError> {
    let mut notes = Notes::new(options.strictness);
    if is_responses_body(&wire) {
        cursor::adopt(&mut wire, &mut notes)?;
    }
    let model = wire.model.take().filter(|model| !model.is_empty()).ok_or_else(|| missing("model"))?;
    refuse_what_cannot_be(&wire)?;
    let choices = parameters::choices(&wire, options.max_choices)?;
    let delivery = delivery(&wire, &mut notes)?;
    let lifetimes = caching::Lifetimes::read(&wire, &mut notes)?;
    let reasoning = reasoning::read(&wire, &mut notes)?;
    let tools = tools::read(&mut wire, options.max_tools, &lifetimes, &mut notes)?;
    let conversation = conversation::read(&mut wire, fetched, options.sniff, &lifetimes, &mut notes)?;
    let request = ChatRequest {
        system: conversation.system,
        messages: conversation.messages,
        tools: tools.tools,
        tool_choice: tools.choice,
        parallel_tool_calls: tools.parallel,
        max_tokens: parameters::max_tokens(&wire, &mut notes)?,
        sampling: parameters::sampling(&mut wire, &mut notes)?,
        reasoning,
        format: format::read(wire.response_format.take())?,
        cache: caching::policy(&wire, options.cache, &lifetimes)?,
        guardrail: extras::guardrail(&mut wire, &options.guardrail)?,
        service_tier: parameters::service_tier(&wire, options.service_tier, &mut notes)?,
        latency: parameters::latency(&wire, options.latency)?,
        metadata: parameters::metadata(&mut wire, &mut notes),
        beta_flags: extras::beta_flags(&mut wire, &options.beta_flags),
        extra: extras::model_parameters(&mut wire, &mut notes),
    };
    ignore_what_only_tunes(&wire, &mut notes)?;
    let shape = AnswerShape { calls: tools.calls, custom_tools: tools.custom, reasoning: reasoning.visibility };
    Ok(ReadChat { model, request, adjustments: notes.into_adjustments(), choices, delivery, shape })
}

/// Properties that are the request itself (an output form, a safety restriction) and that this endpoint lacks.
fn refuse_what_cannot_be(wire: &ChatCompletionRequest) -> Result<(), GatewayError> {
    if wire.audio.is_some() {
        return Err(unsupported("audio", "spoken answers (`audio`) are not available on this endpoint; use /v1/audio/speech"));
    }
    for modality in wire.modalities.iter().flatten() {
        match modality.as_str() {
            "text" => {}
            "audio" => {
                return Err(unsupported("modalities", "spoken answers (`audio` in `modalities`) are not available on this endpoint"));
            }
            _ => return Err(invalid_value("modalities", "`modalities` may only hold `text`")),
        }
    }
    if wire.moderation.is_some() {
        let message = "`moderation` is not available on this endpoint; apply a guardrail instead (`guardrail`)";
        return Err(unsupported("moderation", message));
    }
    if wire.logprobs == Some(true) {
        return Err(unsupported("logprobs", "log probabilities (`logprobs: true`) are not available: Bedrock does not report them"));
    }
    Ok(())
}

/// Hints without which the answer is the same in kind.
fn ignore_what_only_tunes(wire: &ChatCompletionRequest, notes: &mut Notes) -> Result<(), GatewayError> {
    if wire.store == Some(true) {
        notes.meaning("store", "ignored")?;
    }
    if wire.prediction.is_some() {
        notes.harmless("prediction", "ignored");
    }
    match wire.verbosity.as_deref() {
        None => {}
        Some("medium") => notes.harmless("verbosity", "ignored"),
        Some("low" | "high") => notes.meaning("verbosity", "ignored")?,
        Some(_) => return Err(invalid_value("verbosity", "`verbosity` must be `low`, `medium` or `high`")),
    }
    Ok(())
}

fn delivery(wire: &ChatCompletionRequest, notes: &mut Notes) -> Result<Delivery, GatewayError> {
    let stream_options = wire.stream_options.as_ref();
    if wire.stream != Some(true) {
        if stream_options.is_some() {
            notes.harmless("stream_options", "ignored");
        }
        return Ok(Delivery::Whole);
    }
    if stream_options.and_then(|options| options.include_obfuscation) == Some(true) {
        notes.meaning("stream_options.include_obfuscation", "ignored")?;
    }
    let wanted = stream_options.and_then(|options| options.include_usage) == Some(true);
    Ok(Delivery::Stream { usage: if wanted { UsageChunk::Sent } else { UsageChunk::Omitted } })
}

#[cfg(test)]
mod tests;
