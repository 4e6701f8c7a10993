//! What differs between the dialects of chat clients: how a request is read into the hub, and what the edge must know to
//! write its answer. Everything between the two is the same for all.

use outcrop_domain::{adjust::Adjustments, chat::ChatRequest, error::GatewayError};
use outcrop_translate::{
    anthropic_messages::request as messages,
    converse::Mode,
    dialect::{
        ReadOptions,
        media::{FetchedMedia, MediaUrl},
    },
    openai_chat::request as openai_chat,
    openai_chat::stream::UsageChunk,
};

use super::facts::Hints;
use crate::ports::{AnswerDialect, ClientRequest};

/// A request in no dialect any more.
pub(super) struct Read {
    /// What is asked.
    pub(super) request: ChatRequest,
    /// What was changed.
    pub(super) adjustments: Adjustments,
    /// Answers asked for, at least 1.
    pub(super) choices: u32,
    /// Whole or bit by bit.
    pub(super) mode: Mode,
    /// How the answer is written.
    pub(super) dialect: AnswerDialect,
}

/// The web addresses that a request names: to be fetched before it is read.
pub(super) fn media_urls(request: &ClientRequest) -> Vec<MediaUrl> {
    match request {
        ClientRequest::OpenAiChat(wire) => openai_chat::media_urls(wire),
        ClientRequest::Messages(wire) => messages::media_urls(wire),
    }
}

/// What the client says of its conversation. `session` came in a header.
pub(super) fn hints(request: &ClientRequest, session: Option<String>) -> Hints {
    match request {
        ClientRequest::OpenAiChat(wire) => Hints { session, prompt_cache_key: wire.prompt_cache_key.clone(), user: wire.user.clone() },
        ClientRequest::Messages(wire) => {
            let user = wire.metadata.as_ref().and_then(|metadata| metadata.get("user_id")).and_then(|user| user.as_str());
            Hints { session, prompt_cache_key: None, user: user.map(str::to_owned) }
        }
    }
}

/// Reads a request for a model.
///
/// # Errors
/// What is wrong with it, in the words of its dialect.
pub(super) fn read(request: ClientRequest, fetched: &FetchedMedia, options: ReadOptions) -> Result<Read, GatewayError> {
    match request {
        ClientRequest::OpenAiChat(wire) => {
            let read = openai_chat::read(*wire, fetched, &options)?;
            let (mode, usage_chunk) = match read.delivery {
                openai_chat::Delivery::Whole => (Mode::Whole, UsageChunk::Omitted),
                openai_chat::Delivery::Stream { usage } => (Mode::Stream, usage),
            };
            let dialect = AnswerDialect::OpenAiChat { shape: read.shape, usage_chunk, choices: read.choices };
            Ok(Read { request: read.request, adjustments: read.adjustments, choices: read.choices, mode, dialect })
        }
        ClientRequest::Messages(wire) => {
            let read = messages::read(*wire, fetched, &options)?;
            let mode = match read.delivery {
                messages::Delivery::Whole => Mode::Whole,
                messages::Delivery::Stream => Mode::Stream,
            };
            Ok(Read { request: read.request, adjustments: read.adjustments, choices: 1, mode, dialect: AnswerDialect::Messages })
        }
    }
}
