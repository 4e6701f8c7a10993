//! I18: streams flow.

use super::Verdict;
use crate::history::{ClientFault, History, Joined, Micros, Request};

/// Fewer words than this have no 99th percentile worth the name.
const FEW: usize = 20;

/// Time each word spent between the simulator and the client, in order of length.
pub(crate) fn lags(history: &History, joined: &Joined<'_>) -> Vec<(Micros, u64)> {
    let mut lags = Vec::new();
    for request in history.requests.iter().filter(|request| request.stream && flowing(request)) {
        for word in &request.word_times {
            let Some(call) = joined.call(word.call) else { continue };
            let at = call.word_times.binary_search_by_key(&word.index, |sent| sent.index).ok();
            if let Some(sent) = at.and_then(|at| call.word_times.get(at)) {
                lags.push((word.at.minus(sent.at), request.id));
            }
        }
    }
    lags.sort_unstable();
    lags
}

/// Who reads slowly sees words late by its own doing.
fn flowing(request: &Request) -> bool {
    request.fault != Some(ClientFault::SlowReader)
}

/// Judges the 99th percentile.
pub(super) fn check(history: &History) -> Verdict {
    let lags = lags(history, &Joined::of(history));
    let mut verdict = Verdict::default();
    if lags.len() < FEW {
        return verdict;
    }
    verdict.checked = u64::try_from(lags.len()).unwrap_or(u64::MAX);
    let bound = history.about.rules.word_lag;
    if let Some((lag, _)) = lags.get(lags.len() * 99 / 100).filter(|(lag, _)| *lag > bound) {
        let worst = lags.last().map(|(_, request)| *request);
        let words = format!("one word in a hundred stayed {lag} or longer in the gateway; {bound} are allowed");
        verdict.fail(history.end(), worst, None, words);
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::kit::{answered, call, empty},
        history::WordTime,
    };

    /// 20 streams of ten words, each word this late.
    fn history(lag: Micros, slow: bool) -> History {
        let mut history = empty();
        for id in 0..20 {
            let mut request = answered(id, id, id);
            let mut upstream = call(id, &request);
            for index in 0..10 {
                let sent = request.intended.plus(Micros::millis(index * 50));
                upstream.word_times.push(WordTime { call: id, index, at: sent });
                request.word_times.push(WordTime { call: id, index, at: sent.plus(lag) });
            }
            request.fault = slow.then_some(ClientFault::SlowReader);
            history.calls.push(upstream);
            history.requests.push(request);
        }
        history
    }

    #[test]
    fn words_that_pass_at_once_are_good_and_held_back_ones_are_not() {
        let verdict = check(&history(Micros::millis(2), false));
        assert_eq!((verdict.checked, verdict.found), (200, 0));
        assert_eq!(check(&history(Micros::millis(400), false)).found, 1);
    }

    #[test]
    fn slow_readers_are_not_judged() {
        assert_eq!(check(&history(Micros::millis(400), true)).checked, 0);
    }
}
