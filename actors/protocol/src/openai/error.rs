//! The error envelope. Source: `ErrorResponse` of the published schema.

use std::borrow::Cow;

use serde::Serialize;

/// `{"error": {...}}`, the body of every failed call and of an error inside a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorBody<'a> {
    /// The error.
    pub error: ErrorObject<'a>,
}

/// What went wrong. All four members are always written; `param` and `code` may be null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorObject<'a> {
    /// For people, and for agents that parse it to recover.
    pub message: Cow<'a, str>,
    /// Class, e.g. `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The field at fault, in dotted form, e.g. `messages.0.content`.
    pub param: Option<Cow<'a, str>>,
    /// Machine-readable code, e.g. `context_length_exceeded`.
    pub code: Option<&'static str>,
}
