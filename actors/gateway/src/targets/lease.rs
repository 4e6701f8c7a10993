//! The right to make one call to a target.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use outcrop_domain::{
    clock::{Clock, Moment},
    error::{Cause, UpstreamFailure},
    routing::{Gate, Outcome},
};
use outcrop_supervision::Slot;

use super::{Patience, TargetCell, TargetMsg, probe::ProbeClaim, target::AttemptEnded};

/// Counts a call as under way, and claims the probe of a half-open target. Both are given back on drop.
///
/// A lease that is dropped before anything was said of its call was given up by whoever waited. When the target has been
/// silent for longer than its pace explains, it learns of that as of a failure: else a region that swallows calls would
/// never be found out by clients that lose patience before our timeouts do.
#[derive(Debug)]
pub struct Lease {
    cell: Arc<TargetCell>,
    owner: Slot<TargetMsg>,
    clock: Arc<dyn Clock>,
    began: Moment,
    patience: Patience,
    probe: Option<ProbeClaim>,
    /// Nothing was said yet of how the call went.
    waiting: bool,
}

impl Lease {
    /// Leases a target, or `None` when it closed meanwhile or another call holds its probe.
    #[must_use]
    pub fn take(cell: Arc<TargetCell>, owner: Slot<TargetMsg>, clock: Arc<dyn Clock>, patience: Patience) -> Option<Self> {
        let began = clock.now();
        let probe = match cell.breaker.load().gate(began) {
            Gate::Open { .. } => return None,
            Gate::Closed => None,
            Gate::HalfOpen => Some(ProbeClaim::take(&cell)?),
        };
        let in_flight = cell.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        cell.meters.in_flight.set(f64::from(in_flight));
        Some(Self { cell, owner, clock, began, patience, probe, waiting: true })
    }

    /// The call was answered (for streams: its first event came). The lease is held until the answer has ended.
    pub fn answered(&mut self) {
        self.waiting = false;
        let now = self.clock.now();
        self.cell.pace.answered(self.patience.answering, self.began, now);
        self.cell.answered.fetch_add(1, Ordering::Relaxed);
        // A healthy target that answers has nothing to learn: no message on the hot path.
        if self.probe.is_some() || self.cell.breaker.load().cause().is_some() {
            self.report(Outcome::Answered, None, now);
        }
    }

    /// The call failed.
    pub fn failed(&mut self, failure: &UpstreamFailure) {
        self.waiting = false;
        let now = self.clock.now();
        self.cell.failed.fetch_add(1, Ordering::Relaxed);
        if !matches!(failure.cause, Cause::Timeout | Cause::Connection) {
            self.cell.pace.heard(now);
        }
        match failure.cause {
            Cause::BadRequest | Cause::ContextOverflow => {
                if self.probe.is_some() {
                    self.report(Outcome::Answered, None, now);
                }
            }
            cause => self.report(Outcome::Failed(cause), Some(failure.clone()), now),
        }
    }

    /// Nobody waits for the call any more, and nothing had come of it.
    fn given_up(&mut self) {
        let now = self.clock.now();
        let silence = self.cell.pace.silence(self.began, now);
        if silence < self.cell.pace.bound(self.patience) {
            return;
        }
        self.cell.failed.fetch_add(1, Ordering::Relaxed);
        let failure = silent(silence, &self.cell);
        self.report(Outcome::Silent, Some(failure), now);
    }

    fn report(&mut self, outcome: Outcome, failure: Option<UpstreamFailure>, ended: Moment) {
        let message = TargetMsg::AttemptEnded(AttemptEnded {
            cell: Arc::clone(&self.cell),
            outcome,
            failure,
            began: self.began,
            ended,
            // The actor lets go of the probe once it has learned, so that no second one slips in between.
            probe: self.probe.take(),
        });
        if self.owner.cast(message).is_err() {
            tracing::debug!(region = %self.cell.region, "the target's actor is restarting and does not learn of a call");
        }
    }
}

fn silent(silence: Duration, cell: &TargetCell) -> UpstreamFailure {
    UpstreamFailure {
        cause: Cause::Timeout,
        status: 0,
        code: "Silence".to_owned(),
        message: format!("nothing was heard for {} ms, then nobody waited any longer", silence.as_millis()),
        request_id: None,
        retry_after: None,
        region: Some(cell.region.clone()),
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let in_flight = self.cell.in_flight.fetch_sub(1, Ordering::Relaxed) - 1;
        self.cell.meters.in_flight.set(f64::from(in_flight));
        if self.waiting {
            self.given_up();
        }
    }
}
