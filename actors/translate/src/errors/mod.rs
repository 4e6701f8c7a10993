//! Errors of the gateway in the envelopes of the dialects.

pub mod openai;
