//! What is read back of a body of ours.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The places of a Converse body where a call that goes on with its answer differs. Borrowed, so that they can be found in it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentConverse<'a> {
    /// The conversation.
    #[serde(borrow)]
    pub messages: Vec<&'a RawValue>,
    /// Sampling and limits.
    #[serde(borrow, default)]
    pub inference_config: Option<SentInference<'a>>,
}

/// Limits, as they were sent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentInference<'a> {
    /// Most tokens of the answer.
    #[serde(borrow, default)]
    pub max_tokens: Option<&'a RawValue>,
}
