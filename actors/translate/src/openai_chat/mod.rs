//! OpenAI chat completions <-> the chat hub.

pub mod request;
pub mod response;
pub(crate) mod shape;
pub mod stream;
pub(crate) mod usage;

pub use shape::{AnswerShape, CallShape, RenderMeta};
