//! I11: back to rest.

use super::Verdict;
use crate::history::{History, HostFact, Role, Sample, SampleKind};

/// Compares the system after the run with its warm state, and spends what keys have left.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let of = |kind: SampleKind| history.samples.iter().rev().find(|sample| sample.kind == kind);
    if let Some(rest) = of(SampleKind::Rest) {
        upstream(history, rest, &mut verdict);
        // A process that was started anew has no warm state to return to. What ends it after the sample changes nothing.
        let renewed = history.host.iter().any(|event| event.at <= rest.at && matches!(event.fact, HostFact::Killed | HostFact::Terminated));
        if let Some(warm) = of(SampleKind::Warm).filter(|_| !renewed) {
            process(history, warm, rest, &mut verdict);
        }
    }
    for request in history.requests.iter().filter(|request| request.role == Role::Spend) {
        verdict.expect(request.succeeded(), request.intended, Some(request.id), || {
            format!("key `{}` could not spend what it has left: {}", request.key, request.end.as_str())
        });
    }
    verdict
}

fn upstream(history: &History, rest: &Sample, verdict: &mut Verdict) {
    verdict.expect(rest.in_flight == 0, rest.at, None, || format!("{} upstream calls are still running", rest.in_flight));
    let pool = history.about.rules.pool;
    verdict.expect(rest.connections <= pool, rest.at, None, || {
        format!("{} upstream connections are open, the pool has {pool}", rest.connections)
    });
}

fn process(history: &History, warm: &Sample, rest: &Sample, verdict: &mut Verdict) {
    let rules = &history.about.rules;
    // What is sampled is of all replicas together; what is always allowed is of each.
    let processes = history.host.iter().map(|event| event.replica).max().map_or(1, |last| u64::from(last) + 1);
    // Connections upstream have a level of their own, that of the pool: it may be fuller now than it was when the load began.
    let others = |sample: &Sample| Some(sample.fds?.saturating_sub(sample.connections));
    if let (Some(before), Some(after)) = (others(warm), others(rest)) {
        verdict.expect(after <= before + rules.fd_slack * processes, rest.at, None, || {
            format!("{after} descriptors are open beside those of connections upstream, {before} were when it was warm")
        });
    }
    if let (Some(before), Some(after)) = (warm.rss_kib, rest.rss_kib) {
        let allowed = before + (before * rules.rss_percent / 100).max(rules.rss_slack_kib * processes);
        verdict.expect(after <= allowed, rest.at, None, || {
            format!("{after} KiB are resident, {before} were when it was warm, {allowed} are allowed")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::kit::{answered, empty, host, refused, seconds},
        history::{HostEvent, Request},
    };

    fn history(change: impl FnOnce(&mut Sample)) -> History {
        let mut history = empty();
        let warm =
            Sample { at: seconds(60), kind: SampleKind::Warm, rss_kib: Some(100_000), fds: Some(50), in_flight: 20, ..Sample::default() };
        let mut rest = Sample { at: seconds(300), kind: SampleKind::Rest, in_flight: 0, connections: 4, ..warm.clone() };
        change(&mut rest);
        history.samples = vec![warm, rest];
        history
    }

    #[test]
    fn a_process_at_its_warm_level_is_at_rest() {
        let verdict = check(&history(|rest| rest.rss_kib = Some(130_000)));
        assert_eq!((verdict.checked, verdict.found), (4, 0), "{verdict:?}");
    }

    #[test]
    fn everything_that_is_left_over_is_a_violation() {
        assert_eq!(check(&history(|rest| rest.in_flight = 1)).found, 1);
        assert_eq!(check(&history(|rest| rest.connections = 600)).found, 1);
        assert_eq!(check(&history(|rest| rest.fds = Some(200))).found, 1);
        assert_eq!(check(&history(|rest| rest.rss_kib = Some(133_000))).found, 1, "32 MiB and more");
    }

    #[test]
    fn connections_upstream_are_no_other_descriptors_and_each_process_has_its_slack() {
        let fuller = |fds| check(&history(|rest| (rest.fds, rest.connections) = (Some(fds), 100))).found;
        assert_eq!((fuller(182), fuller(183)), (0, 1), "32 more than the 50 and the pool's 100");
        let mut four = history(|rest| (rest.fds, rest.rss_kib) = (Some(4 + 50 + 4 * 32), Some(100_000 + 4 * 32 * 1024)));
        assert_eq!(check(&four).found, 2, "for one process it is too much");
        four.host.extend((0..4).map(|replica| HostEvent { replica, ..host(0, HostFact::Started) }));
        assert_eq!(check(&four).found, 0);
        four.samples[1].rss_kib = Some(100_001 + 4 * 32 * 1024);
        assert_eq!(check(&four).found, 1);
    }

    #[test]
    fn a_renewed_process_has_no_warm_level() {
        let mut history = history(|rest| rest.rss_kib = Some(500_000));
        history.host.push(host(100, HostFact::Killed));
        let verdict = check(&history);
        assert_eq!((verdict.checked, verdict.found), (2, 0), "{verdict:?}");
    }

    #[test]
    fn a_process_that_ends_after_its_sample_is_judged_by_it() {
        for end in [HostFact::Terminated, HostFact::Stopped] {
            let mut history = history(|rest| (rest.rss_kib, rest.fds) = (Some(500_000), Some(400)));
            history.host.extend([host(301, end.clone()), host(302, HostFact::Exited { code: Some(0) })]);
            let verdict = check(&history);
            assert_eq!((verdict.checked, verdict.found), (4, 2), "{end:?}: {verdict:?}");
        }
    }

    #[test]
    fn a_key_must_be_able_to_spend_what_it_has_left() {
        let mut history = history(|_| {});
        history.requests.push(Request { role: Role::Spend, ..answered(1, 299, 1) });
        assert_eq!(check(&history).found, 0);
        history.requests.push(Request { role: Role::Spend, ..refused(2, 299, 429) });
        assert_eq!(check(&history).found, 1);
    }
}
