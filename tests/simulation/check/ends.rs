//! Every request ends before its deadline, with an answer or with one well-formed error.

use outcrop_sim::{Decision, RefusedBy};

use super::Verdict;
use crate::{
    books::{Books, Ended, Seen},
    options::Weather,
    run::{CANARIES, LAST},
};

pub fn check(books: &Books) -> Verdict {
    let mut verdict = Verdict::default();
    let expected = books.options.arrivals.len();
    let storm = books.requests.iter().filter(|seen| seen.asked.id < CANARIES).count();
    verdict.expect(storm == expected, books.calm, || format!("{storm} of {expected} requests were sent"));
    for seen in &books.requests {
        let good = match seen.end {
            Ended::Complete | Ended::Left | Ended::Refused | Ended::StreamError => true,
            Ended::Late | Ended::Silent | Ended::Malformed | Ended::Cut => false,
        };
        verdict.expect(good, seen.ended, || words(seen));
    }
    let stopping = books.ended - books.stopped;
    verdict.expect(stopping <= books.options.grace, books.ended, || {
        format!("the gateway took {stopping:?} to stop, {:?} were given", books.options.grace)
    });
    verdict
}

/// Where little is amiss little may fail: nothing in calm weather, nothing of canaries, and for actors in trouble only the
/// requests whose message the lane panicked over.
pub fn failures(books: &Books) -> Verdict {
    let mut verdict = Verdict::default();
    let failed = |seen: &&Seen| matches!(seen.end, Ended::Refused | Ended::StreamError);
    let canaries = books.requests.iter().filter(|seen| (CANARIES..LAST).contains(&seen.asked.id));
    for seen in canaries {
        verdict.expect(!failed(&seen) || spent(books, seen), seen.ended, || words(seen));
    }
    let allowed = match books.options.weather {
        Weather::Calm => 0,
        Weather::Deeds => books.deeds.iter().filter(|done| done.name == "chat" && done.deed.contains("panic")).count(),
        Weather::Quotas | Weather::Mixed => return verdict,
    };
    let storm: Vec<&Seen> = books.requests.iter().filter(|seen| seen.asked.id < CANARIES).filter(failed).collect();
    verdict.expect(storm.len() <= allowed, books.calm, || {
        format!(
            "{} requests failed, {allowed} were allowed to: {}",
            storm.len(),
            storm.iter().map(|seen| words(seen)).collect::<Vec<_>>().join("; ")
        )
    });
    verdict
}

/// It was refused by a quota in the only region that this strategy has.
fn spent(books: &Books, seen: &Seen) -> bool {
    let mut calls = books.calls_of(seen).peekable();
    let by_quota = |decision: &Decision| matches!(decision, Decision::Refused { by: RefusedBy::Quota { .. }, .. });
    books.options.strategy == "disabled" && calls.peek().is_some() && calls.all(|call| by_quota(&call.decision))
}

fn words(seen: &Seen) -> String {
    format!("request {} ended {:?} at {:?}: {:?} {:?}", seen.asked.id, seen.end, seen.ended, seen.error, seen.strange)
}

/// An error is one well-formed error, and says when to come back where that may help.
pub fn errors(books: &Books) -> Verdict {
    let mut verdict = Verdict::default();
    for seen in &books.requests {
        if !matches!(seen.end, Ended::Refused | Ended::StreamError) {
            continue;
        }
        let formed = seen.error.as_ref().is_some_and(|error| error.well_formed);
        verdict.expect(formed, seen.ended, || format!("request {}: {:?} is no error of the dialect", seen.asked.id, seen.error));
        if seen.end == Ended::Refused && matches!(seen.status, Some(429 | 503)) {
            let seconds = seen.retry_after.as_ref().and_then(|text| text.parse::<u64>().ok());
            verdict.expect(seconds.is_some_and(|seconds| seconds > 0), seen.ended, || {
                format!("request {}: {:?} without a time to come back: {:?}", seen.asked.id, seen.status, seen.retry_after)
            });
        }
    }
    verdict
}
