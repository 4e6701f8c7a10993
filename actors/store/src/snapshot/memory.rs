//! A snapshot in memory.

use std::sync::{Mutex, PoisonError};

use super::Snapshots;
use crate::StoreError;

/// A snapshot that lives as long as this value: for tests and simulations.
#[derive(Debug, Default)]
pub struct MemorySnapshot(Mutex<Option<Vec<u8>>>);

impl Snapshots for MemorySnapshot {
    fn load(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn save(&self, snapshot: &[u8]) -> Result<(), StoreError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot.to_vec());
        Ok(())
    }
}
