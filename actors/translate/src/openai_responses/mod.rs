//! OpenAI Responses <-> the chat hub.
//!
//! What is stored is the caller's business: earlier items come in as JSON ([`request::Earlier`]), and an answer goes out
//! as JSON to keep before its end is told ([`stream::ClosedResponse`]).

pub mod compact;
pub mod conversation;
pub(crate) mod cursor;
mod custom;
pub mod ids;
mod items;
mod json;
pub mod request;
pub mod response;
#[cfg(test)]
pub(crate) mod schema;
mod sealed;
mod shape;
pub mod stream;

pub(crate) use json::push_value;
pub use shape::{AnswerForm, CallKind, Echo, Include, ResponseMeta, ResponseShape, ToolForm, ToolForms};

#[cfg(test)]
mod tests;
