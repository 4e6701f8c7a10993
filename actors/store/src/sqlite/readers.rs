//! Connections that only read.

use std::sync::{
    Mutex, MutexGuard, PoisonError, TryLockError,
    atomic::{AtomicUsize, Ordering},
};

use rusqlite::Connection;

/// How many read at once. Reads are short and mostly from memory: more would only take more of it (each has its own cache of pages).
pub(super) const READERS: usize = 4;

/// Some connections, each lent to one caller at a time.
pub(super) struct Readers {
    connections: [Mutex<Connection>; READERS],
    turn: AtomicUsize,
}

impl Readers {
    pub(super) fn new(connections: [Connection; READERS]) -> Self {
        Self { connections: connections.map(Mutex::new), turn: AtomicUsize::new(0) }
    }

    /// Lends one that is free; while none is, callers wait for one in turn.
    pub(super) fn lend(&self) -> MutexGuard<'_, Connection> {
        let free = self.connections.iter().find_map(|connection| match connection.try_lock() {
            Ok(free) => Some(free),
            // Whoever panicked has rolled back on the way.
            Err(TryLockError::Poisoned(left)) => Some(left.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        free.unwrap_or_else(|| self.next().lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn next(&self) -> &Mutex<Connection> {
        let [first, second, third, fourth] = &self.connections;
        match self.turn.fetch_add(1, Ordering::Relaxed) % READERS {
            0 => first,
            1 => second,
            2 => third,
            _ => fourth,
        }
    }
}
