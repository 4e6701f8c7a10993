//! I3: nothing is tried again after the first content.

use super::Verdict;
use crate::history::{Call, History, Joined};

/// Looks for calls that arrived after the client's first content.
pub(super) fn check(history: &History) -> Verdict {
    let joined = Joined::of(history);
    let mut verdict = Verdict::default();
    for request in &history.requests {
        let Some(first_content) = request.first_content else { continue };
        verdict.look();
        let goes_on = |call: &Call| history.about.rules.resume && call.prefill.is_some();
        if let Some(call) = joined.calls_of(request).iter().find(|call| call.arrived > first_content && !goes_on(call)) {
            let words = format!("call {} was made at {}, after the first content at {first_content}", call.number, call.arrived);
            verdict.fail(call.arrived, Some(request.id), Some(call.number), words);
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::kit::{answered, call, empty, seconds},
        history::Call,
    };

    #[test]
    fn failover_before_the_first_content_is_good_and_a_call_after_it_is_not() {
        let mut history = empty();
        let request = answered(1, 5, 2);
        history.calls = vec![call(1, &request), call(2, &request)];
        history.requests.push(request.clone());
        let verdict = check(&history);
        assert_eq!((verdict.checked, verdict.found), (1, 0));
        history.calls.push(Call { arrived: seconds(6), ..call(3, &request) });
        assert_eq!(check(&history).violations[0].call, Some(3));
        history.calls[2].prefill = Some("2.4".to_owned());
        assert_eq!(check(&history).found, 1, "nobody wanted it to go on");
        history.about.rules.resume = true;
        assert_eq!(check(&history).found, 0);
    }
}
