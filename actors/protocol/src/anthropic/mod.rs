//! Anthropic's wire: request bodies read leniently, answers written as the official clients read them.
//!
//! Source: types of the official Python client 2.11 (`anthropic`), and what real clients send beside them.

pub mod count_tokens;
pub mod error;
pub mod messages;
pub mod models;
