//! Wire structs of the dialects the gateway speaks, for serde and nothing else.
pub mod bedrock;

pub mod openai;
