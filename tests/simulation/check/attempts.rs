//! Calls stay within their budgets: those of one request, and those of the process.

use std::time::Duration;

use super::Verdict;
use crate::books::Books;

const MINUTE: Duration = Duration::from_secs(60);

pub fn check(books: &Books) -> Verdict {
    let mut verdict = Verdict::default();
    for seen in &books.requests {
        let calls = books.calls_of(seen).count() as u64;
        let most = books.options.limits.max_attempts * u64::from(seen.asked.choices);
        verdict.expect(calls <= most, seen.ended, || format!("request {} made {calls} calls, {most} are allowed", seen.asked.id));
    }
    // The first call and the first move are each request's own; further ones cost a token, of which a request brings a
    // tenth, a second one, and a pause saves up twenty.
    for first in &books.requests {
        let (from, until) = (first.asked.at, first.asked.at + MINUTE);
        let calls = books.calls.iter().filter(|call| (from..=until).contains(&call.arrived.duration())).count() as f64;
        let active = books.requests.iter().filter(|seen| seen.asked.at <= until && seen.ended >= from);
        let choices: f64 = active.map(|seen| f64::from(seen.asked.choices)).sum();
        let most = choices * 2.1 + MINUTE.as_secs_f64() + 20.0;
        verdict.expect(calls <= most, from, || format!("{calls} calls in the minute from {from:?}; {most:.0} are allowed"));
    }
    verdict
}
