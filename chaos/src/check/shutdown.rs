//! I15: a graceful stop.

use super::Verdict;
use crate::history::{End, History, HostEvent, HostFact, Micros};

/// The harness polls: what it sees of a process may be so late.
const POLL: Micros = Micros::millis(250);

/// Judges each SIGTERM. That at the end of a run shows nothing of a stop under load and counts as no case; yet it must be clean.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    for event in history.host.iter().filter(|event| event.fact == HostFact::Stopped) {
        if let Err(words) = clean(history, event.replica, event.at) {
            verdict.fail(event.at, None, None, words);
        }
    }
    for event in history.host.iter().filter(|event| event.fact == HostFact::Terminated) {
        let (at, replica) = (event.at, event.replica);
        let after = |wanted: fn(&HostFact) -> bool| {
            history.host.iter().find(|other| other.replica == replica && other.at >= at && wanted(&other.fact))
        };
        let exit = exit(history, replica, at);
        let clean = clean(history, replica, at);
        verdict.expect(clean.is_ok(), at, None, || clean.err().unwrap_or_default());
        let unready = after(|fact| *fact == HostFact::Unready).map(|event| event.at);
        let deaf = after(|fact| *fact == HostFact::AcceptStopped).map(|event| event.at);
        // A process that is gone at once has no time to be seen unready.
        let gone_at_once = exit.is_some_and(|exit| exit.at <= at.plus(POLL));
        if let Some(deaf) = deaf.filter(|_| !gone_at_once) {
            let in_order = unready.is_some_and(|unready| unready <= deaf.plus(POLL));
            verdict.expect(in_order, deaf, None, || {
                format!("replica {replica} took no connection from {deaf} on, not ready since {unready:?}")
            });
        }
        running(history, at, exit.map(|exit| exit.at), &mut verdict);
    }
    verdict
}

/// How a replica ended after a signal.
fn exit(history: &History, replica: u32, at: Micros) -> Option<&HostEvent> {
    history.host.iter().find(|event| event.replica == replica && event.at >= at && matches!(event.fact, HostFact::Exited { .. }))
}

fn clean(history: &History, replica: u32, at: Micros) -> Result<(), String> {
    let exit = exit(history, replica, at);
    let latest = at.plus(history.about.rules.shutdown_grace).plus(Micros::seconds(1));
    let clean = exit.is_some_and(|exit| exit.fact == HostFact::Exited { code: Some(0) } && exit.at <= latest);
    if clean {
        Ok(())
    } else {
        Err(format!("replica {replica} got SIGTERM at {at}; its end: {:?}", exit.map(|exit| (&exit.fact, exit.at))))
    }
}

/// What ran at the signal must finish.
fn running(history: &History, at: Micros, exit: Option<Micros>, verdict: &mut Verdict) {
    for request in &history.requests {
        let ran = request.sent.is_some_and(|sent| sent <= at) && request.ended.is_none_or(|ended| ended >= at);
        if !ran || request.self_inflicted() {
            continue;
        }
        let lost = matches!(request.end, End::Cut | End::Silent | End::Open | End::Unreachable);
        verdict.expect(!lost, at, Some(request.id), || {
            format!("it ran when SIGTERM came at {at} and ended as {} (the process at {exit:?})", request.end.as_str())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::kit::{answered, empty, host, seconds},
        history::Request,
    };

    fn history(events: &[(u64, HostFact)]) -> History {
        let mut history = empty();
        history.host = events.iter().map(|(at, fact)| host(*at, fact.clone())).collect();
        history.requests.push(Request { ended: Some(seconds(12)), ..answered(1, 9, 1) });
        history
    }

    const EXIT: HostFact = HostFact::Exited { code: Some(0) };

    #[test]
    fn an_orderly_end_is_good() {
        let events = [(10, HostFact::Terminated), (10, HostFact::Unready), (11, HostFact::AcceptStopped), (13, EXIT)];
        let verdict = check(&history(&events));
        assert_eq!((verdict.checked, verdict.found), (3, 0), "{verdict:?}");
    }

    #[test]
    fn wrong_codes_late_ends_and_wrong_order_are_violations() {
        let bad_code = [(10, HostFact::Terminated), (13, HostFact::Exited { code: Some(1) })];
        assert_eq!(check(&history(&bad_code)).found, 1);
        let late = [(10, HostFact::Terminated), (40, EXIT)];
        assert_eq!(check(&history(&late)).found, 1);
        let deaf_first = [(10, HostFact::Terminated), (11, HostFact::AcceptStopped), (12, HostFact::Unready), (13, EXIT)];
        assert_eq!(check(&history(&deaf_first)).found, 1);
    }

    #[test]
    fn a_process_that_is_gone_at_once_need_not_be_seen_unready() {
        let mut idle = history(&[(10, HostFact::Terminated), (10, EXIT), (10, HostFact::AcceptStopped)]);
        idle.requests.clear();
        assert_eq!((check(&idle).checked, check(&idle).found), (1, 0));
    }

    #[test]
    fn the_stop_after_a_run_is_no_case_and_must_be_clean() {
        let stopped = |exit: HostFact| {
            let verdict = check(&history(&[(20, HostFact::Stopped), (21, exit)]));
            (verdict.checked, verdict.found)
        };
        assert_eq!((stopped(EXIT), stopped(HostFact::Exited { code: Some(1) })), ((0, 0), (0, 1)));
    }

    #[test]
    fn what_ran_must_finish() {
        let mut cut = history(&[(10, HostFact::Terminated), (13, EXIT)]);
        cut.requests[0].end = End::Cut;
        assert_eq!(check(&cut).found, 1);
    }
}
