//! What outlives its request: stored responses and conversations, and the responses that are still being made.

mod fault;
mod kept;
mod live;
mod recovery;
mod vault;

pub(crate) use fault::{missing_conversation, missing_item, missing_previous, of_conversations, of_responses, too_large};
pub(crate) use kept::{Kept, KeptAs, body_of, cancel, items_of, seconds_of, unix_seconds};
pub use live::EventBytes;
pub(crate) use live::{Live, LiveGuard, LiveResponses};
pub use recovery::settle_interrupted;
pub(crate) use recovery::settle_lost;
pub use vault::Stores;
pub(crate) use vault::{Shelves, Vault};
