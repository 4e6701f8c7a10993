//! No word is lost, doubled, reordered or invented: what a client heard is one call's words, all of them or a beginning.

use outcrop_chaos::history::{BREAKING, Run, Said};
use outcrop_sim::{CallRecord, End};

use super::Verdict;
use crate::books::{Books, Ended, Seen};

pub fn check(books: &Books) -> Verdict {
    let mut verdict = Verdict::default();
    for seen in &books.requests {
        let mut used = Vec::new();
        for (choice, said) in &seen.said {
            verdict.look();
            match heard(books, seen, said) {
                Ok(Some(call)) if used.contains(&call) => {
                    verdict.fail(seen.ended, format!("request {}: two choices have the words of call {call}", seen.asked.id));
                }
                Ok(call) => used.extend(call),
                Err(words) => verdict.fail(seen.ended, format!("request {}, choice {choice}: {words}", seen.asked.id)),
            }
        }
        if seen.end == Ended::Complete {
            verdict.expect(books.calls_of(seen).next().is_some(), seen.ended, || {
                format!("request {} was answered, and AWS was never asked", seen.asked.id)
            });
            let silent = seen.said.values().filter(|said| said.is_empty()).count() + seen.asked.choices as usize - seen.said.len();
            let wordless = books.calls_of(seen).filter(|call| call.words_total == 0).count();
            verdict.expect(silent <= wordless, seen.ended, || format!("request {}: {silent} choices without a word", seen.asked.id));
        }
    }
    verdict
}

/// Nothing is tried again once its client has heard a word, unless it goes on with what was heard.
pub fn said(books: &Books) -> Verdict {
    let mut verdict = Verdict::default();
    for seen in books.requests.iter().filter(|seen| seen.asked.choices == 1) {
        let Some(first) = seen.first_content else { continue };
        for call in books.calls_of(seen) {
            let arrived = call.arrived.duration();
            // Of a call that was cut before anything was decided nobody knows with what it went on.
            let goes_on = call.prefill.is_some() || call.decided.is_none();
            let good = arrived <= first || (books.options.resume && goes_on);
            verdict.expect(good, arrived, || format!("request {} had heard words, and call {} was made", seen.asked.id, call.id));
        }
    }
    verdict
}

/// The call that the last of these words are of. Words of several calls are good where each goes on with the one before.
fn heard(books: &Books, seen: &Seen, said: &Said) -> Result<Option<u64>, String> {
    if let Some(stray) = said.stray.first() {
        return Err(format!("text that no model said: {stray:?}"));
    }
    for (first, second) in said.runs.iter().zip(said.runs.iter().skip(1)) {
        let seam = format!("{}.{}", first.call, first.last);
        let goes_on = books.call(second.call).is_some_and(|call| call.prefill.as_ref() == Some(&seam));
        if !books.options.resume || !goes_on {
            return Err(format!("after word {seam} came {}.{}", second.call, second.first));
        }
        words_of(books, seen, first)?;
    }
    let Some(run) = said.runs.last() else { return Ok(None) };
    let call = words_of(books, seen, run)?;
    if seen.end == Ended::Complete {
        whole(call, run.last + 1)?;
    }
    Ok(Some(run.call))
}

/// The call of these words, which are its own from the first on.
fn words_of<'b>(books: &'b Books, seen: &Seen, run: &Run) -> Result<&'b CallRecord, String> {
    let call = books.call(run.call).ok_or_else(|| format!("words of call {}, which was never made", run.call))?;
    if call.nonce.as_deref() != Some(seen.asked.nonce.as_str()) {
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

fn whole(call: &CallRecord, words: u64) -> Result<(), String> {
    if words < call.words_total {
        return Err(format!("{words} of {} words of call {}, told as a whole answer", call.words_total, call.id));
    }
    // All words may have come, and the end of the answer not.
    if call.end != End::Complete {
        return Err(format!("call {} ended {:?}, and was told as a whole answer", call.id, call.end));
    }
    match call.fault.as_ref().filter(|fault| BREAKING.contains(&fault.kind.as_str())) {
        Some(fault) => Err(format!("call {} was broken by {}, and told as a whole answer", call.id, fault.kind)),
        None => Ok(()),
    }
}
