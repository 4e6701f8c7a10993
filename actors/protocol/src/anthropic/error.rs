//! The error envelope. Source: `ErrorResponse` of the official client.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// `{"type":"error","error":{...},"request_id":...}`, the body of every failed call and of an `error` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody<'a> {
    /// Always `error`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// The error.
    pub error: ErrorObject<'a>,
    /// The request, as the `request-id` header names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Cow<'a, str>>,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorObject<'a> {
    /// Class, e.g. `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// For people, and for agents that parse it to recover. There is no member for the field at fault: the text names it.
    pub message: Cow<'a, str>,
    /// For clients that recover by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<ErrorDetails<'a>>,
}

/// What a client can act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetails<'a> {
    /// E.g. `thread_unsupported_request`.
    pub error_code: Cow<'a, str>,
}
