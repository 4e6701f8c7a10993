//! CountTokens: the same request, to be counted instead of answered.

use std::fmt;

use outcrop_domain::{
    adjust::Adjustments,
    chat::ChatRequest,
    error::{Cause, GatewayError, UpstreamFailure},
    model::ChatCapabilities,
};
use outcrop_protocol::bedrock::converse::{CountTokensInput, CountTokensRequest, CountTokensResponse, CountableConverse};

use super::{
    answer,
    request::{Scope, WriteOptions, assemble, to_bytes},
};

/// A body ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct CountTokensBody {
    /// The JSON.
    pub bytes: Vec<u8>,
    /// What was changed; the answer's request is changed in the same way.
    pub adjustments: Adjustments,
}

impl fmt::Debug for CountTokensBody {
    /// Callers' content never reaches logs: of the body only its size is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountTokensBody").field("bytes", &self.bytes.len()).field("adjustments", &self.adjustments).finish()
    }
}

/// Writes the parts of `request` that count, exactly as [`super::request::write`] does.
///
/// # Errors
/// As [`super::request::write`].
pub fn write(request: &ChatRequest, model: &ChatCapabilities, options: &WriteOptions) -> Result<CountTokensBody, GatewayError> {
    let assembled = assemble(Scope { request, model, options })?;
    let body = assembled.body;
    let countable = CountableConverse {
        tool_config: body.tool_config,
        system: body.system,
        additional_model_request_fields: body.additional_model_request_fields,
        messages: body.messages,
    };
    let body = CountTokensRequest { input: CountTokensInput::Converse(countable) };
    Ok(CountTokensBody { bytes: to_bytes(&body, request)?, adjustments: assembled.adjustments })
}

/// Reads the number of input tokens.
///
/// # Errors
/// [`outcrop_domain::error::Cause::Malformed`] when the body is not a CountTokens answer.
pub fn read(body: &[u8]) -> Result<u64, UpstreamFailure> {
    let answer: CountTokensResponse = serde_json::from_slice(body).map_err(|error| answer::malformed("the CountTokens answer", &error))?;
    Ok(answer.input_tokens)
}

/// What a failed count is to the client: where AWS has no exact count, there is none here. Clients then estimate by themselves, and
/// know that they do. Upstream's words stay.
#[must_use]
pub fn without_count(error: GatewayError) -> GatewayError {
    match error {
        GatewayError::Upstream(failure) if failure.cause == Cause::ModelMissing || failure.cause == Cause::AccessDenied => {
            GatewayError::NotFound { message: failure.message }
        }
        GatewayError::Upstream(failure) if failure.cause == Cause::BadRequest && speaks_of_counting(&failure.message) => {
            GatewayError::NotFound { message: failure.message }
        }
        other => other,
    }
}

/// What Bedrock says of models whose tokens it does not count, in lower case; each is a list of words that all must be there.
/// Source: field reports.
const UNCOUNTED: [&[&str]; 2] = [&["support", "count"], &["token counting", "not"]];

fn speaks_of_counting(words: &str) -> bool {
    let words = words.to_lowercase();
    UNCOUNTED.iter().any(|known| known.iter().all(|word| words.contains(word)))
}
