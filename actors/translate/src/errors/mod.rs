//! Errors of the gateway in the envelopes of the dialects.

pub mod anthropic;
mod hint;
pub mod openai;
mod words;

pub use hint::RetryHint;
