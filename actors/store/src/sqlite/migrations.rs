//! The schema, version by version.

use rusqlite::{Connection, TransactionBehavior, params};

use super::fault::Fault;

/// Marks our databases among all of SQLite: "Outc" in ASCII.
const APPLICATION_ID: i64 = 0x4f75_7463;

/// One step of the schema. What was released never changes: a change is a new step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    /// Counted from 1 without gaps.
    pub(super) version: i64,
    /// For people who look into the database.
    pub(super) name: &'static str,
    /// The statements.
    pub(super) sql: &'static str,
}

/// All steps, in order.
pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "responses_and_conversations",
    sql: include_str!("../../migrations/sqlite/0001_responses_and_conversations.sql"),
}];

/// What a file turned out to be, before anything in it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// Nothing is in it yet.
    Empty,
    /// Ours, of this version of the schema; 0 = the table of versions alone.
    Ours(i64),
    /// Of another program.
    Foreign,
}

/// Looks what a file is. Reads only.
pub(super) fn identify(connection: &Connection) -> Result<Identity, Fault> {
    let application: i64 = connection.query_row("SELECT application_id FROM pragma_application_id", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, tables) {
        (APPLICATION_ID, _) => Identity::Ours(version(connection)?),
        (0, 0) => Identity::Empty,
        _ => Identity::Foreign,
    })
}

/// Applies the steps that are missing, each in one transaction: a crash leaves the version before or the version after.
pub(super) fn migrate(connection: &mut Connection, steps: &[Migration]) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch("CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT")?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()?;
    let applied = version(connection)?;
    for step in steps.iter().filter(|step| step.version > applied) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step.sql)?;
        transaction.execute("INSERT INTO migrations (version, name) VALUES (?1, ?2)", params![step.version, step.name])?;
        transaction.commit()?;
    }
    Ok(())
}

/// Newest version that `steps` lead to.
pub(super) fn newest(steps: &[Migration]) -> i64 {
    steps.last().map_or(0, |step| step.version)
}

/// Begins a generation: gives the number under which this process puts responses.
pub(super) fn begin_generation(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.query_row("UPDATE generations SET latest = latest + 1 RETURNING latest", [], |row| row.get(0))?)
}

fn version(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.query_row("SELECT coalesce(max(version), 0) FROM migrations", [], |row| row.get(0))?)
}
