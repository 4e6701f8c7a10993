//! The right to make one call to a target.

use std::sync::{Arc, atomic::Ordering};

use outcrop_domain::{
    clock::{Clock, Moment},
    error::{Cause, UpstreamFailure},
    routing::{Gate, Outcome, reserve::settled},
    usage::{Metering, Usage},
};
use outcrop_supervision::Slot;

use super::{
    Debit, Patience, Sight, TargetCell, TargetMsg,
    ended::EndedCall,
    probe::ProbeClaim,
    target::{AttemptEnded, QuotaNews, QuotaTold},
};

/// Counts a call as under way, claims the probe of a half-open target, and holds what is reserved of its quotas. All of it
/// is given back on drop.
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
    sight: Sight,
    probe: Option<ProbeClaim>,
    /// The target was not healthy when the call began: its answer is news.
    doubtful: bool,
    debit: Option<Debit>,
    /// Nothing was said yet of how the call went.
    waiting: bool,
}

/// A call that is watched for its target's silence.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    /// When it began.
    pub began: Moment,
    /// It is the single call that finds out whether the target answers again.
    pub probes: bool,
}

/// Who wants a lease, and how.
#[derive(Debug)]
pub struct LeaseWish {
    /// The target.
    pub cell: Arc<TargetCell>,
    /// Decides about it.
    pub owner: Slot<TargetMsg>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What the target's silence is measured by.
    pub patience: Patience,
    /// What the caller sees of it.
    pub sight: Sight,
    /// What is reserved of its quotas.
    pub debit: Option<Debit>,
}

impl Lease {
    /// Leases a target, or `None` when it closed meanwhile or another call holds its probe.
    #[must_use]
    pub fn take(wish: LeaseWish) -> Option<Self> {
        let LeaseWish { cell, owner, clock, patience, sight, debit } = wish;
        let began = clock.now();
        let gate = cell.gate(sight, began);
        let (may, probe) = match gate {
            Gate::Open { .. } => (false, None),
            Gate::Closed => (true, None),
            Gate::HalfOpen => {
                let probe = ProbeClaim::take(&cell);
                (probe.is_some(), probe)
            }
        };
        if !may {
            if let Some(debit) = debit {
                not_sent(&owner, debit);
            }
            return None;
        }
        let mut debit = debit;
        debit.iter_mut().for_each(Debit::called);
        cell.in_flight.fetch_add(1, Ordering::Relaxed);
        cell.called(began);
        cell.meters.in_flight.increment(1.0);
        Some(Self { cell, owner, clock, began, patience, sight, doubtful: gate != Gate::Closed, probe, debit, waiting: true })
    }

    /// What whoever watches the call for silence must know of it.
    #[must_use]
    pub fn watched(&self) -> Watched {
        Watched { began: self.began, probes: self.probe.is_some() }
    }

    /// The call was answered (for streams: its first event came). The lease is held until the answer has ended.
    pub fn answered(&mut self) {
        self.waiting = false;
        let now = self.clock.now();
        self.cell.pace.answered(self.patience, self.began, now);
        self.cell.answered.fetch_add(1, Ordering::Relaxed);
        // A healthy target that answers has nothing to learn: no message on the hot path.
        if self.probe.is_some() || self.cell.breaker.load().cause().is_some() || self.cell.throttles.load().cause().is_some() {
            self.report(Outcome::Answered, None, now);
        }
        if let Some(debit) = &self.debit
            && (debit.probed() || self.doubtful)
        {
            let news = QuotaNews::Granted { demand: *debit.demand(), sent: *debit.sent() };
            self.tell(news);
        }
    }

    /// The answer has ended, and used this. Output tokens weigh `burn` times. What is only estimated settles the reservation,
    /// and teaches nothing: the prompt counts as read from the cache as far as the conversation's home has it.
    pub fn used(&mut self, usage: &Usage, metering: Metering, burn: u32) {
        let Some(debit) = self.debit.take() else { return };
        let (cached, told) = match metering {
            Metering::Told => (0.0, Some(*usage)),
            Metering::Estimated => (debit.cached(), None),
        };
        let used = (settled(usage, f64::from(burn)) - cached).max(0.0);
        self.cell.ended.add(EndedCall { debit, used, usage: told }, &self.owner);
    }

    /// The call failed.
    pub fn failed(&mut self, failure: &UpstreamFailure) {
        self.waiting = false;
        let now = self.clock.now();
        self.cell.failed.fetch_add(1, Ordering::Relaxed);
        // A failure with a status was told by upstream, whatever it says of time.
        if failure.status != 0 || !matches!(failure.cause, Cause::Timeout | Cause::Connection) {
            self.cell.pace.heard(now);
        }
        if let Some(debit) = self.debit.take() {
            self.tell(match failure.cause {
                Cause::Throttled | Cause::QuotaExhausted => QuotaNews::Refused { debit, by: failure.refused_by() },
                // The model may have read the prompt before it fell silent, and AWS counts that: the debit settles by its
                // own estimate when it is dropped.
                Cause::Timeout | Cause::BrokenStream | Cause::Malformed => return self.learned(failure, now),
                _ => QuotaNews::NotCounted { debit },
            });
        }
        self.learned(failure, now);
    }

    fn learned(&mut self, failure: &UpstreamFailure, now: Moment) {
        match failure.cause {
            Cause::BadRequest | Cause::ContextOverflow => {
                if self.probe.is_some() {
                    self.report(Outcome::Answered, None, now);
                }
            }
            cause => self.report(Outcome::Failed(cause), Some(failure.clone()), now),
        }
    }

    /// A copy of the call was answered sooner: nothing is learned from this one.
    pub fn overtaken(&mut self) {
        self.waiting = false;
    }

    /// The target was found silent while the call waited. Returns what that is to the caller.
    pub fn silent(&mut self) -> UpstreamFailure {
        self.waiting = false;
        let now = self.clock.now();
        self.cell.failed.fetch_add(1, Ordering::Relaxed);
        let failure = self.cell.silent_failure(self.began, now);
        self.report(Outcome::Silent, Some(failure.clone()), now);
        failure
    }

    /// Nobody waits for the call any more, and nothing had come of it.
    fn given_up(&mut self) {
        if self.cell.is_silent(self.patience, self.began, self.clock.now()) {
            // Nobody is left to tell.
            let _failure = self.silent();
        }
    }

    fn report(&mut self, outcome: Outcome, failure: Option<UpstreamFailure>, ended: Moment) {
        let attempt = AttemptEnded {
            cell: Arc::clone(&self.cell),
            outcome,
            failure,
            sight: self.sight,
            began: self.began,
            ended,
            // The actor lets go of the probe once it has learned, so that no second one slips in between.
            probe: self.probe.take(),
        };
        self.cast(TargetMsg::AttemptEnded(attempt));
    }

    fn tell(&self, news: QuotaNews) {
        self.cast(TargetMsg::QuotaTold(Box::new(QuotaTold { cell: Arc::clone(&self.cell), news })));
    }

    fn cast(&self, message: TargetMsg) {
        if self.owner.cast(message).is_err() {
            tracing::debug!(region = %self.cell.region, "the target's actor is restarting and does not learn of a call");
        }
    }
}

/// Gives back what was reserved for a call that was not made.
pub fn not_sent(owner: &Slot<TargetMsg>, debit: Debit) {
    let cell = Arc::clone(debit.cell());
    if owner.cast(TargetMsg::QuotaTold(Box::new(QuotaTold { cell, news: QuotaNews::NotCounted { debit } }))).is_err() {
        tracing::debug!("the target's actor is restarting: a reservation that was not used gives itself back");
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.cell.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.cell.meters.in_flight.decrement(1.0);
        if self.waiting {
            self.given_up();
        }
    }
}
