//! The order in which a request tries its targets.

use serde::{Deserialize, Serialize};

use super::Gate;
use crate::clock::Moment;

/// How targets are ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The configured order of regions; later ones only when earlier ones are closed to traffic or fail.
    #[default]
    Ordered,
    /// The first target only: no failover.
    Disabled,
}

/// One target as the planner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its breaker.
    pub gate: Gate,
    /// A half-open probe is under way.
    pub probing: bool,
    /// This request tried it already.
    pub tried: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Call this target (an index into the candidates).
    Call(usize),
    /// Every untried target is closed to traffic; the first of them half-opens then.
    WaitUntil(Moment),
    /// Every target was tried, or there is none.
    Exhausted,
}

/// Chooses the next target of a request. Pure, no allocation, O(targets).
///
/// A healthy target goes before a half-open one, whose single probe is only spent when no healthy target is left
/// before it in the order: with `Ordered`, the preferred region is probed by the first request after its backoff,
/// so traffic returns to it.
#[must_use]
pub fn plan(strategy: Strategy, candidates: &[Candidate], now: Moment) -> Plan {
    let considered = match strategy {
        Strategy::Ordered => candidates,
        Strategy::Disabled => candidates.get(..candidates.len().min(1)).unwrap_or_default(),
    };
    let mut earliest: Option<Moment> = None;
    for (position, candidate) in considered.iter().enumerate() {
        if candidate.tried {
            continue;
        }
        match candidate.gate {
            Gate::Closed => return Plan::Call(position),
            Gate::HalfOpen if !candidate.probing => return Plan::Call(position),
            // Somebody else's probe is out: its answer may come any moment.
            Gate::HalfOpen => earliest = Some(earliest.map_or(now, |known| known.min(now))),
            Gate::Open { until } => earliest = Some(earliest.map_or(until, |known| known.min(until))),
        }
    }
    earliest.map_or(Plan::Exhausted, Plan::WaitUntil)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Moment = Moment(Duration::from_secs(100));
    const HEALTHY: Candidate = Candidate { gate: Gate::Closed, probing: false, tried: false };

    fn open(seconds: u64) -> Candidate {
        Candidate { gate: Gate::Open { until: Moment(Duration::from_secs(seconds)) }, ..HEALTHY }
    }

    #[test]
    fn ordered_takes_the_first_healthy_target() {
        assert_eq!(plan(Strategy::Ordered, &[HEALTHY, HEALTHY], NOW), Plan::Call(0));
        assert_eq!(plan(Strategy::Ordered, &[open(130), HEALTHY], NOW), Plan::Call(1));
        assert_eq!(plan(Strategy::Ordered, &[Candidate { tried: true, ..HEALTHY }, HEALTHY], NOW), Plan::Call(1));
    }

    #[test]
    fn a_half_open_target_gets_one_probe() {
        let half_open = Candidate { gate: Gate::HalfOpen, ..HEALTHY };
        assert_eq!(plan(Strategy::Ordered, &[half_open, HEALTHY], NOW), Plan::Call(0));
        assert_eq!(plan(Strategy::Ordered, &[Candidate { probing: true, ..half_open }, HEALTHY], NOW), Plan::Call(1));
    }

    #[test]
    fn when_all_are_closed_the_earliest_reopening_is_told() {
        let until = Moment(Duration::from_secs(110));
        assert_eq!(plan(Strategy::Ordered, &[open(130), open(110)], NOW), Plan::WaitUntil(until));
    }

    #[test]
    fn a_target_is_tried_once() {
        let tried = Candidate { tried: true, ..HEALTHY };
        assert_eq!(plan(Strategy::Ordered, &[tried, tried], NOW), Plan::Exhausted);
        assert_eq!(plan(Strategy::Ordered, &[], NOW), Plan::Exhausted);
    }

    #[test]
    fn disabled_never_leaves_the_first_target() {
        assert_eq!(plan(Strategy::Disabled, &[Candidate { tried: true, ..HEALTHY }, HEALTHY], NOW), Plan::Exhausted);
        assert_eq!(plan(Strategy::Disabled, &[], NOW), Plan::Exhausted);
    }
}
