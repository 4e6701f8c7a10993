//! Bedrock Runtime wire structs.

pub mod converse;
pub mod invoke;
