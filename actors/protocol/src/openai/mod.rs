//! OpenAI's wire: request bodies read leniently, answers written exactly as the official clients check them.

pub mod body;
pub mod chat;
pub mod completions;
pub mod error;
pub mod loose;
pub mod responses;
