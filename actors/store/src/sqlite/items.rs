//! Lists of items: the input and output of responses, and conversations.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::fault::Fault;
use crate::{Item, Json, Kind, Listing, Order, Page, StoreError};

/// The statements of one kind of list. The list itself is the first parameter of each.
pub(super) struct ItemList {
    /// Where an item (2) is.
    position: &'static str,
    /// The items behind a position (2) and in front of another (3), so many (4), oldest first.
    ascending: &'static str,
    /// The same, newest first.
    descending: &'static str,
}

/// The input of a response.
pub(super) const INPUT: ItemList = ItemList {
    position: "SELECT position FROM response_items WHERE response = ?1 AND side = 0 AND id = ?2",
    ascending: "SELECT id, json FROM response_items WHERE response = ?1 AND side = 0 AND position > ?2 AND position < ?3 \
                ORDER BY position LIMIT ?4",
    descending: "SELECT id, json FROM response_items WHERE response = ?1 AND side = 0 AND position > ?2 AND position < ?3 \
                 ORDER BY position DESC LIMIT ?4",
};

/// A conversation.
pub(super) const CONVERSATION: ItemList = ItemList {
    position: "SELECT position FROM conversation_items WHERE conversation = ?1 AND id = ?2",
    ascending: "SELECT id, json FROM conversation_items WHERE conversation = ?1 AND position > ?2 AND position < ?3 \
                ORDER BY position LIMIT ?4",
    descending: "SELECT id, json FROM conversation_items WHERE conversation = ?1 AND position > ?2 AND position < ?3 \
                 ORDER BY position DESC LIMIT ?4",
};

impl ItemList {
    /// A page of the list `serial`.
    pub(super) fn page(&self, transaction: &Transaction<'_>, serial: i64, page: &Page) -> Result<Listing, Fault> {
        let place = |cursor: &Option<String>| cursor.as_deref().map(|id| self.place_of(transaction, serial, id)).transpose();
        let stretch = page.stretch(place(&page.after)?, place(&page.before)?);
        let sql = match stretch.from {
            Order::Ascending => self.ascending,
            Order::Descending => self.descending,
        };
        let (above, below) = (stretch.above.unwrap_or(-1), stretch.below.unwrap_or(i64::MAX));
        let one_more = i64::try_from(page.limit.get() + 1).unwrap_or(i64::MAX);
        let mut statement = transaction.prepare_cached(sql)?;
        let rows = statement.query_map(params![serial, above, below, one_more], item)?;
        Ok(page.listing(&stretch, rows)?)
    }

    /// The whole list `serial`, oldest first.
    pub(super) fn all(&self, transaction: &Transaction<'_>, serial: i64) -> Result<Vec<Item>, Fault> {
        let mut statement = transaction.prepare_cached(self.ascending)?;
        Ok(statement.query_map(params![serial, -1, i64::MAX, i64::MAX], item)?.collect::<Result<_, _>>()?)
    }

    fn place_of(&self, transaction: &Transaction<'_>, serial: i64, id: &str) -> Result<i64, Fault> {
        let found = transaction.prepare_cached(self.position)?.query_row(params![serial, id], |row| row.get(0)).optional()?;
        found.ok_or_else(|| StoreError::no(Kind::Item, id).into())
    }
}

/// Reads columns `id, json`.
pub(super) fn item(row: &Row<'_>) -> rusqlite::Result<Item> {
    Ok(Item { id: row.get(0)?, json: Json(row.get(1)?) })
}

/// Which of a response's lists.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Input = 0,
    Output = 1,
}

/// Writes a list of a response, which has none of that side yet.
pub(super) fn insert(transaction: &Transaction<'_>, response: i64, side: Side, items: &[Item]) -> Result<(), Fault> {
    let sql = "INSERT INTO response_items (response, side, position, id, json) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut statement = transaction.prepare_cached(sql)?;
    for (item, position) in items.iter().zip(0_i64..) {
        statement.execute(params![response, side as i64, position, item.id, item.json.as_str()])?;
    }
    Ok(())
}

/// Input and then output of a response.
pub(super) fn both_sides(transaction: &Transaction<'_>, response: i64, into: &mut Vec<Item>) -> Result<(), Fault> {
    let sql = "SELECT id, json FROM response_items WHERE response = ?1 ORDER BY side, position";
    let mut statement = transaction.prepare_cached(sql)?;
    for found in statement.query_map([response], item)? {
        into.push(found?);
    }
    Ok(())
}

/// The item `id` of a response's output, or else of its input.
pub(super) fn of_either_side(transaction: &Transaction<'_>, response: i64, id: &str) -> Result<Item, Fault> {
    // One response's items are found by the index on (response, side, id).
    let sql = "SELECT id, json FROM response_items WHERE response = ?1 AND side IN (0, 1) AND id = ?2 ORDER BY side DESC LIMIT 1";
    let found = transaction.prepare_cached(sql)?.query_row(params![response, id], item).optional()?;
    found.ok_or_else(|| StoreError::no(Kind::Item, id).into())
}

/// Adds items at the end of a conversation. Gives the ids of those that are in it already, which stay as they are.
pub(super) fn append<'i>(
    transaction: &Transaction<'_>,
    conversation: i64,
    items: impl IntoIterator<Item = &'i Item>,
) -> Result<Vec<String>, Fault> {
    let end = "SELECT coalesce(max(position), -1) + 1 FROM conversation_items WHERE conversation = ?1";
    let mut position: i64 = transaction.prepare_cached(end)?.query_row([conversation], |row| row.get(0))?;
    let sql = "INSERT INTO conversation_items (conversation, position, id, json) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (conversation, id) DO NOTHING";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut repeated = Vec::new();
    for item in items {
        if statement.execute(params![conversation, position, item.id, item.json.as_str()])? == 0 {
            repeated.push(item.id.clone());
        } else {
            position += 1;
        }
    }
    Ok(repeated)
}
