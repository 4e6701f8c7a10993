//! A region that is taken out gets no call until it is put back.

use std::time::Duration;

use super::Verdict;
use crate::books::Books;

/// A call that was on its way may still arrive: its connection is being made, for so long at the most.
const ON_ITS_WAY: Duration = Duration::from_millis(3_100);

pub fn check(books: &Books) -> Verdict {
    let mut verdict = Verdict::default();
    for drain in &books.options.drains {
        for call in books.calls.iter().filter(|call| call.region == drain.region) {
            let at = call.arrived.duration();
            let drained = at > drain.from + ON_ITS_WAY && at < drain.until;
            verdict.expect(!drained, at, || format!("call {} came to {}, which is drained", call.id, drain.region));
        }
    }
    verdict
}
