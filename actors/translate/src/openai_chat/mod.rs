//! OpenAI chat completions <-> the chat hub.

pub mod request;
pub mod response;
mod shape;
pub mod stream;
mod usage;

pub use shape::{AnswerShape, CallShape, RenderMeta};
