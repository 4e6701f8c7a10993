//! What one event, frame or whole body of an answer says, whatever its dialect.

mod anthropic;
mod bedrock;
mod chat;
mod frames;
mod responses;

use serde_json::Value;

pub(super) use frames::{Frame, Frames};

use crate::{
    history::{Envelope, Tokens},
    scenario::Dialect,
};

/// Longest error message that is kept.
pub(super) const LONGEST_MESSAGE: usize = 600;

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Text.
    Text(String),
    /// A tool call begins.
    Call,
    /// A piece of its arguments, as JSON text.
    Arguments(String),
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Pieces of the answer, in order.
    pub(super) parts: Vec<Part>,
    /// It says why the answer ends.
    pub(super) finish: bool,
    /// It is the last event of the dialect.
    pub(super) done: bool,
    /// It may still come after that one.
    pub(super) late: bool,
    /// Usage, as far as it tells it.
    pub(super) usage: Option<Tokens>,
    /// An error in place of the rest.
    pub(super) error: Option<Envelope>,
}

/// Reads the data of a server-sent event; `None`: it is not the dialect.
pub(super) fn event(dialect: Dialect, data: &[u8]) -> Option<Seen> {
    match dialect {
        Dialect::Chat => chat::event(data),
        Dialect::Messages => anthropic::event(&parsed(data)?),
        Dialect::Responses => responses::event(&parsed(data)?),
        Dialect::Converse => None,
    }
}

/// Reads a frame; `None`: it is not the dialect.
pub(super) fn frame(frame: &Frame) -> Option<Seen> {
    bedrock::frame(frame)
}

/// Reads an answer that is not streamed.
pub(super) fn whole(dialect: Dialect, body: &[u8]) -> Option<Seen> {
    match dialect {
        Dialect::Chat => chat::whole(body),
        Dialect::Messages => anthropic::whole(&parsed(body)?),
        Dialect::Responses => responses::whole(&parsed(body)?),
        Dialect::Converse => bedrock::whole(&parsed(body)?),
    }
}

/// Reads the body of an error status; `kind` is the type that a header names. `None`: it is not the dialect's envelope.
pub(super) fn error(dialect: Dialect, body: &[u8], kind: Option<&str>) -> Option<Envelope> {
    let body = parsed(body)?;
    if dialect == Dialect::Converse {
        return Some(envelope(kind, None, body.get("message").and_then(Value::as_str)));
    }
    body.get("error").filter(|error| error.is_object()).map(of_error)
}

fn parsed(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

/// The envelope of an `error` object as OpenAI and Anthropic have it.
fn of_error(error: &Value) -> Envelope {
    let text = |key: &str| error.get(key).and_then(Value::as_str);
    let code = error.get("code").filter(|code| !code.is_null()).map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned));
    envelope(text("type"), code, text("message"))
}

fn envelope(kind: Option<&str>, code: Option<String>, message: Option<&str>) -> Envelope {
    let (kind, message) = (kind.unwrap_or_default(), message.unwrap_or_default());
    Envelope {
        well_formed: !message.is_empty() && !kind.is_empty(),
        kind: kind.to_owned(),
        code,
        message: message.chars().take(LONGEST_MESSAGE).collect(),
    }
}

/// Text of a member.
fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// A number of a member, 0 where it is missing.
fn count(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

#[cfg(test)]
mod tests;
