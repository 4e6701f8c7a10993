//! A snapshot: bytes that are replaced as a whole.

mod file;
mod memory;

use std::fmt::Debug;

pub use file::FileSnapshot;
pub use memory::MemorySnapshot;

use crate::StoreError;

/// Keeps one snapshot.
pub trait Snapshots: Send + Sync + Debug {
    /// What was saved last; `None` when nothing was yet.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    fn load(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces it: whoever loads meanwhile, or after a crash, finds the old one or the new one, never a part.
    ///
    /// # Errors
    /// When it cannot be written: the old one stands.
    fn save(&self, snapshot: &[u8]) -> Result<(), StoreError>;
}
