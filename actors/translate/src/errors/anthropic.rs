//! [`GatewayError`] in Anthropic's envelope.
//!
//! Upstream's words pass unchanged: Claude Code and other agents match them to recover. Only where a model that is not
//! Anthropic's says that its context is full does [`overflow`] say so in the words that agents know.

pub mod overflow;

use std::{borrow::Cow, time::Duration};

use outcrop_domain::error::{Cause, GatewayError, UpstreamFailure};
use outcrop_protocol::{
    anthropic::error::{ErrorBody, ErrorDetails, ErrorObject},
    body::{BodyError, BodyFault},
};

use super::{RetryHint, hint::hint, words};

/// An error as the edge sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReply<'a> {
    /// HTTP status.
    pub status: u16,
    /// Value of `retry-after`, where we know when to come back.
    pub retry_after: Option<Duration>,
    /// Value of `x-should-retry`: the official clients obey it before their own rules by status.
    pub retry: RetryHint,
    /// The body.
    pub body: ErrorBody<'a>,
}

/// The reply to a failed request. `request_id` is the one of the `request-id` header.
#[must_use]
pub fn reply<'a>(error: &'a GatewayError, request_id: Option<&'a str>) -> ErrorReply<'a> {
    let (status, kind) = face(error);
    ErrorReply {
        status,
        retry_after: error.retry_after(),
        retry: hint(error),
        body: ErrorBody {
            kind: Cow::Borrowed("error"),
            error: ErrorObject { kind: Cow::Borrowed(kind), message: message(error), details: details(error) },
            request_id: request_id.map(Cow::Borrowed),
        },
    }
}

/// What the official client reads before it goes on without a conversation that the server keeps.
fn details(error: &GatewayError) -> Option<ErrorDetails<'static>> {
    match error {
        GatewayError::InvalidRequest { code: Some(THREAD_UNSUPPORTED), .. } => {
            Some(ErrorDetails { error_code: Cow::Borrowed(THREAD_UNSUPPORTED) })
        }
        _ => None,
    }
}

/// A request for a conversation that the server keeps.
#[must_use]
pub fn thread_unsupported() -> GatewayError {
    let message = "thread: conversations are not kept here; send the whole conversation in `messages`".to_owned();
    GatewayError::InvalidRequest { message, param: Some("thread".to_owned()), code: Some(THREAD_UNSUPPORTED) }
}

/// Source: `ThreadUnsupportedRequestErrorDetails` of the official client.
const THREAD_UNSUPPORTED: &str = "thread_unsupported_request";

/// A body that could not be decoded, as the error it is.
#[must_use]
pub fn malformed_body(fault: &BodyError) -> GatewayError {
    let BodyError { line, column, reason, .. } = fault;
    let (message, param) = match (fault.fault, &fault.path) {
        (BodyFault::Syntax, _) => (format!("The request body is not valid JSON: {reason}: line {line} column {column}"), None),
        (BodyFault::Type, None) => (format!("Input should be an object: {reason}: line {line} column {column}"), None),
        (BodyFault::Type, Some(path)) => (format!("{path}: {reason}: line {line} column {column}"), Some(path.clone())),
    };
    GatewayError::InvalidRequest { message, param, code: None }
}

const INVALID: &str = "invalid_request_error";
const NOT_FOUND: &str = "not_found_error";
const PERMISSION: &str = "permission_error";
const RATE_LIMIT: &str = "rate_limit_error";
const TIMEOUT: &str = "timeout_error";
const OVERLOADED: &str = "overloaded_error";
const API: &str = "api_error";

/// Status of `overloaded_error`. Source: Anthropic's error page.
const OVERLOADED_STATUS: u16 = 529;

/// Status and type: the row of the table.
fn face(error: &GatewayError) -> (u16, &'static str) {
    match error {
        GatewayError::InvalidRequest { .. } | GatewayError::FetchFailed { .. } => (400, INVALID),
        GatewayError::Unauthenticated { .. } => (401, "authentication_error"),
        GatewayError::Forbidden { .. } => (403, PERMISSION),
        GatewayError::ModelNotFound { .. } | GatewayError::NotFound { .. } | GatewayError::UnknownReference { .. } => (404, NOT_FOUND),
        GatewayError::BodyTooLarge { .. } => (413, "request_too_large"),
        GatewayError::BodyTimeout { .. } => (408, TIMEOUT),
        GatewayError::RateLimited { .. } => (429, RATE_LIMIT),
        GatewayError::Overloaded { .. } | GatewayError::Unavailable { .. } => (OVERLOADED_STATUS, OVERLOADED),
        GatewayError::DeadlineExceeded { .. } => (504, TIMEOUT),
        GatewayError::WorkerLost | GatewayError::Internal { .. } => (500, API),
        GatewayError::Upstream(failure) => upstream_face(failure),
    }
}

fn upstream_face(failure: &UpstreamFailure) -> (u16, &'static str) {
    match failure.cause {
        Cause::Throttled | Cause::QuotaExhausted => (429, RATE_LIMIT),
        Cause::NotReady => (OVERLOADED_STATUS, OVERLOADED),
        // No capacity is not a fault: clients wait longer for it, and turn to another model. In a stream Claude says so by this
        // very word, and there is no status.
        Cause::Unavailable if failure.status == 503 || failure.code == OVERLOADED => (OVERLOADED_STATUS, OVERLOADED),
        Cause::Unavailable | Cause::BrokenStream => (500, API),
        // Our credentials are our business: to the client the service is out of order.
        Cause::Credentials => (503, API),
        Cause::Timeout => (504, TIMEOUT),
        Cause::Connection | Cause::Malformed => (502, API),
        Cause::BadRequest | Cause::ContextOverflow => (400, INVALID),
        Cause::AccessDenied => (403, PERMISSION),
        Cause::ModelMissing => (404, NOT_FOUND),
    }
}

/// The words, with the field before them where they do not name it: the envelope has no other place for it.
fn message(error: &GatewayError) -> Cow<'_, str> {
    let text = words::message(error);
    let (GatewayError::InvalidRequest { param: Some(param), .. } | GatewayError::FetchFailed { param: Some(param), .. }) = error else {
        return text;
    };
    let path = dotted(param);
    if text.contains(param.as_str()) || text.contains(path.as_ref()) {
        return text;
    }
    Cow::Owned(format!("{}: {text}", words::shortened(&path, MAX_PATH_BYTES)))
}

/// A path quotes the caller's names; what is longer than any sane one is not sent back.
const MAX_PATH_BYTES: usize = 256;

/// A path as Anthropic writes it: `messages.0.content.1` for `messages[0].content[1]`.
fn dotted(path: &str) -> Cow<'_, str> {
    if path.contains('[') { Cow::Owned(path.replace('[', ".").replace(']', "")) } else { Cow::Borrowed(path) }
}

#[cfg(test)]
mod tests;
