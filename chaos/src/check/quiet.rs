//! I4: when the client is done, so is upstream.

use super::Verdict;
use crate::history::{End, Ending, History, Joined};

/// Looks for calls that outlive their request.
pub(super) fn check(history: &History) -> Verdict {
    let joined = Joined::of(history);
    let mut verdict = Verdict::default();
    for request in &history.requests {
        let Some(gone) = request.ended.filter(|_| request.end != End::Open) else { continue };
        let latest = gone.plus(history.about.rules.quiet_within);
        for call in joined.calls_of(request) {
            verdict.look();
            // The simulator watches its read half: what it wrote successfully proves nothing.
            let over = [call.ended.filter(|_| call.ending != Ending::Open), call.peer_closed].into_iter().flatten().min();
            if over.is_none_or(|over| over > latest) {
                let when = over.map_or_else(|| "never ended".to_owned(), |over| format!("went on until {over}"));
                let words = format!("the request was over at {gone}, call {} {when}", call.number);
                verdict.fail(gone, Some(request.id), Some(call.number), words);
            }
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::kit::{answered, call, empty, seconds},
        history::{Call, Request},
    };

    fn found(upstream: Call) -> u64 {
        let mut history = empty();
        history.requests.push(Request { end: End::Left, ..answered(1, 0, 1) });
        history.calls.push(upstream);
        check(&history).found
    }

    #[test]
    fn a_call_may_outlive_its_client_by_a_second() {
        let request = answered(1, 0, 1);
        assert_eq!(found(Call { ended: Some(seconds(2)), ending: Ending::Cancelled, ..call(1, &request) }), 0);
        assert_eq!(found(Call { ended: Some(seconds(3)), ..call(1, &request) }), 1);
        assert_eq!(found(Call { ended: None, ending: Ending::Open, ..call(1, &request) }), 1);
    }

    #[test]
    fn what_counts_is_when_the_peer_closed() {
        let request = answered(1, 0, 1);
        let stalled = Call { ended: None, ending: Ending::Open, peer_closed: Some(seconds(1)), ..call(1, &request) };
        assert_eq!(found(stalled), 0);
    }

    #[test]
    fn the_loser_of_a_hedge_must_end_too() {
        let mut history = empty();
        let request = answered(1, 0, 2);
        history.calls = vec![Call { ended: Some(seconds(9)), ..call(1, &request) }, call(2, &request)];
        history.requests.push(request);
        let verdict = check(&history);
        assert_eq!((verdict.checked, verdict.found, verdict.violations[0].call), (2, 1, Some(1)));
    }
}
