//! Lanes: bulkheads with bounded intake, one actor per admitted job.

mod chat;

pub(crate) use chat::LaneMetrics;
pub use chat::{ChatContext, ChatPort, ChatWork, MessagesInput, NativeInput, RawRequest, Sniff, by_size};
