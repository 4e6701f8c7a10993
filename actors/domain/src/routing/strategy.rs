//! One entry for every way to choose a target.

use serde::{Deserialize, Serialize};

use super::{
    Candidate, Plan, adaptive, lowest_latency, round_robin,
    view::{Decision, Home, MAX_TARGETS, RESOURCES, Resource, RouteRequest, TargetSet, TargetView},
};
use crate::{clock::Moment, routing::Gate};

/// How a request's target is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The configured order of regions; later ones only when earlier ones are closed or were tried. Looks at no quota.
    #[default]
    Ordered,
    /// The first target only: no failover. Looks at no quota.
    Disabled,
    /// Each request begins at the next target.
    RoundRobin,
    /// The target whose first byte usually comes soonest.
    LowestLatency,
    /// By learned quotas and conversations ([`adaptive`]).
    Adaptive,
}

impl Strategy {
    /// Does it send nobody where there is no room?
    #[must_use]
    pub fn minds_quotas(self) -> bool {
        match self {
            Self::Ordered | Self::Disabled => false,
            Self::RoundRobin | Self::LowestLatency | Self::Adaptive => true,
        }
    }
}

impl From<super::Strategy> for Strategy {
    fn from(strategy: super::Strategy) -> Self {
        match strategy {
            super::Strategy::Ordered => Self::Ordered,
            super::Strategy::Disabled => Self::Disabled,
        }
    }
}

/// What to do with a request now. Pure, no allocation, O(targets).
#[must_use]
pub fn plan(strategy: Strategy, request: &RouteRequest, targets: &[TargetView], sticky: Option<Home>, now: Moment) -> Decision {
    match strategy {
        Strategy::Ordered => in_order(super::Strategy::Ordered, request, targets, now),
        Strategy::Disabled => in_order(super::Strategy::Disabled, request, targets, now),
        Strategy::RoundRobin => round_robin::plan(request, targets, now),
        Strategy::LowestLatency => lowest_latency::plan(request, targets, now),
        Strategy::Adaptive => adaptive::plan(request, targets, sticky, now),
    }
}

/// The targets at whose limits the demand stood when `decision` was taken, by resource in the order of [`Resource::ALL`].
///
/// Their owners are told ([`TargetQuota::limited`](super::quota::TargetQuota::limited)): only then may a rate creep up,
/// since a limit that nobody reaches says nothing.
#[must_use]
pub fn limited(decision: &Decision, request: &RouteRequest, targets: &[TargetView]) -> [TargetSet; RESOURCES] {
    let mut sets = [TargetSet::EMPTY; RESOURCES];
    let of = match decision {
        Decision::Wait { index, .. } => TargetSet::only(*index),
        Decision::Full { .. } => adaptive::candidates(request, targets),
        Decision::Send(_) | Decision::None { .. } => return sets,
    };
    for (index, target) in adaptive::members(targets, of) {
        let binding = target.binding(&request.demand);
        for (set, _) in sets.iter_mut().zip(Resource::ALL).filter(|(_, resource)| *resource == binding) {
            set.insert(index);
        }
    }
    sets
}

/// The planner that knows order and health alone.
fn in_order(strategy: super::Strategy, request: &RouteRequest, targets: &[TargetView], now: Moment) -> Decision {
    let unusable = Candidate { gate: Gate::Closed, probing: false, tried: true };
    let mut candidates = [unusable; MAX_TARGETS];
    for (index, (candidate, target)) in candidates.iter_mut().zip(targets).enumerate() {
        let usable = request.allowed.contains(index) && !target.drained;
        *candidate = Candidate { gate: target.gate, probing: target.probing, tried: !usable || request.tried.contains(index) };
    }
    let considered = candidates.get(..targets.len().min(MAX_TARGETS)).unwrap_or_default();
    match super::plan(strategy, considered, now) {
        Plan::Call(index) => Decision::Send(index),
        Plan::WaitUntil(until) => Decision::None { reopens: Some(until) },
        Plan::Exhausted => Decision::None { reopens: None },
    }
}

#[cfg(test)]
mod tests;
