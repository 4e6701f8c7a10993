//! Hand-written books, good and bad, for the checks that no planted bug of the doubles reaches.

use std::{sync::Arc, time::Duration};

use outcrop_chaos::history::{BREAKING, Envelope, Said};
use outcrop_domain::usage::Usage;
use outcrop_sim::{
    BucketChange, BucketEntry, BucketKey, CallRecord, Decision, End, FaultHit, Nanos, Operation, Quota, QuotaLimit, QuotaRoom, RefusedBy,
    Usage as Billed, faults::FaultId,
};

use super::{Verdict, answers, attempts, copies, drains, ends, money, room};
use crate::{
    books::{Books, Ended, Row, Seen},
    load::Arrival,
    options::{DrainPlan, FaultPlan, Limit, Options, Weather},
    run::CANARIES,
};

const SECOND: Duration = Duration::from_secs(1);

/// One request at second 10 that ended well at second 12, with its one call.
fn books() -> Books {
    let asked = Arrival { at: 10 * SECOND, choices: 1, nonce: "n0nce-1".to_owned(), ..Arrival::default() };
    let mut options = Options { arrivals: vec![asked.clone()], ..Options::default() };
    options.limits.max_attempts = 3;
    options.grace = 5 * SECOND;
    let first_content = Some(11 * SECOND);
    let seen = Seen { asked, first_content, ended: 12 * SECOND, end: Ended::Complete, ..Seen::default() };
    Books { options, requests: vec![seen], calls: vec![call(1, 10 * SECOND)], ..Books::default() }
}

fn call(id: u64, arrived: Duration) -> CallRecord {
    CallRecord {
        id,
        request_id: String::new(),
        region: "us-east-1".to_owned(),
        connection: 1,
        operation: Operation::ConverseStream,
        label: None,
        model: None,
        profile: None,
        key: None,
        nonce: Some("n0nce-1".to_owned()),
        nonces: Vec::new(),
        prefill: None,
        request_bytes: 0,
        arrived: Nanos::from(arrived),
        read: None,
        decision: Decision::Pending,
        decided: Some(Nanos::from(arrived)),
        fault: None,
        head: None,
        first_byte: None,
        last_byte: None,
        words: Vec::new(),
        words_sent: 0,
        words_total: 0,
        events_sent: 0,
        body_bytes: 0,
        wire_bytes: 0,
        billed: None,
        usage: None,
        ideal_cache_read: None,
        peer_closed: None,
        ended: None,
        end: End::Open,
        in_flight: 1,
        open_connections: 1,
    }
}

fn found(check: fn(&Books) -> Verdict, change: impl FnOnce(&mut Books)) -> usize {
    let mut books = books();
    assert_eq!(check(&books).violations.len(), 0, "before the change");
    change(&mut books);
    check(&books).violations.len()
}

#[test]
fn requests_without_an_end_and_a_slow_stop_are_found() {
    for end in [Ended::Late, Ended::Silent, Ended::Malformed, Ended::Cut] {
        assert_eq!(found(ends::check, |books| books.requests[0].end = end), 1, "{end:?}");
    }
    assert_eq!(found(ends::check, |books| books.requests.clear()), 1, "a request is missing");
    assert_eq!(found(ends::check, |books| (books.stopped, books.ended) = (20 * SECOND, 26 * SECOND)), 1);
}

/// An answer of which two words came from one call, and the rest from another.
fn resumed() -> Books {
    let whole = |id: u64, words: u64, prefill: Option<&str>| CallRecord {
        words_total: words,
        prefill: prefill.map(str::to_owned),
        end: End::Complete,
        ..call(id, (9 + id) as u32 * SECOND)
    };
    let mut books = books();
    books.options.resume = true;
    books.calls = vec![whole(1, 9, None), whole(3, 3, Some("1.1"))];
    let mut said = Said::default();
    for (call, index) in [(1, 0), (1, 1), (3, 0), (3, 1), (3, 2)] {
        said.hear(call, index);
    }
    books.requests[0].said.insert(0, said);
    books
}

#[test]
fn words_of_another_call_are_found_unless_it_goes_on_with_what_was_heard() {
    let books = |change: fn(&mut Books)| {
        let mut books = resumed();
        change(&mut books);
        (answers::check(&books).violations.len(), answers::said(&books).violations.len())
    };
    assert_eq!(books(|_| {}), (0, 0));
    assert_eq!(books(|books| books.options.resume = false), (1, 1), "nobody wanted that");
    assert_eq!(books(|books| books.calls[1].prefill = None), (1, 1), "it began anew");
    assert_eq!(books(|books| books.calls[1].prefill = Some("1.0".to_owned())), (1, 0), "a word is doubled or lost");
    let undecided = |books: &mut Books| books.calls.push(CallRecord { decided: None, ..call(2, 12 * SECOND) });
    assert_eq!(books(undecided), (0, 0), "it may have gone on with what was heard");
    assert_eq!(books(|books| books.calls[1].words_total = 4), (1, 0), "told as whole");
    assert_eq!(books(|books| books.calls[0].nonce = None), (1, 0), "of another request");
}

#[test]
fn an_answer_that_was_cut_or_broken_after_its_last_word_is_not_whole() {
    let judged = |change: &dyn Fn(&mut CallRecord)| {
        let mut books = resumed();
        change(&mut books.calls[1]);
        answers::check(&books).violations.len()
    };
    assert_eq!(judged(&|_| {}), 0);
    for end in [End::Cut, End::Cancelled, End::Open, End::Shutdown] {
        assert_eq!(judged(&|call| call.end = end), 1, "{end:?}");
    }
    for kind in BREAKING {
        assert_eq!(judged(&|call| call.fault = Some(FaultHit { fault: FaultId(1), kind: kind.to_owned() })), 1, "{kind}");
    }
}

/// At second 100 one request is throttled that wanted 1,000 tokens of a bucket of 6,000 a minute, and 60 requests.
fn throttled() -> Books {
    let mut books = books();
    let seen = &mut books.requests[0];
    (seen.asked.at, seen.ended, seen.end, seen.status) = (100 * SECOND, 102 * SECOND, Ended::Refused, Some(429));
    let bucket = BucketKey { region: "us-east-1".to_owned(), model: String::new(), profile: None };
    let by = RefusedBy::Quota { bucket: bucket.clone(), limit: QuotaLimit::Tokens, wanted: 1_000 };
    let decision = Decision::Refused { by, status: 429, code: "ThrottlingException".to_owned(), text: String::new() };
    books.calls = vec![CallRecord { decision, ..call(1, 100 * SECOND) }];
    let quota = Quota { requests_per_minute: Some(60), tokens_per_minute: Some(6_000), depth: 60 * SECOND, ..Quota::default() };
    books.options.strategy = "adaptive";
    books.options.regions = vec!["us-east-1"];
    books.options.quotas = vec![Limit { region: "us-east-1", model: "", quota }];
    books.buckets = vec![entry(0, BucketChange::Made { quota })];
    books
}

fn entry(at: u32, change: BucketChange) -> BucketEntry {
    let bucket = Arc::new(BucketKey { region: "us-east-1".to_owned(), model: String::new(), profile: None });
    let room = QuotaRoom { requests: None, tokens: None, day_tokens: None };
    BucketEntry { number: 0, at: Nanos::from(at * SECOND), bucket, call: Some(9), change, room }
}

#[test]
fn a_throttle_while_the_true_bucket_had_room_is_found() {
    let judged = |change: fn(&mut Books)| {
        let mut books = throttled();
        change(&mut books);
        let verdict = room::check(&books);
        (verdict.checked, verdict.violations.len())
    };
    let taken = |reserved| BucketChange::Admitted { reserved };
    assert_eq!(judged(|_| {}), (1, 1), "it was full all the time");
    assert_eq!(judged(|books| books.buckets.push(entry(95, BucketChange::Admitted { reserved: 5_500 }))), (1, 0), "it was drawn empty");
    assert_eq!(judged(|books| books.buckets.push(entry(10, BucketChange::Admitted { reserved: 5_500 }))), (1, 1), "and is full again");
    assert_eq!(judged(|books| books.buckets.push(entry(101, BucketChange::Admitted { reserved: 5_500 }))), (1, 0), "for a moment");
    assert_eq!(judged(|books| books.buckets.push(entry(95, BucketChange::Admitted { reserved: 4_000 }))), (1, 1), "2,000 were left");
    assert_eq!(judged(|books| books.buckets.push(entry(95, BucketChange::Admitted { reserved: 4_500 }))), (1, 0), "1,500 less the margin");
    let crowd = |books: &mut Books| books.buckets.extend((0..59).map(|_| entry(95, BucketChange::Admitted { reserved: 0 })));
    assert_eq!(judged(crowd), (1, 0), "no request was left");
    let refused = BucketChange::Refused { wanted: 9_000, limit: QuotaLimit::Tokens };
    let mut learning = throttled();
    learning.buckets.push(entry(50, refused));
    assert_eq!(room::check(&learning).violations.len(), 0, "its limit was being learned");
    learning.buckets.insert(1, entry(5, refused));
    assert_eq!(room::check(&learning).violations.len(), 1, "its limit was known");
    let mut two = throttled();
    two.options.regions.push("us-west-2");
    two.buckets.push(entry(95, taken(6_000)));
    assert_eq!(room::check(&two).violations.len(), 1, "the other region is not limited");
    let from = 60 * SECOND;
    two.options.faults.push(FaultPlan { text: String::new(), region: Some("us-west-2"), from, until: from + SECOND });
    assert_eq!(room::check(&two).violations.len(), 0, "the other region was in trouble");
    assert_eq!(judged(|books| books.options.strategy = "ordered"), (0, 0), "which promises nothing");
    assert_eq!(judged(|books| books.requests[0].status = Some(503)), (0, 0));
}

/// One request, answered and booked as it was billed.
fn billed() -> Books {
    let mut books = books();
    books.requests[0].request_id = Some("r-1".to_owned());
    let told = Billed { input: 900, output: 40, cache_read: 60, cache_write_5m: 7, cache_write_1h: 3 };
    let decision = Decision::Admitted { bucket: None, reserved: Some(2_000) };
    books.calls[0] = CallRecord { decision, usage: Some(told), billed: Some(told), ..books.calls[0].clone() };
    let usage = Usage { input: 900, output: 40, cache_read: 60, cache_write_5m: 7, cache_write_1h: 3, reasoning: None };
    books.rows = vec![row("r-1", Some(usage))];
    books
}

fn row(request: &str, usage: Option<Usage>) -> Row {
    Row { request: request.to_owned(), outcome: "completed", attempts: 1, usage, estimated: false, error: None, detail: None }
}

#[test]
fn rows_that_are_missing_doubled_or_wrong_are_found() {
    let judged = |change: fn(&mut Books)| {
        let mut books = billed();
        change(&mut books);
        money::check(&books).violations.len()
    };
    assert_eq!(judged(|_| {}), 0);
    assert_eq!(judged(|books| books.rows.clear()), 1);
    assert_eq!(judged(|books| books.rows.push(books.rows[0].clone())), 1);
    let wrong: [fn(&mut Usage); 5] = [
        |usage| usage.input += 1,
        |usage| usage.output -= 1,
        |usage| usage.cache_read = 0,
        |usage| usage.cache_write_5m = 10,
        |usage| usage.cache_write_1h = 0,
    ];
    for change in wrong {
        let mut books = billed();
        books.rows[0].usage.iter_mut().for_each(change);
        assert_eq!(money::check(&books).violations.len(), 1, "{:?}", books.rows[0].usage);
    }
    assert_eq!(judged(|books| books.rows[0].estimated = true), 1, "it was told");
    assert_eq!(judged(|books| books.rows[0].usage = None), 1);
    assert_eq!(judged(|books| books.rows[0].attempts = 0), 1, "a call was made");
    assert_eq!(judged(|books| books.rows.push(row("x", None))), 1, "of nobody");
    let nameless = |books: &mut Books| {
        books.requests.push(Seen::default());
        books.rows.push(row("x", None));
    };
    assert_eq!(judged(nameless), 0, "of a client that got no id");
    let refused = |books: &mut Books| books.calls[0].decision = Decision::Pending;
    assert_eq!(judged(refused), 1, "tokens that nobody can have told");
}

#[test]
fn a_refusal_in_calm_weather_is_found() {
    let refused = |weather| {
        move |books: &mut Books| {
            books.options.weather = weather;
            books.requests[0].end = Ended::Refused;
        }
    };
    assert_eq!(found(ends::failures, refused(Weather::Calm)), 1);
    assert_eq!(found(ends::failures, refused(Weather::Deeds)), 1, "nobody was made to panic");
    assert_eq!(found(ends::failures, refused(Weather::Mixed)), 0);
}

#[test]
fn a_canary_that_is_refused_is_found_unless_its_only_region_has_no_quota_left() {
    let refused = |strategy, by_quota| {
        move |books: &mut Books| {
            books.options.strategy = strategy;
            books.requests[0].asked.id = CANARIES;
            books.requests[0].end = Ended::Refused;
            if by_quota {
                books.calls = throttled().calls;
            }
        }
    };
    assert_eq!(found(ends::failures, refused("disabled", true)), 0);
    assert_eq!(found(ends::failures, refused("disabled", false)), 1);
    assert_eq!(found(ends::failures, refused("adaptive", true)), 1);
}

#[test]
fn errors_of_another_form_and_throttles_without_a_time_are_found() {
    let error = Envelope { well_formed: true, ..Envelope::default() };
    let refused = |well_formed, retry_after: Option<&str>| {
        let (error, retry_after) = (Envelope { well_formed, ..error.clone() }, retry_after.map(str::to_owned));
        found(ends::errors, |books| {
            let seen = &mut books.requests[0];
            (seen.end, seen.status, seen.error, seen.retry_after) = (Ended::Refused, Some(429), Some(error), retry_after);
        })
    };
    assert_eq!((refused(true, Some("3")), refused(false, Some("3")), refused(true, None), refused(true, Some("0"))), (0, 1, 1, 1));
}

#[test]
fn a_call_after_the_first_word_is_found() {
    assert_eq!(found(answers::said, |books| books.calls.push(call(2, 10 * SECOND))), 0);
    assert_eq!(found(answers::said, |books| books.calls.push(call(2, 12 * SECOND))), 1);
}

#[test]
fn more_calls_than_one_request_may_make_are_found() {
    assert_eq!(found(attempts::check, |books| books.calls.extend((2..=3).map(|id| call(id, 10 * SECOND)))), 0);
    assert_eq!(found(attempts::check, |books| books.calls.extend((2..=4).map(|id| call(id, 10 * SECOND)))), 1);
}

#[test]
fn more_calls_than_the_process_may_make_are_found() {
    let storm = |books: &mut Books| {
        for id in 2..=200 {
            books.calls.push(CallRecord { nonce: None, ..call(id, 11 * SECOND) });
        }
    };
    assert_eq!(found(attempts::check, storm), 1);
}

#[test]
fn a_call_to_a_drained_region_is_found() {
    let drained = |at: u32| {
        let drain = DrainPlan { region: "us-east-1", from: 20 * SECOND, until: 40 * SECOND };
        found(drains::check, |books| {
            books.options.drains.push(drain);
            books.calls.push(call(2, at * SECOND));
        })
    };
    assert_eq!((drained(19), drained(22), drained(30), drained(41)), (0, 0, 1, 0));
}

/// Requests of one call each, of which some have a second one, which begins two seconds after the first and stays beside it.
fn with_copies(percent: u64, requests: u64, copied: u64) -> Books {
    let mut books = books();
    books.options.limits.hedge_percent = percent;
    let (seen, mut first) = (books.requests[0].clone(), books.calls[0].clone());
    first.ended = Some(Nanos::from(14 * SECOND));
    (books.requests, books.calls) = (Vec::new(), Vec::new());
    for id in 0..requests {
        let nonce = format!("n0nce-{id}");
        books.requests.push(Seen { asked: Arrival { nonce: nonce.clone(), ..seen.asked.clone() }, ..seen.clone() });
        books.calls.push(CallRecord { id: 2 * id, nonce: Some(nonce.clone()), ..first.clone() });
        if id < copied {
            let arrived = Nanos::from(12 * SECOND);
            books.calls.push(CallRecord { id: 2 * id + 1, nonce: Some(nonce), arrived, ..first.clone() });
        }
    }
    books
}

#[test]
fn copies_that_nobody_wants_and_more_of_them_than_are_wanted_are_found() {
    let judged = |percent, copied| copies::check(&with_copies(percent, 100, copied)).violations.len();
    assert_eq!((judged(0, 0), judged(10, 0), judged(10, 10)), (0, 0, 0));
    assert_eq!((judged(0, 1), judged(10, 15)), (2, 1), "its request tells it and the sum does; the sum alone");
    assert_eq!(copies::copies(&with_copies(10, 100, 10), SECOND), 10);
}

#[test]
fn a_call_that_was_given_up_for_the_next_one_is_no_copy_and_a_third_at_a_time_is_found() {
    let mut books = with_copies(0, 100, 1);
    books.calls[0].peer_closed = Some(Nanos::from(12 * SECOND));
    assert_eq!(copies::check(&books).violations.len(), 0);
    let mut books = with_copies(10, 100, 1);
    books.calls.push(CallRecord { id: 1_000, ..books.calls[1].clone() });
    assert_eq!(copies::check(&books).violations.len(), 1);
}
