//! The end: stop accepting, let running requests finish, stop the tree.

use std::time::Duration;

use outcrop_gateway::tree::Gateway;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::http::Connections;

/// Signals that end or reload the process.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// A file that may not grow (`ulimit -f`). By itself the signal ends the process; heard, it is a write that fails, as on a
    /// full disk, and whoever wrote says so.
    _file_too_large: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the operating system refuses a handler.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            _file_too_large: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// The next that asks to stop; others are too late. Cancel-safe.
    pub async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }

    /// The next one. Cancel-safe.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}

/// Ends a gateway in order, all in all within `grace`. The last part of it, at most a quarter, is the tree's: running
/// requests have until then, those that are left are killed in the first half of it, so that their clients are told.
pub async fn drain(gateway: Gateway, connections: &Connections, grace: Duration) {
    tracing::info!(connections = connections.open(), grace_seconds = grace.as_secs(), "shutting down: finishing running requests");
    let of_the_tree = (grace / 4).min(TREE_GRACE);
    let in_order = async {
        if !connections.drain(grace.saturating_sub(of_the_tree)).await {
            tracing::warn!(connections = connections.open(), "connections were still open at the end of the grace period");
        }
        gateway.drain(of_the_tree / 2).await;
    };
    // One deadline over everything: whoever asked us to stop kills us soon after it.
    match tokio::time::timeout(grace, in_order).await {
        Ok(()) => tracing::info!("stopped"),
        Err(_) => tracing::warn!("stopped at the end of the grace period, before every actor had ended"),
    }
}

/// What the tree may take at most: what routing learned is stored, clients that are cut off get their last words.
const TREE_GRACE: Duration = Duration::from_secs(2);
