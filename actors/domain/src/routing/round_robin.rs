//! Round robin: each request begins at the next target. Known quotas are respected, conversations are not.

use super::{
    adaptive::{candidates, full, members, reopens, subset},
    view::{Decision, RouteRequest, TargetView},
};
use crate::clock::Moment;

/// The first usable target with room, counted from the request's turn. Pure, no allocation, O(targets).
#[must_use]
pub fn plan(request: &RouteRequest, targets: &[TargetView], now: Moment) -> Decision {
    let candidates = candidates(request, targets);
    if candidates.is_empty() {
        return Decision::None { reopens: reopens(request, targets, now) };
    }
    let fits = subset(targets, candidates, |target| target.fits(&request.demand));
    let count = u64::try_from(targets.len()).unwrap_or(1).max(1);
    let start = usize::try_from(request.turn % count).unwrap_or(0);
    let from_start = members(targets, fits).find(|(index, _)| *index >= start);
    match from_start.or_else(|| members(targets, fits).next()) {
        Some((index, _)) => Decision::Send(index),
        None => full(&request.demand, targets, candidates),
    }
}
