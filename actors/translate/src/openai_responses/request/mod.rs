//! `POST /v1/responses` -> the chat hub.
//!
//! Every published property is carried over, or changed and reported, or refused by name. What the API shares with chat
//! completions (sampling, tiers, labels, caching, parameters of the model's own) is read by the same code.

mod added;
mod conversation;
mod fault;
mod history;
mod include;
mod items;
mod linkage;
mod media_urls;
mod outputs;
mod parts;
mod place;
mod resources;
mod settings;
mod text;
mod tools;
mod truncate;

use std::{collections::BTreeMap, sync::Arc};

use outcrop_domain::{
    adjust::Adjustments,
    chat::{ChatRequest, ReasoningVisibility},
    error::GatewayError,
    json::JsonText,
};
use outcrop_protocol::openai::responses::ResponsesRequest;

use super::{AnswerForm, ResponseShape, compact};
use crate::{
    dialect::{
        ReadOptions,
        media::FetchedMedia,
        notes::{Notes, Strictness},
    },
    openai_chat::request::{
        caching::{self, Lifetimes},
        extras, parameters, reasoning,
    },
};
pub(super) use added::check as check_added;
use conversation::Conversation;
pub(super) use conversation::{ItemReader, Naming};
pub(super) use fault::inside as wrong_inside;
pub use fault::malformed_body;
pub use linkage::{ItemReference, Linkage, conversation_id, is_sealed, linkage};
pub use media_urls::media_urls;
pub(super) use media_urls::urls_of;
pub use resources::{input_resources, item_resources};
pub(super) use settings::labels;

/// What the gateway's settings, the model's data and the request's headers say beside the body.
#[derive(Debug, Clone)]
pub struct ResponsesOptions {
    /// What all dialects share.
    pub shared: ReadOptions,
    /// What to do with a provider's tool that the model does not have.
    pub missing_tools: MissingTools,
    /// Most tokens that the model takes, where known: beyond them `truncation: auto` drops the oldest turns.
    pub context_tokens: Option<u32>,
}

impl ResponsesOptions {
    /// The options of a gateway without settings for this API alone.
    #[must_use]
    pub fn new(shared: ReadOptions) -> Self {
        Self { shared, missing_tools: MissingTools::default(), context_tokens: None }
    }
}

/// What to do with a tool that the provider would have to run and cannot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MissingTools {
    /// 400 that names it.
    #[default]
    Refused,
    /// It is left out, and reported: some agents offer a web search in every request.
    LeftOut,
}

/// What was stored earlier and belongs to the request.
#[derive(Debug, Clone, Default)]
pub struct Earlier {
    /// The items of `previous_response_id` or `conversation`, inputs and outputs, oldest first.
    pub items: Vec<JsonText>,
    /// The items that [`Linkage::references`] names, and those of [`Linkage::unsealed`] that were found, by id.
    pub referenced: BTreeMap<String, JsonText>,
}

/// A request, read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadResponses {
    /// The model, by the caller's name.
    pub model: String,
    /// The request in no dialect.
    pub request: ChatRequest,
    /// What was changed.
    pub adjustments: Adjustments,
    /// Whole or bit by bit.
    pub delivery: Delivery,
    /// How the client wants its answer written.
    pub shape: ResponseShape,
}

/// How the answer goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// One JSON body.
    Whole,
    /// Server-sent events.
    Stream,
}

/// Reads a request. `earlier` holds what [`linkage`] named, `fetched` what [`media_urls`] named.
///
/// # Errors
/// `InvalidRequest` that names the field, `NotFound` for a referenced item that `earlier` lacks, `FetchFailed` for an
/// address that `fetched` lacks.
pub fn read(
    mut wire: ResponsesRequest,
    earlier: &Earlier,
    fetched: &FetchedMedia,
    options: &ResponsesOptions,
) -> Result<ReadResponses, GatewayError> {
    let mut notes = Notes::new(options.shared.strictness);
    let model = wire.model.take().filter(|model| !model.is_empty()).ok_or_else(|| fault::missing("model"))?;
    linkage::check(&wire)?;
    settings::refuse_what_cannot_be(&wire)?;
    let delivery = delivery(&wire, &mut notes)?;
    let include = include::read(&wire, &mut notes)?;
    let mut echo = settings::echo(&mut wire, &mut notes)?;
    let mut chat = settings::as_chat(&mut wire, &mut notes)?;
    let lifetimes = Lifetimes::read(&chat, &mut notes)?;
    let format = text::read(&mut wire, &mut echo, &mut notes)?;
    let mut offer = tools::read(&mut wire, &mut echo, options, &lifetimes, &mut notes)?;
    let conversation = read_conversation(&mut wire, earlier, fetched, options, &lifetimes, &mut offer, &mut notes)?;
    let tools = offer.choose(wire.tool_choice.take(), &mut echo, &mut notes)?;
    let answer = if conversation.compact { AnswerForm::Summary } else { AnswerForm::Items };
    let mut request = ChatRequest {
        system: conversation.system,
        messages: conversation.messages,
        tools: tools.tools,
        tool_choice: tools.choice,
        parallel_tool_calls: settings::parallel(&echo),
        max_tokens: echo.max_output_tokens,
        sampling: parameters::sampling(&mut chat, &mut notes)?,
        reasoning: reasoning::read(&chat, &mut notes)?,
        format,
        cache: caching::policy(&chat, options.shared.cache, &lifetimes)?,
        guardrail: extras::guardrail(&mut chat, &options.shared.guardrail)?,
        service_tier: parameters::service_tier(&chat, options.shared.service_tier, &mut notes)?,
        latency: parameters::latency(&chat, options.shared.latency)?,
        metadata: parameters::metadata(&mut chat, &mut notes),
        beta_flags: extras::beta_flags(&mut chat, &options.shared.beta_flags),
        extra: extras::model_parameters(&mut chat, &mut notes),
    };
    truncate::fit(&mut request, &echo, options, &mut notes);
    let summary = if echo.summary.is_some() { ReasoningVisibility::Shown } else { ReasoningVisibility::Hidden };
    if answer == AnswerForm::Summary {
        compact::ask_for_summary(&mut request);
    }
    let shape = ResponseShape { answer, tools: Arc::new(tools.forms), summary, include, echo: Arc::new(echo) };
    Ok(ReadResponses { model, request, adjustments: notes.into_adjustments(), delivery, shape })
}

/// Reads a request of which only the input counts (`/responses/input_tokens`): the same body, with fewer members.
///
/// # Errors
/// As [`read`].
pub fn read_for_counting(
    mut wire: ResponsesRequest,
    earlier: &Earlier,
    fetched: &FetchedMedia,
    options: &ResponsesOptions,
) -> Result<ReadResponses, GatewayError> {
    let personality = wire.extra.remove("personality").is_some_and(|value| !value.is_null());
    let mut read = read(wire, earlier, fetched, options)?;
    if personality {
        read.adjustments.note("personality", "ignored");
    }
    Ok(read)
}

fn read_conversation(
    wire: &mut ResponsesRequest,
    earlier: &Earlier,
    fetched: &FetchedMedia,
    options: &ResponsesOptions,
    lifetimes: &Lifetimes,
    offer: &mut tools::Offer,
    notes: &mut Notes,
) -> Result<Conversation, GatewayError> {
    let strict = options.shared.strictness == Strictness::Strict;
    let mut reader = ItemReader::new(fetched, options.shared.sniff, lifetimes, &earlier.referenced, offer, notes, strict);
    if let Some(instructions) = wire.instructions.take() {
        reader.instruct(instructions);
    }
    for item in &earlier.items {
        reader.item(item.get(), linkage::place_of_earlier(wire))?;
    }
    match wire.input.take() {
        Some(input) => reader.input(input)?,
        None if earlier.items.is_empty() => return Err(fault::missing("input")),
        None => {}
    }
    reader.finish()
}

fn delivery(wire: &ResponsesRequest, notes: &mut Notes) -> Result<Delivery, GatewayError> {
    if wire.stream_options.as_ref().and_then(|options| options.include_obfuscation) == Some(true) {
        notes.meaning("stream_options.include_obfuscation", "ignored")?;
    }
    Ok(if wire.stream == Some(true) { Delivery::Stream } else { Delivery::Whole })
}

#[cfg(test)]
mod tests;
