//! The byte-transparent path: where the client's dialect is the model's own, bodies and events pass as bytes.
//!
//! Unknown fields, field order, spelling of numbers, server tools, signatures and cache marks reach the model as the client
//! wrote them, and answers reach the client as the model wrote them. What must be changed is changed by spans of the text and
//! noted; what routing and accounting must know is read in passing, without building trees.
//!
//! * [`messages_body`]: Anthropic Messages requests, written for InvokeModel of Claude models.
//! * [`heal`]: a body that upstream refused, without what it refused.
//! * [`stream`], [`answer`]: what the model answers, as events and whole.
//! * [`native`]: the same facts of native Bedrock bodies and events, which are never changed.
//! * [`count`]: a body to be counted instead of answered.

pub mod answer;
pub mod count;
mod event;
pub mod heal;
mod json;
pub mod messages_body;
pub mod native;
pub mod stream;
mod usage;

#[cfg(test)]
mod tests;
