//! Conversations in memory.

use std::collections::btree_map::Entry;

use super::{Conversation, MemoryStore, list, place_of};
use crate::{
    ConversationStore, Item, Json, Kind, Listing, NewConversation, Owner, Page, StoreError, StoredConversation,
    ports::{
        conversations::check_batch,
        record::{bytes_of, check_bytes},
    },
};

impl ConversationStore for MemoryStore {
    fn create_conversation(&self, owner: Owner<'_>, conversation: &NewConversation) -> Result<(), StoreError> {
        check_batch(&conversation.items)?;
        let mut shelves = self.shelves();
        let shelves = &mut *shelves;
        let shelf = shelves.owners.entry(owner.0.to_owned()).or_default();
        let Entry::Vacant(place) = shelf.conversations.entry(conversation.id.clone()) else {
            return Err(StoreError::exists(Kind::Conversation, &conversation.id));
        };
        let NewConversation { id, created_at, metadata, items } = conversation.clone();
        let conversation = Conversation { stored: StoredConversation { id, created_at, metadata }, items };
        shelves.room.take(conversation.bytes())?;
        place.insert(conversation);
        Ok(())
    }

    fn get_conversation(&self, owner: Owner<'_>, id: &str) -> Result<StoredConversation, StoreError> {
        self.with(owner, id, |conversation, _| Ok(conversation.stored.clone()))
    }

    fn update_metadata(&self, owner: Owner<'_>, id: &str, metadata: &Json) -> Result<StoredConversation, StoreError> {
        self.with(owner, id, |conversation, room| {
            room.replace(conversation.stored.metadata.bytes(), metadata.bytes())?;
            conversation.stored.metadata = metadata.clone();
            Ok(conversation.stored.clone())
        })
    }

    fn delete_conversation(&self, owner: Owner<'_>, id: &str) -> Result<(), StoreError> {
        let mut shelves = self.shelves();
        let (shelf, room) = shelves.of(owner, Kind::Conversation, id)?;
        let gone = shelf.conversations.remove(id).ok_or_else(|| StoreError::no(Kind::Conversation, id))?;
        room.give_back(gone.bytes());
        Ok(())
    }

    fn append_items(&self, owner: Owner<'_>, id: &str, items: &[Item]) -> Result<(), StoreError> {
        check_batch(items)?;
        self.with(owner, id, |conversation, room| {
            let (new, repeated) = conversation.sort_out(items.iter());
            if let Some(item) = repeated.first() {
                return Err(StoreError::exists(Kind::Item, item));
            }
            room.take(bytes_of(&new))?;
            conversation.items.extend(new);
            Ok(())
        })
    }

    fn list_items(&self, owner: Owner<'_>, id: &str, page: &Page) -> Result<Listing, StoreError> {
        self.with(owner, id, |conversation, _| list(&conversation.items, page))
    }

    fn all_items(&self, owner: Owner<'_>, id: &str, max_bytes: u64) -> Result<Vec<Item>, StoreError> {
        self.with(owner, id, |conversation, _| {
            check_bytes(Kind::Conversation, id, bytes_of(&conversation.items), max_bytes)?;
            Ok(conversation.items.clone())
        })
    }

    fn get_item(&self, owner: Owner<'_>, id: &str, item: &str) -> Result<Item, StoreError> {
        self.with(owner, id, |conversation, _| {
            let found = conversation.items.iter().find(|one| one.id == item);
            found.cloned().ok_or_else(|| StoreError::no(Kind::Item, item))
        })
    }

    fn delete_item(&self, owner: Owner<'_>, id: &str, item: &str) -> Result<StoredConversation, StoreError> {
        self.with(owner, id, |conversation, room| {
            let gone = conversation.items.remove(place_of(&conversation.items, item)?);
            room.give_back(gone.json.bytes());
            Ok(conversation.stored.clone())
        })
    }
}

impl MemoryStore {
    fn with<T>(
        &self,
        owner: Owner<'_>,
        id: &str,
        work: impl FnOnce(&mut Conversation, &mut super::Room) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut shelves = self.shelves();
        let (shelf, room) = shelves.of(owner, Kind::Conversation, id)?;
        let conversation = shelf.conversations.get_mut(id).ok_or_else(|| StoreError::no(Kind::Conversation, id))?;
        work(conversation, room)
    }
}
