//! OpenAI's wire: request bodies read leniently, answers written exactly as the official clients check them.

pub mod chat;
pub mod completions;
pub mod error;
pub mod responses;

pub use crate::{body, loose};
