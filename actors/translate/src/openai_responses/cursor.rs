//! A Responses body that a client posts to `/v1/chat/completions`, as Cursor does: it is read as what it is, and answered
//! in chat chunks, which is what such a client reads.
//!
//! Tools, tool choice and all the settings are read as chat's, which takes the flat spellings too; only what stands for
//! `messages` is read here, and what has another name there is put where chat looks for it.

use std::collections::BTreeMap;

use outcrop_domain::{
    chat::{Message, SystemBlock},
    error::GatewayError,
};
use outcrop_protocol::openai::{
    body::decode_text,
    chat::{ChatCompletionRequest, ResponseFormatParam},
    loose::Whole,
    responses::{InputParam, TextParam},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};

use super::request::{ItemReader, Naming, urls_of};
use crate::{
    dialect::{
        Sniff,
        media::{FetchedMedia, MediaUrl},
        notes::Notes,
    },
    openai_chat::request::{
        caching::Lifetimes,
        notes::{missing, unsupported},
    },
};

/// Members that belong to responses which are stored. Answered as chat, nothing is.
const STORED: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

/// Members that change nothing in an answer of this form.
const WITHOUT_EFFECT: [&str; 5] = ["background", "context_management", "include", "max_tool_calls", "truncation"];

/// Puts the settings of a Responses body where chat looks for them. What is left of it are `input` and `instructions`.
pub(crate) fn adopt(wire: &mut ChatCompletionRequest, notes: &mut Notes) -> Result<(), GatewayError> {
    for name in STORED {
        if wire.extra.remove(name).is_some_and(|value| !value.is_null()) {
            return Err(unsupported(name, format!("`{name}` needs the Responses API: send the request to /v1/responses")));
        }
    }
    for name in WITHOUT_EFFECT {
        if wire.extra.remove(name).is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false))) {
            notes.harmless(name, "ignored");
        }
    }
    if let Some(most) = member::<Whole>(wire, "max_output_tokens")? {
        wire.max_completion_tokens = wire.max_completion_tokens.or(Some(most));
    }
    if let Some(text) = member::<TextParam>(wire, "text")? {
        wire.verbosity = wire.verbosity.take().or(text.verbosity);
        wire.response_format = wire.response_format.take().or(text.format.filter(says_something));
    }
    Ok(())
}

/// Reads `instructions` and `input` as the conversation.
pub(crate) fn conversation(
    wire: &mut ChatCompletionRequest,
    fetched: &FetchedMedia,
    sniff: Sniff,
    lifetimes: &Lifetimes,
    notes: &mut Notes,
) -> Result<(Vec<SystemBlock>, Vec<Message>), GatewayError> {
    let instructions = member::<String>(wire, "instructions")?;
    let input = wire.input.take().filter(|input| input.get() != "null").ok_or_else(|| missing("input"))?;
    let input: InputParam = decode_text(input.get()).map_err(|error| super::request::wrong_inside("input", &error))?;
    let (referenced, mut naming) = (BTreeMap::new(), Plain);
    let mut reader = ItemReader::new(fetched, sniff, lifetimes, &referenced, &mut naming, notes, false);
    if let Some(instructions) = instructions {
        reader.instruct(instructions);
    }
    reader.input(input)?;
    let conversation = reader.finish()?;
    if conversation.compact {
        notes.harmless("input.compaction_trigger", "dropped");
    }
    Ok((conversation.system, conversation.messages))
}

/// The web addresses in `input`.
pub(crate) fn media_urls(wire: &ChatCompletionRequest) -> Vec<MediaUrl> {
    let input = wire.input.as_ref();
    // What cannot be read is reported when it is read.
    input.and_then(|text| serde_json::from_str::<InputParam>(text.get()).ok()).map(|input| urls_of(&input)).unwrap_or_default()
}

/// Chat knows no namespaces, and its offer stands when the conversation is read.
struct Plain;

impl Naming for Plain {
    fn model_name(&self, namespace: Option<&str>, name: &str) -> String {
        namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}__{name}"))
    }

    fn add(&mut self, _: Vec<Box<RawValue>>, _: String, notes: &mut Notes) -> Result<(), GatewayError> {
        notes.harmless("input.tools", "dropped");
        Ok(())
    }
}

/// Takes a member that chat does not know, in the form it has in the other API.
fn member<T: DeserializeOwned>(wire: &mut ChatCompletionRequest, name: &'static str) -> Result<Option<T>, GatewayError> {
    let Some(value) = wire.extra.remove(name).filter(|value| !value.is_null()) else { return Ok(None) };
    decode_text(&value.to_string()).map(Some).map_err(|error| super::request::wrong_inside(name, &error))
}

/// `text.format` of type `text` is what chat calls no format.
fn says_something(format: &ResponseFormatParam) -> bool {
    format.kind.as_deref() != Some("text")
}
