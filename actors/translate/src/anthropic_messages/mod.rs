//! Anthropic messages <-> the chat hub.
//!
//! For models that are not reached byte-transparently: Claude over InvokeModel gets the client's own bytes.

mod citations;
pub mod count_tokens;
pub mod models;
pub mod request;
pub mod response;
mod stop;
pub mod stream;
#[cfg(test)]
mod tests;
mod usage;

/// What every answer carries that does not come from the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderMeta {
    /// `msg_...`.
    pub id: String,
    /// The model's name as the client shall see it.
    pub model_shown: String,
    /// As in the `request-id` header, for an error within a stream.
    pub request_id: Option<String>,
}
