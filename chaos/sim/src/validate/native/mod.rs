//! Native bodies of InvokeModel, each judged as its own model judges it and read into the terms the mock model knows.
//!
//! Anthropic's complaints reach the caller of InvokeModel as they are, without the wrapping of Converse. Source of their words: error
//! texts in public issue trackers; where none is known, the most plausible one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Refusal, shape};
use crate::models::{Invoke, SimModel};

mod chat;
mod messages;
mod nova;
mod prompt;
mod wishes;

#[cfg(test)]
mod tests;

pub(crate) use messages::native_name;
pub(crate) use wishes::Wishes;

/// Largest native body, in bytes of JSON. Source: service model `bedrock-runtime/2023-09-30`.
const MAX_BODY: usize = 25_000_000;

/// What a body is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An answer, streamed or not.
    Answer { streaming: bool },
    /// Its tokens: a body too long for the model is counted all the same.
    Count,
}

/// Shape of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Anthropic Messages.
    Messages,
    /// Nova.
    Nova,
    /// OpenAI chat completions.
    Chat,
}

/// A body its model accepts.
pub(crate) struct Body {
    pub(crate) manner: Manner,
    content: Content,
    pub(crate) asks: Asks,
}

/// What a body asks of the form of its answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asks {
    /// `stream_options.include_usage` of a chat body.
    pub(crate) usage_chunk: bool,
    /// `context_management` of a Messages body: the answer tells which edits were applied.
    pub(crate) context_edits: bool,
}

enum Content {
    Messages(messages::Parts),
    /// A Converse body with the same meaning.
    Converse(Value),
}

impl Body {
    /// The request in the terms of the mock model.
    pub(crate) fn request(&self) -> Result<shape::Request<'_>, Refusal> {
        match &self.content {
            Content::Messages(parts) => parts.request(),
            Content::Converse(body) => shape::request(body, true),
        }
    }
}

/// Reads the JSON of a native body.
pub(crate) fn parse(body: &[u8]) -> Result<Value, Refusal> {
    if body.len() > MAX_BODY {
        return Err(Refusal::validation(format!(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less than or equal to {MAX_BODY}"
        )));
    }
    serde_json::from_slice(body).map_err(|fault| malformed(&format!("the body is not valid JSON: {fault}")))
}

/// Judges a native body. `None` for models whose native answers are not simulated, and whose body is not malformed.
pub(crate) fn read(model: &SimModel, body: Value, purpose: Purpose) -> Result<Option<Body>, Refusal> {
    let Some(traits) = &model.traits else { return Ok(None) };
    if traits.invoke == Invoke::None {
        return Ok(None);
    }
    if purpose == (Purpose::Answer { streaming: true }) && !model.streaming {
        return Err(Refusal::validation("The model is unsupported for streaming."));
    }
    let Value::Object(body) = body else { return Err(malformed(&format!("#: expected type: JSONObject, found: {}", kind_of(&body)))) };
    match traits.invoke {
        Invoke::Messages => messages::read(model, traits, body, purpose).map(Some),
        Invoke::Nova => nova::read(model, body, purpose).map(Some),
        Invoke::Chat => chat::read(model, traits, body, purpose).map(Some),
        Invoke::Prompt => prompt::check(traits, &body).map(|()| None),
        Invoke::None => Ok(None),
    }
}

/// Reads the base64 of the native half of a CountTokens body.
pub(crate) fn counted(model: &SimModel, text: &str) -> Result<Body, Refusal> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| Refusal::serialization("Unable to deserialize blob: invalid base64 (at 'input.invokeModel.body')"))?;
    read(model, parse(&bytes)?, Purpose::Count)?.ok_or_else(crate::models::uncounted)
}

/// The refusal of the schema check before the model.
fn malformed(what: &str) -> Refusal {
    Refusal::validation(format!("Malformed input request: {what}, please reformat your input and try again."))
}

/// The refusal of a member nobody knows, by the schema check.
fn extraneous(at: &str, key: &str) -> Refusal {
    malformed(&format!("{at}: extraneous key [{key}] is not permitted"))
}

/// A JSON type in the words of the schema check.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "Null",
        Value::Bool(_) => "Boolean",
        Value::Number(number) if number.is_f64() => "Double",
        Value::Number(_) => "Integer",
        Value::String(_) => "String",
        Value::Array(_) => "JSONArray",
        Value::Object(_) => "JSONObject",
    }
}
