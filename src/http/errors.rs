//! Errors as responses, in the envelope of the dialect the client speaks.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use outcrop_domain::error::GatewayError;
use outcrop_translate::errors::{RetryHint, openai};

use super::{body::ErrorClass, route::Routed};

/// An error on an OpenAI route.
#[derive(Debug)]
pub(super) struct OpenAiFailure(pub(super) GatewayError);

impl From<GatewayError> for OpenAiFailure {
    fn from(error: GatewayError) -> Self {
        Self(error)
    }
}

impl IntoResponse for OpenAiFailure {
    fn into_response(self) -> Response {
        openai_error(&self.0)
    }
}

/// Renders an error in OpenAI's envelope.
pub(super) fn openai_error(error: &GatewayError) -> Response {
    let reply = openai::reply(error);
    let body = serde_json::to_vec(&reply.body).unwrap_or_default();
    error_response(error, &Told { status: reply.status, retry_after: reply.retry_after, retry: reply.retry }, body)
}

/// What an error is to the client, beside its body.
pub(super) struct Told {
    /// HTTP status.
    pub(super) status: u16,
    /// When to come back.
    pub(super) retry_after: Option<Duration>,
    /// Whether to.
    pub(super) retry: RetryHint,
}

/// An error in the envelope that `body` is.
pub(super) fn error_response(error: &GatewayError, reply: &Told, body: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(status, body);
    response.extensions_mut().insert(ErrorClass(error.class()));
    let headers = response.headers_mut();
    if let Some(after) = reply.retry_after {
        // Whole seconds, rounded up: a client that comes back early is refused again.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    if status.as_u16() >= 400 && matches!(reply.retry, RetryHint::GiveUp) && retried_by_status(status) {
        headers.insert("x-should-retry", HeaderValue::from_static(RetryHint::GiveUp.as_str()));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Statuses that the official clients retry by themselves.
fn retried_by_status(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 409 | 429 | 500..)
}

/// Headers of most responses, so that their table is allocated once instead of growing three times.
const USUAL_HEADERS: usize = 8;

/// A JSON response.
pub(super) fn json_response(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(USUAL_HEADERS);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// No such path.
pub(super) async fn unknown_url(method: Method, uri: Uri) -> OpenAiFailure {
    OpenAiFailure(GatewayError::NotFound { message: format!("unknown request URL: {method} {}", uri.path()) })
}

/// A known path, asked by the wrong method.
pub(super) async fn wrong_method(_route: Routed, method: Method, uri: Uri) -> Response {
    let error = GatewayError::InvalidRequest {
        message: format!("the method {method} is not allowed on {}", uri.path()),
        param: None,
        code: Some("method_not_allowed"),
    };
    let mut response = openai_error(&error);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}
