//! I9: fences and benches: where no call may go, and where only single probes may.

use std::collections::BTreeMap;

use super::Verdict;
use crate::history::{Admission, Call, FaultSpan, History, Joined, Micros, Request};

/// Probes that a region without access may see while it is benched.
const ACCESS_PROBES: usize = 2;
/// Calls that were on their way when access was lost.
const ON_THE_WAY: Micros = Micros::seconds(1);
/// Probes come from several models and may fall together by chance: so many too close ones are let pass per fault.
const NEAR_MISSES: usize = 1;

/// Judges fences, lost access and dead regions.
pub(super) fn check(history: &History) -> Verdict {
    let joined = Joined::of(history);
    let mut verdict = Verdict::default();
    fenced(history, &joined, &mut verdict);
    for fault in &history.faults {
        match fault.kind.as_str() {
            "access_lost" | "model_gone" => benched(history, &joined, fault, &mut verdict),
            "region_down" | "error" if fault.share >= 1.0 => probed(history, &joined, fault, &mut verdict),
            _ => {}
        }
    }
    verdict
}

fn fenced(history: &History, joined: &Joined<'_>, verdict: &mut Verdict) {
    for call in &history.calls {
        let Some(request) = joined.owner(call).filter(|request| !request.fence.is_empty()) else { continue };
        let inside = request.fence.contains(&call.region);
        verdict.expect(inside, call.arrived, Some(request.id), || {
            format!("call {} went to {}, outside {}", call.number, call.region, request.fence.join(", "))
        });
    }
}

/// After a refusal for lost access nothing but probes may come for the promised time.
fn benched(history: &History, joined: &Joined<'_>, fault: &FaultSpan, verdict: &mut Verdict) {
    for (place, calls) in by_place(history, joined, fault) {
        let refused = |call: &&&Call| matches!(call.admission, Admission::Refused { status: 403 | 404, .. });
        let Some(first) = calls.iter().filter(refused).map(|call| call.arrived).min() else { continue };
        let until = first.plus(history.about.rules.access_bench).min(fault.until);
        let later: Vec<_> = calls.iter().filter(|call| call.arrived > first.plus(ON_THE_WAY) && call.arrived < until).collect();
        verdict.expect(later.len() <= ACCESS_PROBES, first, None, || {
            format!("{place} lost access at {first} and saw {} more calls until {until}", later.len())
        });
    }
}

/// A region that is down sees one probe per half-open interval and model.
fn probed(history: &History, joined: &Joined<'_>, fault: &FaultSpan, verdict: &mut Verdict) {
    let rules = &history.about.rules;
    let noticed = fault.from.plus(rules.dead_after);
    for (place, calls) in by_place(history, joined, fault) {
        let times: Vec<Micros> = calls.iter().map(|call| call.arrived).filter(|at| *at > noticed && *at < fault.until).collect();
        let close = times.windows(2).filter(|pair| matches!(pair, [one, next] if next.minus(*one) < rules.probe_gap)).count();
        verdict.expect(close <= NEAR_MISSES, noticed, None, || {
            format!(
                "{place} was down since {} and saw {} calls, {close} of them within {} of the one before",
                fault.from,
                times.len(),
                rules.probe_gap
            )
        });
    }
}

/// The calls a fault concerns, by place, in order; those of requests that may go nowhere else are left out.
fn by_place<'h>(history: &'h History, joined: &Joined<'h>, fault: &FaultSpan) -> BTreeMap<String, Vec<&'h Call>> {
    let pinned = |request: &Request| request.fence.len() == 1;
    let mut places: BTreeMap<String, Vec<&Call>> = BTreeMap::new();
    for call in history.calls.iter().filter(|call| fault.touches(&call.region) && !joined.owner(call).is_some_and(pinned)) {
        if call.arrived >= fault.from && call.arrived <= fault.until {
            places.entry(format!("{} in {}", call.model, call.region)).or_default().push(call);
        }
    }
    places.values_mut().for_each(|calls| calls.sort_by_key(|call| call.arrived));
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::kit::{EAST, WEST, answered, call, empty, fault, rejected};

    #[test]
    fn a_call_outside_the_fence_is_a_violation() {
        let mut history = empty();
        let request = Request { fence: vec![EAST.to_owned()], ..answered(1, 0, 1) };
        history.calls.push(call(1, &request));
        history.requests.push(request.clone());
        assert_eq!((check(&history).checked, check(&history).found), (1, 0));
        history.calls.push(Call { region: WEST.to_owned(), ..call(2, &request) });
        assert_eq!(check(&history).found, 1);
    }

    fn calls_at(kind: &str, status: u16, seconds: &[u64]) -> History {
        let mut history = empty();
        history.faults.push(fault(kind, 10, 40));
        for (id, at) in (0..).zip(seconds) {
            let request = answered(id, *at, 0);
            history.calls.push(rejected(id + 1, &request, status, "no"));
            history.requests.push(request);
        }
        history
    }

    #[test]
    fn a_region_without_access_is_left_alone() {
        assert_eq!(check(&calls_at("access_lost", 403, &[11, 11, 12, 30])).found, 0, "one probe");
        assert_eq!(check(&calls_at("access_lost", 403, &[11, 13, 20, 25, 30])).found, 1);
        assert_eq!(check(&calls_at("access_lost", 403, &[11, 45, 46, 47, 48])).found, 0, "it was back");
    }

    #[test]
    fn a_dead_region_sees_single_probes() {
        assert_eq!(check(&calls_at("region_down", 503, &[11, 11, 12, 16, 18, 22, 30])).found, 0);
        assert_eq!(check(&calls_at("region_down", 503, &[11, 16, 16, 16, 17, 17, 17])).found, 1);
    }

    #[test]
    fn a_fault_of_a_share_kills_no_region() {
        let mut history = calls_at("error", 503, &[20, 20, 20, 20]);
        history.faults[0].share = 0.5;
        assert_eq!(check(&history).checked, 0);
    }
}
