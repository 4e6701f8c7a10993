//! What outlives the process.
//!
//! Ports are traits ([`Snapshots`], [`ResponseStore`], [`ConversationStore`]); backends implement them, and one suite of tests
//! (`tests/contract`) says what every backend promises. All calls block: run them through the `Blocking` port.
//!
//! | Port | Backends |
//! |---|---|
//! | [`Snapshots`] | [`FileSnapshot`], [`MemorySnapshot`] |
//! | [`ResponseStore`], [`ConversationStore`] | [`SqliteStore`], [`MemoryStore`] |
//!
//! What callers wrote (responses, items, metadata) is kept as the text they gave ([`Json`]) and never looked into.

mod error;
mod memory;
mod ports;
mod snapshot;
mod sqlite;

pub use error::{Kind, StoreError};
pub use memory::MemoryStore;
pub use ports::{
    conversations::{ConversationStore, MAX_ITEMS_AT_ONCE, NewConversation, StoredConversation},
    page::{Listing, Order, PAGE_BYTES, Page, PageLimit},
    record::{Item, Json, Owner, UnixMillis},
    responses::{
        Appended, ChainBound, Ending, Interrupted, Keep, NewResponse, Outcome, ResponseKey, ResponseStore, Running, Stage, Status,
        StoredResponse,
    },
};
pub use snapshot::{FileSnapshot, MemorySnapshot, Snapshots};
pub use sqlite::SqliteStore;
