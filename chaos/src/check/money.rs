//! I5: money. The gateway's rows against the simulator's bill at the harness's own prices.

use std::collections::BTreeMap;

use super::Verdict;
use crate::history::{Call, End, History, Joined, ModelFacts, Price, Request, Row, Tokens};

/// Joins requests, rows and calls, and compares tokens and money.
pub(super) fn check(history: &History) -> Verdict {
    let joined = Joined::of(history);
    let mut verdict = Verdict::default();
    for request in &history.requests {
        let Some(id) = request.request_id.as_deref() else { continue };
        if killed_around(history, request) {
            continue; // I16 judges what a SIGKILL may cost
        }
        let rows = joined.rows_of(id);
        let wrong = match rows {
            [] => Some(format!("request {id} has no usage row")),
            [row] => compare(history, &joined, request, row),
            several => Some(format!("request {id} has {} usage rows", several.len())),
        };
        verdict.expect(wrong.is_none(), request.ended.unwrap_or_default(), Some(request.id), || wrong.unwrap_or_default());
    }
    strangers(history, &mut verdict);
    verdict
}

fn killed_around(history: &History, request: &Request) -> bool {
    history.host.iter().any(|event| {
        matches!(event.fact, crate::history::HostFact::Killed)
            && event.at >= request.intended
            // A row is written within a moment of its request's end.
            && request.ended.is_none_or(|ended| event.at <= ended.plus(crate::history::Micros::seconds(1)))
    })
}

fn compare(history: &History, joined: &Joined<'_>, request: &Request, row: &Row) -> Option<String> {
    match request.end {
        End::Complete => completed(history, joined, request, row),
        End::Refused | End::Unreachable => {
            let nothing = row.tokens == Tokens::default() && row.micro_usd.unwrap_or(0) == 0;
            (!nothing).then(|| format!("a refused request was billed: {:?}, {:?} micro-dollars", row.tokens, row.micro_usd))
        }
        _ => cut_short(joined, request, row),
    }
}

fn completed(history: &History, joined: &Joined<'_>, request: &Request, row: &Row) -> Option<String> {
    // Words of several calls, or of none: I2 tells it, and there is no bill to compare with.
    if request.said.runs.len() > 1 || !request.said.stray.is_empty() {
        return None;
    }
    let delivered = delivered(joined, request)?;
    // A stream without usage cannot be booked exactly; the row must say that it is an estimate.
    let Some(billed) = delivered.billed.filter(|_| delivered.usage_sent) else {
        return (!row.estimated).then(|| "the usage was never sent, yet the row is no estimate".to_owned());
    };
    if row.tokens != billed {
        return Some(format!("booked {:?}, call {} was billed {billed:?}", row.tokens, delivered.number));
    }
    let price = history.about.models.iter().find(|model| model.id == delivered.model).and_then(|model: &ModelFacts| model.price)?;
    let exact = pico_dollars(&price, billed, delivered.geographic);
    let booked = row.micro_usd.map(i128::from)?;
    // Rounded once, in whichever direction.
    let apart = (booked * PICO_PER_MICRO - exact).abs();
    (apart >= PICO_PER_MICRO).then(|| format!("booked {booked} micro-dollars, {} would be right", exact / PICO_PER_MICRO))
}

/// The client left, or the answer broke: between what was received and what was produced.
fn cut_short(joined: &Joined<'_>, request: &Request, row: &Row) -> Option<String> {
    let received = request.said.words();
    if received > 0 && row.tokens.output == 0 {
        return Some(format!("{received} words were received, and no output is booked"));
    }
    let produced: u64 = joined.calls_of(request).iter().filter_map(|call| call.whole).map(|whole| whole.output).sum();
    let beyond = !row.estimated && row.tokens.output > produced;
    beyond.then(|| format!("{} output tokens are booked, {produced} were produced", row.tokens.output))
}

fn delivered<'h>(joined: &Joined<'h>, request: &Request) -> Option<&'h Call> {
    let by_words = request.said.runs.first().and_then(|run| joined.call(run.call));
    by_words.or_else(|| joined.calls_of(request).iter().find(|call| call.answered()).copied())
}

/// Rows that belong to no request must be those of clients that were given no id, key by key.
fn strangers(history: &History, verdict: &mut Verdict) {
    let mut nameless: BTreeMap<&str, i64> = BTreeMap::new();
    for request in history.requests.iter().filter(|request| request.request_id.is_none() && request.sent.is_some()) {
        *nameless.entry(request.key.as_str()).or_default() += 1;
    }
    let known: std::collections::HashSet<&str> = history.requests.iter().filter_map(|request| request.request_id.as_deref()).collect();
    let mut rows: BTreeMap<&str, i64> = BTreeMap::new();
    for row in history.rows.iter().filter(|row| !known.contains(row.request_id.as_str())) {
        *rows.entry(row.key.as_deref().unwrap_or_default()).or_default() += 1;
    }
    for (key, count) in rows {
        let allowed = nameless.get(key).copied().unwrap_or(0);
        if count > allowed && !key.is_empty() {
            verdict.fail(
                history.end(),
                None,
                None,
                format!("{count} rows of key `{key}` belong to no request; {allowed} of its clients got no id"),
            );
        }
    }
}

/// 10^-12 dollars in a millionth of one.
const PICO_PER_MICRO: i128 = 1_000_000;

/// Exact cost in 10^-12 dollars: prices are micro-dollars per million tokens, which is the same per token.
pub(crate) fn pico_dollars(price: &Price, tokens: Tokens, geographic: bool) -> i128 {
    let part = |count: u64, price: u64| i128::from(count) * i128::from(price);
    let sum = part(tokens.input, price.input)
        + part(tokens.output, price.output)
        + part(tokens.cache_read, price.cache_read)
        + part(tokens.cache_write, price.cache_write);
    if geographic { sum * i128::from(price.geography_percent) / 100 } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::kit::{answered, call, empty, host, refused, row};

    fn good() -> History {
        let mut history = empty();
        let request = answered(1, 0, 1);
        history.calls.push(call(1, &request));
        history.rows.push(row(&request));
        history.requests.push(request);
        history
    }

    fn found(change: impl FnOnce(&mut History)) -> u64 {
        let mut history = good();
        change(&mut history);
        check(&history).found
    }

    #[test]
    fn a_row_that_equals_the_bill_is_right() {
        let verdict = check(&good());
        assert_eq!((verdict.checked, verdict.found), (1, 0), "{verdict:?}");
    }

    #[test]
    fn missing_doubled_and_wrong_rows_are_violations() {
        assert_eq!(found(|history| history.rows.clear()), 1);
        assert_eq!(found(|history| history.rows.push(history.rows[0].clone())), 1);
        assert_eq!(found(|history| history.rows[0].tokens.output = 99), 1);
        assert_eq!(found(|history| history.rows[0].micro_usd = Some(4_502)), 1);
        assert_eq!(found(|history| history.rows[0].micro_usd = Some(0)), 1);
    }

    #[test]
    fn the_profile_of_a_geography_costs_more() {
        assert_eq!(found(|history| history.calls[0].geographic = true), 1);
        assert_eq!(
            found(|history| {
                history.calls[0].geographic = true;
                history.rows[0].micro_usd = Some(4_950);
            }),
            0
        );
    }

    #[test]
    fn a_failed_attempt_before_the_answer_costs_nothing() {
        assert_eq!(
            found(|history| {
                let failed = crate::check::kit::rejected(2, &history.requests[0], 503, "no");
                history.calls.push(failed);
            }),
            0
        );
    }

    #[test]
    fn refused_requests_are_free() {
        let mut history = empty();
        let request = refused(1, 0, 429);
        history.rows.push(Row { tokens: Tokens::default(), micro_usd: None, ..row(&request) });
        history.requests.push(request);
        assert_eq!(check(&history).found, 0);
        history.rows[0].tokens.input = 5;
        assert_eq!(check(&history).found, 1);
    }

    #[test]
    fn a_cancelled_answer_is_booked_between_received_and_produced() {
        let cancelled = |output, estimated| {
            found(|history| {
                history.requests[0].end = End::Left;
                history.rows[0].tokens.output = output;
                history.rows[0].estimated = estimated;
            })
        };
        assert_eq!(cancelled(60, false), 0);
        assert_eq!(cancelled(0, true), 1, "ten words were received");
        assert_eq!(cancelled(101, false), 1, "more than was produced");
        assert_eq!(cancelled(101, true), 0, "an estimate from the text");
    }

    #[test]
    fn rows_of_nobody_are_told() {
        let stranger = |history: &mut History| history.rows.push(Row { request_id: "x".to_owned(), ..history.rows[0].clone() });
        assert_eq!(found(stranger), 1);
        assert_eq!(
            found(|history| {
                stranger(history);
                history.requests.push(Request { request_id: None, end: End::Cut, ..answered(2, 1, 9) });
            }),
            0,
            "a client that was cut off before it got an id"
        );
    }

    #[test]
    fn what_a_kill_cut_off_is_judged_elsewhere() {
        assert_eq!(
            found(|history| {
                history.rows.clear();
                history.host.push(host(1, crate::history::HostFact::Killed));
            }),
            0
        );
    }
}
