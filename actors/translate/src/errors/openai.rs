//! [`GatewayError`] in OpenAI's envelope.
//!
//! Upstream's words pass unchanged: agents parse them to recover (shorten the prompt, drop a parameter).

use std::time::Duration;

use outcrop_domain::error::{Cause, GatewayError, UpstreamFailure};
use outcrop_protocol::openai::{
    body::{BodyError, BodyFault},
    error::{ErrorBody, ErrorObject},
};

pub use super::hint::RetryHint;
use super::{
    hint::hint,
    words::{message, shortened},
};

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

/// The reply to a failed request.
#[must_use]
pub fn reply(error: &GatewayError) -> ErrorReply<'_> {
    let face = face(error);
    ErrorReply {
        status: face.status,
        retry_after: error.retry_after(),
        retry: hint(error),
        body: ErrorBody {
            error: ErrorObject {
                message: message(error),
                kind: face.kind,
                param: param(error).map(|field| shortened(field, MAX_PARAM_BYTES)),
                code: face.code,
            },
        },
    }
}

/// A body that could not be decoded, as the error it is.
#[must_use]
pub fn malformed_body(fault: &BodyError) -> GatewayError {
    let BodyError { line, column, reason, .. } = fault;
    let place = if *line > 0 { format!(" (line {line}, column {column})") } else { String::new() };
    match (fault.fault, &fault.path) {
        (BodyFault::Syntax, _) => GatewayError::InvalidRequest {
            message: format!("the request body is not valid JSON: {reason}{place}"),
            param: None,
            code: None,
        },
        (BodyFault::Type, None) => GatewayError::InvalidRequest {
            message: format!("the request body is not what this endpoint takes: {reason}{place}"),
            param: None,
            code: Some("invalid_type"),
        },
        (BodyFault::Type, Some(path)) => GatewayError::invalid_with_code(path, format!("`{path}`: {reason}{place}"), "invalid_type"),
    }
}

/// Status, type and code: the row of the table.
struct Face {
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
}

const fn row(status: u16, kind: &'static str, code: Option<&'static str>) -> Face {
    Face { status, kind, code }
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";
const RATE_LIMIT: &str = "rate_limit_error";
const PERMISSION: &str = "permission_error";

fn face(error: &GatewayError) -> Face {
    match error {
        GatewayError::InvalidRequest { code, .. } => row(400, INVALID, *code),
        GatewayError::Unauthenticated { .. } => row(401, INVALID, Some("invalid_api_key")),
        GatewayError::Forbidden { .. } => row(403, PERMISSION, None),
        GatewayError::ModelNotFound { .. } => row(404, INVALID, Some("model_not_found")),
        GatewayError::NotFound { .. } => row(404, INVALID, None),
        GatewayError::UnknownReference { code, .. } => row(404, INVALID, *code),
        GatewayError::BodyTooLarge { .. } => row(413, INVALID, Some("request_too_large")),
        GatewayError::BodyTimeout { .. } => row(408, INVALID, Some("request_timeout")),
        GatewayError::FetchFailed { .. } => row(400, INVALID, Some("failed_to_download")),
        GatewayError::RateLimited { .. } => row(429, RATE_LIMIT, Some("rate_limit_exceeded")),
        GatewayError::Overloaded { .. } | GatewayError::Unavailable { .. } => row(503, SERVER, None),
        GatewayError::DeadlineExceeded { .. } => row(504, SERVER, None),
        GatewayError::WorkerLost | GatewayError::Internal { .. } => row(500, SERVER, None),
        GatewayError::Upstream(failure) => upstream_face(failure),
    }
}

fn upstream_face(failure: &UpstreamFailure) -> Face {
    match failure.cause {
        Cause::Throttled => row(429, RATE_LIMIT, Some("rate_limit_exceeded")),
        Cause::QuotaExhausted => row(429, "insufficient_quota", Some("insufficient_quota")),
        Cause::Unavailable => row(unavailable_status(failure.status), SERVER, None),
        // Our credentials are our business: to the client the service is out of order.
        Cause::NotReady | Cause::Credentials => row(503, SERVER, None),
        Cause::Timeout => row(504, SERVER, None),
        Cause::Connection | Cause::BrokenStream | Cause::Malformed => row(502, SERVER, None),
        Cause::BadRequest => row(400, INVALID, None),
        Cause::ContextOverflow => row(400, INVALID, Some("context_length_exceeded")),
        Cause::AccessDenied => row(403, PERMISSION, None),
        Cause::ModelMissing => row(404, INVALID, Some("model_not_found")),
    }
}

/// Upstream's own 5xx is kept; what it tells by other numbers (424 model error, none at all) is a bad gateway.
fn unavailable_status(status: u16) -> u16 {
    if (500..=599).contains(&status) { status } else { 502 }
}

/// The path of a field quotes the caller, as messages do; what is longer than any sane one is not sent back.
const MAX_PARAM_BYTES: usize = 256;

fn param(error: &GatewayError) -> Option<&str> {
    match error {
        GatewayError::InvalidRequest { param, .. }
        | GatewayError::UnknownReference { param, .. }
        | GatewayError::FetchFailed { param, .. } => param.as_deref(),
        GatewayError::ModelNotFound { .. } => Some("model"),
        GatewayError::Upstream(failure) => match failure.cause {
            Cause::ContextOverflow => Some("messages"),
            Cause::ModelMissing => Some("model"),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
