//! Watching a replica from outside: is it ready, does it take connections?

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::task::AbortHandle;

use super::{HostBook, fetch};
use crate::history::HostFact;

/// How often a replica is asked.
const EVERY: Duration = Duration::from_millis(50);

const NOTHING: u8 = 0;
const READY: u8 = 1;
const UNREADY: u8 = 2;
const DEAF: u8 = 3;

/// What was seen last.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<AtomicU8>);

impl Seen {
    /// It said that it is ready.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.0.load(Ordering::Relaxed) == READY
    }

    /// Forgets: a new process is coming.
    pub fn forget(&self) {
        self.0.store(NOTHING, Ordering::Relaxed);
    }
}

/// A task that asks again and again; ends when dropped.
#[derive(Debug)]
pub struct Watch(AbortHandle);

impl Watch {
    /// Watches; changes become host events.
    #[must_use]
    pub fn start(replica: u32, address: SocketAddr, seen: Seen, book: HostBook) -> Self {
        let task = tokio::spawn(async move {
            loop {
                let now = match fetch(address, "GET", "/health/ready").await {
                    Ok(answer) if answer.status == 200 => READY,
                    Ok(_) => UNREADY,
                    Err(_) => DEAF,
                };
                let before = seen.0.swap(now, Ordering::Relaxed);
                if now != before {
                    match now {
                        READY => book.note(replica, HostFact::Ready),
                        UNREADY => book.note(replica, HostFact::Unready),
                        // A process that is only being started takes no connections either.
                        _ if before != NOTHING => book.note(replica, HostFact::AcceptStopped),
                        _ => seen.forget(),
                    }
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        Self(task.abort_handle())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}
