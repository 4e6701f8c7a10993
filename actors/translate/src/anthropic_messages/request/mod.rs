//! `POST /v1/messages` -> the chat hub.
//!
//! Every published property is carried over, or changed and reported, or refused by name; so are the properties of betas
//! and of older clients. The rest goes to the model and is reported.

mod blocks;
mod caching;
mod conversation;
mod faults;
mod format;
mod media;
mod parameters;
mod place;
mod reasoning;
mod results;
mod system;
mod tools;
mod unread;

use outcrop_domain::{adjust::Adjustments, chat::ChatRequest, error::GatewayError};
use outcrop_protocol::anthropic::messages::MessagesRequest;

pub use crate::dialect::{
    ReadOptions, Sniff,
    guardrail::GuardrailRule,
    media::{Fetched, FetchedMedia, MediaUrl},
    notes::Strictness,
};
use crate::dialect::{beta_flags, guardrail, media::MediaReader, notes::Notes, performance};
use faults::missing;
pub(super) use media::urls;
pub(crate) use parameters::tier;
pub(crate) use place::Place;

/// A request, read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadMessages {
    /// The model, by the caller's name.
    pub model: String,
    /// The request in no dialect.
    pub request: ChatRequest,
    /// What was changed.
    pub adjustments: Adjustments,
    /// Whole or bit by bit.
    pub delivery: Delivery,
}

/// How the answer goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// One JSON body.
    Whole,
    /// Server-sent events.
    Stream,
}

/// The web addresses of a request, each once, in order: to be fetched before [`read`].
#[must_use]
pub fn media_urls(request: &MessagesRequest) -> Vec<MediaUrl> {
    urls(request.messages.as_deref())
}

/// Reads a request. `fetched` holds what [`media_urls`] named.
///
/// # Errors
/// `InvalidRequest` that names the field; `FetchFailed` for an address that `fetched` lacks.
pub fn read(wire: MessagesRequest, fetched: &FetchedMedia, options: &ReadOptions) -> Result<ReadMessages, GatewayError> {
    let max_tokens = parameters::max_tokens(&wire);
    let mut read = read_all_but_limit(wire, fetched, options)?;
    read.request.max_tokens = Some(max_tokens?);
    Ok(read)
}

/// Reads everything but `max_tokens`, which nobody needs to count a prompt.
pub(super) fn read_all_but_limit(
    mut wire: MessagesRequest,
    fetched: &FetchedMedia,
    options: &ReadOptions,
) -> Result<ReadMessages, GatewayError> {
    let mut notes = Notes::new(options.strictness);
    let model = wire.model.take().filter(|model| !model.is_empty()).ok_or_else(|| missing("model"))?;
    unread::settle(&wire, &mut notes)?;
    let output = wire.output_config.take().unwrap_or_default();
    conversation::report_unread("output_config", &output.rest, &mut notes);
    let format = match (output.format, wire.output_format.take()) {
        (Some(_), Some(_)) => return Err(faults::fault("output_format", "repeats `output_config.format`: send that alone")),
        (Some(format), None) => format::read(Some(format), "output_config.format")?,
        (None, older) => format::read(older, "output_format")?,
    };
    let limits = tools::Limits { most: options.max_tools, system_tools: &options.system_tools };
    let tools = tools::read(wire.tools.take(), wire.tool_choice.take(), limits, &mut notes)?;
    let request = ChatRequest {
        system: system::read(wire.system.take(), &mut notes)?,
        messages: conversation::read(wire.messages.take(), MediaReader::new(fetched, options.sniff), &mut notes)?,
        tools: tools.tools,
        tool_choice: tools.choice,
        parallel_tool_calls: tools.parallel,
        max_tokens: None,
        sampling: parameters::sampling(&mut wire, &mut notes)?,
        reasoning: reasoning::read(wire.thinking.as_ref(), output.effort.as_deref(), &mut notes)?,
        format,
        cache: caching::policy(wire.cache_control.as_ref(), wire.prompt_caching.as_ref(), options.cache, &mut notes)?,
        guardrail: guardrail::chosen(wire.guardrail.take(), wire.guardrail_config.take(), &options.guardrail)?,
        service_tier: tier(wire.service_tier.as_deref(), options.service_tier)?,
        latency: performance::latency(wire.performance_config.as_ref(), options.latency)?,
        metadata: parameters::metadata(&mut wire, &mut notes),
        beta_flags: beta_flags::flags(wire.anthropic_beta.take(), &options.beta_flags),
        extra: unread::model_parameters(wire.rest, wire.additional_model_request_fields, &mut notes),
    };
    let delivery = if wire.stream == Some(true) { Delivery::Stream } else { Delivery::Whole };
    Ok(ReadMessages { model, request, adjustments: notes.into_adjustments(), delivery })
}

#[cfg(test)]
mod tests;
