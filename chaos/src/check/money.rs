//! I5: money. The gateway's rows against the simulator's bill at the harness's own prices.

use std::collections::{BTreeMap, HashSet};

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
    strangers(history, &joined, &mut verdict);
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
        _ => cut_short(history, joined, request, row),
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
        if !row.estimated {
            return Some("the usage was never sent, yet the row is no estimate".to_owned());
        }
        return estimate(&[delivered], row).or_else(|| priced(history, &[delivered], row));
    };
    if row.tokens != billed {
        return Some(format!("booked {:?}, call {} was billed {billed:?}", row.tokens, delivered.number));
    }
    priced(history, &[delivered], row)
}

/// The client left, or the answer broke: between what was received and what was produced.
fn cut_short(history: &History, joined: &Joined<'_>, request: &Request, row: &Row) -> Option<String> {
    let received = request.said.words();
    if received > 0 && row.tokens.output == 0 {
        return Some(format!("{received} words were received, and no output is booked"));
    }
    if received > 0 && prompt(row.tokens) == 0 {
        return Some(format!("{received} words were received, and no input is booked"));
    }
    let calls = joined.calls_of(request);
    if row.tokens == Tokens::default() {
        return nothing_paid(row);
    }
    let told: u64 = calls.iter().filter_map(|call| call.whole).map(|whole| whole.output).sum();
    if !row.estimated && row.tokens.output > told {
        return Some(format!("{} output tokens are booked, {told} were produced", row.tokens.output));
    }
    estimate(calls, row).or_else(|| priced(history, calls, row))
}

fn nothing_paid(row: &Row) -> Option<String> {
    let paid = row.micro_usd.unwrap_or(0);
    (paid != 0).then(|| format!("no token is booked, and {paid} micro-dollars are"))
}

/// An estimate of a prompt may be wrong by this factor: nobody counts another's tokens exactly.
const PROMPT_FACTOR: u64 = 2;
/// Beside the factor: images and tools are counted in many ways.
const PROMPT_SLACK: u64 = 2_000;
/// Most tokens that an estimate may make of one word as the simulator writes them (`1234.56`).
const WORD_TOKENS: u64 = 8;
/// Beside that.
const OUTPUT_SLACK: u64 = 16;

/// Bounds on what a row books without having been told: the prompts that were really read, the answers that were really
/// written. Its calls are those that were admitted; several were when a first answer broke before its client saw any of it.
fn estimate(calls: &[&Call], row: &Row) -> Option<String> {
    let wholes = || calls.iter().filter_map(|call| Some((call, call.whole?)));
    let Some(least) = wholes().map(|(_, whole)| prompt(whole)).min() else {
        return Some(format!("{:?} is booked, though no call was admitted", row.tokens));
    };
    let most: u64 = wholes().map(|(_, whole)| prompt(whole)).sum();
    let (booked, least, most) =
        (prompt(row.tokens), least.saturating_sub(PROMPT_SLACK) / PROMPT_FACTOR, most * PROMPT_FACTOR + PROMPT_SLACK);
    if !(least..=most).contains(&booked) {
        return Some(format!("{booked} input tokens are estimated; between {least} and {most} are possible"));
    }
    let produced: u64 = wholes().map(|(call, whole)| whole.output.max(call.words_sent * WORD_TOKENS)).sum();
    let beyond = row.tokens.output > produced + OUTPUT_SLACK;
    beyond.then(|| format!("{} output tokens are estimated, {produced} were produced at the most", row.tokens.output))
}

/// The money is that of the row's own tokens at the harness's price. A model that the harness has no price for is not judged.
fn priced(history: &History, calls: &[&Call], row: &Row) -> Option<String> {
    let model = calls.last()?.model.as_str();
    let price = history.about.models.iter().find(|known| known.id == model).and_then(|known: &ModelFacts| known.price)?;
    let Some(booked) = row.micro_usd else {
        return (row.tokens != Tokens::default()).then(|| format!("{:?} is booked without a cost", row.tokens));
    };
    // Rounded once for each call that is booked, in whichever direction.
    let slack = PICO_PER_MICRO * i128::from(row.attempts.clamp(1, MOST_ATTEMPTS));
    let near = |exact: &i128| (i128::from(booked) * PICO_PER_MICRO - exact).abs() < slack;
    let possible: Vec<i128> = calls.iter().map(|call| pico_dollars(&price, row.tokens, call.geographic)).collect();
    // Calls of both classes of profiles: anything between.
    let (low, high) = (possible.iter().min()?, possible.iter().max()?);
    let between = (low..=high).contains(&&(i128::from(booked) * PICO_PER_MICRO));
    let right = || high / PICO_PER_MICRO;
    (!between && !possible.iter().any(near)).then(|| format!("booked {booked} micro-dollars, {} would be right", right()))
}

/// More calls than this are not booked in one row.
const MOST_ATTEMPTS: u64 = 8;

/// Tokens of the prompt, cached or not: an estimate cannot know what was.
fn prompt(tokens: Tokens) -> u64 {
    tokens.input + tokens.cache_read + tokens.cache_write
}

fn delivered<'h>(joined: &Joined<'h>, request: &Request) -> Option<&'h Call> {
    let by_words = request.said.runs.first().and_then(|run| joined.call(run.call));
    by_words.or_else(|| joined.calls_of(request).iter().find(|call| call.answered()).copied())
}

/// Rows that belong to no request must be those of clients that were given no id: key by key, no more rows than such
/// clients, and all of them together within what their calls allow.
fn strangers(history: &History, joined: &Joined<'_>, verdict: &mut Verdict) {
    let mut nameless: BTreeMap<&str, Vec<&Request>> = BTreeMap::new();
    for request in history.requests.iter().filter(|request| request.request_id.is_none() && request.sent.is_some()) {
        nameless.entry(request.key.as_str()).or_default().push(request);
    }
    let known: HashSet<&str> = history.requests.iter().filter_map(|request| request.request_id.as_deref()).collect();
    let mut rows: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in history.rows.iter().filter(|row| !known.contains(row.request_id.as_str())) {
        rows.entry(row.key.as_deref().unwrap_or_default()).or_default().push(row);
    }
    for (key, rows) in rows.into_iter().filter(|(key, _)| !key.is_empty()) {
        let requests = nameless.get(key).map_or(&[][..], Vec::as_slice);
        let (count, allowed) = (rows.len(), requests.len());
        if count > allowed {
            let words = format!("{count} rows of key `{key}` belong to no request; {allowed} of its clients got no id");
            verdict.fail(history.end(), None, None, words);
            continue;
        }
        let calls: Vec<&Call> = requests.iter().flat_map(|request| joined.calls_of(request)).copied().collect();
        let wrong = together(history, &calls, &rows);
        verdict
            .expect(wrong.is_none(), history.end(), None, || format!("rows of key `{key}` of no request: {}", wrong.unwrap_or_default()));
    }
}

fn together(history: &History, calls: &[&Call], rows: &[&Row]) -> Option<String> {
    let tokens = rows.iter().fold(Tokens::default(), |sum, row| sum.plus(row.tokens));
    let sum = Row { tokens, estimated: true, ..Row::default() };
    let each = || rows.iter().find_map(|row| if row.tokens == Tokens::default() { nothing_paid(row) } else { priced(history, calls, row) });
    let beyond = if tokens == Tokens::default() { None } else { estimate(calls, &sum) };
    beyond.or_else(each)
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

    /// A client left; so much is booked, at the right price.
    fn cancelled(tokens: Tokens, estimated: bool) -> u64 {
        found(|history| {
            history.requests[0].end = End::Left;
            let cost = (tokens.input * 3_000_000 + tokens.output * 15_000_000) / 1_000_000;
            let row = &mut history.rows[0];
            (row.tokens, row.estimated, row.micro_usd) = (tokens, estimated, i64::try_from(cost).ok());
        })
    }

    #[test]
    fn a_cancelled_answer_is_booked_between_received_and_produced() {
        let of = |output| Tokens { input: 1_000, output, ..Tokens::default() };
        assert_eq!(cancelled(of(60), false), 0);
        assert_eq!(cancelled(of(0), true), 1, "ten words were received");
        assert_eq!(cancelled(of(101), false), 1, "more than was produced");
        assert_eq!(cancelled(of(101), true), 0, "an estimate from the text");
        assert_eq!(cancelled(of(117), true), 1, "an estimate beyond everything that was written");
    }

    #[test]
    fn an_estimated_prompt_is_near_the_one_that_was_read() {
        let of = |input| Tokens { input, output: 60, ..Tokens::default() };
        assert_eq!((cancelled(of(2_000), true), cancelled(of(4_001), true), cancelled(of(0), true)), (0, 1, 1));
        let long = |input| {
            found(|history| {
                history.requests[0].end = End::Left;
                history.calls[0].whole = Some(Tokens { input: 500, output: 100, cache_read: 40_000, cache_write: 0 });
                let row = &mut history.rows[0];
                (row.tokens, row.estimated) = (Tokens { input, output: 60, ..Tokens::default() }, true);
                row.micro_usd = i64::try_from(input * 3 + 900).ok();
            })
        };
        assert_eq!((long(19_300), long(19_000)), (0, 1), "half of it at least");
    }

    #[test]
    fn money_of_a_cut_answer_is_that_of_its_tokens() {
        let paid = |micro_usd: Option<i64>| {
            found(|history| {
                history.requests[0].end = End::Left;
                (history.rows[0].estimated, history.rows[0].micro_usd) = (true, micro_usd);
            })
        };
        assert_eq!((paid(Some(4_500)), paid(Some(4_502)), paid(None)), (0, 1, 1));
        let for_nothing = |micro_usd| {
            found(|history| {
                history.requests[0].end = End::Left;
                history.requests[0].said.runs.clear();
                (history.rows[0].tokens, history.rows[0].micro_usd) = (Tokens::default(), micro_usd);
            })
        };
        assert_eq!((for_nothing(None), for_nothing(Some(0)), for_nothing(Some(7))), (0, 0, 1));
    }

    #[test]
    fn a_row_without_a_cost_is_wrong_where_there_is_a_price() {
        assert_eq!(found(|history| history.rows[0].micro_usd = None), 1);
        assert_eq!(
            found(|history| {
                history.rows[0].micro_usd = None;
                history.about.models[0].price = None;
            }),
            0,
            "nobody here knows what it costs"
        );
    }

    #[test]
    fn an_answer_whose_usage_was_never_sent_is_an_estimate_within_bounds() {
        let booked = |output: u64, estimated| {
            found(|history| {
                history.calls[0].usage_sent = false;
                let row = &mut history.rows[0];
                (row.tokens.output, row.estimated) = (output, estimated);
                row.micro_usd = i64::try_from(3_000 + output * 15).ok();
            })
        };
        assert_eq!((booked(40, true), booked(40, false), booked(500, true)), (0, 1, 1));
    }

    #[test]
    fn nothing_is_booked_where_no_call_was_admitted() {
        assert_eq!(
            found(|history| {
                history.requests[0].end = End::Cut;
                history.requests[0].said.runs.clear();
                history.calls[0].whole = None;
                history.rows[0].estimated = true;
            }),
            1
        );
    }

    #[test]
    fn rows_of_nobody_are_told() {
        let stranger = |history: &mut History| history.rows.push(Row { request_id: "x".to_owned(), ..history.rows[0].clone() });
        assert_eq!(found(stranger), 1);
        let cut_off = |tokens: Tokens, micro_usd: i64| {
            found(|history| {
                stranger(history);
                let cut = Request { request_id: None, end: End::Cut, ..answered(2, 1, 9) };
                history.calls.push(call(9, &cut));
                history.requests.push(cut);
                (history.rows[1].tokens, history.rows[1].micro_usd) = (tokens, Some(micro_usd));
            })
        };
        let of = |input, output| Tokens { input, output, ..Tokens::default() };
        assert_eq!(cut_off(of(1_000, 100), 4_500), 0, "a client that was cut off before it got an id");
        assert_eq!((cut_off(of(0, 0), 0), cut_off(of(0, 0), 5)), (0, 1));
        assert_eq!((cut_off(of(9_000, 100), 28_500), cut_off(of(1_000, 900), 16_500), cut_off(of(1_000, 100), 45_000)), (1, 1, 1));
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
