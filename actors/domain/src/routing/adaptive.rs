//! The adaptive choice: a conversation stays where its prompt cache is, small requests fill small quotas, large ones find
//! the deep buckets free, and nobody is sent where there is no room.
//!
//! Two facts of Bedrock decide everything. A call holds `input + max_tokens` of a bucket until it ends, so the *depth* of
//! the buckets binds agents long before the rate does. And a conversation that moves pays its whole prefix again, which
//! may cost as much quota as twenty of its turns: under load that pushes the next one out. Keeping conversations at home
//! is worth more than any balancing.

use super::{
    Gate, rendezvous,
    view::{Decision, Demand, Home, MAX_TARGETS, RouteRequest, Spill, TargetSet, TargetView, seconds},
};
use crate::clock::Moment;

/// Longest that a request waits for the target that keeps its prefix, seconds: about what reading 60 K tokens anew takes.
const HOME_WAIT: f64 = 3.0;
/// ...and never longer than the quota takes to refill this share of the prefix: then moving is cheaper.
const HOME_WAIT_SHARE: f64 = 0.5;
/// A conversation leaves its warm home only for a target that is at most so full afterwards: elsewhere its prefix would
/// push others out.
const MOVE_FILL: f64 = 0.5;
/// As above at the end of its wait, when the alternative is to be refused: under overload no target is so empty, and the
/// collapse that the budget guards against cannot begin below.
const LAST_MOVE_FILL: f64 = 0.85;
/// New conversations go to targets that hold so many of them: one that fills its bucket cannot take a second turn.
const HOME_DEPTHS: f64 = 2.0;
/// A new conversation's first choice may be fuller than the mean by this factor (bounded loads)...
const BOUND: f64 = 1.25;
/// ...and below this fill there is no crowd to avoid.
const BOUND_FILL: f64 = 0.5;

/// Small requests go to the smallest bucket that is filled at most so far at low load...
const SMALL_FILL_MIN: f64 = 0.5;
/// ...and at most so far at high load.
const SMALL_FILL_MAX: f64 = 0.95;
/// Load of the deepest bucket from which on the limit rises, and how steeply: it is at its maximum at a load of one half.
const SMALL_FILL_FROM: f64 = 0.2;
const SMALL_FILL_SLOPE: f64 = 1.5;

/// What a target that is twice as slow, or twice as dear, may be emptier to be chosen all the same: 25 % of its depth.
/// A tie-breaker, never a reason to leave a warm home.
const TIE_WEIGHT: f64 = 0.25;
/// Slowness and price together never weigh more than this: the last free target is used however slow it is.
const TIE_MAX: f64 = 0.5;

/// What to do with a request now. Pure, no allocation, O(targets). `sticky` is where its conversation was last answered.
///
/// At its deadline (`now >= request.deadline`) a request no longer waits for its home: it goes wherever it fits, if it may
/// still spill ([`SpillBudget`](super::budget::SpillBudget)), else only where there is plenty of room.
#[must_use]
pub fn plan(request: &RouteRequest, targets: &[TargetView], sticky: Option<Home>, now: Moment) -> Decision {
    let candidates = candidates(request, targets);
    if candidates.is_empty() {
        return Decision::None { reopens: reopens(request, targets, now) };
    }
    let demand = &request.demand;
    let warm = warm_home(request, targets, candidates, sticky, now);
    let home = if request.prefix > 0.0 { warm.or_else(|| new_home(request, targets, candidates)) } else { None };
    if let Some((index, target)) = home
        && target.fits(demand)
    {
        return Decision::Send(index);
    }
    let fits = subset(targets, candidates, |target| target.fits(demand));
    let Some((index, target)) = warm else {
        return send_or_full(request, targets, candidates, fits);
    };
    let overdue = now >= request.deadline;
    let wait = Decision::Wait { index, until: now.after(seconds(target.eta(demand))) };
    if !overdue && waits_for_home(request, target, now) {
        return wait;
    }
    let may_spill = overdue && request.spill == Spill::Allowed;
    let at_most = if overdue { LAST_MOVE_FILL } else { MOVE_FILL };
    let worth = if may_spill { fits } else { subset(targets, fits, |target| target.fill(demand) <= at_most) };
    match choose(request, targets, worth) {
        Some(index) => Decision::Send(index),
        None if overdue || fits.is_empty() => full(demand, targets, candidates),
        None => wait,
    }
}

/// The targets that a request may use now, as far as health goes.
pub(super) fn candidates(request: &RouteRequest, targets: &[TargetView]) -> TargetSet {
    let mut set = TargetSet::EMPTY;
    for (index, target) in targets.iter().enumerate().take(MAX_TARGETS) {
        if request.allowed.contains(index) && !request.tried.contains(index) && target.open() {
            set.insert(index);
        }
    }
    set
}

/// When the first of the targets reopens that only their health keeps from this request.
pub(super) fn reopens(request: &RouteRequest, targets: &[TargetView], now: Moment) -> Option<Moment> {
    let allowed = targets
        .iter()
        .enumerate()
        .filter(|(index, target)| request.allowed.contains(*index) && !request.tried.contains(*index) && !target.drained);
    allowed
        .map(|(_, target)| match target.gate {
            Gate::Open { until } => until,
            // Somebody else's probe is out: its answer may come any moment.
            Gate::HalfOpen | Gate::Closed => now,
        })
        .min()
}

/// The members of a set, with their views.
pub(super) fn members(targets: &[TargetView], set: TargetSet) -> impl Iterator<Item = (usize, &TargetView)> {
    targets.iter().enumerate().filter(move |(index, _)| set.contains(*index))
}

/// The members of a set for which `wanted` holds.
pub(super) fn subset(targets: &[TargetView], set: TargetSet, wanted: impl Fn(&TargetView) -> bool) -> TargetSet {
    let mut result = TargetSet::EMPTY;
    for (index, target) in members(targets, set) {
        if wanted(target) {
            result.insert(index);
        }
    }
    result
}

/// The first time one of the candidates has room, or that none ever will.
pub(super) fn full(demand: &Demand, targets: &[TargetView], candidates: TargetSet) -> Decision {
    let eta = members(targets, candidates).map(|(_, target)| target.eta(demand)).fold(f64::INFINITY, f64::min);
    Decision::Full { eta: eta.is_finite().then(|| seconds(eta)) }
}

fn send_or_full(request: &RouteRequest, targets: &[TargetView], candidates: TargetSet, fits: TargetSet) -> Decision {
    choose(request, targets, fits).map_or_else(|| full(&request.demand, targets, candidates), Decision::Send)
}

/// The target that keeps the request's prefix, if it may be used and can hold the request at all.
pub(super) fn warm_home<'t>(
    request: &RouteRequest,
    targets: &'t [TargetView],
    candidates: TargetSet,
    sticky: Option<Home>,
    now: Moment,
) -> Option<(usize, &'t TargetView)> {
    let home = sticky.filter(|home| request.prefix > 0.0 && home.warm(now))?;
    members(targets, candidates).find(|(_, target)| target.id == home.target && target.holds(&request.demand))
}

/// Where a conversation begins: by weighted rendezvous, so that replicas agree, passing over targets that are crowded.
fn new_home<'t>(request: &RouteRequest, targets: &'t [TargetView], candidates: TargetSet) -> Option<(usize, &'t TargetView)> {
    let demand = &request.demand;
    let deep = subset(targets, candidates, |target| {
        target.holds(demand) && (!target.tokens().known || target.tokens().depth >= HOME_DEPTHS * demand.tokens())
    });
    let pool = if deep.is_empty() { subset(targets, candidates, |target| target.holds(demand)) } else { deep };
    let sum: f64 = members(targets, pool).map(|(_, target)| target.fill(demand)).sum();
    let limit = (BOUND * sum / f64::from(pool.len().max(1))).max(BOUND_FILL);
    let mut best: Option<(usize, &TargetView, f64)> = None;
    let mut best_uncrowded: Option<(usize, &TargetView, f64)> = None;
    for (index, target) in members(targets, pool) {
        let score = rendezvous::score(request.affinity, target.id, rendezvous::weight(target.tokens().rate));
        if best.is_none_or(|(_, _, highest)| score > highest) {
            best = Some((index, target, score));
        }
        if target.fill(demand) <= limit && best_uncrowded.is_none_or(|(_, _, highest)| score > highest) {
            best_uncrowded = Some((index, target, score));
        }
    }
    best_uncrowded.or(best).map(|(index, target, _)| (index, target))
}

/// Is the home soon free enough that waiting costs less than moving?
fn waits_for_home(request: &RouteRequest, home: &TargetView, now: Moment) -> bool {
    let left = request.deadline.since(now).as_secs_f64();
    let limit = HOME_WAIT.min(HOME_WAIT_SHARE * request.prefix / home.tokens().rate).min(left);
    home.eta(&request.demand) <= limit && now.since(request.arrived).as_secs_f64() < HOME_WAIT
}

/// The best of targets that all have room.
fn choose(request: &RouteRequest, targets: &[TargetView], fits: TargetSet) -> Option<usize> {
    let ties = Ties::of(targets, fits);
    if request.prefix <= 0.0 {
        let limit = small_fill(targets);
        let shallow = subset(targets, fits, |target| target.fill(&request.demand) <= limit);
        let deepest = members(targets, shallow).map(|(_, target)| target.tokens().depth).fold(f64::MIN_POSITIVE, f64::max);
        let smallest = least(targets, shallow, |target| target.tokens().depth / deepest + ties.penalty(target));
        if smallest.is_some() {
            return smallest;
        }
    }
    least(targets, fits, |target| target.fill(&request.demand) + ties.penalty(target))
}

/// How far small requests may fill the small buckets: further the more the deepest one is needed by others.
fn small_fill(targets: &[TargetView]) -> f64 {
    let nothing = Demand([0.0; super::view::RESOURCES]);
    let deepest = targets.iter().max_by(|a, b| a.tokens().depth.total_cmp(&b.tokens().depth));
    let load = deepest.map_or(0.0, |target| target.fill(&nothing));
    (SMALL_FILL_MIN + SMALL_FILL_SLOPE * (load - SMALL_FILL_FROM)).clamp(SMALL_FILL_MIN, SMALL_FILL_MAX)
}

/// The first member with the least cost.
fn least(targets: &[TargetView], set: TargetSet, cost: impl Fn(&TargetView) -> f64) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (index, target) in members(targets, set) {
        let cost = cost(target);
        if best.is_none_or(|(_, lowest)| cost < lowest) {
            best = Some((index, cost));
        }
    }
    best.map(|(index, _)| index)
}

/// The fastest and the cheapest of some targets, which the others are compared with.
struct Ties {
    first_byte: f64,
    price: f64,
}

impl Ties {
    fn of(targets: &[TargetView], set: TargetSet) -> Self {
        let mut ties = Self { first_byte: f64::INFINITY, price: f64::INFINITY };
        for (_, target) in members(targets, set) {
            ties.first_byte = ties.first_byte.min(target.first_byte.map_or(f64::INFINITY, |first_byte| first_byte.seconds));
            ties.price = ties.price.min(if target.price > 0.0 { target.price } else { f64::INFINITY });
        }
        ties
    }

    /// How much emptier a target must be for being slower and dearer. What is not known counts as the best.
    fn penalty(&self, target: &TargetView) -> f64 {
        let slower = target.first_byte.map_or(0.0, |first_byte| beyond(first_byte.seconds, self.first_byte));
        (TIE_WEIGHT * (slower + beyond(target.price, self.price))).min(TIE_MAX)
    }
}

/// By what share `value` exceeds the best.
fn beyond(value: f64, best: f64) -> f64 {
    if best.is_finite() && best > 0.0 { (value / best - 1.0).max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests;
