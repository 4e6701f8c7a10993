//! One row for each request; the usage of an answer is what the simulator's journal says it was.

use outcrop_domain::usage::Usage;
use outcrop_sim::{CallRecord, Decision, Usage as Billed};

use super::Verdict;
use crate::books::{Books, Ended, Row, Seen};

pub fn check(books: &Books) -> Verdict {
    let mut verdict = Verdict::default();
    for seen in &books.requests {
        let Some(id) = &seen.request_id else { continue };
        let rows: Vec<&Row> = books.rows.iter().filter(|row| row.request == *id).collect();
        let wrong = match rows.as_slice() {
            [row] => compare(books, seen, row),
            several => Err(format!("{} rows", several.len())),
        };
        verdict.expect(wrong.is_ok(), seen.ended, || format!("request {} ({id}): {}", seen.asked.id, wrong.unwrap_err()));
    }
    let nameless = books.requests.iter().filter(|seen| seen.request_id.is_none()).count();
    let named = |row: &Row| books.requests.iter().any(|seen| seen.request_id.as_ref() == Some(&row.request));
    let strangers = books.rows.iter().filter(|row| !named(row)).count();
    verdict.expect(strangers <= nameless, books.ended, || format!("{strangers} rows belong to no request, {nameless} got no id"));
    verdict
}

fn compare(books: &Books, seen: &Seen, row: &Row) -> Result<(), String> {
    let calls: Vec<&CallRecord> = books.calls_of(seen).collect();
    let admitted: Vec<&CallRecord> = calls.iter().copied().filter(|call| matches!(call.decision, Decision::Admitted { .. })).collect();
    if u64::from(row.attempts) < calls.len() as u64 {
        return Err(format!("{} attempts by its row, {} calls by the journal", row.attempts, calls.len()));
    }
    if admitted.is_empty() {
        return match row.usage.filter(|usage| usage.total() > 0) {
            // A call that was never decided may have been answered for all the gateway knows; it cannot have told tokens.
            Some(usage) if !row.estimated => Err(format!("{usage:?} was booked, and no call was admitted")),
            _ => Ok(()),
        };
    }
    if seen.end != Ended::Complete {
        return Ok(());
    }
    let told = |call: &&CallRecord| call.fault.as_ref().is_none_or(|fault| fault.kind != "no_usage");
    // Calls that broke are paid as well, and estimated: only a request without them can be compared to the token.
    if admitted.len() != seen.asked.choices as usize || !admitted.iter().all(told) {
        return if row.usage.is_some() { Ok(()) } else { Err("an answer without usage".to_owned()) };
    }
    let billed = admitted.iter().filter_map(|call| call.usage).fold(Usage::default(), |sum, one| plus(sum, &one));
    let booked = row.usage.map(|usage| Usage { reasoning: None, ..usage });
    if row.estimated || booked != Some(billed) {
        return Err(format!("booked {booked:?} (estimated: {}), the journal says {billed:?}", row.estimated));
    }
    Ok(())
}

fn plus(sum: Usage, one: &Billed) -> Usage {
    Usage {
        input: sum.input + one.input,
        output: sum.output + one.output,
        cache_read: sum.cache_read + one.cache_read,
        cache_write_5m: sum.cache_write_5m + one.cache_write_5m,
        cache_write_1h: sum.cache_write_1h + one.cache_write_1h,
        reasoning: None,
    }
}
