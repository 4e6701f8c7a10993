//! Errors of the gateway in the envelopes of the dialects.

pub mod anthropic;
pub mod aws;
mod hint;
pub mod openai;
mod words;

use outcrop_domain::error::{Cause, GatewayError, UpstreamFailure};

pub use hint::RetryHint;

/// What a streamed answer that never stopped is to its reader, in whatever dialect.
pub(crate) fn incomplete_stream() -> GatewayError {
    GatewayError::Upstream(UpstreamFailure {
        cause: Cause::BrokenStream,
        status: 0,
        code: "IncompleteStream".to_owned(),
        message: "the model's answer ended before it was complete".to_owned(),
        request_id: None,
        retry_after: None,
        region: None,
        model_error: None,
    })
}

#[cfg(test)]
mod tests;
