//! Where usage rows wait for the ledger.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use outcrop_supervision::Slot;

use super::{LedgerWriterMsg, UsageRow};

/// Most rows that wait while there is no ledger to take them. Some forty megabytes, and half a minute of the busiest gateway.
const MOST_WAITING: usize = 262_144;

/// Usage rows on their way to the ledger.
///
/// They are collected here and taken some dozens of times a second, so that no request wakes the ledger by itself. They also
/// outlive it: what it had not taken when it died is there for the next one. A mailbox does neither. The lock is held for a
/// push, or to hand over a batch, and over no await.
pub struct UsageInbox {
    waiting: Mutex<Waiting>,
    ledger: Slot<LedgerWriterMsg>,
    most: usize,
}

#[derive(Default)]
struct Waiting {
    rows: VecDeque<UsageRow>,
    /// The ledger knows that there are rows, and will come for them.
    told: bool,
}

impl UsageInbox {
    /// The inbox of the ledger in `ledger`.
    #[must_use]
    pub fn new(ledger: Slot<LedgerWriterMsg>) -> Self {
        Self { waiting: Mutex::default(), ledger, most: MOST_WAITING }
    }

    /// Records a row. Returns at once, whether or not the ledger runs.
    pub fn record(&self, row: UsageRow) {
        let mut waiting = self.lock();
        if waiting.rows.len() >= self.most {
            drop(waiting);
            metrics::counter!("outcrop_ledger_rows_lost_total").increment(1);
            tracing::error!(request.id = %row.request, "the ledger takes no rows: a usage row is only in the log");
            return;
        }
        waiting.rows.push_back(row);
        if !waiting.told {
            // Where there is no ledger, the next one comes by itself when it starts.
            waiting.told = self.ledger.cast(LedgerWriterMsg::Waiting).is_ok();
        }
    }

    /// The ledger comes by itself: it need not be told.
    pub(super) fn expect_ledger(&self) {
        self.lock().told = true;
    }

    /// Takes at most so many rows, the oldest first. When none are left behind, the next one that comes will be told of.
    pub(super) fn take(&self, most: usize) -> Vec<UsageRow> {
        let mut waiting = self.lock();
        let batch = most.min(waiting.rows.len());
        let taken = waiting.rows.drain(..batch).collect();
        waiting.told = !waiting.rows.is_empty();
        taken
    }

    /// Rows that wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lock().rows.len()
    }

    /// Every change is whole before the lock is let go of, so one whose holder panicked can still be used.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for UsageInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsageInbox").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::ledger_writer::tests::row;

    #[test]
    fn rows_wait_while_there_is_no_ledger_up_to_a_bound() {
        let inbox = UsageInbox { most: 2, ..UsageInbox::new(Slot::new("ledger-writer")) };
        for number in 0..3 {
            inbox.record(row(&format!("req_{number}")));
        }
        let names = |rows: Vec<UsageRow>| rows.iter().map(|row| row.request.to_string()).collect::<Vec<_>>();
        assert_eq!(names(inbox.take(1)), ["req_0"]);
        assert_eq!(names(inbox.take(9)), ["req_1"]);
        assert!(inbox.take(9).is_empty());
    }
}
