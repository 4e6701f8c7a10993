//! I8: refusals are honest: they say when to come back, and coming back then works.

use super::{Verdict, room::Seen};
use crate::history::{End, History, Micros, Request, Role};

/// Longest `retry-after` that makes sense: a day, for daily quotas.
const LONGEST: u64 = 86_400;
/// A client that obeys sends within this time after the moment it was told.
const SLACK: Micros = Micros::seconds(1);

/// Judges the header of every 429 and 503, what it promises, and what became of those who obeyed.
pub(super) fn check(history: &History) -> Verdict {
    let seen = Seen::of(history);
    let rules = &history.about.rules;
    let (mut verdict, mut promises) = (Verdict::default(), Verdict::default());
    for request in history.requests.iter().filter(|request| refused(request)) {
        let at = request.ended.unwrap_or(request.intended);
        match promised(request) {
            Ok(seconds) => {
                let kept = could_keep(history, &seen, request, at, Micros::seconds(seconds));
                promises.expect(kept, at, Some(request.id), || {
                    format!("told to come back after {seconds} s, when no region could have had room for it")
                });
            }
            Err(words) => verdict.expect(false, at, Some(request.id), || words),
        }
        // A 503 is of the gateway's own queue, and a run that waives I6 promises nobody room. Where some may be refused though
        // there is room, I6 counts them, these among them.
        if let Role::Obedient { of } = request.role
            && request.throttled()
            && !rules.waived.contains_key("I6")
            && rules.refused_with_room <= 0.0
            && at > rules.finding
        {
            let room = seen.wanted(request).and_then(|wanted| seen.room(request, at, wanted));
            verdict.expect(room.is_none(), at, Some(request.id), || {
                format!("it came back as request {of} was told, and was refused although {} had room", room.unwrap_or_default())
            });
        }
    }
    verdict.checked += promises.checked;
    if early(&promises) > rules.early_promises {
        verdict.found += promises.found;
        verdict.violations.append(&mut promises.violations);
    }
    verdict
}

/// Share of promises that could not be kept.
#[allow(clippy::cast_precision_loss, reason = "counts lie far below 2^52")]
fn early(promises: &Verdict) -> f64 {
    promises.found as f64 / promises.checked.max(1) as f64
}

fn refused(request: &Request) -> bool {
    request.end == End::Refused && matches!(request.status, Some(429 | 503))
}

fn promised(request: &Request) -> Result<u64, String> {
    let text = request.retry_after.as_deref().ok_or_else(|| format!("a {} without retry-after", request.status.unwrap_or_default()))?;
    let seconds: u64 = text.trim().parse().map_err(|_| format!("retry-after is {text:?}, not whole seconds"))?;
    if (1..=LONGEST).contains(&seconds) { Ok(seconds) } else { Err(format!("retry-after is {seconds} s")) }
}

/// The promise could be kept: left alone, some healthy region would have had room by then.
fn could_keep(history: &History, seen: &Seen<'_>, request: &Request, at: Micros, after: Micros) -> bool {
    let Some(wanted) = seen.wanted(request) else { return true };
    if !request.throttled() || history.about.rules.key_limits.contains_key(&request.key) {
        return true;
    }
    let until = at.plus(after).plus(SLACK);
    let mut healthy = seen.healthy(request, at).peekable();
    // In an outage nobody can promise anything.
    if healthy.peek().is_none() {
        return true;
    }
    healthy.any(|region| {
        let mut keys = seen.regions(request).filter(|key| key.region == region).peekable();
        keys.peek().is_none() || keys.any(|key| seen.buckets.would_fit_alone(history, key, at, until, wanted))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::kit::{EAST, WEST, empty, limited, refused, rejected};

    /// Throttled at second 30 for 2,000 tokens, with so many in both buckets; 1,000 come each second.
    fn history(tokens: i64, retry_after: Option<&str>) -> History {
        let mut history = empty();
        limited(&mut history, EAST, 30, tokens);
        limited(&mut history, WEST, 30, tokens);
        let request = Request { retry_after: retry_after.map(str::to_owned), ..refused(1, 30, 429) };
        history.calls.push(rejected(1, &request, 429, "Too many tokens"));
        history.requests.push(request);
        history
    }

    #[test]
    fn a_promise_that_the_bucket_keeps_is_honest() {
        let verdict = check(&history(0, Some("2")));
        assert_eq!((verdict.checked, verdict.found), (1, 0), "{verdict:?}");
    }

    #[test]
    fn a_promise_that_nobody_can_keep_is_a_lie() {
        // 8,000 short: nine seconds, whatever the header says.
        assert_eq!(check(&history(-8_000, Some("1"))).found, 1);
        assert_eq!(check(&history(-8_000, Some("10"))).found, 0);
    }

    #[test]
    fn a_rule_allows_a_share_of_promises_that_come_too_early() {
        let mut lies = history(-8_000, Some("1"));
        lies.about.rules.early_promises = 0.5;
        assert_eq!(check(&lies).found, 1, "all of them");
        let honest = Request { retry_after: Some("10".to_owned()), ..refused(2, 30, 429) };
        lies.calls.push(rejected(2, &honest, 429, "Too many tokens"));
        lies.requests.push(honest);
        assert_eq!((check(&lies).checked, check(&lies).found), (2, 0), "half of them");
        lies.about.rules.early_promises = 0.4;
        assert_eq!(check(&lies).found, 1);
    }

    #[test]
    fn missing_and_senseless_headers_are_violations() {
        for header in [None, Some("soon"), Some("0"), Some("999999"), Some("-1")] {
            assert_eq!(check(&history(0, header)).found, 1, "{header:?}");
        }
        let mut unavailable = history(0, None);
        unavailable.requests[0].status = Some(503);
        assert_eq!(check(&unavailable).found, 1);
        unavailable.requests[0].status = Some(400);
        assert_eq!(check(&unavailable).checked, 0, "a 400 has no reason to be repeated");
    }

    #[test]
    fn who_obeyed_must_be_admitted_where_there_is_room() {
        let mut obeyed = history(0, Some("2"));
        let again = Request { role: Role::Obedient { of: 1 }, ..refused(2, 50, 429) };
        obeyed.calls.push(rejected(2, &again, 429, "Too many tokens"));
        obeyed.requests.push(again);
        assert_eq!(check(&obeyed).found, 1, "20,000 tokens were there by then");
        let waived = |history: &mut History| history.about.rules.waived.insert("I6".to_owned(), "other buckets".to_owned());
        let mut unpromised = obeyed.clone();
        waived(&mut unpromised);
        assert_eq!(check(&unpromised).found, 0, "where no room is promised, none is to those who come back");
        let mut counted = obeyed.clone();
        counted.about.rules.refused_with_room = 0.1;
        assert_eq!(check(&counted).found, 0, "I6 counts them");
        for request in &mut obeyed.requests {
            request.status = Some(503);
            request.retry_after = None;
        }
        assert_eq!(check(&obeyed).found, 2, "a full queue says nothing of room, and still when to come back");
    }
}
