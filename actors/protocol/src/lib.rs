//! Wire structs of the dialects the gateway speaks, for serde and nothing else.
pub mod anthropic;
pub mod bedrock;
pub mod body;
pub mod extension;
pub mod loose;
pub mod openai;
