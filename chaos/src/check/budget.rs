//! I7: attempts stay in budget.

use super::Verdict;
use crate::history::{History, Joined, Micros};

const MINUTE: Micros = Micros::seconds(60);

/// Counts upstream calls and requests in every minute that begins with a request.
pub(super) fn check(history: &History) -> Verdict {
    let joined = Joined::of(history);
    let budget = history.about.rules.budget;
    let mut sent: Vec<(Micros, u64, u32)> = history
        .requests
        .iter()
        .filter_map(|request| Some((request.sent?, request.id, u32::try_from(joined.calls_of(request).len()).unwrap_or(u32::MAX))))
        .collect();
    sent.sort_unstable();
    let mut verdict = Verdict::default();
    let (mut last, mut calls) = (0, 0_u64);
    let mut told = None;
    for (first, (from, id, own)) in sent.iter().enumerate() {
        while let Some((at, _, more)) = sent.get(last).filter(|(at, _, _)| *at <= from.plus(MINUTE)) {
            debug_assert!(at >= from || last <= first);
            calls += u64::from(*more);
            last += 1;
        }
        verdict.look();
        let requests = u32::try_from(last - first).unwrap_or(u32::MAX);
        let allowed = f64::from(requests) * budget.per_request + 60.0 * budget.per_second + budget.burst;
        // Neighbouring minutes share their calls: each excess is told once.
        if float(calls) > allowed && told.is_none_or(|until| *from > until) {
            told = Some(from.plus(MINUTE));
            let words = format!("{calls} upstream calls for {requests} requests in the minute from {from}; {allowed:.0} are allowed");
            verdict.fail(*from, Some(*id), None, words);
        }
        calls -= u64::from(*own);
    }
    verdict
}

/// Counts lie far below 2^52.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::kit::{answered, empty, rejected};

    /// 100 requests in ten seconds with so many calls each.
    fn history(calls: u64) -> History {
        let mut history = empty();
        for id in 0..100 {
            let request = answered(id, id / 10, 0);
            for number in 0..calls {
                history.calls.push(rejected(id * 10 + number, &request, 503, "no"));
            }
            history.requests.push(request);
        }
        history
    }

    #[test]
    fn one_call_each_is_in_budget_and_three_are_not() {
        let verdict = check(&history(1));
        assert_eq!((verdict.checked, verdict.found), (100, 0));
        // 300 calls; 110 + 60 + 20 are allowed.
        let verdict = check(&history(3));
        assert_eq!(verdict.found, 1, "told once: {verdict:?}");
    }

    #[test]
    fn a_storm_in_one_minute_is_not_hidden_by_quiet_ones() {
        let mut history = history(3);
        for id in 1_000..1_500 {
            let request = answered(id, 200 + id, 0);
            history.calls.push(rejected(id * 10, &request, 503, "no"));
            history.requests.push(request);
        }
        assert_eq!(check(&history).found, 1);
    }
}
