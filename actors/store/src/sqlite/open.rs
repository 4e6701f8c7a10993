//! Opening the file: who may, what it is, how it is used.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{
    SqliteStore,
    fault::Fault,
    migrations::{Identity, MIGRATIONS, Migration, begin_generation, identify, migrate, newest},
    readers::Readers,
};
use crate::StoreError;

/// How long a call waits for a program outside that has locked the file, e.g. a backup. Longer than a copy of some pages takes,
/// shorter than clients wait.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements that a connection keeps: all that there are.
const STATEMENTS: usize = 64;

/// The log is cut back to this when it was moved into the file: one large transaction does not leave a large log for good.
const LOG_BYTES: i64 = 16 << 20;

/// Opens the database at `path`.
pub(super) fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    open_with(path, MIGRATIONS)
}

/// Opens the database at `path` and brings it to the end of `steps`.
pub(super) fn open_with(path: &Path, steps: &[Migration]) -> Result<SqliteStore, StoreError> {
    // An absolute path can be no URI, which SQLite would follow.
    let path = std::path::absolute(path).map_err(|error| StoreError::File { path: path.to_owned(), error })?;
    let lock = lock(&path)?;
    make(&path)?;
    let connect = |access| connect(&path, access).map_err(|fault| fault.at(&path));
    let mut writer = connect(Access::ReadWrite)?;
    let generation = prepare(&mut writer, &path, steps).map_err(|fault| fault.at(&path))?;
    let reader = || connect(Access::ReadOnly);
    let readers = Readers::new([reader()?, reader()?, reader()?, reader()?]);
    Ok(SqliteStore { path, generation, readers, writer: Mutex::new(writer), _lock: lock })
}

/// The lock that one process at a time has. The system gives it back when the process ends, however it ends.
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Not by closing alone: a child that is being started has a copy of the handle for a moment. If it cannot be given back now, it
        // is with the process.
        let _given_back = self.0.unlock();
    }
}

/// Takes the lock.
///
/// It is a file by itself: closing any handle of a database file would drop SQLite's own locks on it.
fn lock(path: &Path) -> Result<Lock, StoreError> {
    let lock_path = beside(path, ".lock");
    let failed = |error| StoreError::File { path: lock_path.clone(), error };
    let file = private().create(true).write(true).truncate(false).open(&lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Makes the file if there is none, for its owner alone. SQLite gives the files that it makes beside it the same rights.
fn make(path: &Path) -> Result<(), StoreError> {
    let made = match private().create_new(true).write(true).open(path) {
        // A file that is not in its directory after a power cut was never there.
        Ok(file) => file.sync_all().and_then(|()| sync_directory(path)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    };
    made.map_err(|error| StoreError::File { path: path.to_owned(), error })
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Takes the rights of others away, if they have some, from the file and from those that SQLite made beside it.
#[cfg(unix)]
fn keep_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    for file in ["", "-wal", "-shm"].map(|ending| beside(path, ending)) {
        let tightened = match fs::metadata(&file).map(|metadata| metadata.permissions().mode()) {
            Ok(mode) if mode & 0o077 != 0 => fs::set_permissions(&file, fs::Permissions::from_mode(mode & 0o700)),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(()),
        };
        tightened.map_err(|error| StoreError::File { path: file, error })?;
    }
    Ok(())
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadWrite,
    ReadOnly,
}

fn connect(path: &Path, access: Access) -> Result<Connection, Fault> {
    // No SQLITE_OPEN_CREATE: the file is there. No mutex of SQLite's own: ours lend a connection to one thread at a time.
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A plain flush of macOS leaves the data in the disk's own cache. Nothing elsewhere.
    connection.pragma_update(None, "fullfsync", true)?;
    // Nothing is written beside the database: an image without a file system to write to has no place for it.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "query_only", access == Access::ReadOnly)?;
    Ok(connection)
}

/// Makes sure that the file is ours and of the newest schema; begins a generation.
fn prepare(writer: &mut Connection, path: &Path, steps: &[Migration]) -> Result<i64, Fault> {
    // Before anything is changed: its rights and its journal included.
    match identify(writer)? {
        Identity::Foreign => return Err(StoreError::Foreign { path: path.to_owned() }.into()),
        Identity::Ours(found) if found > newest(steps) => {
            return Err(StoreError::Newer { path: path.to_owned(), found, known: newest(steps) }.into());
        }
        Identity::Ours(_) | Identity::Empty => {}
    }
    keep_private(path)?;
    let journal: String = writer.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if journal != "wal" {
        let detail = format!("the file system allows no write-ahead log, only the journal mode {journal}");
        return Err(StoreError::Io { path: path.to_owned(), detail }.into());
    }
    // Answers with the limit, which is the one we gave.
    writer.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))?;
    migrate(writer, steps)?;
    begin_generation(writer)
}
