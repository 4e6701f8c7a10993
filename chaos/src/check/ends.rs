//! I1: every request ends.

use std::collections::BTreeMap;

use super::Verdict;
use crate::history::{ClientFault, End, History, HostFact, Micros, Request};

/// Judges the ends of all requests that were sent.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    for request in &history.requests {
        // A dropped request was never sent: the run is tainted for it. A half-open client never finished asking.
        if request.end == End::Dropped || request.fault == Some(ClientFault::HalfOpen) {
            continue;
        }
        verdict.look();
        if let Some(words) = wrong(history, request) {
            verdict.fail(request.ended.unwrap_or(request.deadline), Some(request.id), None, words);
        }
    }
    verdict
}

fn wrong(history: &History, request: &Request) -> Option<String> {
    let late = request.ended.is_some_and(|ended| ended > request.deadline.plus(history.about.rules.end_grace));
    match request.end {
        End::Open | End::Timeout => Some("no end before its deadline".to_owned()),
        _ if late => Some(format!("ended at {}, its deadline was {}", request.ended.unwrap_or_default(), request.deadline)),
        End::Silent => Some(format!("the answer stopped after {} words with neither an end nor an error", request.said.words())),
        End::Malformed => Some(format!("the answer is not the dialect: {}", request.said.stray.join(" | "))),
        End::Cut | End::Unreachable if excused(history, request) => None,
        End::Cut => Some("the connection broke without an answer or an error".to_owned()),
        End::Unreachable => Some("no connection could be made".to_owned()),
        End::Complete | End::Refused | End::StreamError | End::Left | End::Dropped => None,
    }
}

/// The harness had ended a process while this request ran: other invariants judge what that may cost. A replica that takes no
/// connection by itself excuses nobody, and one that was ended excuses nothing that its fellow did later.
pub(crate) fn excused(history: &History, request: &Request) -> bool {
    let (from, until) = (request.sent.unwrap_or(request.intended), request.ended.unwrap_or(request.deadline));
    let mut replicas: BTreeMap<u32, Ended> = BTreeMap::new();
    for event in &history.host {
        let ended = replicas.entry(event.replica).or_default();
        match event.fact {
            HostFact::Killed => *ended = Ended::Down(event.at),
            HostFact::Terminated => *ended = Ended::Told,
            HostFact::AcceptStopped | HostFact::Exited { .. } if *ended == Ended::Told => *ended = Ended::Down(event.at),
            HostFact::Ready => {
                if let Ended::Down(since) = std::mem::take(ended)
                    && since <= until
                    && from <= event.at
                {
                    return true;
                }
            }
            _ => {}
        }
    }
    replicas.values().any(|ended| matches!(ended, Ended::Down(since) if *since <= until))
}

/// What the harness has done to a replica since it was ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Ended {
    /// Nothing.
    #[default]
    No,
    /// Told it to end.
    Told,
    /// It takes no connection since.
    Down(Micros),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::kit::{answered, empty, host, refused, seconds},
        history::HostEvent,
    };

    #[test]
    fn ends_of_every_good_kind_pass() {
        let mut history = empty();
        history.requests.push(answered(1, 0, 1));
        history.requests.push(refused(2, 1, 429));
        history.requests.push(Request { end: End::StreamError, ..answered(3, 2, 3) });
        history.requests.push(Request { end: End::Left, fault: Some(ClientFault::Vanish), ..answered(4, 2, 4) });
        let verdict = check(&history);
        assert_eq!((verdict.checked, verdict.found), (4, 0), "{verdict:?}");
    }

    #[test]
    fn silence_lateness_and_broken_connections_are_violations() {
        for end in [End::Open, End::Timeout, End::Silent, End::Malformed, End::Cut, End::Unreachable] {
            let mut history = empty();
            history.requests.push(Request { end, ..answered(1, 0, 1) });
            assert_eq!(check(&history).found, 1, "{end:?}");
        }
        let mut history = empty();
        history.requests.push(Request { ended: Some(seconds(62)), ..answered(1, 0, 1) });
        assert_eq!(check(&history).found, 1, "a second and more beyond the deadline");
    }

    #[test]
    fn a_killed_process_may_cut_what_ran() {
        let mut history = empty();
        history.host = vec![host(10, HostFact::Killed), host(14, HostFact::Ready)];
        history.requests.push(Request { end: End::Cut, ended: Some(seconds(10)), ..answered(1, 9, 1) });
        history.requests.push(Request { end: End::Unreachable, ..answered(2, 12, 1) });
        assert_eq!(check(&history).found, 0);
        history.requests.push(Request { end: End::Cut, ..answered(3, 20, 1) });
        assert_eq!(check(&history).found, 1, "the process was back by then");
    }

    #[test]
    fn a_process_that_goes_deaf_by_itself_excuses_nobody() {
        let found = |events: Vec<HostEvent>| {
            let mut history = empty();
            history.host = events;
            history.requests.push(Request { end: End::Cut, ..answered(1, 12, 1) });
            history.requests.push(Request { end: End::Unreachable, ..answered(2, 12, 1) });
            check(&history).found
        };
        let deaf = || vec![host(10, HostFact::AcceptStopped), host(14, HostFact::Ready)];
        assert_eq!(found(deaf()), 2);
        let of = |replica| [vec![HostEvent { replica, ..host(9, HostFact::Terminated) }], deaf()].concat();
        assert_eq!((found(of(0)), found(of(1))), (0, 2), "another replica was told to end");
    }
}
