//! I20: the run was not vacuous.

use std::collections::BTreeSet;

use super::{Verdict, labels};
use crate::history::{Buckets, Change, History, Micros};

/// Compares what was reached with what the scenario needs.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let (wanted, end) = (&history.about.rules.at_least, history.end());
    let calls = u64::try_from(history.calls.len()).unwrap_or(u64::MAX);
    if wanted.upstream_calls > 0 {
        verdict
            .expect(calls >= wanted.upstream_calls, end, None, || format!("{calls} upstream calls, {} are needed", wanted.upstream_calls));
    }
    if wanted.regions_used > 0 {
        let used: BTreeSet<&str> = history.calls.iter().filter(|call| call.answered()).map(|call| call.region.as_str()).collect();
        let enough = u64::try_from(used.len()).unwrap_or(u64::MAX) >= wanted.regions_used;
        verdict.expect(enough, end, None, || format!("{} regions answered, {} are needed", used.len(), wanted.regions_used));
    }
    if wanted.quota_pressure > 0.0 {
        let pressure = pressure(history);
        verdict.expect(pressure >= wanted.quota_pressure, end, None, || {
            format!("the fullest minute used {:.0} % of the quota, {:.0} % are needed", pressure * 100.0, wanted.quota_pressure * 100.0)
        });
    }
    for fault in &history.faults {
        // A fault that need not strike would show nothing: once at least, whatever the scenario says.
        let least = if fault.at_least > 0 { fault.at_least } else { wanted.each_fault_hit.max(1) };
        if !fault.is_quota() {
            verdict.expect(fault.hits >= least, end, None, || {
                format!("fault {} ({}) struck {} times, {least} are needed", fault.index, fault.label, fault.hits)
            });
        }
    }
    let seen = labels(history);
    for label in &wanted.labels {
        let count = seen.get(label.as_str()).copied().unwrap_or(0);
        verdict.expect(count > 0, end, None, || format!("the situation `{label}` never occurred"));
    }
    verdict
}

/// Requests or tokens that the buckets granted in their fullest minute, as a share of what they grant a minute.
pub(crate) fn pressure(history: &History) -> f64 {
    used(history, Micros::ZERO, Micros(u64::MAX)).unwrap_or(0.0)
}

/// The same within a stretch; `None` where nothing is limited.
pub(crate) fn used(history: &History, from: Micros, until: Micros) -> Option<f64> {
    let minute = Micros::seconds(60);
    let buckets = Buckets::of(history);
    let mut best: Option<f64> = None;
    for model in &history.about.models {
        let events: Vec<_> = history.buckets.iter().filter(|event| event.key.model == model.id).collect();
        let (mut first, mut requests, mut tokens) = (0, 0.0, 0.0);
        for event in &events {
            let (more_requests, more_tokens) = granted(&event.change);
            (requests, tokens) = (requests + more_requests, tokens + more_tokens);
            while let Some(old) = events.get(first).filter(|old| old.at.plus(minute) < event.at) {
                let (less_requests, less_tokens) = granted(&old.change);
                (requests, tokens) = (requests - less_requests, tokens - less_tokens);
                first += 1;
            }
            if event.at >= from && event.at <= until {
                let (rpm, tpm) = buckets.per_minute(&model.id, event.at);
                best = Some(best.unwrap_or(0.0).max(share(requests, rpm)).max(share(tokens, tpm)));
            }
        }
    }
    best
}

/// Requests and tokens that a change took from its bucket.
fn granted(change: &Change) -> (f64, f64) {
    match change {
        Change::Admitted { tokens } => (1.0, float(*tokens)),
        Change::Settled { reserved, cost } => (0.0, float(*cost) - float(*reserved)),
        Change::Limits { .. } | Change::Unlimited | Change::Refused { .. } => (0.0, 0.0),
    }
}

fn share(used: f64, limit: Option<f64>) -> f64 {
    limit.filter(|limit| *limit > 0.0).map_or(0.0, |limit| used / limit)
}

/// Tokens lie far below 2^52.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::kit::{EAST, answered, call, empty, fault, limited, seconds},
        history::BucketEvent,
    };

    fn history() -> History {
        let mut history = empty();
        let request = answered(1, 0, 1);
        history.calls.push(call(1, &request));
        history.requests.push(request);
        history.faults.push(fault("reset", 0, 10));
        history
    }

    #[test]
    fn what_was_reached_is_good() {
        let mut history = history();
        let wanted = &mut history.about.rules.at_least;
        (wanted.upstream_calls, wanted.regions_used, wanted.each_fault_hit) = (1, 1, 20);
        let verdict = check(&history);
        assert_eq!((verdict.checked, verdict.found), (3, 0), "{verdict:?}");
    }

    #[test]
    fn everything_that_was_not_reached_is_told() {
        let mut history = history();
        let wanted = &mut history.about.rules.at_least;
        (wanted.upstream_calls, wanted.regions_used, wanted.each_fault_hit, wanted.quota_pressure) = (2, 2, 101, 0.5);
        wanted.labels = vec!["conversation_moved".to_owned()];
        assert_eq!(check(&history).found, 5);
    }

    #[test]
    fn a_fault_of_which_nothing_is_asked_must_strike_once() {
        let mut history = history();
        assert_eq!((check(&history).checked, check(&history).found), (1, 0));
        history.faults[0].hits = 0;
        assert_eq!(check(&history).found, 1);
        history.faults[0].kind = "quota_scale".to_owned();
        assert_eq!(check(&history).checked, 0, "a changed quota strikes nobody by itself");
    }

    #[test]
    fn pressure_is_the_fullest_minute() {
        let mut history = history();
        limited(&mut history, EAST, 5, 100);
        for (at, tokens) in [(6, 20_000), (20, 34_000), (90, 10_000)] {
            let change = Change::Admitted { tokens };
            let key = crate::check::kit::bucket(EAST);
            history.buckets.push(BucketEvent { at: seconds(at), key, call: None, change, requests: Some(50), tokens: Some(100) });
        }
        assert!((pressure(&history) - 0.9).abs() < 1e-9, "{}", pressure(&history));
    }
}
