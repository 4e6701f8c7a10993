//! In order: the first target that may be called, by health alone. Looks at no quota.

use super::{
    Gate,
    view::{Decision, MAX_TARGETS, RouteRequest, TargetSet, TargetView},
};
use crate::clock::Moment;

/// The first usable target among those in `considered`. Pure, no allocation, O(targets).
///
/// A half-open target is taken at its place in the order, by one request at a time: the preferred region is probed by the
/// first request after its backoff, so that traffic returns to it.
#[must_use]
pub fn plan(considered: TargetSet, request: &RouteRequest, targets: &[TargetView], now: Moment) -> Decision {
    let mut reopens: Option<Moment> = None;
    for (index, target) in targets.iter().enumerate().take(MAX_TARGETS) {
        if !considered.contains(index) || request.tried.contains(index) || target.drained {
            continue;
        }
        let opens = match target.gate {
            Gate::Closed => return Decision::Send(index),
            Gate::HalfOpen if !target.probing => return Decision::Send(index),
            // Somebody else's probe is out: its answer may come any moment.
            Gate::HalfOpen => now,
            Gate::Open { until } => until,
        };
        reopens = Some(reopens.map_or(opens, |known| known.min(opens)));
    }
    Decision::None { reopens }
}
