//! The chat hub to Bedrock's Converse operations and back.
//!
//! - [`request`] writes the body of a call and says, in a [`ReplyContext`], what the readers must undo.
//! - [`response`] reads a whole answer, [`stream`] the events of a streamed one; [`stream::replay`] makes the
//!   former look like the latter.
//! - [`resume`] writes the body that goes on with an answer that broke.
//! - [`count_tokens`] writes the same request for counting.
//!
//! What a model takes is data ([`outcrop_domain::model::ChatCapabilities`]); no rule here knows a model's name.

pub mod count_tokens;
pub mod request;
pub mod response;
pub mod resume;
pub mod stream;

pub(crate) mod answer;
mod context;
mod tags;

pub use context::{FormatTool, ReplyContext, ToolCalls};
pub use request::{ConverseBody, EffortBudgets, Mode, WriteOptions};
