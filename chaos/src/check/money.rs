//! I5: money. The gateway's rows against the simulator's bill at the harness's own prices.

mod ledger;
mod sums;

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
    sums::check(history, &joined, &mut verdict);
    ledger::check(history, &mut verdict);
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
    // Words of no call, or of several that do not go on with each other: I2 tells it, and there is no single bill.
    if !request.said.stray.is_empty() {
        return None;
    }
    if request.said.runs.len() > 1 {
        return went_on(history, joined.calls_of(request), goes_on(history, joined, request)?, row);
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

/// The last call of an answer that went on from one to the next; `None` where its runs have no seams.
fn goes_on<'h>(history: &History, joined: &Joined<'h>, request: &Request) -> Option<&'h Call> {
    let runs = &request.said.runs;
    let calls: Option<Vec<&Call>> = runs.iter().map(|run| joined.call(run.call)).collect();
    let calls = calls.filter(|_| history.about.rules.resume)?;
    let mut seams = runs.iter().zip(calls.iter().skip(1));
    seams
        .all(|(run, next)| next.prefill.as_deref() == Some(format!("{}.{}", run.call, run.last).as_str()))
        .then(|| calls.last().copied())?
}

/// A resumed answer costs all of its calls: those that broke as estimated, the last as it was told.
fn went_on(history: &History, calls: &[&Call], last: &Call, row: &Row) -> Option<String> {
    // One that broke before its first word is among them: nobody heard it, and it is paid.
    let broken: Vec<&Call> = calls.iter().copied().filter(|call| call.number != last.number && call.whole.is_some()).collect();
    if !row.estimated && broken.iter().any(|call| !call.usage_sent) {
        return Some("a call broke before its usage was sent, yet the row is no estimate".to_owned());
    }
    let Some(told) = last.billed.filter(|_| last.usage_sent) else {
        return estimate(calls, row).or_else(|| priced(history, calls, row));
    };
    let Some(rest) = less(row.tokens, told) else {
        return Some(format!("booked {:?}, the last of {} calls alone was billed {told:?}", row.tokens, calls.len()));
    };
    if rest.output == 0 {
        return Some("the words of the calls that broke are not booked".to_owned());
    }
    estimate(&broken, &Row { tokens: rest, ..row.clone() }).or_else(|| priced(history, calls, row))
}

fn less(tokens: Tokens, other: Tokens) -> Option<Tokens> {
    Some(Tokens {
        input: tokens.input.checked_sub(other.input)?,
        output: tokens.output.checked_sub(other.output)?,
        cache_read: tokens.cache_read.checked_sub(other.cache_read)?,
        cache_write: tokens.cache_write.checked_sub(other.cache_write)?,
    })
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
    let mut due: BTreeMap<&str, usize> = BTreeMap::new();
    for request in history.requests.iter().filter(|request| request.request_id.is_none() && request.sent.is_some()) {
        nameless.entry(request.key.as_str()).or_default().push(request);
        // For whom a call was made a row is due, also when the client was gone before it could be told an id.
        // Where nobody's rows are known, as of a peer, none can be missed.
        if !history.rows.is_empty() && !killed_around(history, request) && joined.calls_of(request).iter().any(|call| call.billed.is_some())
        {
            *due.entry(request.key.as_str()).or_default() += 1;
        }
    }
    let known: HashSet<&str> = history.requests.iter().filter_map(|request| request.request_id.as_deref()).collect();
    let mut rows: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in history.rows.iter().filter(|row| !known.contains(row.request_id.as_str())) {
        rows.entry(row.key.as_deref().unwrap_or_default()).or_default().push(row);
    }
    for (key, due) in due {
        let count = rows.get(key).map_or(0, Vec::len);
        verdict.expect(count >= due, history.end(), None, || {
            format!("calls were billed for {due} clients of key `{key}` that got no id, and {count} rows are those of no other request")
        });
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
mod tests;
