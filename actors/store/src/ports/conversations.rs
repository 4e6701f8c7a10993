//! Conversations: lists of items that callers build, and that responses add to.

use std::fmt::Debug;

use super::record::check_unique;
use crate::{Appended, Item, Json, Listing, Owner, Page, StoreError, UnixMillis};

/// Most items in one call. Source: OpenAI's API reference, "create a conversation" and "create items".
pub const MAX_ITEMS_AT_ONCE: usize = 20;

/// Keeps conversations. Every change is durable when its call returns. All calls block.
///
/// Items of a conversation are its own: what happens to a response that added some of them does not touch them.
pub trait ConversationStore: Send + Sync + Debug {
    /// Makes one.
    ///
    /// # Errors
    /// `Exists` for its id, or for an item's that is given twice; `TooMany` items; troubles of the place.
    fn create_conversation(&self, owner: Owner<'_>, conversation: &NewConversation) -> Result<(), StoreError>;

    /// One.
    ///
    /// # Errors
    /// `NotFound`; troubles of the place.
    fn get_conversation(&self, owner: Owner<'_>, id: &str) -> Result<StoredConversation, StoreError>;

    /// Replaces its metadata, and gives what it is then.
    ///
    /// # Errors
    /// `NotFound`; troubles of the place.
    fn update_metadata(&self, owner: Owner<'_>, id: &str, metadata: &Json) -> Result<StoredConversation, StoreError>;

    /// Removes it with its items. Responses that took part in it stay, with theirs.
    ///
    /// # Errors
    /// `NotFound`; troubles of the place.
    fn delete_conversation(&self, owner: Owner<'_>, id: &str) -> Result<(), StoreError>;

    /// Adds items at its end: all or none.
    ///
    /// # Errors
    /// `NotFound`; `Exists` for an item's id that is in it or given twice; `TooMany` items; troubles of the place.
    fn append_items(&self, owner: Owner<'_>, id: &str, items: &[Item]) -> Result<(), StoreError>;

    /// Adds the items of a response at its end, as many as they are, and notes its use. Those that are in it already stay as they are: an
    /// answer that was paid for is not refused for them, nor for a conversation that is gone.
    ///
    /// # Errors
    /// Troubles of the place. Nothing has changed then.
    fn append_answer(&self, owner: Owner<'_>, id: &str, items: &[Item], at: UnixMillis) -> Result<Appended, StoreError>;

    /// Bytes of all of its items.
    ///
    /// # Errors
    /// `NotFound`; troubles of the place.
    fn item_bytes(&self, owner: Owner<'_>, id: &str) -> Result<u64, StoreError>;

    /// A page of its items. It ends early, and says that there is more, before it has more than [`PAGE_BYTES`](crate::PAGE_BYTES); one item is always in it.
    ///
    /// # Errors
    /// `NotFound` for it, or for an item that is a cursor; troubles of the place.
    fn list_items(&self, owner: Owner<'_>, id: &str, page: &Page) -> Result<Listing, StoreError>;

    /// All of its items, oldest first: what a model is to read.
    ///
    /// # Errors
    /// `NotFound`; `TooLarge` when they have more than `max_bytes`, found out before they are read; troubles of the place.
    fn all_items(&self, owner: Owner<'_>, id: &str, max_bytes: u64) -> Result<Vec<Item>, StoreError>;

    /// One item.
    ///
    /// # Errors
    /// `NotFound` for the conversation or the item; troubles of the place.
    fn get_item(&self, owner: Owner<'_>, id: &str, item: &str) -> Result<Item, StoreError>;

    /// Notes that it was used at this time. So do its beginning and the end of a response that adds to it. Within an hour of the last use
    /// nothing is written.
    ///
    /// # Errors
    /// `NotFound`; troubles of the place.
    fn touch_conversation(&self, owner: Owner<'_>, id: &str, at: UnixMillis) -> Result<(), StoreError>;

    /// Removes conversations that were not used since `before`, `limit` of them at most, and tells how many: call again while it is
    /// `limit`. One that a running response is part of stays.
    ///
    /// # Errors
    /// Troubles of the place. Nothing has changed then.
    fn purge_unused(&self, before: UnixMillis, limit: u32) -> Result<u32, StoreError>;

    /// Removes one item, and gives the conversation.
    ///
    /// # Errors
    /// `NotFound` for the conversation or the item; troubles of the place.
    fn delete_item(&self, owner: Owner<'_>, id: &str, item: &str) -> Result<StoredConversation, StoreError>;
}

/// What is used again so soon need not be noted again: it would be a write for every reading.
pub(crate) const USE_NOTED_EVERY_MILLIS: i64 = 3_600_000;

/// A conversation to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConversation {
    /// Its id, new for this owner.
    pub id: String,
    /// When it is made.
    pub created_at: UnixMillis,
    /// What the caller wants to remember with it.
    pub metadata: Json,
    /// Its first items, at most [`MAX_ITEMS_AT_ONCE`].
    pub items: Vec<Item>,
}

/// A conversation without its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredConversation {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// What the caller wants to remember with it.
    pub metadata: Json,
}

/// Refuses items that no caller may add in one call.
pub(crate) fn check_batch(items: &[Item]) -> Result<(), StoreError> {
    if items.len() > MAX_ITEMS_AT_ONCE {
        return Err(StoreError::TooMany { given: items.len(), max: MAX_ITEMS_AT_ONCE });
    }
    check_unique(items)
}
