//! Hand-written books, good and bad, for the checks that no planted bug of the doubles reaches.

use std::time::Duration;

use outcrop_chaos::history::{Envelope, Said};
use outcrop_sim::{CallRecord, Decision, End, Nanos, Operation};

use super::{Verdict, answers, attempts, drains, ends};
use crate::{
    books::{Books, Ended, Seen},
    load::Arrival,
    options::{DrainPlan, Options, Weather},
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
        decided: None,
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

#[test]
fn words_of_another_call_are_found_unless_it_goes_on_with_what_was_heard() {
    let whole = |id: u64, words: u64, prefill: Option<&str>| CallRecord {
        words_total: words,
        prefill: prefill.map(str::to_owned),
        ..call(id, (9 + id) as u32 * SECOND)
    };
    let books = |change: fn(&mut Books)| {
        let mut books = books();
        books.options.resume = true;
        books.calls = vec![whole(1, 9, None), whole(3, 3, Some("1.1"))];
        let mut said = Said::default();
        for (call, index) in [(1, 0), (1, 1), (3, 0), (3, 1), (3, 2)] {
            said.hear(call, index);
        }
        books.requests[0].said.insert(0, said);
        change(&mut books);
        (answers::check(&books).violations.len(), answers::said(&books).violations.len())
    };
    assert_eq!(books(|_| {}), (0, 0));
    assert_eq!(books(|books| books.options.resume = false), (1, 1), "nobody wanted that");
    assert_eq!(books(|books| books.calls[1].prefill = None), (1, 1), "it began anew");
    assert_eq!(books(|books| books.calls[1].prefill = Some("1.0".to_owned())), (1, 0), "a word is doubled or lost");
    assert_eq!(books(|books| books.calls[1].words_total = 4), (1, 0), "told as whole");
    assert_eq!(books(|books| books.calls[0].nonce = None), (1, 0), "of another request");
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
