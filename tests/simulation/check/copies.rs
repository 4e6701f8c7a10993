//! Two calls of one choice at a time: only where a copy of a late call is wanted, and no more often than that.

use std::time::Duration;

use outcrop_sim::CallRecord;

use super::Verdict;
use crate::books::{Books, Seen};

/// A call that is given up may outlive the next one's beginning by this; a copy is late enough to stay beside its original longer.
const MOMENT: Duration = Duration::from_secs(1);

pub fn check(books: &Books) -> Verdict {
    let mut verdict = Verdict::default();
    let percent = books.options.limits.hedge_percent;
    for seen in books.requests.iter().filter(|seen| seen.asked.choices == 1) {
        let most = if percent == 0 { 0 } else { 1 };
        let beside = beside(books, seen, MOMENT);
        verdict.expect(beside.iter().all(|others| *others <= most), seen.ended, || {
            format!("calls of request {} began beside {beside:?} others, {most} are allowed", seen.asked.id)
        });
    }
    let (copies, calls) = (copies(books, MOMENT), books.calls.len() as u64);
    verdict.expect(copies * 100 <= calls * percent, books.ended, || {
        format!("{copies} calls began beside another one of their request; {percent} in a hundred of {calls} are allowed")
    });
    verdict
}

/// Calls that began while another one of their request went on, and still did after `lasting`.
pub fn copies(books: &Books, lasting: Duration) -> u64 {
    let single = books.requests.iter().filter(|seen| seen.asked.choices == 1);
    single.flat_map(|seen| beside(books, seen, lasting)).filter(|others| *others > 0).count() as u64
}

/// For each call of a request, how many earlier ones went on for so long beside it.
fn beside(books: &Books, seen: &Seen, lasting: Duration) -> Vec<usize> {
    let calls: Vec<&CallRecord> = books.calls_of(seen).collect();
    let over = |call: &CallRecord| [call.ended, call.peer_closed].into_iter().flatten().min().map_or(Duration::MAX, |at| at.duration());
    let goes_on = |earlier: &&&CallRecord, call: &CallRecord| {
        earlier.id != call.id && earlier.arrived <= call.arrived && over(earlier) > call.arrived.duration() + lasting
    };
    let begun_before = |place: usize| calls.iter().take(place);
    calls.iter().enumerate().map(|(place, call)| begun_before(place).filter(|earlier| goes_on(earlier, call)).count()).collect()
}
