//! What a call holds of its target's quotas.

use std::sync::Arc;

use outcrop_domain::{
    clock::Clock,
    routing::{cell::NoRoom, quota::Sent, reserve::Estimate, view::Demand},
};

use super::TargetCell;

/// A reservation at a target, from before the call until the target's owner has learned how it ended.
///
/// It travels with the call and then with the report of its end, or lies among the calls that have ended. Whoever drops it
/// without having closed it (a killed job, a message that nobody reads, an owner that dies over it) settles it by the
/// estimate of its input, which AWS counts also for answers that nobody waits for; before the call was made, all of it is
/// given back.
#[derive(Debug)]
pub struct Debit {
    cell: Arc<TargetCell>,
    clock: Arc<dyn Clock>,
    demand: Demand,
    estimate: Estimate,
    sent: Sent,
    /// Tokens of the prompt that the target has cached, as far as can be told.
    cached: f64,
    /// The call was made.
    called: bool,
    open: bool,
}

impl Debit {
    /// Reserves `demand` if there is room for it beside what is held for the oldest waiter.
    ///
    /// # Errors
    /// [`NoRoom`] when somebody else took it since the plan.
    pub fn take(cell: &Arc<TargetCell>, clock: &Arc<dyn Clock>, demand: Demand, estimate: Estimate) -> Result<Self, NoRoom> {
        Self::take_beside(cell, clock, demand, estimate, cell.held())
    }

    /// As [`Debit::take`], beside so many tokens that are held.
    pub(super) fn take_beside(
        cell: &Arc<TargetCell>,
        clock: &Arc<dyn Clock>,
        demand: Demand,
        estimate: Estimate,
        held: f64,
    ) -> Result<Self, NoRoom> {
        let sent = cell.quota.debit(&demand, held, clock.now())?;
        Ok(Self::new(cell, clock, demand, estimate, sent))
    }

    /// Reserves `demand` whatever is there: a probe, the head of the queue, or a strategy that looks at no quota.
    #[must_use]
    pub fn force(cell: &Arc<TargetCell>, clock: &Arc<dyn Clock>, demand: Demand, estimate: Estimate) -> Self {
        let sent = cell.quota.debit_probe(&demand, clock.now());
        Self::new(cell, clock, demand, estimate, sent)
    }

    fn new(cell: &Arc<TargetCell>, clock: &Arc<dyn Clock>, demand: Demand, estimate: Estimate, sent: Sent) -> Self {
        Self { cell: Arc::clone(cell), clock: Arc::clone(clock), demand, estimate, sent, cached: 0.0, called: false, open: true }
    }

    /// So much of the prompt is in the target's cache, as far as can be told: reading it takes no quota.
    pub fn expect_cached(&mut self, tokens: f64) {
        self.cached = tokens;
    }

    /// Tokens of the prompt that the target is taken to have cached.
    pub(super) fn cached(&self) -> f64 {
        self.cached
    }

    /// The call is made now.
    pub(super) fn called(&mut self) {
        self.called = true;
    }

    /// Was it sent although the shadow had no room?
    #[must_use]
    pub fn probed(&self) -> bool {
        self.sent.probed()
    }

    /// With the estimate that its size came of.
    pub(super) fn estimated(mut self, estimate: Estimate) -> Self {
        self.estimate = estimate;
        self
    }

    /// What is reserved.
    #[must_use]
    pub fn demand(&self) -> &Demand {
        &self.demand
    }

    /// The target.
    pub(super) fn cell(&self) -> &Arc<TargetCell> {
        &self.cell
    }

    /// How the target stood when it was taken.
    pub(super) fn sent(&self) -> &Sent {
        &self.sent
    }

    /// The estimate that its size came of.
    pub(super) fn estimate(&self) -> Estimate {
        self.estimate
    }

    /// The owner takes over: nothing happens on drop.
    pub(super) fn close(&mut self) -> (Demand, Sent) {
        self.open = false;
        (self.demand, self.sent)
    }
}

impl Drop for Debit {
    fn drop(&mut self) {
        if self.open && !self.called {
            self.cell.quota.give_back(&self.demand, self.clock.now());
        } else if self.open {
            let used = f64::from(u32::try_from(self.estimate.input).unwrap_or(u32::MAX));
            let used = (used - self.cached).clamp(0.0, self.demand.tokens());
            self.cell.quota.settle(&self.demand, used, self.clock.now());
        }
    }
}
