//! Conversations in memory.

use std::collections::btree_map::Entry;

use super::{Conversation, MemoryStore, Shelves, list, place_of};
use crate::{
    Appended, ConversationStore, Item, Json, Kind, Listing, NewConversation, Owner, Page, StoreError, StoredConversation, UnixMillis,
    ports::{
        conversations::{USE_NOTED_EVERY_MILLIS, check_batch},
        record::{bytes_of, check_bytes},
    },
};

impl ConversationStore for MemoryStore {
    fn create_conversation(&self, owner: Owner<'_>, conversation: &NewConversation) -> Result<(), StoreError> {
        check_batch(&conversation.items)?;
        let mut shelves = self.shelves();
        let shelves = &mut *shelves;
        let mut shelf = shelves.owners.entry(owner.0.to_owned()).or_default().open(&mut shelves.room);
        let Entry::Vacant(place) = shelf.conversations.entry(conversation.id.clone()) else {
            return Err(StoreError::exists(Kind::Conversation, &conversation.id));
        };
        let NewConversation { id, created_at, metadata, items } = conversation.clone();
        let conversation = Conversation { stored: StoredConversation { id, created_at, metadata }, used_at: created_at, items };
        shelf.room.take(conversation.bytes())?;
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
        let mut shelf = shelves.of(owner, Kind::Conversation, id)?;
        let gone = shelf.conversations.remove(id).ok_or_else(|| StoreError::no(Kind::Conversation, id))?;
        shelf.room.give_back(gone.bytes());
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

    fn append_answer(&self, owner: Owner<'_>, id: &str, items: &[Item], at: UnixMillis) -> Result<Appended, StoreError> {
        let appended = self.with(owner, id, |conversation, room| {
            let (new, repeated) = conversation.sort_out(items.iter());
            room.take(bytes_of(&new))?;
            let added = new.len();
            conversation.items.extend(new);
            conversation.used_at = conversation.used_at.max(at);
            Ok(Appended::Items { added, repeated })
        });
        match appended {
            Err(StoreError::NotFound { .. }) => Ok(Appended::ConversationGone),
            other => other,
        }
    }

    fn item_bytes(&self, owner: Owner<'_>, id: &str) -> Result<u64, StoreError> {
        self.with(owner, id, |conversation, _| Ok(bytes_of(&conversation.items)))
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

    fn touch_conversation(&self, owner: Owner<'_>, id: &str, at: UnixMillis) -> Result<(), StoreError> {
        self.with(owner, id, |conversation, _| {
            if at.0 >= conversation.used_at.0.saturating_add(USE_NOTED_EVERY_MILLIS) {
                conversation.used_at = at;
            }
            Ok(())
        })
    }

    fn purge_unused(&self, before: UnixMillis, limit: u32) -> Result<u32, StoreError> {
        let mut shelves = self.shelves();
        let Shelves { owners, room } = &mut *shelves;
        let mut purged = 0;
        for shelf in owners.values_mut() {
            let busy = shelf.busy_conversations();
            let old = shelf.conversations.iter().filter(|(id, conversation)| conversation.used_at < before && !busy.contains(*id));
            let left = (limit - purged) as usize;
            let old: Vec<String> = old.take(left).map(|(id, _)| id.clone()).collect();
            let mut shelf = shelf.open(room);
            for gone in old.iter().filter_map(|id| shelf.conversations.remove(id)) {
                shelf.room.give_back(gone.bytes());
                purged += 1;
            }
        }
        Ok(purged)
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
        work: impl FnOnce(&mut Conversation, &mut super::Place<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut shelves = self.shelves();
        let mut shelf = shelves.of(owner, Kind::Conversation, id)?;
        let conversation = shelf.conversations.get_mut(id).ok_or_else(|| StoreError::no(Kind::Conversation, id))?;
        work(conversation, &mut shelf.room)
    }
}
