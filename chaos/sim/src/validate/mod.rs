//! Judgement of requests: the simulator refuses what AWS refuses, with AWS's status, type and sentence.
//!
//! Three layers, in the order AWS applies them. *Shape* (`shape`): types, unknown members, unions, lengths, patterns, enums;
//! constraint violations are collected and reported together. *Conversation*: rules Converse has for every model. *Model*: what
//! this model's traits do not allow. Bodies of InvokeModel are judged in `native`, in the manner of each family. Texts not proven by the reference are the most plausible wording; classify loosely.

use serde_json::Value;

use crate::models::{SimModel, Traits};

mod additional;
mod cache;
mod claude_fields;
mod context;
mod conversation;
mod count;
mod kit;
mod media;
pub(crate) mod native;
mod output;
mod pairing;
mod reasoning;
mod sampling;
mod schema;
pub(crate) mod shape;
pub(crate) mod signature;
pub(crate) mod thinking;
mod tools;

#[cfg(test)]
mod tests;

pub(crate) use media::dimensions;
pub(crate) use native::{counted, native_name};

/// What Converse puts before the complaints of a model.
const MODEL_SAYS: &str = "The model returned the following errors: ";

/// A refusal as AWS encodes it: HTTP status, exception name and message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error_type} ({status}): {message}")]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Exception name without namespace, such as `ValidationException`.
    pub error_type: &'static str,
    /// The sentence.
    pub message: String,
}

impl Refusal {
    /// A 400 `ValidationException`.
    #[must_use]
    pub fn validation(message: impl Into<String>) -> Self {
        Self { status: 400, error_type: "ValidationException", message: message.into() }
    }

    /// A 404 `ResourceNotFoundException`.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { status: 404, error_type: "ResourceNotFoundException", message: message.into() }
    }

    /// A 400 `SerializationException`: the JSON has the wrong type somewhere.
    pub(crate) fn serialization(message: impl Into<String>) -> Self {
        Self { status: 400, error_type: "SerializationException", message: message.into() }
    }

    /// A complaint of the model itself, in the wrapping Converse puts around it.
    pub(crate) fn model(message: impl AsRef<str>) -> Self {
        Self::validation(format!("{MODEL_SAYS}{}", message.as_ref()))
    }

    /// The same without that wrapping: InvokeModel passes complaints on as they are.
    pub(crate) fn plain(mut self) -> Self {
        if let Some(complaint) = self.message.strip_prefix(MODEL_SAYS) {
            self.message = complaint.to_owned();
        }
        self
    }

    /// A top-level field this model does not know.
    pub(crate) fn unsupported_field(field: &str) -> Self {
        Self::validation(format!("This model doesn't support the {field} field. Remove {field} and try again."))
    }
}

/// What the rules look at: the model, its traits, the parsed request.
pub(crate) struct Case<'c, 'a> {
    pub(crate) model: &'c SimModel,
    pub(crate) traits: &'c Traits,
    pub(crate) request: &'c shape::Request<'a>,
    pub(crate) streaming: bool,
}

/// Judges a Converse (or, with `streaming`, ConverseStream) body.
///
/// # Errors
/// The first refusal AWS would give.
pub fn converse(model: &SimModel, body: &Value, streaming: bool) -> Result<(), Refusal> {
    let request = shape::request(body, streaming)?;
    let traits = model.chat()?;
    let case = Case { model, traits, request: &request, streaming };
    conversation::check(&case)?;
    pairing::check(&case)?;
    tools::check(&case)?;
    media::check(&case)?;
    sampling::check(&case)?;
    additional::check(&case)?;
    reasoning::check(&case)?;
    cache::check(&case)?;
    output::check(&case)?;
    context::check(&case)
}

/// Judges a CountTokens body (`{"input": {"converse": ...}}` or `{"input": {"invokeModel": ...}}`).
///
/// # Errors
/// The refusal AWS would give; models without token counting are refused whatever the body.
pub fn count_tokens(model: &SimModel, body: &Value) -> Result<(), Refusal> {
    count::check(model, body)
}
