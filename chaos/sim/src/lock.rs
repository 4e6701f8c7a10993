//! Locking without poison: the simulator's maps stay usable when a test panics while it holds one.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`. Never held across an `await`.
pub(crate) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
