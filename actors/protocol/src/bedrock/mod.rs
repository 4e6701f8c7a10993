//! Bedrock Runtime wire structs.

pub mod converse;
