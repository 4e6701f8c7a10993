//! Whether to try again.

use outcrop_domain::error::{Cause, GatewayError};

/// Whether the client shall send the same request again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryHint {
    /// `x-should-retry: true`.
    Retry,
    /// `x-should-retry: false`.
    GiveUp,
}

impl RetryHint {
    /// The header's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "true",
            Self::GiveUp => "false",
        }
    }
}

/// What a client does best after `error`.
pub(super) fn hint(error: &GatewayError) -> RetryHint {
    let again = match error {
        // A daily quota does not come back within any client's backoff.
        GatewayError::Upstream(failure) if failure.cause == Cause::QuotaExhausted => false,
        // We may not repeat half an answer; the client, who throws it away, may ask anew.
        GatewayError::Upstream(failure) if failure.cause == Cause::BrokenStream => true,
        _ => error.retryable(),
    };
    if again { RetryHint::Retry } else { RetryHint::GiveUp }
}
