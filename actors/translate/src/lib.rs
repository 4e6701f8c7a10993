//! Pure translation between client dialects, the chat hub and model surfaces.
pub mod anthropic_messages;
pub mod converse;
pub mod dialect;
pub mod errors;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_responses;
pub mod transparent;
