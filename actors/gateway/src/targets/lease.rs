//! The right to make one call to a target.

use std::sync::{Arc, atomic::Ordering};

use outcrop_domain::{
    clock::{Clock, Moment},
    error::{Cause, UpstreamFailure},
    routing::{Gate, Outcome},
};
use outcrop_supervision::Slot;

use super::{TargetCell, TargetMsg, target::AttemptEnded};

/// Counts a call as under way, and claims the probe of a half-open target. Both are given back on drop.
#[derive(Debug)]
pub struct Lease {
    cell: Arc<TargetCell>,
    owner: Slot<TargetMsg>,
    clock: Arc<dyn Clock>,
    began: Moment,
    probe: bool,
}

impl Lease {
    /// Leases a target, or `None` when it closed meanwhile or another call holds its probe.
    #[must_use]
    pub fn take(cell: Arc<TargetCell>, owner: Slot<TargetMsg>, clock: Arc<dyn Clock>) -> Option<Self> {
        let began = clock.now();
        let probe = match cell.breaker.load().gate(began) {
            Gate::Open { .. } => return None,
            Gate::Closed => false,
            Gate::HalfOpen => {
                if cell.probing.swap(true, Ordering::AcqRel) {
                    return None;
                }
                true
            }
        };
        let in_flight = cell.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        cell.meters.in_flight.set(f64::from(in_flight));
        Some(Self { cell, owner, clock, began, probe })
    }

    /// The call was answered (for streams: its first event came). The lease is held until the answer has ended.
    pub fn answered(&mut self) {
        self.cell.answered.fetch_add(1, Ordering::Relaxed);
        // A healthy target that answers has nothing to learn: no message on the hot path.
        if self.probe || self.cell.breaker.load().cause().is_some() {
            self.report(Outcome::Answered, None);
        }
    }

    /// The call failed.
    pub fn failed(&mut self, failure: &UpstreamFailure) {
        self.cell.failed.fetch_add(1, Ordering::Relaxed);
        match failure.cause {
            Cause::BadRequest | Cause::ContextOverflow => {
                if self.probe {
                    self.report(Outcome::Answered, None);
                }
            }
            cause => self.report(Outcome::Failed(cause), Some(failure.clone())),
        }
    }

    fn report(&mut self, outcome: Outcome, failure: Option<UpstreamFailure>) {
        let message = TargetMsg::AttemptEnded(AttemptEnded {
            cell: Arc::clone(&self.cell),
            outcome,
            failure,
            began: self.began,
            ended: self.clock.now(),
            probe: self.probe,
        });
        if self.owner.cast(message).is_ok() {
            // The actor clears the probe flag once it has learned, so that no second probe slips in between.
            self.probe = false;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let in_flight = self.cell.in_flight.fetch_sub(1, Ordering::Relaxed) - 1;
        self.cell.meters.in_flight.set(f64::from(in_flight));
        if self.probe {
            self.cell.free_probe();
        }
    }
}
