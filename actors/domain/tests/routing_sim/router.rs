//! The gateway of the simulation: the planner, cells, owners, queue and budget of the domain, wired as a gateway wires
//! them, with virtual time and without messages.

use std::{cell::Cell, collections::HashMap, time::Duration};

use outcrop_domain::{
    clock::Moment,
    error::Cause,
    routing::{
        Breaker, BreakerPolicy, Gate, Outcome,
        budget::{RetryBudget, SpillBudget},
        cell::QuotaCell,
        probe::{Probe, ProbeView, ResourceProbe, Urgency, probe},
        quota::{Priors, Refused, Sent, TargetQuota},
        reserve::{Bias, Drift, Reservation, settled},
        sticky::Sticky,
        strategy::{Strategy, limited, plan, spilled},
        view::{CacheLife, Decision, Demand, RESOURCES, Resource, ResourceView, RouteRequest, TargetSet, TargetView},
        waiting::{Sweep, Ticket, Waiting, Woken},
    },
    usage::Usage,
};

use super::{
    truth::Refusal,
    world::{BURN, Event, Prior, World, moment},
};

/// Most calls per request.
const ATTEMPTS_MAX: u32 = 6;
/// So long after its deadline a request waits for what becomes of a test.
const LATE: Duration = Duration::from_secs(1);
/// A settlement wakes the queue, but not more often than this, seconds.
const SWEEP_PAUSE: f64 = 0.05;

/// One target: its owner's state, and what is published of it.
struct Target {
    quota: TargetQuota,
    cell: QuotaCell,
    held: f64,
    probed: Option<f64>,
    breaker: Breaker,
}

/// The last probe that a request sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probed {
    No,
    /// While it might wait.
    Early,
    AtItsEnd,
}

/// A request in the gateway.
struct Job {
    route: RouteRequest,
    attempts: u32,
    probed: Probed,
    /// It found the queue full.
    crowded: bool,
    sent: Option<Sent>,
    /// Its place in the queue, from its first wait on.
    ticket: Option<Ticket>,
}

pub(crate) struct Router {
    targets: Vec<Target>,
    jobs: HashMap<usize, Job>,
    waiting: Waiting,
    tickets: HashMap<Ticket, usize>,
    sticky: Sticky,
    budget: RetryBudget,
    spills: SpillBudget,
    bias: Bias,
    turn: u64,
    swept: f64,
    sweep_at: Option<f64>,
}

impl Router {
    pub(crate) fn new(world: &World) -> Self {
        let start = world.moment();
        let targets = world.regions.iter().map(|region| {
            let per_minute = |rate: f64| match world.case.prior {
                Prior::Times(factor) => Some(rate * 60.0 * factor),
                Prior::Nothing | Prior::Oracle => None,
            };
            let priors = Priors {
                requests_per_minute: per_minute(region.requests.rate),
                tokens_per_minute: per_minute(region.tokens.rate),
                tokens_per_day: None,
            };
            let quota = TargetQuota::new(&priors, None, start, Duration::from_secs(86_400));
            let cell = QuotaCell::new(&quota, start);
            Target { quota, cell, held: 0.0, probed: None, breaker: Breaker::default() }
        });
        Self {
            targets: targets.collect(),
            jobs: HashMap::new(),
            waiting: Waiting::default(),
            tickets: HashMap::new(),
            sticky: Sticky::default(),
            budget: RetryBudget::new(start),
            spills: SpillBudget::default(),
            bias: Bias::default(),
            turn: 0,
            swept: -1.0,
            sweep_at: None,
        }
    }

    fn views(&self, world: &mut World) -> Vec<TargetView> {
        let now = world.moment();
        let views = self.targets.iter().enumerate().map(|(index, target)| {
            let resources = match world.case.prior {
                Prior::Oracle => {
                    let region = &mut world.regions[index];
                    [&mut region.requests, &mut region.tokens].map(|bucket| {
                        bucket.advance(world.now);
                        ResourceView {
                            rate: bucket.rate,
                            depth: bucket.depth,
                            level: bucket.level,
                            margin: 0.0,
                            known: true,
                            tentative: false,
                            refills_after: None,
                        }
                    })
                }
                Prior::Nothing | Prior::Times(_) => target.cell.view(now),
            };
            let gate = match world.case.strategy {
                Strategy::Ordered | Strategy::Disabled => target.breaker.gate(now),
                _ => target.quota.gate(now),
            };
            TargetView { resources, held: target.held, gate, ..TargetView::unknown(index as u64 + 1) }
        });
        views.collect()
    }

    fn probes(&self) -> Vec<ProbeView> {
        let of = |target: &Target| ProbeView {
            probed: target.probed.map(moment),
            resources: Resource::ALL.map(|resource| {
                let shadow = target.quota.shadow(resource);
                ResourceProbe { gap: shadow.gap(), refused: shadow.last_refused(), synced: shadow.synced(), slack: shadow.slack() }
            }),
        };
        self.targets.iter().map(of).collect()
    }

    pub(crate) fn arrived(&mut self, world: &mut World, request: usize) {
        let now = world.moment();
        self.budget = self.budget.request(now);
        self.turn += 1;
        let call = &world.requests[request].call;
        let reservation = Reservation { input_estimate: call.input_estimate, max_tokens: call.max_tokens };
        let tokens = if world.case.prior == Prior::Oracle {
            call.reserved()
        } else {
            reservation.tokens(self.sticky.drift(call.prompt.conversation).map_or_else(|| self.bias.factor(), Drift::factor))
        };
        let route = RouteRequest {
            demand: Demand::of_tokens(tokens),
            prefix: call.prompt.prefix as f64,
            affinity: call.prompt.conversation,
            cache: CacheLife::Short,
            arrived: now,
            deadline: moment(world.now + world.case.wait),
            spill: self.spills.allows(now),
            allowed: TargetSet::ALL,
            tried: TargetSet::EMPTY,
            draw: world.chance.unit(),
            turn: self.turn,
        };
        self.jobs.insert(request, Job { route, attempts: 0, probed: Probed::No, crowded: false, sent: None, ticket: None });
        if self.waiting.classes().must_queue(&route.demand) {
            self.wait(world, request, 0.0);
        } else {
            self.go(world, request);
        }
    }

    /// Plans a request that is not waiting.
    fn go(&mut self, world: &mut World, request: usize) {
        let now = world.moment();
        let Job { route, crowded, .. } = self.jobs[&request];
        if crowded && self.waiting.classes().must_queue(&route.demand) {
            self.refuse(world, request);
            return;
        }
        let views = self.views(world);
        self.job(request).route.spill = self.spills.allows(now);
        let route = self.jobs[&request].route;
        let home = self.sticky.home(route.affinity, now);
        let decision = plan(world.case.strategy, &route, &views, home, now);
        self.tell_limits(world, &limited(&decision, &route, &views));
        if let Decision::Send(index) = decision {
            let sent = if world.case.minds_shadows() {
                let room = self.targets[index].cell.debit(&route.demand, views[index].held, now);
                room.expect("nobody else takes room in between")
            } else {
                self.targets[index].cell.debit_probe(&route.demand, now)
            };
            if spilled(&route, &views, home, index, now) {
                self.book_move(&route, now);
            }
            self.call(world, request, index, sent);
            return;
        }
        if now >= route.deadline {
            self.last_try(world, request);
            return;
        }
        if matches!(decision, Decision::Full { .. }) && self.try_probe(world, request, Urgency::Arrival) {
            return;
        }
        if decision == (Decision::None { reopens: None }) {
            self.job(request).route.tried = TargetSet::EMPTY;
        }
        self.wait(world, request, SWEEP_PAUSE);
    }

    /// Joins the queue, which is swept within `seconds`.
    fn wait(&mut self, world: &mut World, request: usize, seconds: f64) {
        // What refused it has an empty shadow now, and that is backoff enough.
        let tried = std::mem::take(&mut self.job(request).route.tried);
        let Job { route, ticket, .. } = self.jobs[&request];
        let ticket = match ticket {
            Some(ticket) => {
                self.waiting.put_back(ticket, route);
                ticket
            }
            None => match self.waiting.push(route) {
                Ok(ticket) => ticket,
                Err(_) if !self.jobs[&request].crowded => {
                    let deadline = world.moment();
                    let job = self.job(request);
                    (job.crowded, job.route.tried, job.route.deadline) = (true, tried, deadline);
                    return self.go(world, request);
                }
                Err(_) => return self.refuse(world, request),
            },
        };
        self.job(request).ticket = Some(ticket);
        self.tickets.insert(ticket, request);
        self.arm(world, seconds);
    }

    fn job(&mut self, request: usize) -> &mut Job {
        self.jobs.get_mut(&request).expect("the request is under way")
    }

    fn tell_limits(&mut self, world: &World, limits: &[TargetSet; RESOURCES]) {
        for (set, resource) in limits.iter().zip(Resource::ALL) {
            for (index, target) in self.targets.iter_mut().enumerate() {
                if set.contains(index) {
                    target.quota.limited(world.moment(), resource);
                }
            }
        }
    }

    /// A conversation leaves a home that it could have waited for.
    fn book_move(&mut self, route: &RouteRequest, now: Moment) {
        let rate = self.targets.iter().map(|target| target.quota.shadow(Resource::Tokens).view().rate).sum();
        self.spills = self.spills.moved(route.prefix, rate, now);
    }

    /// Calls a target that has been debited.
    fn call(&mut self, world: &mut World, request: usize, index: usize, sent: Sent) {
        let job = self.job(request);
        job.attempts += 1;
        job.sent = Some(sent);
        world.call(request, index);
    }

    fn try_probe(&mut self, world: &mut World, request: usize, urgency: Urgency) -> bool {
        let now = world.moment();
        // One while it may wait, and one at its end.
        let waits = urgency == Urgency::Arrival;
        let probed = self.jobs[&request].probed;
        if world.case.prior == Prior::Oracle || probed == Probed::AtItsEnd || (waits && probed == Probed::Early) {
            return false;
        }
        let (views, probes, route) = (self.views(world), self.probes(), self.jobs[&request].route);
        let Some(found) = probe(&route, &views, &probes, self.sticky.home(route.affinity, now), urgency, now) else { return false };
        let index = match found {
            Probe::Later(at) => {
                let late = now.since(route.deadline) < LATE && world.case.wait > 0.0 && !self.jobs[&request].crowded;
                if late {
                    world.at(at.0.as_secs_f64(), Event::Again { request });
                }
                return late;
            }
            // The first call, and the first after a refusal, are the request's own.
            Probe::Dip(index) if self.jobs[&request].attempts <= 1 => index,
            Probe::Dip(index) => {
                let Some(left) = self.budget.take(now) else { return false };
                self.budget = left;
                index
            }
            Probe::Test(index) => {
                let Some(left) = self.budget.take(now) else { return false };
                self.budget = left;
                self.targets[index].probed = Some(world.now);
                index
            }
        };
        self.job(request).probed = if waits { Probed::Early } else { Probed::AtItsEnd };
        world.counts.probes.0 += u64::from(world.now >= world.case.warm_up);
        let sent = self.targets[index].cell.debit_probe(&route.demand, now);
        self.call(world, request, index, sent);
        true
    }

    /// At the deadline, when nothing fits anywhere.
    fn last_try(&mut self, world: &mut World, request: usize) {
        let urgency = if self.jobs[&request].crowded { Urgency::Crowded } else { Urgency::Deadline };
        if !self.try_probe(world, request, urgency) {
            self.refuse(world, request);
        }
    }

    /// Plans a request anew that waited for what becomes of a test.
    pub(crate) fn again(&mut self, world: &mut World, request: usize) {
        self.go(world, request);
    }

    fn refuse(&mut self, world: &mut World, request: usize) {
        self.jobs.remove(&request);
        world.refuse(request);
    }

    pub(crate) fn refused(&mut self, world: &mut World, request: usize, index: usize, by: Refusal) {
        let now = world.moment();
        let by = match by {
            Refusal::Requests => Refused::Requests,
            Refusal::Tokens => Refused::Tokens,
        };
        let unit = world.chance.unit();
        let (demand, sent) = (self.jobs[&request].route.demand, self.jobs[&request].sent.expect("it was sent"));
        if sent.probed() {
            world.counts.probes.1 += u64::from(world.now >= world.case.warm_up);
        }
        let target = &mut self.targets[index];
        let Target { quota, cell, .. } = target;
        cell.update(quota, now, |quota| quota.refused(now, &demand, &sent, by, unit));
        target.breaker.learn(Outcome::Failed(Cause::Throttled), sent.at, now, &BreakerPolicy::default(), unit);
        let job = self.job(request);
        job.route.tried.insert(index);
        if job.attempts >= ATTEMPTS_MAX {
            self.refuse(world, request);
            return;
        }
        match self.budget.take(now) {
            Some(left) => self.budget = left,
            // No retry at once: it may wait for room.
            None => self.job(request).route.tried = TargetSet::ALL,
        }
        self.go(world, request);
    }

    pub(crate) fn answered(&mut self, world: &World, request: usize, index: usize) {
        let now = world.moment();
        let job = &self.jobs[&request];
        let (route, sent) = (job.route, job.sent.expect("it was sent"));
        let target = &mut self.targets[index];
        if sent.probed() || target.quota.gate(now) != Gate::Closed {
            let Target { quota, cell, .. } = target;
            cell.update(quota, now, |quota| quota.granted(now, &route.demand, &sent));
        }
        target.breaker.learn(Outcome::Answered, sent.at, now, &BreakerPolicy::default(), 0.5);
        if route.prefix > 0.0 {
            self.sticky.settle(route.affinity, index as u64 + 1, route.cache, now);
        }
    }

    pub(crate) fn ended(&mut self, world: &mut World, request: usize, index: usize, usage: &Usage) {
        let now = world.moment();
        let Some(job) = self.jobs.remove(&request) else { return };
        let call = &world.requests[request].call;
        self.bias.learn(call.input_estimate, usage);
        if let Some(drift) = Drift::of(call.input_estimate, usage) {
            self.sticky.learn_drift(call.prompt.conversation, drift);
        }
        let Target { quota, cell, .. } = &mut self.targets[index];
        cell.update(quota, now, |quota| quota.settle(now, &job.route.demand, settled(usage, BURN)));
        if !self.waiting.is_empty() {
            self.arm(world, 0.0);
        }
    }

    /// How far the shadows are from the truth, for a look at one run.
    pub(crate) fn report(&self, world: &mut World) -> String {
        let now = world.moment();
        let mut text = format!("{:5.0} s, {:3} wait", world.now, self.waiting.len());
        for (target, region) in self.targets.iter().zip(&mut world.regions) {
            region.tokens.advance(world.now);
            let [requests, tokens] = target.cell.view(now);
            text += &format!(
                " | {} rate {:5.2} depth {:5.2} level {:5.2} true {:5.2} margin {:.3} gap {:2.0} held {:4.2} calls {:5.2}{}",
                target.quota.snapshot().shadows[1].model,
                tokens.rate / region.tokens.rate,
                tokens.depth / region.tokens.depth,
                tokens.level / region.tokens.depth,
                region.tokens.level / region.tokens.depth,
                tokens.margin,
                target.quota.shadow(Resource::Tokens).gap().as_secs_f64(),
                target.held / region.tokens.depth,
                requests.rate / region.requests.rate,
                if requests.known { "" } else { "?" },
            );
        }
        text
    }

    pub(crate) fn tick(&mut self, world: &World) {
        let now = world.moment();
        for Target { quota, cell, .. } in &mut self.targets {
            cell.update(quota, now, |quota| quota.advance(now));
        }
    }

    /// Plans a sweep within `seconds`, unless one is due before.
    fn arm(&mut self, world: &mut World, seconds: f64) {
        let at = (world.now + seconds).max(self.swept + SWEEP_PAUSE);
        if self.sweep_at.is_none_or(|due| at < due) {
            self.sweep_at = Some(at);
            world.at(at, Event::Sweep);
        }
    }

    pub(crate) fn sweep(&mut self, world: &mut World) {
        if self.sweep_at.is_none_or(|at| world.now < at) {
            return;
        }
        (self.swept, self.sweep_at) = (world.now, None);
        let now = world.moment();
        let mut views = self.views(world);
        let mut sweep = Sweep::new(world.case.strategy, &mut views, now);
        let mut overdue = Vec::new();
        let sent = Cell::new(None);
        loop {
            let debit = |index: usize, route: &RouteRequest| {
                let cell = &self.targets[index].cell;
                // The sweep has seen to holds.
                let real = world.case.minds_shadows();
                sent.set(if real { cell.debit(&route.demand, 0.0, now).ok() } else { Some(cell.debit_probe(&route.demand, now)) });
                sent.get().is_some()
            };
            let home = |key| self.sticky.home(key, now);
            let Some(woken) = self.waiting.next_to_wake(&mut sweep, home, self.spills.allows(now), debit) else { break };
            match woken {
                Woken::Send { ticket, index, spilled } => {
                    let request = self.tickets.remove(&ticket).expect("every waiter is known");
                    if spilled {
                        let route = self.jobs[&request].route;
                        self.book_move(&route, now);
                    }
                    self.call(world, request, index, sent.take().expect("it was debited"));
                }
                Woken::Overdue { ticket, .. } => overdue.extend(self.tickets.remove(&ticket)),
            }
        }
        let limits = sweep.limited();
        for (target, view) in self.targets.iter_mut().zip(&views) {
            target.held = view.held;
        }
        self.tell_limits(world, &limits);
        overdue.into_iter().for_each(|request| self.last_try(world, request));
        if let Some(at) = self.waiting.next_timer(&self.views(world), now) {
            let pause = at.since(now).as_secs_f64();
            self.arm(world, pause);
        }
    }
}
