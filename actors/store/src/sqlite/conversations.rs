//! Conversations in SQLite.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{
    SqliteStore,
    fault::Fault,
    items::{CONVERSATION, append, item},
};
use crate::{
    Appended, ConversationStore, Item, Json, Kind, Listing, NewConversation, Owner, Page, StoreError, StoredConversation, UnixMillis,
    ports::{
        conversations::{USE_NOTED_EVERY_MILLIS, check_batch},
        record::check_bytes,
    },
};

impl ConversationStore for SqliteStore {
    fn create_conversation(&self, owner: Owner<'_>, conversation: &NewConversation) -> Result<(), StoreError> {
        check_batch(&conversation.items)?;
        self.write(|transaction| {
            let NewConversation { id, created_at, metadata, items } = conversation;
            let sql = "INSERT INTO conversations (owner, id, created_at, used_at, metadata) VALUES (?1, ?2, ?3, ?3, ?4) \
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

    fn append_answer(&self, owner: Owner<'_>, id: &str, items: &[Item], at: UnixMillis) -> Result<Appended, StoreError> {
        self.write(|transaction| {
            let Some(serial) = find(transaction, owner, id)? else { return Ok(Appended::ConversationGone) };
            let repeated = append(transaction, serial, items)?;
            used(transaction, serial, at)?;
            Ok(Appended::Items { added: items.len() - repeated.len(), repeated })
        })
    }

    fn item_bytes(&self, owner: Owner<'_>, id: &str) -> Result<u64, StoreError> {
        self.read(|transaction| bytes(transaction, conversation(transaction, owner, id)?.serial))
    }

    fn list_items(&self, owner: Owner<'_>, id: &str, page: &Page) -> Result<Listing, StoreError> {
        self.read(|transaction| CONVERSATION.page(transaction, conversation(transaction, owner, id)?.serial, page))
    }

    fn all_items(&self, owner: Owner<'_>, id: &str, max_bytes: u64) -> Result<Vec<Item>, StoreError> {
        self.read(|transaction| {
            let serial = conversation(transaction, owner, id)?.serial;
            check_bytes(Kind::Conversation, id, bytes(transaction, serial)?, max_bytes)?;
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

    fn touch_conversation(&self, owner: Owner<'_>, id: &str, at: UnixMillis) -> Result<(), StoreError> {
        let noted = self.read(|transaction| {
            let sql = "SELECT used_at FROM conversations WHERE owner = ?1 AND id = ?2";
            let found: Option<i64> = transaction.prepare_cached(sql)?.query_row([owner.0, id], |row| row.get(0)).optional()?;
            found.ok_or_else(|| StoreError::no(Kind::Conversation, id).into())
        })?;
        if at.0 < noted.saturating_add(USE_NOTED_EVERY_MILLIS) {
            return Ok(());
        }
        self.write(|transaction| used(transaction, conversation(transaction, owner, id)?.serial, at))
    }

    fn purge_unused(&self, before: UnixMillis, limit: u32) -> Result<u32, StoreError> {
        self.write(|transaction| {
            let sql = "DELETE FROM conversations WHERE serial IN (\
                         SELECT old.serial FROM conversations AS old WHERE old.used_at < ?1 AND NOT EXISTS (\
                           SELECT 1 FROM responses WHERE responses.owner = old.owner AND responses.conversation = old.id \
                             AND responses.status IN ('queued', 'in_progress')) \
                         ORDER BY old.used_at LIMIT ?2)";
            let gone = transaction.prepare_cached(sql)?.execute(params![before.0, limit])?;
            Ok(u32::try_from(gone).unwrap_or(limit))
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

/// Bytes of the items of the conversation `serial`. Lengths stand apart from the texts: nothing is read that is too much.
fn bytes(transaction: &Transaction<'_>, serial: i64) -> Result<u64, Fault> {
    let sql = "SELECT coalesce(sum(octet_length(json)), 0) FROM conversation_items WHERE conversation = ?1";
    let bytes: i64 = transaction.prepare_cached(sql)?.query_row([serial], |row| row.get(0))?;
    Ok(bytes.unsigned_abs())
}

/// Notes a use of the conversation `serial`.
pub(super) fn used(transaction: &Transaction<'_>, serial: i64, at: UnixMillis) -> Result<(), Fault> {
    let sql = "UPDATE conversations SET used_at = max(used_at, ?2) WHERE serial = ?1";
    transaction.prepare_cached(sql)?.execute(params![serial, at.0])?;
    Ok(())
}

/// Serial of a conversation, if it is there.
pub(super) fn find(transaction: &Transaction<'_>, owner: Owner<'_>, id: &str) -> Result<Option<i64>, Fault> {
    let sql = "SELECT serial FROM conversations WHERE owner = ?1 AND id = ?2";
    Ok(transaction.prepare_cached(sql)?.query_row([owner.0, id], |row| row.get(0)).optional()?)
}
