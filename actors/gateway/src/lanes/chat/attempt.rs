//! Calls the targets of a request, one after the other, until one answers.

use std::{sync::Arc, time::Duration};

use outcrop_domain::{
    clock::Moment,
    error::{Cause, GatewayError, UpstreamFailure},
    model::{Resolution, Target},
    routing::{Candidate, Gate, Plan, plan},
};
use outcrop_upstream::ports::BoxFuture;
use tokio::sync::watch;

use super::{ChatContext, tally::CallLog};
use crate::{
    settings::LiveSettings,
    targets::{Answering, Lease, Patience, RegionHandle, TargetCell},
};

/// A call that was answered, with the lease that counts it.
pub(super) struct Answered<T> {
    pub(super) value: T,
    pub(super) lease: Lease,
    pub(super) target: Target,
}

/// The targets of one request (or of one of its choices), and what became of them.
pub(super) struct Attempts<'a> {
    context: &'a ChatContext,
    settings: &'a LiveSettings,
    routes: Vec<Route>,
    deadline: Moment,
    patience: Patience,
    /// Learns of every call as it begins.
    log: Arc<CallLog>,
    /// Calls made, of this choice.
    made: usize,
    last: Option<UpstreamFailure>,
    credentials_retried: bool,
    /// No call before this: the pause between two rounds over the same targets.
    not_before: Moment,
}

struct Route {
    target: Target,
    handle: RegionHandle,
    cell: Arc<TargetCell>,
    tried: bool,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(
        context: &'a ChatContext,
        settings: &'a LiveSettings,
        resolution: &Resolution,
        answering: Answering,
        log: Arc<CallLog>,
        deadline: Moment,
    ) -> Self {
        let routes = resolution
            .targets
            .iter()
            .filter_map(|target| {
                let handle = context.regions.0.get(&target.region)?.clone();
                let cell = context.board.cell(&resolution.model.id, &target.region);
                Some(Route { target: target.clone(), handle, cell, tried: false })
            })
            .collect();
        let at_most = match answering {
            Answering::Streamed => settings.timeouts.first_byte,
            Answering::Whole => settings.timeouts.whole_answer,
        };
        Self {
            context,
            settings,
            routes,
            deadline,
            patience: Patience { answering, at_most },
            log,
            made: 0,
            last: None,
            credentials_retried: false,
            not_before: Moment::default(),
        }
    }

    /// Calls until a target answers, a failure is final, or there is nothing left to try.
    pub(super) async fn run<T, F>(&mut self, mut call: F) -> Result<Answered<T>, GatewayError>
    where
        F: for<'c> FnMut(&'c Target, &'c RegionHandle) -> BoxFuture<'c, Result<T, UpstreamFailure>>,
    {
        let mut wait_left = self.settings.routing.max_wait;
        let mut changed = self.context.board.watch();
        loop {
            // Seen before planning: a change in between ends the next wait at once.
            changed.borrow_and_update();
            let now = self.context.ports.clock.now();
            if now >= self.deadline {
                return Err(self.give_up(now));
            }
            let step = if now < self.not_before { Plan::WaitUntil(self.not_before) } else { self.next(now) };
            match step {
                Plan::Call(position) => {
                    let Some(route) = self.routes.get_mut(position) else { return Err(self.give_up(now)) };
                    let (owner, clock) = (route.handle.owner.clone(), Arc::clone(&self.context.ports.clock));
                    let Some(mut lease) = Lease::take(Arc::clone(&route.cell), owner, clock, self.patience) else {
                        // Somebody else took the probe between plan and lease: plan again.
                        continue;
                    };
                    route.tried = true;
                    self.made += 1;
                    self.log.begun(&route.target.region);
                    let failure = match call(&route.target, &route.handle).await {
                        Ok(value) => {
                            lease.answered();
                            return Ok(Answered { value, lease, target: route.target.clone() });
                        }
                        Err(failure) => failure,
                    };
                    let spent = self.context.ports.clock.now() >= self.deadline;
                    if spent && failure.cause == Cause::Timeout {
                        // Our own deadline passed: whether that says anything of the target, its silence decides.
                        return Err(GatewayError::DeadlineExceeded { after: self.settings.timeouts.total });
                    }
                    lease.failed(&failure);
                    drop(lease);
                    self.learn(position, failure)?;
                }
                Plan::WaitUntil(at) => {
                    let waited = self.wait(now, at, wait_left, &mut changed).await.ok_or_else(|| self.give_up(now))?;
                    wait_left = wait_left.saturating_sub(waited);
                }
                Plan::Exhausted if self.may_go_round(wait_left) => {
                    self.routes.iter_mut().for_each(|route| route.tried = false);
                    self.not_before = now.after(ROUND_PAUSE);
                }
                Plan::Exhausted => return Err(self.give_up(now)),
            }
        }
    }

    /// After every target failed: is it worth waiting for one of them, within the budgets?
    fn may_go_round(&self, wait_left: Duration) -> bool {
        let passes_by_itself = self
            .last
            .as_ref()
            .is_some_and(|failure| matches!(failure.cause, Cause::Throttled | Cause::NotReady | Cause::Unavailable | Cause::Connection));
        passes_by_itself && wait_left >= ROUND_PAUSE && self.made < self.settings.routing.max_attempts as usize
    }

    fn next(&self, now: Moment) -> Plan {
        if self.made >= self.settings.routing.max_attempts as usize {
            return Plan::Exhausted;
        }
        // Regions are few: this stays on the stack up to the number that any account has.
        let mut candidates = [Candidate { gate: Gate::Closed, probing: false, tried: true }; MAX_REGIONS];
        for (candidate, route) in candidates.iter_mut().zip(&self.routes) {
            *candidate = route.cell.candidate(now, route.tried);
        }
        let considered = candidates.get(..self.routes.len().min(MAX_REGIONS)).unwrap_or_default();
        plan(self.settings.routing.strategy, considered, now)
    }

    /// Remembers a failure; `Err` when no other target would do better.
    fn learn(&mut self, position: usize, failure: UpstreamFailure) -> Result<(), GatewayError> {
        if !failure.cause.try_elsewhere() {
            return Err(GatewayError::Upstream(failure));
        }
        if failure.cause == Cause::Credentials && !self.credentials_retried {
            // The client refreshed them when it saw the refusal: the same target once more.
            self.credentials_retried = true;
            if let Some(route) = self.routes.get_mut(position) {
                route.tried = false;
            }
        }
        let telling = self.last.as_ref().is_none_or(|last| rank(failure.cause) <= rank(last.cause));
        if telling {
            self.last = Some(failure);
        }
        Ok(())
    }

    /// Waits for a closed target to open, at most `budget`. `None`: it would take too long.
    async fn wait(&self, now: Moment, at: Moment, budget: Duration, changed: &mut watch::Receiver<u64>) -> Option<Duration> {
        let wanted = at.since(now);
        let allowed = budget.min(self.deadline.since(now));
        if allowed.is_zero() || wanted > allowed {
            return None;
        }
        // A probe that is out (wanted = 0) ends with a change of the board; a backoff ends by itself.
        let pause = if wanted.is_zero() { allowed } else { wanted };
        tokio::select! {
            biased;
            _ = changed.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
        Some(self.context.ports.clock.now().since(now).max(MIN_WAIT))
    }

    /// The error that tells the caller most, with our own view of when to come back.
    fn give_up(&self, now: Moment) -> GatewayError {
        let reopens = self
            .routes
            .iter()
            .filter_map(|route| match route.cell.candidate(now, false).gate {
                Gate::Open { until } => Some(until.since(now)),
                Gate::Closed | Gate::HalfOpen => None,
            })
            .min();
        let known = self.last.clone().or_else(|| {
            let failures = self.routes.iter().filter_map(|route| route.cell.last_failure());
            failures.min_by_key(|failure| rank(failure.cause)).map(|failure| failure.as_ref().clone())
        });
        match known {
            Some(mut failure) => {
                if self.last.is_none() {
                    // Learned from another request: its id and upstream's words about it are not this caller's.
                    failure.request_id = None;
                    failure.message =
                        format!("this model is held back in every region after failures of earlier calls ({})", failure.cause.as_str());
                }
                let ours = reopens.unwrap_or(MIN_RETRY_AFTER).max(MIN_RETRY_AFTER);
                failure.retry_after = Some(failure.retry_after.map_or(ours, |theirs| theirs.max(ours)));
                GatewayError::Upstream(failure)
            }
            None if now >= self.deadline => GatewayError::DeadlineExceeded { after: self.settings.timeouts.total },
            None => GatewayError::Unavailable {
                message: "no region can be called for this model at the moment".to_owned(),
                retry_after: reopens.unwrap_or(MIN_RETRY_AFTER).max(MIN_RETRY_AFTER),
            },
        }
    }
}

/// Most targets the planner looks at: AWS has fewer commercial regions with Bedrock.
const MAX_REGIONS: usize = 40;

/// Pause before the same targets are tried again: long enough for their breakers to have learned of the failures.
const ROUND_PAUSE: Duration = Duration::from_millis(500);

/// Never tell a client to come back at once.
const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a wait costs at least, so that a flood of board changes cannot make it endless.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// Which of several failures tells the caller most: those that pass by themselves come first.
fn rank(cause: Cause) -> u8 {
    match cause {
        Cause::Throttled => 0,
        Cause::QuotaExhausted => 1,
        Cause::NotReady => 2,
        Cause::Unavailable => 3,
        Cause::Timeout => 4,
        Cause::Connection => 5,
        Cause::Malformed => 6,
        Cause::BrokenStream => 7,
        Cause::Credentials => 8,
        Cause::AccessDenied => 9,
        Cause::ModelMissing => 10,
        Cause::BadRequest | Cause::ContextOverflow => 11,
    }
}

#[cfg(test)]
mod tests;
