//! The right to try a half-open target: one call at a time has it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::TargetCell;

/// Who holds the probe of a target.
#[derive(Debug, Default)]
pub(super) struct ProbeFlag {
    /// Ticket of the call that has it; 0 = nobody.
    holder: AtomicU64,
    /// Tickets given out so far.
    given: AtomicU64,
}

impl ProbeFlag {
    /// A probe is out.
    pub(super) fn is_taken(&self) -> bool {
        self.holder.load(Ordering::Acquire) != 0
    }

    /// Frees it whoever has it; a claim that is still out is worth nothing from now on.
    pub(super) fn clear(&self) {
        self.holder.store(0, Ordering::Release);
    }

    fn take(&self) -> Option<u64> {
        let ticket = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        self.holder.compare_exchange(0, ticket, Ordering::AcqRel, Ordering::Relaxed).ok().map(|_| ticket)
    }

    /// True when `ticket` still had it.
    fn give_back(&self, ticket: u64) -> bool {
        self.holder.compare_exchange(ticket, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// The probe, held. It travels with the call and then with the report of how the call ended, and whoever drops it last
/// gives it back: a lease, a message that nobody reads, an actor that dies over it.
#[derive(Debug)]
pub(super) struct ProbeClaim {
    cell: Arc<TargetCell>,
    ticket: u64,
}

impl ProbeClaim {
    /// The probe of `cell`, unless another call has it.
    pub(super) fn take(cell: &Arc<TargetCell>) -> Option<Self> {
        let ticket = cell.probe.take()?;
        Some(Self { cell: Arc::clone(cell), ticket })
    }
}

impl Drop for ProbeClaim {
    fn drop(&mut self) {
        if self.cell.probe.give_back(self.ticket) {
            self.cell.announce();
        }
    }
}
