//! I19: liveness: after the last fault everything works again.

use super::{Verdict, room::Seen};
use crate::history::{History, Layer};

/// Judges the requests that were due when the bound after the last fault had passed.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let troubles = history.faults.iter().filter(|fault| fault.layer != Layer::Client && !fault.is_quota());
    let Some(last) = troubles.map(|fault| fault.until).max() else { return verdict };
    let from = last.plus(history.about.rules.liveness);
    let seen = Seen::of(history);
    for request in history.requests.iter().filter(|request| request.intended >= from && !request.self_inflicted()) {
        let at = request.ended.unwrap_or(request.deadline);
        // Where the true buckets are empty a throttle is no failure.
        let exhausted = request.throttled() && seen.wanted(request).is_some_and(|wanted| seen.room(request, at, wanted).is_none());
        verdict.expect(request.succeeded() || exhausted, at, Some(request.id), || {
            format!("{} after the last fault it ended as {}", request.intended.minus(last), request.end.as_str())
        });
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::kit::{answered, empty, fault, refused},
        history::{End, FaultSpan, Request},
    };

    #[test]
    fn failures_within_the_bound_are_forgiven_and_later_ones_are_not() {
        let mut history = empty();
        history.faults.push(FaultSpan { region: None, ..fault("region_down", 10, 40) });
        history.requests = vec![refused(1, 50, 503), answered(2, 71, 2)];
        let verdict = check(&history);
        assert_eq!((verdict.checked, verdict.found), (1, 0), "{verdict:?}");
        history.requests.push(Request { end: End::Silent, ..answered(3, 75, 3) });
        history.requests.push(refused(4, 76, 503));
        assert_eq!(check(&history).found, 2);
    }

    #[test]
    fn a_change_of_quota_is_no_fault_to_recover_from() {
        let mut history = empty();
        history.faults.push(fault("quota_scale", 10, 40));
        history.requests.push(refused(1, 80, 429));
        assert_eq!(check(&history).checked, 0);
    }
}
