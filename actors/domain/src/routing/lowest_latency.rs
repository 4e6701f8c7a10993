//! Lowest latency: the target whose first byte usually comes soonest. Known quotas are respected, conversations are not.

use std::time::Duration;

use super::{
    adaptive::{candidates, full, members, reopens, subset},
    view::{Decision, RouteRequest, TargetView},
};
use crate::clock::Moment;

/// A measurement older than this may be wrong by now: regions change their minds within a minute.
const STALE: Duration = Duration::from_secs(30);
/// Share of requests that measure a stale target again: enough to notice a recovery soon, few enough not to feel it.
const REMEASURED: f64 = 0.05;

/// The fastest usable target with room. One that was never measured comes first; one request in twenty (by its draw) goes
/// to the target measured longest ago, if that is stale. Pure, no allocation, O(targets).
#[must_use]
pub fn plan(request: &RouteRequest, targets: &[TargetView], now: Moment) -> Decision {
    let candidates = candidates(request, targets);
    if candidates.is_empty() {
        return Decision::None { reopens: reopens(request, targets, now) };
    }
    let fits = subset(targets, candidates, |target| target.fits(&request.demand));
    let stalest = || {
        let measured = members(targets, fits).filter_map(|(index, target)| Some((index, target.first_byte?.measured)));
        let (index, measured) = measured.min_by_key(|(_, measured)| *measured)?;
        (now.since(measured) > STALE).then_some(index)
    };
    let fastest = || {
        let timed = members(targets, fits).map(|(index, target)| (index, target.first_byte.map_or(0.0, |first_byte| first_byte.seconds)));
        timed.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(index, _)| index)
    };
    let chosen = if request.draw < REMEASURED { stalest().or_else(fastest) } else { fastest() };
    chosen.map_or_else(|| full(&request.demand, targets, candidates), Decision::Send)
}
