//! What the readers and writers of all client dialects share.

pub(crate) mod arguments;
pub(crate) mod beta_flags;
pub(crate) mod control_fields;
pub mod guardrail;
pub(crate) mod json;
pub(crate) mod labels;
pub mod media;
pub mod notes;
pub(crate) mod numbers;
mod options;
pub(crate) mod performance;
#[cfg(test)]
pub(crate) mod properties;
#[cfg(test)]
pub(crate) mod show;
#[cfg(test)]
pub(crate) mod sniffer;

use outcrop_domain::chat::MediaFormat;

pub use options::ReadOptions;

/// Tells what a file is from its first bytes, its content type and its name; `None` when no model takes it.
pub type Sniff = fn(&[u8], Option<&str>, Option<&str>) -> Option<MediaFormat>;
