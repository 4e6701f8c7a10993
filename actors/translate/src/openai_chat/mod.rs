//! OpenAI chat completions <-> the chat hub.

mod json;
pub mod request;
pub mod response;
mod shape;
pub mod stream;
mod usage;

pub use shape::{AnswerShape, CallShape, RenderMeta};
