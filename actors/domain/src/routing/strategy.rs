//! One entry for every way to choose a target.

use serde::{Deserialize, Serialize};

use super::{
    adaptive, lowest_latency, ordered, round_robin,
    view::{Decision, Home, RESOURCES, Resource, RouteRequest, TargetSet, TargetView},
};
use crate::clock::Moment;

/// How a request's target is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The configured order of regions; later ones only when earlier ones are closed or were tried. Looks at no quota.
    #[default]
    Ordered,
    /// The first allowed target only: no failover. Looks at no quota.
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

/// What to do with a request now. Pure, no allocation, O(targets).
#[must_use]
pub fn plan(strategy: Strategy, request: &RouteRequest, targets: &[TargetView], sticky: Option<Home>, now: Moment) -> Decision {
    match strategy {
        Strategy::Ordered => ordered::plan(request.allowed, request, targets, now),
        Strategy::Disabled => ordered::plan(request.allowed.first(), request, targets, now),
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
        // A bucket that can never hold it is not what it waits for, and no larger rate would help.
        Decision::Full { .. } => adaptive::subset(targets, adaptive::candidates(request, targets), |target| target.holds(&request.demand)),
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

/// Does a request that is sent to the target at `index` leave its warm home by choice: a home that it may use, that is open
/// and untried, and deep enough, but has no room now? Such moves, and no others, are booked on the
/// [`SpillBudget`](super::budget::SpillBudget). `targets` and `sticky` as they were planned with.
#[must_use]
pub fn spilled(request: &RouteRequest, targets: &[TargetView], sticky: Option<Home>, index: usize, now: Moment) -> bool {
    let home = adaptive::warm_home(request, targets, adaptive::candidates(request, targets), sticky, now);
    home.is_some_and(|(home, _)| home != index)
}

#[cfg(test)]
mod tests;
