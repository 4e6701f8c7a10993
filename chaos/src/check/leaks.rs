//! I14: nothing leaks.

use super::Verdict;
use crate::history::History;

/// Judges what the searches of logs and metrics found.
pub(super) fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    for scan in history.scans.iter().filter(|scan| scan.bytes > 0) {
        let first = scan.leaks.first();
        verdict.expect(scan.found == 0, history.end(), None, || {
            let (what, line) = first.map_or(("something", ""), |leak| (leak.what.as_str(), leak.line.as_str()));
            format!("{} has {} leaks in {} bytes, first a {what}: {line}", scan.source, scan.found, scan.bytes)
        });
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::kit::empty,
        history::{Leak, Scan},
    };

    #[test]
    fn a_clean_search_is_good_and_an_empty_one_shows_nothing() {
        let mut history = empty();
        history.scans.push(Scan { source: "log".to_owned(), bytes: 10_000, ..Scan::default() });
        history.scans.push(Scan { source: "metrics".to_owned(), ..Scan::default() });
        assert_eq!((check(&history).checked, check(&history).found), (1, 0));
    }

    #[test]
    fn a_find_is_a_violation() {
        let mut history = empty();
        let leaks = vec![Leak { what: "nonce".to_owned(), line: "prompt: n0nce-..".to_owned() }];
        history.scans.push(Scan { source: "log".to_owned(), bytes: 10_000, leaks, found: 1 });
        assert!(check(&history).violations[0].words.contains("nonce"));
    }
}
