//! The backends, as the contract sees them.

use outcrop_store::{ConversationStore, MemoryStore, ResponseStore, SqliteStore};
use tempfile::TempDir;

/// Both ports.
pub(crate) trait Store: ResponseStore + ConversationStore {}
impl<T: ResponseStore + ConversationStore> Store for T {}

/// One backend.
pub(crate) trait Backend {
    fn store(&self) -> &dyn Store;
    /// From here on, what is in the store was put by an earlier process.
    fn restart(&mut self);
}

pub(crate) struct Memory(MemoryStore);

impl Memory {
    pub(crate) fn new() -> Self {
        Self(MemoryStore::new(u64::MAX))
    }
}

impl Backend for Memory {
    fn store(&self) -> &dyn Store {
        &self.0
    }

    fn restart(&mut self) {
        self.0 = self.0.restarted();
    }
}

pub(crate) struct Sqlite {
    directory: TempDir,
    store: Option<SqliteStore>,
}

impl Sqlite {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Some(SqliteStore::open(directory.path().join("outcrop.db")).unwrap());
        Self { directory, store }
    }
}

impl Backend for Sqlite {
    fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    fn restart(&mut self) {
        drop(self.store.take());
        self.store = Some(SqliteStore::open(self.directory.path().join("outcrop.db")).unwrap());
    }
}

/// Makes a test of each function for each backend.
macro_rules! contract {
    ($($promise:ident,)*) => {
        mod memory {
            $(#[test] fn $promise() { super::$promise(&mut crate::backends::Memory::new()); })*
        }
        mod sqlite {
            $(#[test] fn $promise() { super::$promise(&mut crate::backends::Sqlite::new()); })*
        }
    };
}
pub(crate) use contract;
