//! I2: no word lost, doubled, reordered or invented.

use super::Verdict;
use crate::history::{Call, End, History, Joined, Request, Run};

/// Compares the words of each answer with the one call they came from.
pub(super) fn check(history: &History) -> Verdict {
    let joined = Joined::of(history);
    let mut verdict = Verdict::default();
    for request in &history.requests {
        if request.end != End::Complete && request.said.is_empty() {
            continue;
        }
        verdict.look();
        if let Err(words) = compare(&joined, request, history.about.rules.resume) {
            let call = request.said.runs.first().map(|run| run.call);
            verdict.fail(request.ended.unwrap_or(request.deadline), Some(request.id), call, words);
        }
    }
    verdict
}

fn compare(joined: &Joined<'_>, request: &Request, resume: bool) -> Result<(), String> {
    if let Some(stray) = request.said.stray.first() {
        return Err(format!("text that no model said: {stray:?}"));
    }
    let Some(last) = request.said.runs.last() else { return without_words(joined, request) };
    for (first, second) in request.said.runs.iter().zip(request.said.runs.iter().skip(1)) {
        let goes_on = |call: &Call| call.prefill.as_deref() == Some(format!("{}.{}", first.call, first.last).as_str());
        if !resume || !joined.call(second.call).is_some_and(goes_on) {
            return Err(broken(*first, *second));
        }
        words_of(joined, request, *first)?;
    }
    let call = words_of(joined, request, *last)?;
    if request.end == End::Complete { complete(call, last.last + 1) } else { Ok(()) }
}

/// The call of these words, which are its own from the first on.
fn words_of<'h>(joined: &Joined<'h>, request: &Request, run: Run) -> Result<&'h Call, String> {
    let call = joined.call(run.call).ok_or_else(|| format!("words of call {}, which was never made", run.call))?;
    if call.nonce.as_deref() != Some(request.nonce.as_str()) {
        return Err(format!("words of call {}, which was made for another request", run.call));
    }
    if run.first != 0 {
        return Err(format!("the first {} words of call {} are missing", run.first, run.call));
    }
    if run.last >= call.words_total {
        return Err(format!("word {} of call {}, which has {}", run.last, run.call, call.words_total));
    }
    Ok(call)
}

fn complete(call: &Call, words: u64) -> Result<(), String> {
    if words < call.words_total {
        return Err(format!("{words} of {} words of call {}, told as a whole answer", call.words_total, call.number));
    }
    if call.intact { Ok(()) } else { Err(format!("call {} never ended as it should, yet its answer was told as whole", call.number)) }
}

fn without_words(joined: &Joined<'_>, request: &Request) -> Result<(), String> {
    let answered = joined.calls_of(request).iter().find(|call| call.answered());
    match answered {
        None => Err("told as a whole answer, though no call was answered".to_owned()),
        Some(call) if call.words_total > 0 => Err(format!("none of the {} words of call {} arrived", call.words_total, call.number)),
        Some(_) => Ok(()),
    }
}

fn broken(first: Run, second: Run) -> String {
    if first.call == second.call {
        format!("after word {} of call {} came word {}", first.last, first.call, second.first)
    } else {
        format!("after word {} of call {} came word {} of call {}", first.last, first.call, second.first, second.call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::kit::{answered, call, empty},
        history::Said,
    };

    fn history_with(change: impl FnOnce(&mut Request, &mut Call)) -> History {
        let mut history = empty();
        let mut request = answered(1, 0, 7);
        let mut upstream = call(7, &request);
        change(&mut request, &mut upstream);
        history.requests.push(request);
        history.calls.push(upstream);
        history
    }

    fn found(change: impl FnOnce(&mut Request, &mut Call)) -> u64 {
        check(&history_with(change)).found
    }

    #[test]
    fn all_words_of_one_call_are_a_true_answer() {
        let verdict = check(&history_with(|_, _| {}));
        assert_eq!((verdict.checked, verdict.found), (1, 0), "{verdict:?}");
    }

    #[test]
    fn a_broken_answer_may_be_a_prefix_and_nothing_else() {
        let prefix = |said: &mut Said| said.runs[0].last = 4;
        assert_eq!(
            found(|request, _| {
                prefix(&mut request.said);
                request.end = End::StreamError;
            }),
            0
        );
        assert_eq!(found(|request, _| prefix(&mut request.said)), 1, "told as whole");
        assert_eq!(
            found(|request, _| {
                request.said.runs[0].first = 1;
                request.end = End::StreamError;
            }),
            1,
            "begins late"
        );
    }

    #[test]
    fn lost_doubled_and_foreign_words_are_violations() {
        assert_eq!(found(|request, _| request.said.hear(7, 9)), 1, "doubled");
        assert_eq!(found(|request, _| request.said.hear(8, 10)), 1, "of two calls");
        assert_eq!(found(|request, _| request.said.hear(7, 10)), 1, "beyond the end");
        assert_eq!(found(|request, _| request.said.stray("hello")), 1, "invented");
        assert_eq!(found(|_, call| call.nonce = Some("n0nce-2".to_owned())), 1, "of another request");
        assert_eq!(found(|_, call| call.number = 9), 1, "of no call");
        assert_eq!(found(|request, _| request.said.runs.clear()), 1, "none");
    }

    #[test]
    fn an_answer_may_go_on_with_what_was_heard_where_that_is_wanted() {
        let judged = |resume: bool, prefill: &str| {
            let mut history = history_with(|request, call| {
                request.said.runs[0].last = 4;
                call.intact = false;
                (0..10).for_each(|index| request.said.hear(9, index));
            });
            history.about.rules.resume = resume;
            let next = Call { prefill: Some(prefill.to_owned()), ..call(9, &history.requests[0]) };
            history.calls.push(next);
            check(&history).found
        };
        assert_eq!(judged(true, "7.4"), 0);
        assert_eq!(judged(false, "7.4"), 1, "nobody wanted that");
        assert_eq!((judged(true, "7.3"), judged(true, "7.5")), (1, 1), "a word is doubled, or lost");
    }

    #[test]
    fn an_answer_whose_call_broke_is_not_whole() {
        assert_eq!(found(|_, call| call.intact = false), 1);
    }
}
