//! What a lane shows of itself.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::job::JobOutcome;
use crate::{intake::IntakeLimits, refusal::Refusal};

/// A lane at one moment. Counts go on across the lane's restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaneReport {
    /// Its name.
    pub name: String,
    /// The limits in force.
    pub limits: IntakeLimits,
    /// Jobs that run.
    pub running: usize,
    /// Jobs that wait.
    pub queued: usize,
    /// Is everything new refused?
    pub draining: bool,
    /// Since the process began.
    pub counts: LaneCounts,
}

/// What became of the jobs since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LaneCounts {
    /// Started.
    pub admitted: u64,
    /// Ran to their end.
    pub finished: u64,
    /// Panicked.
    pub failed: u64,
    /// Were killed.
    pub killed: u64,
    /// Ended while the lane was being restarted.
    pub unobserved: u64,
    /// Dropped before their start, because the caller had left.
    pub abandoned: u64,
    /// Refused, by reason.
    pub refused: RefusedCounts,
}

/// Refused jobs by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RefusedCounts {
    /// [`Refusal::QueueFull`].
    pub queue_full: u64,
    /// [`Refusal::QueueTimeout`].
    pub queue_timeout: u64,
    /// [`Refusal::ShuttingDown`].
    pub shutting_down: u64,
    /// [`Refusal::Unavailable`].
    pub unavailable: u64,
}

/// How a lane's drain went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LaneDrained {
    /// Jobs still running at the deadline, killed.
    pub killed: usize,
    /// Jobs still waiting at the deadline, refused.
    pub refused: usize,
}

/// The counters behind [`LaneCounts`]. Statistics, so no ordering between them is promised.
#[derive(Debug, Default)]
pub(super) struct Tally {
    admitted: AtomicU64,
    finished: AtomicU64,
    failed: AtomicU64,
    killed: AtomicU64,
    unobserved: AtomicU64,
    abandoned: AtomicU64,
    queue_full: AtomicU64,
    queue_timeout: AtomicU64,
    shutting_down: AtomicU64,
    unavailable: AtomicU64,
}

impl Tally {
    pub(super) fn admitted(&self) {
        add(&self.admitted);
    }

    pub(super) fn abandoned(&self) {
        add(&self.abandoned);
    }

    pub(super) fn ended(&self, outcome: JobOutcome) {
        add(match outcome {
            JobOutcome::Finished => &self.finished,
            JobOutcome::Failed => &self.failed,
            JobOutcome::Killed => &self.killed,
            JobOutcome::Unobserved => &self.unobserved,
        });
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        add(match refusal {
            Refusal::QueueFull => &self.queue_full,
            Refusal::QueueTimeout { .. } => &self.queue_timeout,
            Refusal::ShuttingDown => &self.shutting_down,
            Refusal::Unavailable => &self.unavailable,
        });
    }

    pub(super) fn counts(&self) -> LaneCounts {
        LaneCounts {
            admitted: get(&self.admitted),
            finished: get(&self.finished),
            failed: get(&self.failed),
            killed: get(&self.killed),
            unobserved: get(&self.unobserved),
            abandoned: get(&self.abandoned),
            refused: RefusedCounts {
                queue_full: get(&self.queue_full),
                queue_timeout: get(&self.queue_timeout),
                shutting_down: get(&self.shutting_down),
                unavailable: get(&self.unavailable),
            },
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
