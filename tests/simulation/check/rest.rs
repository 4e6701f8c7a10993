//! After the storm nothing is held, nothing is missing, every level is back.

use super::Verdict;
use crate::books::Books;

pub fn check(books: &Books) -> Verdict {
    let mut verdict = Verdict::default();
    let rest = &books.rest;
    verdict.expect(rest.under_way.is_empty(), books.calm, || format!("after the last client: {}", rest.under_way.join(", ")));
    verdict.expect(rest.missing.is_empty(), books.calm + rest.took, || format!("{:?} later: {}", rest.took, rest.missing.join("; ")));
    verdict
}
