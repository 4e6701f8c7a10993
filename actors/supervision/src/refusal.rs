//! Why work was not taken on, as a value the caller can act on.

use std::time::Duration;

use serde::Serialize;

/// Why a job was refused. It was not started, so the same job may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Refusal {
    /// As many jobs are waiting as may wait.
    #[error("queue is full")]
    QueueFull,
    /// The job waited as long as it may and no place became free.
    #[error("no place became free within {waited:?}")]
    QueueTimeout {
        /// How long it waited.
        waited: Duration,
    },
    /// Nothing new is taken on before the process ends.
    #[error("shutting down")]
    ShuttingDown,
    /// The actor that takes the work does not run (yet).
    #[error("not running")]
    Unavailable,
}

impl Refusal {
    /// Label for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueTimeout { .. } => "queue_timeout",
            Self::ShuttingDown => "shutting_down",
            Self::Unavailable => "unavailable",
        }
    }
}
