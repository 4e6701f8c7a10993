//! Calls the targets of a request, one after the other, until one answers.

mod hedge;
mod plan;
mod refusal;
mod wait;

use std::{sync::Arc, time::Duration};

use outcrop_domain::{
    clock::Moment,
    error::{Cause, GatewayError, UpstreamFailure},
    ids::Region,
    model::{Resolution, Target},
    routing::view::{Demand, TargetView},
};
use outcrop_upstream::ports::BoxFuture;

use self::{
    hedge::{CopyWon, Ended, FirstCall},
    plan::{BUDGET_PAUSE, Step},
    wait::Waits,
};
use super::{ChatContext, facts::RouteFacts, tally::CallLog};
use crate::{
    settings::LiveSettings,
    targets::{Answering, Debit, Lease, LeaseWish, ModelPool, Patience, RegionHandle, Sight, TargetCell, Watched},
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
    pub(super) settings: &'a LiveSettings,
    facts: RouteFacts,
    pool: Arc<ModelPool>,
    routes: Vec<Route>,
    sight: Sight,
    demand: Demand,
    /// A number of its own for strategies that go round, and one for those that draw.
    turn: u64,
    draw: f64,
    deadline: Moment,
    patience: Patience,
    waits: Waits,
    /// Learns of every call as it begins.
    log: Arc<CallLog>,
    /// Calls made, of this choice.
    made: usize,
    /// Calls made for it before: its answer broke, and goes on.
    made_before: usize,
    last: Option<UpstreamFailure>,
    credentials_retried: bool,
    /// The route whose target refused the request itself.
    refused: Option<usize>,
    /// Its calls say nothing of how models answer, and take nothing of their quotas.
    aside: bool,
    probed: Probed,
    /// Where the conversation lived when its last call was sent.
    sent_from: Option<u64>,
    /// What the last plan saw, by route; kept for its room.
    views: Vec<TargetView>,
}

/// The last probe of the quotas that a request has cost: one while it may wait, and one at the end of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Probed {
    Not,
    WhileItMayWait,
    AtTheEnd,
}

struct Route {
    target: Target,
    handle: RegionHandle,
    cell: Arc<TargetCell>,
    /// Its place in the pool.
    place: usize,
    /// What it costs, relative to the model's listed prices; 0 = not known.
    price: f64,
    tried: bool,
    /// Its last call was refused by a quota.
    throttled: bool,
}

/// What an attempt needs to know of its request.
pub(super) struct AttemptScope<'a> {
    pub(super) context: &'a ChatContext,
    pub(super) settings: &'a LiveSettings,
    pub(super) resolution: &'a Resolution,
    pub(super) facts: RouteFacts,
    pub(super) answering: Answering,
    pub(super) log: Arc<CallLog>,
    pub(super) deadline: Moment,
    /// Calls made for this choice before.
    pub(super) made_before: usize,
    /// Its calls say nothing of how models answer, and take nothing of their quotas.
    pub(super) aside: bool,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(scope: AttemptScope<'a>) -> Self {
        let AttemptScope { context, settings, resolution, facts, answering, log, deadline, made_before, aside } = scope;
        let pool = context.board.pool(&resolution.model.id);
        let route = |target: &Target| {
            let handle = context.regions.0.get(&target.region)?.clone();
            let (place, cell) = context.board.target(&pool, &target.region);
            let price = resolution.model.price.as_ref().map_or(0.0, |prices| prices.relative(&target.class));
            Some(Route { target: target.clone(), handle, cell, place, price, tried: false, throttled: false })
        };
        let routes: Vec<Route> = resolution.targets.iter().filter_map(route).collect();
        let at_most = match answering {
            Answering::Streamed => settings.timeouts.first_byte,
            Answering::Whole => settings.timeouts.whole_answer,
        };
        let now = context.ports.clock.now();
        Self {
            sight: if facts.strategy.minds_quotas() && !aside { Sight::Quotas } else { Sight::Health },
            demand: pool.demand(&facts.reservation, facts.estimate().conversation.and_then(|talk| context.board.shared().drift(talk))),
            turn: if made_before == 0 { context.board.shared().request(now) } else { context.board.shared().turn() },
            draw: context.ports.entropy.unit(),
            patience: Patience { answering, size: facts.size, at_most, writes: facts.writes },
            waits: Waits::new(now, deadline, settings.routing.max_wait),
            views: Vec::with_capacity(routes.len()),
            context,
            settings,
            facts,
            pool,
            routes,
            deadline,
            log,
            made: made_before,
            made_before,
            last: None,
            credentials_retried: false,
            refused: None,
            aside,
            probed: Probed::Not,
            sent_from: None,
        }
    }

    /// Calls until a target answers, a failure is final, or there is nothing left to try.
    pub(super) async fn run<T, F>(&mut self, mut call: F) -> Result<Answered<T>, GatewayError>
    where
        F: for<'c> FnMut(&'c Target, &'c RegionHandle) -> BoxFuture<'c, Result<T, UpstreamFailure>>,
    {
        let mut changed = self.context.board.watch();
        loop {
            // Seen before planning: a change in between ends the next wait at once.
            changed.borrow_and_update();
            let now = self.now();
            if now >= self.deadline {
                return Err(self.give_up(now));
            }
            let (position, debit) = match self.next(now) {
                Step::Call { position, debit } => (position, debit),
                Step::WaitUntil(at) => {
                    if !self.wait(now, at, &mut changed).await {
                        return Err(self.give_up(now));
                    }
                    continue;
                }
                Step::Queue => match self.queue().await? {
                    Some((position, debit)) if self.pays(self.now()) => (position, Some(debit)),
                    Some((position, debit)) => {
                        self.unused(position, Some(debit));
                        self.waits.pause_until(self.now().after(BUDGET_PAUSE));
                        continue;
                    }
                    None => continue,
                },
                Step::GoRound => {
                    self.routes.iter_mut().for_each(|route| route.tried = false);
                    self.waits.pause_until(now.after(ROUND_PAUSE));
                    continue;
                }
                Step::Refuse => return Err(self.no_room(now)),
                Step::GiveUp => return Err(self.give_up(now)),
            };
            self.sent_from = self.home(self.now()).map(|home| home.target);
            let Some(lease) = self.lease(position, debit) else {
                // Somebody else took the probe between plan and lease: plan again.
                continue;
            };
            match self.attempt(position, lease, &mut call).await? {
                Some(answered) => return Ok(answered),
                None => continue,
            }
        }
    }

    /// Calls made for this choice, those before its answer broke included.
    pub(super) fn made(&self) -> usize {
        self.made
    }

    /// The target that refused the request may be asked once more. False, where none did.
    pub(super) fn once_more(&mut self) -> bool {
        let Some(route) = self.refused.take().and_then(|position| self.routes.get_mut(position)) else { return false };
        route.tried = false;
        true
    }

    /// Asks the others first.
    pub(super) fn avoid(&mut self, region: &Region) {
        for route in self.routes.iter_mut().filter(|route| route.target.region == *region) {
            route.tried = true;
        }
    }

    fn lease(&self, position: usize, mut debit: Option<Debit>) -> Option<Lease> {
        let route = self.routes.get(position)?;
        let now = self.now();
        if self.home(now).is_some_and(|home| home.target == route.cell.id() && home.warm(now)) {
            debit.iter_mut().for_each(|debit| debit.expect_cached(self.facts.prefix));
        }
        Lease::take(LeaseWish {
            cell: Arc::clone(&route.cell),
            owner: route.handle.owner.clone(),
            clock: Arc::clone(&self.context.ports.clock),
            patience: self.patience,
            sight: self.sight,
            debit,
        })
    }

    /// Makes one call. `None`: it failed, and another target may do better.
    async fn attempt<T, F>(&mut self, position: usize, mut lease: Lease, call: &mut F) -> Result<Option<Answered<T>>, GatewayError>
    where
        F: for<'c> FnMut(&'c Target, &'c RegionHandle) -> BoxFuture<'c, Result<T, UpstreamFailure>>,
    {
        let Some(route) = self.routes.get_mut(position) else { return Ok(None) };
        route.tried = true;
        self.made += 1;
        self.log.begun(&route.target.region);
        let (ended, copied) = self.race(position, lease.watched(), call).await;
        if let Some(route) = copied.and_then(|other| self.routes.get_mut(other)) {
            route.tried = true;
            self.made += 1;
        }
        let (answering, failure) = match ended {
            Ended::First(Ok(value)) => (Some((position, value)), None),
            Ended::Copy(won) => {
                let CopyWon { position, lease: copys, value, first } = *won;
                match first {
                    // Nothing is said of its target, which may have been about to answer.
                    FirstCall::Overtaken => lease.overtaken(),
                    // The copy has answered the request: the failure is for the target alone.
                    FirstCall::Silent => drop(lease.silent()),
                    FirstCall::Failed(failure) => lease.failed(&failure),
                }
                lease = copys;
                (Some((position, value)), None)
            }
            Ended::First(Err(failure)) => (None, Some(failure)),
            Ended::Silent => (None, None),
        };
        if self.aside {
            // What may be called here and how fast it counts is nothing to those who want answers.
            lease.overtaken();
        }
        if let Some((position, value)) = answering {
            if !self.aside {
                lease.answered();
            }
            let Some(route) = self.routes.get(position) else { return Ok(None) };
            self.settle_home(route);
            return Ok(Some(Answered { value, lease, target: route.target.clone() }));
        }
        let failure = match failure {
            Some(failure) => {
                if self.now() >= self.deadline && failure.cause == Cause::Timeout {
                    // Our own deadline passed: whether that says anything of the target, its silence decides.
                    return Err(GatewayError::DeadlineExceeded { after: self.settings.timeouts.total });
                }
                if !self.aside {
                    lease.failed(&failure);
                }
                failure
            }
            None => lease.silent(),
        };
        drop(lease);
        self.learn(position, failure)?;
        Ok(None)
    }

    /// Ends when the target of a call has been silent for longer than its pace explains, and another one could be asked.
    async fn silence(&self, position: usize, copy: Option<usize>, watched: Watched) {
        let Some(route) = self.routes.get(position) else { return std::future::pending().await };
        let began = watched.began;
        loop {
            let now = self.now();
            let look = route.cell.pace_look_again(self.patience, began).max(now).after(LOOK_LATE);
            let look = if self.patience.answering == Answering::Whole { look.min(now.after(LOOK_FOR_OTHERS)) } else { look };
            tokio::time::sleep(look.since(now)).await;
            let now = self.now();
            // The probe finds out what others gave the target up for: it is not one of them.
            let given_up = !watched.probes && route.cell.is_given_up(began, now);
            if given_up || route.cell.is_silent(self.patience, began, now) {
                if self.another_is_open(position, copy, now) {
                    return;
                }
                tokio::time::sleep(SILENCE_AGAIN).await;
            }
        }
    }

    /// The conversation lives where it was answered.
    fn settle_home(&self, route: &Route) {
        if self.facts.prefix <= 0.0 {
            return;
        }
        let shared = self.context.board.shared();
        let moved = shared.settle_home(self.facts.affinity, route.cell.id(), self.sent_from, self.facts.cache, self.now());
        if moved {
            route.cell.meters().moved_here();
        }
    }

    /// Remembers a failure; `Err` when no other target would do better.
    fn learn(&mut self, position: usize, failure: UpstreamFailure) -> Result<(), GatewayError> {
        if !failure.cause.try_elsewhere() {
            self.refused = Some(position);
            return Err(GatewayError::Upstream(failure));
        }
        // The client refreshed them when it saw the refusal: the same target once more. Paid, since what is wrong with them may
        // last, and closes no target; a later call is paid in any case.
        let again = failure.cause == Cause::Credentials && !self.credentials_retried;
        if again && (!self.is_free() || self.context.board.shared().retry(self.now())) {
            self.credentials_retried = true;
            if let Some(route) = self.routes.get_mut(position) {
                route.tried = false;
            }
        }
        if let Some(route) = self.routes.get_mut(position) {
            route.throttled = failure.cause == Cause::Throttled;
        }
        let telling = self.last.as_ref().is_none_or(|last| refusal::rank(failure.cause) <= refusal::rank(last.cause));
        if telling {
            self.last = Some(failure);
        }
        Ok(())
    }

    fn now(&self) -> Moment {
        self.context.ports.clock.now()
    }
}

/// Pause before the same targets are tried again: long enough for their breakers to have learned of the failures.
const ROUND_PAUSE: Duration = Duration::from_millis(500);

/// A look at the very moment would see a silence that is just as long as it may be.
const LOOK_LATE: Duration = Duration::from_millis(1);

/// Whole answers take minutes, and their own silence says little: so often they look whether streams have found their target silent.
const LOOK_FOR_OTHERS: Duration = Duration::from_millis(500);

/// Pause between two looks for another target when the only one is silent.
const SILENCE_AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
