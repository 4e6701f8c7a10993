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
        })
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

/// Ends a gateway in order. Requests that are running have `grace` to finish.
pub async fn drain(gateway: Gateway, connections: &Connections, grace: Duration) {
    tracing::info!(connections = connections.open(), grace_seconds = grace.as_secs(), "shutting down: finishing running requests");
    if !connections.drain(grace).await {
        tracing::warn!(connections = connections.open(), "connections were still open at the end of the grace period");
    }
    gateway.drain(TREE_GRACE).await;
    tracing::info!("stopped");
}

/// What the tree may take once no connection is left: usage rows on their way to the ledger.
const TREE_GRACE: Duration = Duration::from_secs(5);
