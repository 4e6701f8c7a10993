//! Responses in SQLite.

use rusqlite::{
    OptionalExtension as _, Row, ToSql, Transaction, params,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};

use super::{
    SqliteStore, conversations,
    fault::Fault,
    items::{self, INPUT, Side},
    recovery,
};
use crate::{
    Appended, ChainBound, Ending, Interrupted, Item, Json, Kind, Listing, NewResponse, Owner, Page, ResponseKey, ResponseStore, Running,
    Stage, Status, StoreError, StoredResponse, UnixMillis,
    ports::record::{bytes_of, check_bytes, check_unique},
};

impl ResponseStore for SqliteStore {
    fn put_response(&self, owner: Owner<'_>, response: &NewResponse, max_bytes: u64) -> Result<Appended, StoreError> {
        response.check(max_bytes)?;
        self.write(|transaction| put(transaction, self.generation, owner, response))
    }

    fn get_response(&self, owner: Owner<'_>, id: &str) -> Result<StoredResponse, StoreError> {
        self.read(|transaction| {
            let sql = "SELECT id, status, created_at, expires_at, ended_at, model, body, conversation, previous, background \
                       FROM responses WHERE owner = ?1 AND id = ?2";
            let found = transaction.prepare_cached(sql)?.query_row([owner.0, id], stored).optional()?;
            found.ok_or_else(|| StoreError::no(Kind::Response, id).into())
        })
    }

    fn update_status(&self, owner: Owner<'_>, id: &str, from: Running, to: Running, body: &Json) -> Result<(), StoreError> {
        self.write(|transaction| {
            let link = link(transaction, owner, id)?;
            if link.status != Status::Running(from) {
                return Err(link.conflict(id));
            }
            let sql = "UPDATE responses SET status = ?2, body = ?3 WHERE serial = ?1";
            transaction.prepare_cached(sql)?.execute(params![link.serial, Status::Running(to), body.as_str()])?;
            Ok(())
        })
    }

    fn finish(&self, owner: Owner<'_>, id: &str, body: &Json, ending: &Ending, max_bytes: u64) -> Result<Appended, StoreError> {
        check_unique(&ending.output)?;
        self.write(|transaction| finish(transaction, owner, id, body, ending, max_bytes))
    }

    fn delete_response(&self, owner: Owner<'_>, id: &str) -> Result<(), StoreError> {
        self.write(|transaction| {
            let sql = "DELETE FROM responses WHERE owner = ?1 AND id = ?2";
            match transaction.prepare_cached(sql)?.execute([owner.0, id])? {
                0 => Err(StoreError::no(Kind::Response, id).into()),
                _ => Ok(()),
            }
        })
    }

    fn chain(&self, owner: Owner<'_>, id: &str, bound: ChainBound) -> Result<Vec<Item>, StoreError> {
        self.read(|transaction| {
            let (links, _) = links(transaction, owner, id, bound)?;
            let mut all = Vec::new();
            for serial in links.into_iter().rev() {
                items::both_sides(transaction, serial, &mut all)?;
            }
            Ok(all)
        })
    }

    fn chain_bytes(&self, owner: Owner<'_>, id: &str, bound: ChainBound) -> Result<u64, StoreError> {
        self.read(|transaction| Ok(links(transaction, owner, id, bound)?.1))
    }

    fn list_input_items(&self, owner: Owner<'_>, id: &str, page: &Page) -> Result<Listing, StoreError> {
        self.read(|transaction| INPUT.page(transaction, link(transaction, owner, id)?.serial, page))
    }

    fn input_items(&self, owner: Owner<'_>, id: &str) -> Result<Vec<Item>, StoreError> {
        self.read(|transaction| INPUT.all(transaction, link(transaction, owner, id)?.serial))
    }

    fn response_item(&self, owner: Owner<'_>, id: &str, item: &str) -> Result<Item, StoreError> {
        self.read(|transaction| items::of_either_side(transaction, link(transaction, owner, id)?.serial, item))
    }

    fn mark_interrupted(&self, now: UnixMillis, fail: &dyn Fn(&StoredResponse) -> Json) -> Result<Interrupted, StoreError> {
        self.write(|transaction| recovery::mark_interrupted(transaction, self.generation, now, fail))
    }

    fn running_since(&self, before: UnixMillis) -> Result<Vec<ResponseKey>, StoreError> {
        self.read(|transaction| recovery::running_since(transaction, before))
    }

    fn purge_expired(&self, now: UnixMillis, limit: u32) -> Result<u32, StoreError> {
        self.write(|transaction| recovery::purge_expired(transaction, now, limit))
    }
}

fn put(transaction: &Transaction<'_>, generation: i64, owner: Owner<'_>, response: &NewResponse) -> Result<Appended, Fault> {
    let record = response.record();
    let conversation = match &record.conversation {
        Some(id) => conversations::find(transaction, owner, id)?,
        None => None,
    };
    if let (Stage::Running(_), Some(id), None) = (&response.stage, &record.conversation, conversation) {
        return Err(StoreError::no(Kind::Conversation, id).into());
    }
    let sql = "INSERT INTO responses (owner, id, status, background, generation, created_at, expires_at, ended_at, model, conversation, \
               previous, item_bytes, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
               ON CONFLICT (owner, id) DO NOTHING";
    let made = transaction.prepare_cached(sql)?.execute(params![
        owner.0,
        record.id,
        record.status,
        record.background,
        generation,
        record.created_at.0,
        record.expires_at.map(|at| at.0),
        record.ended_at.map(|at| at.0),
        record.model,
        record.conversation,
        record.previous,
        number(bytes_of(&response.input) + bytes_of(response.output())),
        record.body.as_str(),
    ])?;
    if made == 0 {
        return Err(StoreError::exists(Kind::Response, &record.id).into());
    }
    let serial = transaction.last_insert_rowid();
    items::insert(transaction, serial, Side::Input, &response.input)?;
    items::insert(transaction, serial, Side::Output, response.output())?;
    match response.stage.ending() {
        Some(ending) => append(transaction, record.conversation.is_some(), conversation, ending, &response.input),
        None => Ok(Appended::Nothing),
    }
}

fn finish(
    transaction: &Transaction<'_>,
    owner: Owner<'_>,
    id: &str,
    body: &Json,
    ending: &Ending,
    max_bytes: u64,
) -> Result<Appended, Fault> {
    let link = link(transaction, owner, id)?;
    let Status::Running(_) = link.status else { return Err(link.conflict(id)) };
    let item_bytes = link.item_bytes + bytes_of(&ending.output);
    check_bytes(Kind::Response, id, item_bytes + body.bytes(), max_bytes)?;
    let sql = "UPDATE responses SET status = ?2, ended_at = ?3, body = ?4, item_bytes = ?5 WHERE serial = ?1";
    let status = Status::Ended(ending.outcome);
    transaction.prepare_cached(sql)?.execute(params![link.serial, status, ending.at.0, body.as_str(), number(item_bytes)])?;
    items::insert(transaction, link.serial, Side::Output, &ending.output)?;
    let Some(name) = &link.conversation else { return Ok(Appended::Nothing) };
    let conversation = conversations::find(transaction, owner, name)?;
    append(transaction, true, conversation, ending, &INPUT.all(transaction, link.serial)?)
}

/// Adds a response that ended with an answer to its conversation.
fn append(
    transaction: &Transaction<'_>,
    has_conversation: bool,
    conversation: Option<i64>,
    ending: &Ending,
    input: &[Item],
) -> Result<Appended, Fault> {
    if !has_conversation || !ending.outcome.is_answer() {
        return Ok(Appended::Nothing);
    }
    let Some(conversation) = conversation else { return Ok(Appended::ConversationGone) };
    let repeated = items::append(transaction, conversation, input.iter().chain(&ending.output))?;
    conversations::used(transaction, conversation, ending.at)?;
    Ok(Appended::Items { added: input.len() + ending.output.len() - repeated.len(), repeated })
}

/// Serials of a response and of those that it follows, newest first, and the bytes of their items.
fn links(transaction: &Transaction<'_>, owner: Owner<'_>, id: &str, bound: ChainBound) -> Result<(Vec<i64>, u64), Fault> {
    let (mut serials, mut bytes, mut next) = (Vec::new(), 0, Some(id.to_owned()));
    while let Some(id_of_next) = next {
        if serials.len() >= bound.responses as usize {
            return Err(StoreError::TooDeep { id: id.to_owned(), max: bound.responses }.into());
        }
        let link = link(transaction, owner, &id_of_next)?;
        let Status::Ended(_) = link.status else { return Err(link.conflict(&id_of_next)) };
        bytes += link.item_bytes;
        check_bytes(Kind::Chain, id, bytes, bound.bytes)?;
        serials.push(link.serial);
        next = link.previous;
    }
    Ok((serials, bytes))
}

/// A response as far as it concerns others.
struct Link {
    serial: i64,
    status: Status,
    item_bytes: u64,
    conversation: Option<String>,
    previous: Option<String>,
}

impl Link {
    fn conflict(&self, id: &str) -> Fault {
        StoreError::Conflict { id: id.to_owned(), status: self.status }.into()
    }
}

fn link(transaction: &Transaction<'_>, owner: Owner<'_>, id: &str) -> Result<Link, Fault> {
    let sql = "SELECT serial, status, item_bytes, conversation, previous FROM responses WHERE owner = ?1 AND id = ?2";
    let found = transaction.prepare_cached(sql)?.query_row([owner.0, id], |row| {
        let item_bytes: i64 = row.get(2)?;
        Ok(Link {
            serial: row.get(0)?,
            status: row.get(1)?,
            item_bytes: item_bytes.unsigned_abs(),
            conversation: row.get(3)?,
            previous: row.get(4)?,
        })
    });
    found.optional()?.ok_or_else(|| StoreError::no(Kind::Response, id).into())
}

/// Reads columns `id, status, created_at, expires_at, ended_at, model, body, conversation, previous, background`.
pub(super) fn stored(row: &Row<'_>) -> rusqlite::Result<StoredResponse> {
    Ok(StoredResponse {
        id: row.get(0)?,
        status: row.get(1)?,
        created_at: UnixMillis(row.get(2)?),
        expires_at: row.get::<_, Option<i64>>(3)?.map(UnixMillis),
        ended_at: row.get::<_, Option<i64>>(4)?.map(UnixMillis),
        model: row.get(5)?,
        body: Json(row.get(6)?),
        conversation: row.get(7)?,
        previous: row.get(8)?,
        background: row.get(9)?,
    })
}

impl ToSql for Status {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Status {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::parse(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}

/// SQLite's integers are signed; no text has more bytes than they can count.
fn number(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
