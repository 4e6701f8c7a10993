//! Responses and conversations in a SQLite database.
//!
//! * One connection writes, a few read: SQLite has one writer at a time anyway, and in WAL mode readers see the last commit and wait
//!   for nobody.
//! * `synchronous=FULL`: a commit returns when the log is on the disk. With `NORMAL` the file stays consistent, but a power cut takes
//!   back the last commits, and a client that was told `response.completed` would build on a response that is gone. The price is one
//!   flush (about a millisecond on a solid-state disk) for each response, on a thread that holds up nobody else's.
//! * Freed pages are used again; the file does not become smaller.

mod conversations;
mod fault;
mod items;
mod migrations;
mod open;
mod readers;
mod recovery;
mod responses;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use self::{fault::Fault, open::Lock, readers::Readers};
use crate::StoreError;

/// Responses and conversations in a file. One process at a time has it open.
pub struct SqliteStore {
    path: PathBuf,
    /// Responses that were put under a smaller number are those of earlier processes.
    generation: i64,
    // In this order they are dropped: the last connection, the writer, moves the log into the file; then another process may come.
    readers: Readers,
    writer: Mutex<Connection>,
    _lock: Lock,
}

impl SqliteStore {
    /// Opens the database at `path`, makes it if there is none, and brings it to the newest schema. Its directory must be there.
    ///
    /// Beside it lie SQLite's own files (`-wal`, `-shm`) and `.lock`. All are for their owner alone (0600).
    ///
    /// # Errors
    /// `InUse` when another process has it open; `Newer` and `Foreign` when it is not for this program, which leaves it as it is;
    /// `Corrupt`, `File`, `Full`, `Io` and others when it cannot be used.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        open::open(path.as_ref())
    }

    /// Runs `work` in a transaction: all of it is durable when this returns, or nothing has changed.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T, StoreError> {
        // A panic in `work` has rolled back on its way.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        in_transaction(&mut writer, TransactionBehavior::Immediate, work).map_err(|fault| fault.at(&self.path))
    }

    /// Runs `work` on one state of the database.
    fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T, StoreError> {
        let mut reader = self.readers.lend();
        in_transaction(&mut reader, TransactionBehavior::Deferred, work).map_err(|fault| fault.at(&self.path))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).field("generation", &self.generation).finish_non_exhaustive()
    }
}

fn in_transaction<T>(
    connection: &mut Connection,
    behavior: TransactionBehavior,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let transaction = connection.transaction_with_behavior(behavior)?;
    // An error on the way drops the transaction, which rolls it back.
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

#[cfg(test)]
mod tests;
