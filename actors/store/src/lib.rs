//! What outlives the process.
//!
//! So far one thing: a snapshot, bytes that are replaced as a whole ([`Snapshots`]). All calls block: run them through the
//! `Blocking` port.

mod file;
mod memory;

use std::{fmt::Debug, path::PathBuf};

pub use file::FileSnapshot;
pub use memory::MemorySnapshot;

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

/// Why something could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system says so.
    #[error("{path}: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

#[cfg(test)]
mod contract;
