//! Pure translation between client dialects, the chat hub and model surfaces.
pub mod converse;

pub mod errors;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_responses;
