//! What is done to responses that nobody asks for: those of earlier processes, and those whose time is over.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{fault::Fault, responses::stored};
use crate::{Interrupted, Json, Outcome, ResponseKey, Running, Status, StoredResponse, UnixMillis};

/// Settles what is running under a smaller number than `generation`.
pub(super) fn mark_interrupted(
    transaction: &Transaction<'_>,
    generation: i64,
    now: UnixMillis,
    fail: &dyn Fn(&StoredResponse) -> Json,
) -> Result<Interrupted, Fault> {
    let mut found = Interrupted::default();
    for Left { serial, owner, response } in left(transaction, generation)? {
        let key = ResponseKey { owner, id: response.id.clone() };
        if response.background && response.status == Status::Running(Running::Queued) {
            let sql = "UPDATE responses SET generation = ?2 WHERE serial = ?1";
            transaction.prepare_cached(sql)?.execute(params![serial, generation])?;
            found.resumable.push(key);
        } else {
            let sql = "UPDATE responses SET status = ?2, ended_at = ?3, body = ?4 WHERE serial = ?1";
            let failed = Status::Ended(Outcome::Failed);
            transaction.prepare_cached(sql)?.execute(params![serial, failed, now.0, fail(&response).as_str()])?;
            found.failed.push(key);
        }
    }
    Ok(found)
}

/// A response that an earlier process left.
struct Left {
    serial: i64,
    owner: String,
    response: StoredResponse,
}

fn left(transaction: &Transaction<'_>, generation: i64) -> Result<Vec<Left>, Fault> {
    let sql = "SELECT id, status, created_at, expires_at, ended_at, model, body, conversation, previous, background, serial, owner \
               FROM responses WHERE generation < ?1 AND status IN ('queued', 'in_progress') ORDER BY created_at, owner, id";
    let mut statement = transaction.prepare_cached(sql)?;
    let rows = statement.query_map([generation], |row| Ok(Left { serial: row.get(10)?, owner: row.get(11)?, response: stored(row)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What is running and was made before this time.
pub(super) fn running_since(transaction: &Transaction<'_>, before: UnixMillis) -> Result<Vec<ResponseKey>, Fault> {
    let sql = "SELECT owner, id FROM responses WHERE status IN ('queued', 'in_progress') AND created_at < ?1 ORDER BY created_at";
    let mut statement = transaction.prepare_cached(sql)?;
    Ok(statement.query_map([before.0], |row| Ok(ResponseKey { owner: row.get(0)?, id: row.get(1)? }))?.collect::<Result<_, _>>()?)
}

/// Removes responses whose time is over, from the ends of their chains backwards.
pub(super) fn purge_expired(transaction: &Transaction<'_>, now: UnixMillis, limit: u32) -> Result<u32, Fault> {
    let mut purged = 0;
    for end in ends(transaction, now, limit)? {
        let mut next = Some(end);
        while let Some(serial) = next
            && purged < limit
        {
            let sql = "DELETE FROM responses WHERE serial = ?1 RETURNING owner, previous";
            let (owner, previous): (String, Option<String>) =
                transaction.prepare_cached(sql)?.query_row([serial], |row| Ok((row.get(0)?, row.get(1)?)))?;
            purged += 1;
            next = match previous {
                Some(previous) => freed(transaction, now, &owner, &previous)?,
                None => None,
            };
        }
    }
    Ok(purged)
}

/// Responses whose time is over and that no other one follows.
fn ends(transaction: &Transaction<'_>, now: UnixMillis, limit: u32) -> Result<Vec<i64>, Fault> {
    let sql = "SELECT old.serial FROM responses AS old \
               WHERE old.expires_at <= ?1 AND old.status NOT IN ('queued', 'in_progress') AND NOT EXISTS (\
                 SELECT 1 FROM responses AS later WHERE later.owner = old.owner AND later.previous = old.id AND later.id <> old.id) \
               ORDER BY old.expires_at LIMIT ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    Ok(statement.query_map(params![now.0, limit], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// The response `id`, if its time is over and no other one follows it any more.
fn freed(transaction: &Transaction<'_>, now: UnixMillis, owner: &str, id: &str) -> Result<Option<i64>, Fault> {
    let sql = "SELECT old.serial FROM responses AS old \
               WHERE old.owner = ?2 AND old.id = ?3 \
                 AND old.expires_at <= ?1 AND old.status NOT IN ('queued', 'in_progress') AND NOT EXISTS (\
                 SELECT 1 FROM responses AS later WHERE later.owner = old.owner AND later.previous = old.id AND later.id <> old.id)";
    Ok(transaction.prepare_cached(sql)?.query_row(params![now.0, owner, id], |row| row.get(0)).optional()?)
}
