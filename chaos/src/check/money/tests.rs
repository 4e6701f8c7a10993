//! Hand-written bills, right and wrong.

use super::{sums::GIVEN_UP, *};
use crate::{
    check::kit::{answered, call, empty, host, refused, row},
    history::{Ending, HostFact, Ledger, LedgerTotals, Micros, Said},
};

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
    assert_eq!((verdict.checked, verdict.found), (2, 0), "{verdict:?}");
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
            let said = Said::default();
            let cut = Request { request_id: None, end: End::Cut, said, ..answered(2, 1, 9) };
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

/// A stream of call 1 broke after five words and went on in call 2, of which all ten came; so much is booked, at its price.
fn resumed(tokens: Tokens, estimated: bool, change: impl FnOnce(&mut History)) -> u64 {
    found(|history| {
        history.about.rules.resume = true;
        let request = &mut history.requests[0];
        request.said.runs[0].last = 4;
        (0..10).for_each(|index| request.said.hear(2, index));
        let next = Call { prefill: Some("1.4".to_owned()), ..call(2, request) };
        let first = &mut history.calls[0];
        (first.intact, first.usage_sent, first.words_sent, first.ending) = (false, false, 5, Ending::Cut);
        history.calls.push(next);
        let row = &mut history.rows[0];
        (row.tokens, row.estimated, row.attempts) = (tokens, estimated, 2);
        row.micro_usd = i64::try_from(tokens.input * 3 + tokens.output * 15).ok();
        change(history);
    })
}

#[test]
fn an_answer_that_went_on_is_booked_as_both_of_its_calls() {
    let of = |input, output| Tokens { input, output, ..Tokens::default() };
    assert_eq!(resumed(of(2_000, 120), true, |_| {}), 0);
    assert_eq!(resumed(of(2_000, 120), false, |_| {}), 1, "what the broken call used was not told");
    assert_eq!(resumed(of(1_000, 99), true, |_| {}), 1, "less than the last call, which was told");
    assert_eq!(resumed(of(2_000, 100), true, |_| {}), 1, "the words of the broken call are paid as well");
    assert_eq!(resumed(of(2_000, 260), true, |_| {}), 1, "more than the broken call has produced");
    assert_eq!(resumed(of(9_000, 120), true, |_| {}), 1, "a prompt that nobody sent");
    assert_eq!(resumed(of(2_000, 120), true, |history| history.rows[0].micro_usd = Some(5_000)), 1, "at another price");
    let mended = |history: &mut History| history.calls[1].prefill = None;
    assert_eq!(resumed(of(9_000, 900), true, mended), 1, "no seam: the sum of the key tells it");
}

#[test]
fn a_call_that_was_given_up_before_its_first_event_may_stay_unbooked_and_no_other() {
    let abandoned = |words: u64, stream: bool| {
        found(|history| {
            let first = Call {
                words_sent: words,
                whole: Some(Tokens { input: 9_000, output: 100, ..Tokens::default() }),
                billed: Some(Tokens { input: 9_000, output: words * 10, ..Tokens::default() }),
                intact: false,
                usage_sent: false,
                stream,
                ending: Ending::Cancelled,
                ..call(2, &history.requests[0])
            };
            history.calls.push(first);
        })
    };
    assert_eq!((abandoned(0, true), abandoned(GIVEN_UP, true)), (0, 0));
    assert_eq!(abandoned(8, true), 1, "the gateway had heard it, and books nothing");
    assert_eq!(abandoned(8, false), 0, "a whole answer is heard at once or not at all");
}

#[test]
fn what_a_key_is_booked_in_all_is_what_its_calls_can_have_cost() {
    let verdict = check(&good());
    assert_eq!((verdict.checked, verdict.found), (2, 0), "a row, and the sum of its key: {verdict:?}");
    // Words that no model said are told elsewhere, and no single row is compared with them; the sum still is.
    let strange = |tokens: Tokens| {
        found(|history| {
            history.requests[0].said.stray("hm");
            history.rows[0].tokens = tokens;
        })
    };
    let of = |input, output| Tokens { input, output, ..Tokens::default() };
    assert_eq!((strange(of(1_000, 100)), strange(of(1_000, 2_000)), strange(of(9_000, 100)), strange(of(1_000, 0))), (0, 1, 1, 1));
}

#[test]
fn a_client_that_got_no_id_and_has_no_row_is_told() {
    let nameless = |change: fn(&mut History)| {
        found(|history| {
            let cut = Request { request_id: None, end: End::Left, said: Said::default(), ..answered(2, 1, 9) };
            history.calls.push(Call { words_sent: 0, ..call(9, &cut) });
            history.requests.push(cut);
            change(history);
        })
    };
    assert_eq!(nameless(|_| {}), 1, "its call was made, and nobody pays");
    assert_eq!(nameless(|history| history.calls.truncate(1)), 0, "it never got so far");
    let with_row = |history: &mut History| {
        let none = Row { request_id: "x".to_owned(), tokens: Tokens::default(), micro_usd: None, ..history.rows[0].clone() };
        history.rows.push(none);
    };
    assert_eq!(nameless(with_row), 0);
    assert_eq!(nameless(|history| history.host.push(host(1, HostFact::Killed))), 0);
    let of_a_peer = |history: &mut History| {
        history.rows.clear();
        history.requests[0].request_id = None;
    };
    assert_eq!(nameless(of_a_peer), 0, "a peer has no rows that we read");
}

#[test]
fn the_ledger_adds_up_to_the_rows() {
    let tokens = Tokens { input: 1_000, output: 100, ..Tokens::default() };
    let right = LedgerTotals { calls: 1, tokens, micro_usd: 4_500 };
    let told = |totals: Option<LedgerTotals>, change: fn(&mut History)| {
        found(|history| {
            history.ledgers.push(Ledger { at: Micros::seconds(9), replica: 0, totals });
            change(history);
        })
    };
    assert_eq!(told(Some(right), |_| {}), 0);
    for wrong in [
        LedgerTotals { calls: 0, ..right },
        LedgerTotals { calls: 2, ..right },
        LedgerTotals { micro_usd: 4_501, ..right },
        LedgerTotals { tokens: Tokens { cache_read: 1, ..tokens }, ..right },
    ] {
        assert_eq!(told(Some(wrong), |_| {}), 1, "{wrong:?}");
    }
    assert_eq!(told(None, |_| {}), 1, "it says nothing");
    for name in ["ledger-writer", "settings-keeper", "foundation"] {
        let mut history = good();
        history.ledgers.push(Ledger { totals: Some(LedgerTotals::default()), at: Micros::seconds(9), replica: 0 });
        assert_eq!(check(&history).found, 1);
        history.host.push(host(5, HostFact::ActorKilled { name: name.to_owned() }));
        assert_eq!(check(&history).found, 0, "{name}: it began anew");
    }
    assert_eq!(told(Some(LedgerTotals::default()), |history| history.host.push(host(5, HostFact::Terminated))), 0);
    assert_eq!(told(Some(LedgerTotals { calls: 2, ..right }), |history| history.host.push(host(10, HostFact::Stopped))), 1);
}
