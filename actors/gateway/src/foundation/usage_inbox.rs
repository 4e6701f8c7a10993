//! Where usage rows wait for the ledger.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use outcrop_supervision::Slot;

use super::{LedgerWriterMsg, UsageRow};

/// Most rows that wait while there is no ledger to take them: some minutes of a busy gateway.
const MOST_WAITING: usize = 262_144;

/// Usage rows on their way to the ledger.
///
/// They are collected here and taken some dozens of times a second, so that no request wakes the ledger by itself. They also
/// outlive it: what it had not taken when it died is there for the next one.
pub struct UsageInbox {
    waiting: Mutex<Waiting>,
    ledger: Slot<LedgerWriterMsg>,
    most: usize,
}

#[derive(Default)]
struct Waiting {
    rows: Vec<UsageRow>,
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
        waiting.rows.push(row);
        if !waiting.told {
            // Under the lock: the ledger cannot come and go in between. Without a ledger the next one looks by itself.
            waiting.told = self.ledger.cast(LedgerWriterMsg::Waiting).is_ok();
        }
    }

    /// Takes all rows. The next one that comes will be told of.
    pub(super) fn take(&self) -> Vec<UsageRow> {
        let mut waiting = self.lock();
        waiting.told = false;
        std::mem::take(&mut waiting.rows)
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
        let taken: Vec<String> = inbox.take().iter().map(|row| row.request.to_string()).collect();
        assert_eq!(taken, ["req_0", "req_1"]);
        assert!(inbox.take().is_empty());
    }
}
