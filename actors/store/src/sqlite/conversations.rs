//! Conversations in SQLite.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{
    SqliteStore,
    fault::Fault,
    items::{CONVERSATION, append, item},
};
use crate::{
    ConversationStore, Item, Json, Kind, Listing, NewConversation, Owner, Page, StoreError, StoredConversation, UnixMillis,
    ports::{conversations::check_batch, record::check_bytes},
};

impl ConversationStore for SqliteStore {
    fn create_conversation(&self, owner: Owner<'_>, conversation: &NewConversation) -> Result<(), StoreError> {
        check_batch(&conversation.items)?;
        self.write(|transaction| {
            let NewConversation { id, created_at, metadata, items } = conversation;
            let sql = "INSERT INTO conversations (owner, id, created_at, metadata) VALUES (?1, ?2, ?3, ?4) \
                       ON CONFLICT (owner, id) DO NOTHING";
            let made = transaction.prepare_cached(sql)?.execute(params![owner.0, id, created_at.0, metadata.as_str()])?;
            if made == 0 {
                return Err(StoreError::exists(Kind::Conversation, id).into());
            }
            append(transaction, transaction.last_insert_rowid(), items)?;
            Ok(())
        })
    }

    fn get_conversation(&self, owner: Owner<'_>, id: &str) -> Result<StoredConversation, StoreError> {
        self.read(|transaction| Ok(conversation(transaction, owner, id)?.stored))
    }

    fn update_metadata(&self, owner: Owner<'_>, id: &str, metadata: &Json) -> Result<StoredConversation, StoreError> {
        self.write(|transaction| {
            let Found { serial, mut stored } = conversation(transaction, owner, id)?;
            let sql = "UPDATE conversations SET metadata = ?2 WHERE serial = ?1";
            transaction.prepare_cached(sql)?.execute(params![serial, metadata.as_str()])?;
            stored.metadata = metadata.clone();
            Ok(stored)
        })
    }

    fn delete_conversation(&self, owner: Owner<'_>, id: &str) -> Result<(), StoreError> {
        self.write(|transaction| {
            let sql = "DELETE FROM conversations WHERE owner = ?1 AND id = ?2";
            match transaction.prepare_cached(sql)?.execute([owner.0, id])? {
                0 => Err(StoreError::no(Kind::Conversation, id).into()),
                _ => Ok(()),
            }
        })
    }

    fn append_items(&self, owner: Owner<'_>, id: &str, items: &[Item]) -> Result<(), StoreError> {
        check_batch(items)?;
        self.write(|transaction| {
            let repeated = append(transaction, conversation(transaction, owner, id)?.serial, items)?;
            match repeated.first() {
                Some(item) => Err(StoreError::exists(Kind::Item, item).into()),
                None => Ok(()),
            }
        })
    }

    fn list_items(&self, owner: Owner<'_>, id: &str, page: &Page) -> Result<Listing, StoreError> {
        self.read(|transaction| CONVERSATION.page(transaction, conversation(transaction, owner, id)?.serial, page))
    }

    fn all_items(&self, owner: Owner<'_>, id: &str, max_bytes: u64) -> Result<Vec<Item>, StoreError> {
        self.read(|transaction| {
            let serial = conversation(transaction, owner, id)?.serial;
            // Lengths stand apart from the texts: nothing is read that is too much.
            let sql = "SELECT coalesce(sum(octet_length(json)), 0) FROM conversation_items WHERE conversation = ?1";
            let bytes: i64 = transaction.prepare_cached(sql)?.query_row([serial], |row| row.get(0))?;
            check_bytes(Kind::Conversation, id, bytes.unsigned_abs(), max_bytes)?;
            CONVERSATION.all(transaction, serial)
        })
    }

    fn get_item(&self, owner: Owner<'_>, id: &str, wanted: &str) -> Result<Item, StoreError> {
        self.read(|transaction| {
            let serial = conversation(transaction, owner, id)?.serial;
            let sql = "SELECT id, json FROM conversation_items WHERE conversation = ?1 AND id = ?2";
            let found = transaction.prepare_cached(sql)?.query_row(params![serial, wanted], item).optional()?;
            found.ok_or_else(|| StoreError::no(Kind::Item, wanted).into())
        })
    }

    fn delete_item(&self, owner: Owner<'_>, id: &str, item: &str) -> Result<StoredConversation, StoreError> {
        self.write(|transaction| {
            let Found { serial, stored } = conversation(transaction, owner, id)?;
            let sql = "DELETE FROM conversation_items WHERE conversation = ?1 AND id = ?2";
            match transaction.prepare_cached(sql)?.execute(params![serial, item])? {
                0 => Err(StoreError::no(Kind::Item, item).into()),
                _ => Ok(stored),
            }
        })
    }
}

struct Found {
    serial: i64,
    stored: StoredConversation,
}

fn conversation(transaction: &Transaction<'_>, owner: Owner<'_>, id: &str) -> Result<Found, Fault> {
    let sql = "SELECT serial, created_at, metadata FROM conversations WHERE owner = ?1 AND id = ?2";
    let found = transaction.prepare_cached(sql)?.query_row([owner.0, id], |row| {
        let stored = StoredConversation { id: id.to_owned(), created_at: UnixMillis(row.get(1)?), metadata: Json(row.get(2)?) };
        Ok(Found { serial: row.get(0)?, stored })
    });
    found.optional()?.ok_or_else(|| StoreError::no(Kind::Conversation, id).into())
}

/// Serial of a conversation, if it is there.
pub(super) fn find(transaction: &Transaction<'_>, owner: Owner<'_>, id: &str) -> Result<Option<i64>, Fault> {
    let sql = "SELECT serial FROM conversations WHERE owner = ?1 AND id = ?2";
    Ok(transaction.prepare_cached(sql)?.query_row([owner.0, id], |row| row.get(0)).optional()?)
}
