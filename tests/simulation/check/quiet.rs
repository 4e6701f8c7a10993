//! When a request is over, so are its calls; when the gateway has ended, so are all.

use std::time::Duration;

use super::Verdict;
use crate::books::Books;

/// A call may outlive its client by this.
const MOMENT: Duration = Duration::from_secs(1);

pub fn check(books: &Books) -> Verdict {
    let mut verdict = Verdict::default();
    for seen in &books.requests {
        for call in books.calls_of(seen) {
            let over = [call.ended, call.peer_closed].into_iter().flatten().min().map(|at| at.duration());
            verdict.expect(over.is_some_and(|over| over <= seen.ended + MOMENT), seen.ended, || {
                format!("request {} was over ({:?}), and call {} went on until {over:?}", seen.asked.id, seen.end, call.id)
            });
        }
    }
    let known = |call: &outcrop_sim::CallRecord| books.requests.iter().any(|seen| call.nonce.as_deref() == Some(&seen.asked.nonce));
    for call in &books.calls {
        // Whose request broke off before its body was read has no nonce.
        verdict.expect(call.nonce.is_none() || known(call), call.arrived.duration(), || format!("call {} belongs to no request", call.id));
    }
    verdict.expect(books.left_running == 0, books.ended, || format!("{} calls ran on after the gateway's end", books.left_running));
    verdict
}
