//! [`GatewayError`] in the shape of AWS's own services, for clients that speak to Bedrock.
//!
//! What upstream refused keeps upstream's type, status and words. SDKs decide by the type whether to try again and which
//! exception to raise, so what we refuse ourselves has the type that Bedrock would refuse it with.

use std::{borrow::Cow, time::Duration};

use outcrop_domain::error::{Cause, GatewayError, UpstreamFailure};
use serde::Serialize;

use super::{RetryHint, hint::hint, words};

/// An error as the edge sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReply<'a> {
    /// HTTP status.
    pub status: u16,
    /// Value of `x-amzn-errortype`.
    pub code: &'a str,
    /// Value of `retry-after`, where we know when to come back.
    pub retry_after: Option<Duration>,
    /// Whether to.
    pub retry: RetryHint,
    /// The body.
    pub body: ErrorBody<'a>,
}

/// Body of an error of restJson1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorBody<'a> {
    /// The words.
    pub message: Cow<'a, str>,
    /// What the model's own server answered, in model errors that tell.
    #[serde(rename = "originalStatusCode", skip_serializing_if = "Option::is_none")]
    pub original_status: Option<u16>,
    /// Its words.
    #[serde(rename = "originalMessage", skip_serializing_if = "Option::is_none")]
    pub original_message: Option<&'a str>,
    /// Which model it was.
    #[serde(rename = "resourceName", skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<&'a str>,
}

/// The reply to a failed request.
#[must_use]
pub fn reply(error: &GatewayError) -> ErrorReply<'_> {
    let (status, code) = face(error);
    ErrorReply { status, code, retry_after: error.retry_after(), retry: hint(error), body: body(error) }
}

fn body(error: &GatewayError) -> ErrorBody<'_> {
    let model_error = match error {
        GatewayError::Upstream(failure) if failure.cause != Cause::Credentials => failure.model_error.as_deref(),
        _ => None,
    };
    ErrorBody {
        message: words::message(error),
        original_status: model_error.and_then(|told| told.original_status),
        original_message: model_error.and_then(|told| told.original_message.as_deref()),
        resource_name: model_error.and_then(|told| told.resource_name.as_deref()),
    }
}

/// Whose event stream it is: they do not know the same exceptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventStream {
    /// ConverseStream's.
    Converse,
    /// InvokeModelWithResponseStream's.
    Invoke,
}

/// The name of an error as an exception inside an event stream: its type as a member's name, e.g. `throttlingException`.
#[must_use]
pub fn exception_name(error: &GatewayError, stream: EventStream) -> String {
    let (status, code) = face(error);
    // Types that a stream has no member for are unknown to SDKs, which then tell the client nothing.
    let code = if STREAMED.contains(&code) { code } else { by_status(status) };
    // Of what remains to be told, this one says as well that to ask again may help.
    let code = if code == TIMEOUT && stream == EventStream::Converse { MODEL_STREAM } else { code };
    let mut letters = code.chars();
    letters.next().map(|first| first.to_ascii_lowercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// Exceptions that a stream may hold; [`TIMEOUT`] is InvokeModel's alone. Source: service model, `ConverseStreamOutput` and
/// `ResponseStream`.
const STREAMED: [&str; 6] = [INTERNAL, MODEL_STREAM, VALIDATION, THROTTLING, UNAVAILABLE, TIMEOUT];

const VALIDATION: &str = "ValidationException";
const DENIED: &str = "AccessDeniedException";
const NOT_FOUND: &str = "ResourceNotFoundException";
const THROTTLING: &str = "ThrottlingException";
const TIMEOUT: &str = "ModelTimeoutException";
const UNAVAILABLE: &str = "ServiceUnavailableException";
const INTERNAL: &str = "InternalServerException";
const MODEL_STREAM: &str = "ModelStreamErrorException";

/// Status and type: the row of the table.
fn face(error: &GatewayError) -> (u16, &str) {
    match error {
        GatewayError::InvalidRequest { code: Some("method_not_allowed"), .. } => (405, "UnknownOperationException"),
        GatewayError::InvalidRequest { .. } | GatewayError::FetchFailed { .. } => (400, VALIDATION),
        GatewayError::Unauthenticated { .. } => (403, "UnrecognizedClientException"),
        GatewayError::Forbidden { .. } => (403, DENIED),
        GatewayError::ModelNotFound { .. } => (404, NOT_FOUND),
        GatewayError::UnknownReference { .. } => (404, NOT_FOUND),
        GatewayError::NotFound { .. } => (404, "UnknownOperationException"),
        GatewayError::BodyTooLarge { .. } => (413, "RequestEntityTooLargeException"),
        GatewayError::BodyTimeout { .. } => (408, "RequestTimeoutException"),
        GatewayError::RateLimited { .. } => (429, THROTTLING),
        GatewayError::Overloaded { .. } | GatewayError::Unavailable { .. } => (503, UNAVAILABLE),
        GatewayError::DeadlineExceeded { .. } => (408, TIMEOUT),
        GatewayError::WorkerLost | GatewayError::Internal { .. } => (500, INTERNAL),
        GatewayError::Upstream(failure) => upstream_face(failure),
    }
}

fn upstream_face(failure: &UpstreamFailure) -> (u16, &str) {
    match failure.cause {
        // Our credentials are our business: a client that renewed its own would renew the wrong ones.
        Cause::Credentials => (503, UNAVAILABLE),
        // Told by upstream: passed on as it was.
        _ if failure.status >= 400 && !failure.code.is_empty() => (failure.status, &failure.code),
        Cause::Throttled | Cause::QuotaExhausted => (429, THROTTLING),
        Cause::NotReady => (429, "ModelNotReadyException"),
        Cause::Timeout => (408, TIMEOUT),
        Cause::BrokenStream => (424, MODEL_STREAM),
        Cause::Unavailable | Cause::Connection => (503, UNAVAILABLE),
        Cause::Malformed => (500, INTERNAL),
        Cause::BadRequest | Cause::ContextOverflow => (400, VALIDATION),
        Cause::AccessDenied => (403, DENIED),
        Cause::ModelMissing => (404, NOT_FOUND),
    }
}

fn by_status(status: u16) -> &'static str {
    match status {
        408 => TIMEOUT,
        424 => MODEL_STREAM,
        429 => THROTTLING,
        503 => UNAVAILABLE,
        400..=499 => VALIDATION,
        _ => INTERNAL,
    }
}

#[cfg(test)]
mod tests {
    use outcrop_domain::error::ModelError;

    use super::*;

    fn failure(cause: Cause, status: u16, code: &str) -> GatewayError {
        GatewayError::Upstream(UpstreamFailure {
            cause,
            status,
            code: code.to_owned(),
            message: "upstream's words".to_owned(),
            request_id: None,
            retry_after: None,
            region: None,
            model_error: None,
        })
    }

    #[test]
    fn what_upstream_refused_keeps_type_status_and_words() {
        for (cause, status, code) in [
            (Cause::BadRequest, 400, "ValidationException"),
            (Cause::Throttled, 429, "ThrottlingException"),
            (Cause::AccessDenied, 403, "AccessDeniedException"),
            (Cause::Unavailable, 424, "ModelErrorException"),
            (Cause::QuotaExhausted, 400, "ServiceQuotaExceededException"),
        ] {
            let error = failure(cause, status, code);
            let reply = reply(&error);
            assert_eq!((reply.status, reply.code, reply.body.message.as_ref()), (status, code, "upstream's words"));
        }
    }

    #[test]
    fn what_a_model_error_tells_of_the_model_is_told() {
        let told = |model_error: ModelError| {
            let GatewayError::Upstream(failure) = failure(Cause::Unavailable, 424, "ModelErrorException") else { unreachable!() };
            let error = GatewayError::Upstream(UpstreamFailure { model_error: Some(Box::new(model_error)), ..failure });
            serde_json::to_string(&reply(&error).body).unwrap()
        };
        let name = Some("arn:aws:bedrock:us-east-1::foundation-model/x".to_owned());
        assert_eq!(
            told(ModelError { original_status: Some(503), resource_name: name, ..ModelError::default() }),
            r#"{"message":"upstream's words","originalStatusCode":503,"resourceName":"arn:aws:bedrock:us-east-1::foundation-model/x"}"#
        );
        assert_eq!(
            told(ModelError { original_status: Some(500), original_message: Some("cuda".to_owned()), resource_name: None }),
            r#"{"message":"upstream's words","originalStatusCode":500,"originalMessage":"cuda"}"#
        );
    }

    #[test]
    fn what_has_no_status_gets_the_type_that_sdks_know() {
        for (cause, status, code) in [
            (Cause::Connection, 503, "ServiceUnavailableException"),
            (Cause::Timeout, 408, "ModelTimeoutException"),
            (Cause::BrokenStream, 424, "ModelStreamErrorException"),
            (Cause::Malformed, 500, "InternalServerException"),
            (Cause::Throttled, 429, "ThrottlingException"),
        ] {
            let error = failure(cause, 0, "OurOwnWord");
            assert_eq!((reply(&error).status, reply(&error).code), (status, code), "{cause:?}");
        }
    }

    #[test]
    fn our_own_credentials_are_told_to_nobody() {
        let error = failure(Cause::Credentials, 403, "ExpiredTokenException");
        let reply = reply(&error);
        assert_eq!((reply.status, reply.code), (503, "ServiceUnavailableException"));
        assert!(!reply.body.message.contains("upstream's words"));
    }

    #[test]
    fn our_own_refusals_have_the_types_of_bedrock() {
        let words = || "no".to_owned();
        for (error, status, code) in [
            (GatewayError::invalid("body", "no"), 400, "ValidationException"),
            (GatewayError::Unauthenticated { message: words() }, 403, "UnrecognizedClientException"),
            (GatewayError::Forbidden { message: words() }, 403, "AccessDeniedException"),
            (GatewayError::ModelNotFound { model: "m".to_owned(), message: words() }, 404, "ResourceNotFoundException"),
            (GatewayError::NotFound { message: words() }, 404, "UnknownOperationException"),
            (GatewayError::RateLimited { message: words(), retry_after: Duration::from_secs(3) }, 429, "ThrottlingException"),
            (GatewayError::Overloaded { message: words(), retry_after: Duration::from_secs(3) }, 503, "ServiceUnavailableException"),
            (GatewayError::WorkerLost, 500, "InternalServerException"),
        ] {
            assert_eq!((reply(&error).status, reply(&error).code), (status, code), "{error:?}");
        }
        let json = serde_json::to_string(&reply(&GatewayError::invalid("body", "no")).body).unwrap();
        assert_eq!(json, r#"{"message":"no"}"#);
    }

    #[test]
    fn exceptions_in_streams_are_members_that_streams_have() {
        for (error, name) in [
            (failure(Cause::Throttled, 429, "ThrottlingException"), "throttlingException"),
            (failure(Cause::BrokenStream, 0, "TruncatedStream"), "modelStreamErrorException"),
            (failure(Cause::Unavailable, 424, "ModelErrorException"), "modelStreamErrorException"),
            (GatewayError::WorkerLost, "internalServerException"),
        ] {
            assert_eq!(exception_name(&error, EventStream::Converse), name, "{error:?}");
            assert_eq!(exception_name(&error, EventStream::Invoke), name, "{error:?}");
        }
    }

    #[test]
    fn streams_of_converse_know_no_timeout() {
        for error in [GatewayError::DeadlineExceeded { after: Duration::ZERO }, failure(Cause::Timeout, 408, "ModelTimeoutException")] {
            assert_eq!(exception_name(&error, EventStream::Converse), "modelStreamErrorException");
            assert_eq!(exception_name(&error, EventStream::Invoke), "modelTimeoutException");
        }
    }
}
