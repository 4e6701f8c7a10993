//! What an error says to the client.

use std::borrow::Cow;

use outcrop_domain::error::{Cause, GatewayError};

/// Our own messages quote the caller's words (a name, a role); what is longer than any sane one is not sent back.
/// Upstream's words are never cut.
pub(super) const MAX_MESSAGE_BYTES: usize = 1024;

/// `text`, or its beginning where it is longer than `limit` bytes.
pub(super) fn shortened(text: &str, limit: usize) -> Cow<'_, str> {
    match text.get(..text.floor_char_boundary(limit)) {
        Some(kept) if kept.len() < text.len() => Cow::Owned(format!("{kept}...")),
        _ => Cow::Borrowed(text),
    }
}

/// The words of `error`; those of upstream are never touched.
pub(super) fn message(error: &GatewayError) -> Cow<'_, str> {
    match error {
        GatewayError::Upstream(failure) if failure.cause == Cause::Credentials => {
            Cow::Borrowed("the gateway's own credentials were refused upstream; its operator has been told")
        }
        GatewayError::Upstream(failure) if failure.message.is_empty() => Cow::Borrowed(&failure.code),
        GatewayError::Upstream(failure) => Cow::Borrowed(&failure.message),
        GatewayError::InvalidRequest { message, .. }
        | GatewayError::Unauthenticated { message }
        | GatewayError::Forbidden { message }
        | GatewayError::ModelNotFound { message, .. }
        | GatewayError::NotFound { message }
        | GatewayError::UnknownReference { message, .. }
        | GatewayError::FetchFailed { message, .. }
        | GatewayError::RateLimited { message, .. }
        | GatewayError::Overloaded { message, .. }
        | GatewayError::Unavailable { message, .. }
        | GatewayError::Internal { message } => shortened(message, MAX_MESSAGE_BYTES),
        GatewayError::BodyTooLarge { .. }
        | GatewayError::BodyTimeout { .. }
        | GatewayError::WorkerLost
        | GatewayError::DeadlineExceeded { .. } => Cow::Owned(error.to_string()),
    }
}
