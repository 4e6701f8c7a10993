//! Lanes: bulkheads with bounded intake, one actor per admitted job.

mod chat;
mod responses;
mod stored;

pub(crate) use chat::LaneMetrics;
pub use chat::{ChatContext, ChatPort, ChatWork, MessagesInput, NativeInput, RawRequest, Sniff, by_size};
pub use responses::{BackgroundWork, ResponsesContext, ResponsesPort, ResponsesWork};
pub use stored::{StoredContext, StoredPort, StoredWork};
