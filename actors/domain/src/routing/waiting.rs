//! The queue of one model: requests for which no target has room, oldest first.
//!
//! A sweep plans the waiting requests in order of age against one copy of the targets, so that an older request always has
//! first choice. After [`HEAD_AFTER`] a request that still found nothing *holds* its size on one target: whoever comes
//! later, smaller requests above all, may use only what exceeds that. Without it chat starves agents: there is always room
//! for two thousand tokens, and never for seventy thousand.

use std::{collections::VecDeque, time::Duration};

use super::{
    Gate,
    strategy::{Strategy, limited, plan, spilled},
    view::{Decision, Demand, Home, MAX_TARGETS, RESOURCES, RouteRequest, Spill, TargetSet, TargetView, seconds},
};
use crate::clock::Moment;

/// Most requests that wait for one model: ten seconds of a hundred a second more than the quotas have room for. Each keeps its
/// place in its lane, of which one model's line must not take all.
pub const QUEUE_LIMIT: usize = 1_024;
/// After this a request holds room: shorter waits end by themselves.
pub const HEAD_AFTER: Duration = Duration::from_millis(200);
/// A warm home is held only if it has room within this, seconds: else whatever is free first is.
const HOLD_HOME_ETA: f64 = 5.0;
/// Most of a depth that is held: the rest keeps small requests moving.
const HOLD_SHARE: f64 = 0.9;
/// No timer is set shorter: settlements wake the queue anyway.
const TIMER_MIN: Duration = Duration::from_millis(50);
/// So many of the oldest are looked at for the timer: whoever comes after them will find room only when they have.
const TIMER_LOOKS: usize = 64;

/// Names a waiting request. Later ones are larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// The queue. One owner.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    waiters: VecDeque<Waiter>,
    next: u64,
    /// Waiters by size class.
    classes: [u16; CLASSES],
}

/// Sizes of requests: each class is four times the one below, from 1 K tokens.
const CLASSES: usize = 8;
const CLASS_SMALLEST: f64 = 1_024.0;
const CLASS_FACTOR: f64 = 4.0;

/// The size classes of which somebody waits.
///
/// A newcomer may plan for itself, against what is not held, only if nobody of its class waits: else it joins the queue and
/// the sweep decides, so that within a class the older one always comes first. Other classes need not wait for it: a chat
/// request may pass an agent that waits for its home, within what the agent does not hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SizeClasses(u8);

impl SizeClasses {
    /// Must a request with this demand join the queue?
    #[must_use]
    pub fn must_queue(self, demand: &Demand) -> bool {
        self.0 & (1 << class(demand)) != 0
    }

    /// For an `AtomicU8`.
    #[must_use]
    pub fn to_bits(self) -> u8 {
        self.0
    }

    /// From an `AtomicU8`.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}

/// The size class of a demand: how many times four its tokens go over the smallest class.
fn class(demand: &Demand) -> usize {
    let mut limit = CLASS_SMALLEST;
    let mut class = 0;
    while class + 1 < CLASSES && demand.tokens() >= limit {
        limit *= CLASS_FACTOR;
        class += 1;
    }
    class
}

/// One waiting request.
#[derive(Debug, Clone, Copy)]
struct Waiter {
    ticket: Ticket,
    request: RouteRequest,
    /// The target at which the last sweep held room for it.
    holds: Option<usize>,
    /// Its warm home, if that is what the last sweep let it wait for.
    home: Option<usize>,
}

impl Waiter {
    fn new(ticket: Ticket, request: RouteRequest) -> Self {
        Self { ticket, request, holds: None, home: None }
    }
}

/// The queue is full: the newcomer may not wait. It is planned at once if nobody of its size comes first, beside what is held for
/// others, and else refused. Older ones are never put out for newer ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{QUEUE_LIMIT} requests wait for this model already")]
pub struct QueueFull;

/// One walk over the queue: from the oldest, each request once.
#[derive(Debug)]
pub struct Sweep<'t> {
    strategy: Strategy,
    now: Moment,
    targets: &'t mut [TargetView],
    /// The next ticket to look at: a place would move when somebody comes or goes.
    next: Ticket,
    limited: [TargetSet; RESOURCES],
}

/// A request that leaves the queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Woken {
    /// There was room for it, and the target has been debited: call it.
    Send {
        /// The request.
        ticket: Ticket,
        /// The target.
        index: usize,
        /// It leaves its warm home by choice: to be booked on the [`SpillBudget`](super::budget::SpillBudget).
        spilled: bool,
    },
    /// Its deadline has come and nothing fits: one probe, else it is refused.
    Overdue {
        /// The request.
        ticket: Ticket,
        /// When the first target has room for it, for Retry-After; `None` when none ever has.
        eta: Option<Duration>,
    },
}

impl<'t> Sweep<'t> {
    /// Begins a walk over fresh copies of the targets. Holds are cleared: they are given out anew, oldest first.
    #[must_use]
    pub fn new(strategy: Strategy, targets: &'t mut [TargetView], now: Moment) -> Self {
        targets.iter_mut().for_each(|target| target.held = 0.0);
        Self { strategy, now, targets, next: Ticket(0), limited: [TargetSet::EMPTY; RESOURCES] }
    }

    fn note_limits(&mut self, decision: &Decision, request: &RouteRequest) {
        let noted = self.limited.iter().map(|set| set.len()).max();
        if noted.is_some_and(|noted| usize::try_from(noted).is_ok_and(|noted| noted >= self.targets.len())) {
            return;
        }
        for (all, of_this) in self.limited.iter_mut().zip(limited(decision, request, self.targets)) {
            all.add(of_this);
        }
    }

    /// The targets at whose limits somebody waits, by resource: see [`limited`].
    #[must_use]
    pub fn limited(&self) -> [TargetSet; RESOURCES] {
        self.limited
    }
}

impl Waiting {
    /// Requests in the queue.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Nobody waits?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Lets a request wait.
    ///
    /// # Errors
    /// [`QueueFull`] at [`QUEUE_LIMIT`].
    pub fn push(&mut self, request: RouteRequest) -> Result<Ticket, QueueFull> {
        if self.waiters.len() >= QUEUE_LIMIT {
            return Err(QueueFull);
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.count(&request.demand, 1);
        self.waiters.push_back(Waiter::new(ticket, request));
        Ok(ticket)
    }

    /// Lets a request wait again that was woken, under its old ticket and at its old place: its call was refused, or never
    /// made. It is not counted against [`QUEUE_LIMIT`], having been let in once. One that is still there is only replaced.
    pub fn put_back(&mut self, ticket: Ticket, request: RouteRequest) {
        let waiter = Waiter::new(ticket, request);
        match self.find(ticket) {
            Ok(place) => {
                let older = self.waiters.get_mut(place).map(|older| std::mem::replace(older, waiter));
                older.iter().for_each(|older| self.count(&older.request.demand, -1));
            }
            Err(place) => self.waiters.insert(place, waiter),
        }
        self.count(&request.demand, 1);
    }

    /// The size classes of which somebody waits: published for newcomers, with the sweep's holds.
    #[must_use]
    pub fn classes(&self) -> SizeClasses {
        SizeClasses((0u8..).zip(self.classes).filter(|(_, count)| *count > 0).fold(0, |bits, (class, _)| bits | (1 << class)))
    }

    fn count(&mut self, demand: &Demand, change: i16) {
        if let Some(count) = self.classes.get_mut(class(demand)) {
            *count = count.saturating_add_signed(change);
        }
    }

    fn take_out(&mut self, place: usize) -> Option<Waiter> {
        let waiter = self.waiters.remove(place)?;
        self.count(&waiter.request.demand, -1);
        Some(waiter)
    }

    /// Takes a request out whose client has left. False when it is not there any more.
    pub fn remove(&mut self, ticket: Ticket) -> bool {
        self.find(ticket).is_ok_and(|place| self.take_out(place).is_some())
    }

    /// The place of a ticket, or where it would be.
    fn find(&self, ticket: Ticket) -> Result<usize, usize> {
        self.waiters.binary_search_by_key(&ticket, |waiter| waiter.ticket)
    }

    /// The next request that leaves the queue, and what becomes of it; `None` when the walk is over.
    ///
    /// `home` says where a conversation lives, `spill` whether one may leave its warm home now. `debit` debits the real target
    /// of this index for the request; when it says no, because somebody took the room since the sweep's copy was made, the
    /// request is planned again, at most once per target and once more, and else keeps its place.
    pub fn next_to_wake(
        &mut self,
        sweep: &mut Sweep<'_>,
        home: impl Fn(u64) -> Option<Home>,
        spill: Spill,
        mut debit: impl FnMut(usize, &RouteRequest) -> bool,
    ) -> Option<Woken> {
        loop {
            let place = self.find(sweep.next).unwrap_or_else(|next| next);
            let waiter = self.waiters.get_mut(place)?;
            sweep.next = Ticket(waiter.ticket.0 + 1);
            *waiter = Waiter::new(waiter.ticket, waiter.request);
            let (ticket, request) = (waiter.ticket, &mut waiter.request);
            request.spill = spill;
            let sticky = home(request.affinity);
            let decision = match sweep.place(request, sticky, &mut debit) {
                Placed::Sent { index, spilled } => {
                    self.take_out(place);
                    return Some(Woken::Send { ticket, index, spilled });
                }
                Placed::Stays(decision) => decision,
            };
            sweep.note_limits(&decision, request);
            if sweep.now >= request.deadline {
                let eta = eta(request, sweep.targets, None);
                self.take_out(place);
                return Some(Woken::Overdue { ticket, eta });
            }
            match decision {
                Decision::Wait { index, .. } => waiter.home = Some(index),
                // It tried them all: after a wait each may be tried again.
                Decision::None { reopens: None } => request.tried = TargetSet::EMPTY,
                Decision::Send(_) | Decision::Full { .. } | Decision::None { .. } => {}
            }
            if sweep.now.since(request.arrived) > HEAD_AFTER {
                waiter.holds = hold(request, sweep.targets, sticky, sweep.now);
            }
        }
    }

    /// When to sweep again if nothing is settled before: the first deadline, the first hold, the first room for somebody, the
    /// first target that reopens. `targets` with the holds that the last sweep has left; nobody is kept waiting by its own.
    #[must_use]
    pub fn next_timer(&self, targets: &[TargetView], now: Moment) -> Option<Moment> {
        let deadline = self.waiters.iter().map(|waiter| waiter.request.deadline).min()?;
        // Besides the oldest the smallest, which may slip in.
        let smallest = self.waiters.iter().min_by(|a, b| a.request.demand.tokens().total_cmp(&b.request.demand.tokens()));
        let looked_at = self.waiters.iter().take(TIMER_LOOKS).chain(smallest);
        let room = looked_at.filter_map(|waiter| waiter.may_go(targets, now)).min().unwrap_or(deadline);
        // Waiters are in order of age: the first that does not hold yet is the next that will.
        let held_from = self.waiters.iter().map(|waiter| waiter.request.arrived.after(HEAD_AFTER));
        let hold = held_from.into_iter().find(|from| *from >= now).unwrap_or(deadline);
        Some(deadline.min(room).min(hold).max(now.after(TIMER_MIN)))
    }
}

/// What became of a waiter in a sweep.
enum Placed {
    /// Its target has been debited.
    Sent { index: usize, spilled: bool },
    /// It keeps waiting.
    Stays(Decision),
}

impl Sweep<'_> {
    /// Plans a waiter, and debits the target that it is sent to.
    fn place(&mut self, request: &RouteRequest, sticky: Option<Home>, debit: &mut impl FnMut(usize, &RouteRequest) -> bool) -> Placed {
        let mut decision = self.plan(request, sticky);
        for _ in 0..=self.targets.len() {
            let Decision::Send(index) = decision else { break };
            if debit(index, request) {
                let spilled = spilled(request, self.targets, sticky, index, self.now);
                for target in self.targets.iter_mut().skip(index).take(1) {
                    target.debit(&request.demand);
                    // One call at a time may try it.
                    target.probing |= target.gate == Gate::HalfOpen;
                }
                return Placed::Sent { index, spilled };
            }
            self.targets.iter_mut().skip(index).take(1).for_each(|target| target.overtaken(&request.demand));
            decision = self.plan(request, sticky);
        }
        Placed::Stays(decision)
    }

    fn plan(&self, request: &RouteRequest, sticky: Option<Home>) -> Decision {
        if hopeless(self.strategy, request, self.targets) {
            Decision::Full { eta: None }
        } else {
            plan(self.strategy, request, self.targets, sticky, self.now)
        }
    }
}

impl Waiter {
    /// When there is room for it, or a target reopens; `None` when neither is foreseen. Who waits for its home is not looked at
    /// sooner for room elsewhere, which it has declined.
    fn may_go(&self, targets: &[TargetView], now: Moment) -> Option<Moment> {
        let wanted = self.home.map_or(self.request.allowed, TargetSet::only);
        let room = eta(&RouteRequest { allowed: wanted, ..self.request }, targets, self.holds).map(|eta| now.after(eta));
        let allowed = targets.iter().enumerate().filter(|(index, target)| self.request.allowed.contains(*index) && !target.drained);
        let reopens = allowed.filter_map(|(_, target)| match target.gate {
            Gate::Open { until } => Some(until),
            // A probe that is out is answered soon, which wakes the queue.
            Gate::HalfOpen | Gate::Closed => None,
        });
        reopens.chain(room).min()
    }
}

/// Is every target that may be called full for it? Then there is nothing to plan: most of a long queue, most of the time.
fn hopeless(strategy: Strategy, request: &RouteRequest, targets: &[TargetView]) -> bool {
    let mut open = targets
        .iter()
        .enumerate()
        .filter(|(index, target)| request.allowed.contains(*index) && !request.tried.contains(*index) && target.open());
    // Without any target the plan says more: when one reopens, or that all were tried.
    let mut none = true;
    strategy.minds_quotas()
        && open.all(|(_, target)| {
            none = false;
            !target.fits(&request.demand)
        })
        && !none
}

/// When the first target has room for a request, whatever it has tried; `None` when none ever has. `holds`: the target at
/// which what is held is held for this request.
fn eta(request: &RouteRequest, targets: &[TargetView], holds: Option<usize>) -> Option<Duration> {
    let usable = targets.iter().enumerate().take(MAX_TARGETS).filter(|(index, target)| request.allowed.contains(*index) && target.open());
    let etas = usable.map(|(index, target)| {
        let own = holds == Some(index);
        if own { TargetView { held: 0.0, ..*target }.eta(&request.demand) } else { target.eta(&request.demand) }
    });
    let eta = etas.fold(f64::INFINITY, f64::min);
    eta.is_finite().then(|| seconds(eta))
}

/// Keeps room for a request on its home, or where there is room first, unless an older one holds that target already. The
/// target at which it does.
fn hold(request: &RouteRequest, targets: &mut [TargetView], sticky: Option<Home>, now: Moment) -> Option<usize> {
    if targets.iter().all(|target| target.held > 0.0) {
        return None;
    }
    let usable = |index: usize, target: &TargetView| request.allowed.contains(index) && target.open();
    let home = sticky.filter(|home| request.prefix > 0.0 && home.warm(now)).and_then(|home| {
        let found = targets.iter().enumerate().find(|(index, target)| target.id == home.target && usable(*index, target));
        found.filter(|(_, target)| target.eta(&request.demand) < HOLD_HOME_ETA).map(|(index, _)| index)
    });
    let soonest = || {
        let etas = targets.iter().enumerate().filter(|(index, target)| usable(*index, target));
        let etas = etas.map(|(index, target)| (index, target.eta(&request.demand))).filter(|(_, eta)| eta.is_finite());
        etas.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(index, _)| index)
    };
    let index = home.or_else(soonest)?;
    let target = targets.get_mut(index).filter(|target| target.held == 0.0)?;
    target.held = request.demand.tokens().min(HOLD_SHARE * target.tokens().depth);
    Some(index)
}

/// Least and most that a client is told to wait, seconds: a minute refills any bucket.
const RETRY_AFTER: (f64, f64) = (1.0, 60.0);
/// Clients are told up to this much more than needed, at random, so that they do not come back together.
const RETRY_AFTER_SPREAD: f64 = 0.25;

/// What a refused client is told to wait, whole seconds: `ceil(eta x U(1, 1.25))` within 1 to 60. `unit` is a random draw in
/// `[0, 1)`. For a spent daily quota tell the time to its reopening instead.
#[must_use]
pub fn retry_after(eta: Duration, unit: f64) -> Duration {
    let (least, most) = RETRY_AFTER;
    let spread = RETRY_AFTER_SPREAD.mul_add(unit.clamp(0.0, 1.0), 1.0);
    seconds((eta.as_secs_f64() * spread).ceil().clamp(least, most))
}

#[cfg(test)]
mod tests;
