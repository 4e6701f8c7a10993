//! What to do next: the planner's decision, and what the gateway makes of it.

use std::sync::Arc;

use outcrop_domain::{
    clock::Moment,
    error::Cause,
    routing::{
        probe::{Probe, ProbeView, Urgency, probe, testable_by},
        strategy::{Strategy, limited, plan, spilled},
        view::{Decision, Home, MAX_TARGETS, Resource, RouteRequest, TargetSet, TargetView},
    },
};

use super::{Attempts, Probed, ROUND_PAUSE, Route};
use crate::targets::{Debit, QuotaTold, Sight, TargetMsg, not_sent};

/// What to do next.
pub(super) enum Step {
    /// Call this route. What it takes of the target's quotas is reserved, where quotas are kept.
    Call { position: usize, debit: Option<Debit> },
    /// Every route is closed to traffic; the first of them opens then.
    WaitUntil(Moment),
    /// No target has room: stand in line.
    Queue,
    /// All were tried, and what failed may pass by itself: once more from the start.
    GoRound,
    /// It is larger than every bucket: waiting is in vain.
    Refuse,
    /// Nothing is left to try.
    GiveUp,
}

impl Attempts<'_> {
    pub(super) fn next(&mut self, now: Moment) -> Step {
        if let Some(until) = self.waits.paused(now) {
            return Step::WaitUntil(until);
        }
        if self.made >= self.settings.routing.max_attempts as usize {
            return Step::GiveUp;
        }
        if self.cannot_pay(now) {
            let at = now.after(BUDGET_PAUSE);
            // Whom the line has told that its time is over has waited as long as it may.
            let may_wait = !self.waits.line_is_over() || self.waits.may_be_late(at, now);
            return if may_wait { Step::WaitUntil(at) } else { Step::Queue };
        }
        let may_wait = !self.waits.is_over(now);
        if self.sight == Sight::Quotas && self.pool.must_queue(&self.demand) && (may_wait || self.waits.line_is_full()) {
            return Step::Queue;
        }
        let request = self.request(now);
        let home = self.home(now);
        // A plan loses its room to others at most once per target; then the line decides.
        for _ in 0..=self.routes.len() {
            self.look(now);
            match plan(self.facts.strategy, &request, &self.views, home, now) {
                Decision::Send(position) => match self.reserve(position) {
                    Ok(debit) => {
                        // Paid only when the call is certain.
                        if !self.pays(now) {
                            self.unused(position, debit);
                            return Step::WaitUntil(now.after(BUDGET_PAUSE));
                        }
                        self.book_move(position, &request, home, now);
                        return Step::Call { position, debit };
                    }
                    Err(_no_room) => continue,
                },
                decision @ Decision::Full { .. } => {
                    self.press(&decision, &request, now);
                    let in_vain = decision == Decision::Full { eta: None } && !self.may_fit_later();
                    return self.probe(&request, home, now).unwrap_or(if in_vain { Step::Refuse } else { Step::Queue });
                }
                decision @ Decision::Wait { .. } => {
                    self.press(&decision, &request, now);
                    return Step::Queue;
                }
                Decision::None { reopens } => return self.closed(reopens, now),
            }
        }
        Step::Queue
    }

    /// The first call and the first move to another target are the request's own: what made it move closes the target or
    /// empties its shadow, so only calls that were under way can do so. Further ones are paid from the budget of the whole
    /// process, or wait until it can pay. So are those of an answer that broke: a brown-out must not be amplified.
    pub(super) fn is_free(&self) -> bool {
        self.made_before == 0 && self.made <= 1
    }

    /// Nothing is left to pay the next call from.
    pub(super) fn cannot_pay(&self, now: Moment) -> bool {
        !self.is_free() && self.context.board.shared().retries_left(now) == 0
    }

    /// Pays for the next call, if it must be paid for. False when the budget cannot.
    pub(super) fn pays(&self, now: Moment) -> bool {
        self.is_free() || self.context.board.shared().retry(now)
    }

    /// The request as planners see it: its targets are positions in the routes.
    pub(super) fn request(&self, now: Moment) -> RouteRequest {
        let mut tried = TargetSet::EMPTY;
        for (position, _) in self.routes.iter().enumerate().filter(|(_, route)| route.tried) {
            tried.insert(position);
        }
        RouteRequest {
            demand: self.demand,
            prefix: self.facts.prefix,
            affinity: self.facts.affinity,
            cache: self.facts.cache,
            arrived: self.waits.began(),
            deadline: self.waits.deadline(),
            spill: self.pool.may_spill(now),
            allowed: TargetSet::ALL,
            tried,
            draw: self.draw,
            turn: self.turn,
        }
    }

    pub(super) fn home(&self, now: Moment) -> Option<Home> {
        if self.facts.prefix <= 0.0 || self.facts.strategy != Strategy::Adaptive {
            return None;
        }
        self.context.board.shared().home(self.facts.affinity, now)
    }

    /// Copies what planners see.
    pub(super) fn look(&mut self, now: Moment) {
        let mut views = std::mem::take(&mut self.views);
        views.clear();
        let seen = self.routes.iter().take(MAX_TARGETS).map(|route| {
            let view = self.view(route, self.sight, now);
            TargetView { price: route.price, ..view }
        });
        views.extend(seen);
        self.views = views;
    }

    /// What planners see of a route.
    pub(super) fn view(&self, route: &Route, sight: Sight, now: Moment) -> TargetView {
        let drained = self.context.board.shared().is_drained(&route.target.region);
        route.cell.view(sight, drained, self.patience.answering, self.facts.size, now)
    }

    /// Another route may be called now than that of this call and, when there are two out, that of the other.
    pub(super) fn another_is_open(&self, position: usize, copy: Option<usize>, now: Moment) -> bool {
        let others = self.routes.iter().enumerate();
        let mut others = others.filter(|(other, route)| *other != position && Some(*other) != copy && !route.tried);
        let made = self.made + usize::from(copy.is_some());
        let may_call_again = self.facts.strategy != Strategy::Disabled
            && made < self.settings.routing.max_attempts as usize
            && (made <= 1 || self.context.board.shared().retries_left(now) > 0);
        may_call_again
            && others.any(|(_, route)| {
                let view = self.view(route, self.sight, now);
                view.open() && (self.sight == Sight::Health || view.fits(&self.demand))
            })
    }

    /// Reserves what the call takes of the target's quotas. Nobody keeps quotas while no strategy of the settings sees them.
    pub(super) fn reserve(&self, position: usize) -> Result<Option<Debit>, outcrop_domain::routing::cell::NoRoom> {
        let Some(route) = self.routes.get(position).filter(|_| !self.aside) else { return Ok(None) };
        let (clock, estimate) = (&self.context.ports.clock, self.facts.estimate());
        match self.sight {
            Sight::Quotas => Debit::take(&route.cell, clock, self.demand, estimate).map(Some),
            Sight::Health if self.settings.routing.keeps_quotas() => Ok(Some(Debit::force(&route.cell, clock, self.demand, estimate))),
            Sight::Health => Ok(None),
        }
    }

    /// A conversation that leaves a warm home where it might have stayed burns its prefix: that has a budget.
    fn book_move(&self, position: usize, request: &RouteRequest, home: Option<Home>, now: Moment) {
        if spilled(request, &self.views, home, position, now) {
            self.pool.spilled(self.facts.prefix, now);
        }
    }

    /// The probe of the quotas that is due now, if this request may still send one.
    fn probe(&mut self, request: &RouteRequest, home: Option<Home>, now: Moment) -> Option<Step> {
        let urgency = if self.waits.line_is_full() {
            Urgency::Crowded
        } else if now >= request.deadline {
            Urgency::Deadline
        } else {
            Urgency::Arrival
        };
        let probed = if urgency == Urgency::Arrival { Probed::WhileItMayWait } else { Probed::AtTheEnd };
        if self.probed >= probed {
            return None;
        }
        let probes: Vec<ProbeView> = self.routes.iter().map(|route| route.cell.probe_view()).collect();
        let chosen = probe(request, &self.views, &probes, home, urgency, now)?;
        let (position, is_test) = match chosen {
            Probe::Dip(position) => (position, false),
            Probe::Test(position) => (position, true),
            Probe::Later(at) => return self.waits.may_be_late(at, now).then_some(Step::WaitUntil(at)),
        };
        let (route, seen) = (self.routes.get(position)?, probes.get(position)?);
        let shared = self.context.board.shared();
        if is_test {
            // A claim that cannot be paid would keep others from asking, and who loses the claim has nothing to pay.
            if shared.retries_left(now) == 0 {
                return None;
            }
            if !route.cell.claim_quota_probe(seen, now) {
                let at = now.after(NEXT_LOOK);
                return self.waits.may_be_late(at, now).then_some(Step::WaitUntil(at));
            }
            if !shared.retry(now) {
                route.cell.unclaim_quota_probe(seen, now);
                return None;
            }
        } else if !self.pays(now) {
            return None;
        }
        self.probed = probed;
        let debit = Debit::force(&route.cell, &self.context.ports.clock, self.demand, self.facts.estimate());
        Some(Step::Call { position, debit: Some(debit) })
    }

    /// Could a target that is closed now, or that was tried, hold the request, or one of whose depth nothing is known yet?
    fn may_fit_later(&self) -> bool {
        let deadline = self.waits.deadline();
        let mut seen = self.views.iter().zip(&self.routes);
        seen.any(|(view, route)| {
            let held = (!view.open() || route.tried) && view.holds(&self.demand);
            held || testable_by(view, &route.cell.probe_view(), deadline)
        })
    }

    /// Gives back what was reserved for a call that is not made.
    pub(super) fn unused(&self, position: usize, debit: Option<Debit>) {
        if let (Some(route), Some(debit)) = (self.routes.get(position), debit) {
            not_sent(&route.handle.owner, debit);
        }
    }

    /// Tells owners at whose limits this request stands.
    fn press(&self, decision: &Decision, request: &RouteRequest, now: Moment) {
        for (set, resource) in limited(decision, request, &self.views).into_iter().zip(Resource::ALL) {
            for (_, route) in self.routes.iter().enumerate().filter(|(position, _)| set.contains(*position)) {
                if route.cell.claim_pressure(resource, now) {
                    let told = TargetMsg::QuotaTold(QuotaTold::limited(&Arc::clone(&route.cell), resource));
                    if route.handle.owner.cast(told).is_err() {
                        tracing::debug!(region = %route.target.region, "the target's actor is restarting and does not learn of the demand");
                    }
                }
            }
        }
    }

    /// No route may be called.
    fn closed(&self, reopens: Option<Moment>, now: Moment) -> Step {
        match (reopens, self.sight) {
            // In vain, when none opens within the wait.
            (Some(at), Sight::Quotas) if at > self.waits.deadline() => Step::GiveUp,
            (Some(_), Sight::Quotas) => Step::Queue,
            (Some(at), Sight::Health) => Step::WaitUntil(at),
            (None, _) if self.may_go_round(now) => Step::GoRound,
            (None, _) => Step::GiveUp,
        }
    }

    /// After every target failed: is it worth waiting for one of them, within the budgets?
    fn may_go_round(&self, now: Moment) -> bool {
        let passes_by_itself = self
            .last
            .as_ref()
            .is_some_and(|failure| matches!(failure.cause, Cause::Throttled | Cause::NotReady | Cause::Unavailable | Cause::Connection));
        passes_by_itself && self.waits.left(self.sight, now) >= ROUND_PAUSE
    }
}

/// Pause of a request at its deadline that was about to test when somebody else did: it looks again, and waits for that test.
const NEXT_LOOK: std::time::Duration = std::time::Duration::from_millis(10);

/// Pause of a request whose next try the process's budget cannot pay: it earns a token a second, and a tenth per request.
pub(super) const BUDGET_PAUSE: std::time::Duration = std::time::Duration::from_millis(200);
