//! I10: key limits hold.

use std::collections::{BTreeMap, VecDeque};

use super::Verdict;
use crate::history::{History, Micros};

const MINUTE: Micros = Micros::seconds(60);
/// Two requests may be judged at the same moment by two threads.
const OVERSHOOT: u64 = 1;

/// Counts what each limited key was granted in every minute of the client's book.
pub(super) fn check(history: &History) -> Verdict {
    let mut granted: BTreeMap<&str, Vec<(Micros, u64)>> = BTreeMap::new();
    for request in &history.requests {
        if history.about.rules.key_limits.contains_key(&request.key) && request.status.is_some_and(|status| status < 400) {
            granted.entry(&request.key).or_default().push((request.sent.unwrap_or(request.intended), request.id));
        }
    }
    let mut verdict = Verdict::default();
    for (key, mut times) in granted {
        times.sort_unstable();
        let limit = history.about.rules.key_limits.get(key).copied().unwrap_or(u64::MAX);
        let mut window: VecDeque<Micros> = VecDeque::new();
        for (at, id) in times {
            while window.front().is_some_and(|first| first.plus(MINUTE) <= at) {
                window.pop_front();
            }
            window.push_back(at);
            let count = u64::try_from(window.len()).unwrap_or(u64::MAX);
            verdict.expect(count <= limit.saturating_add(OVERSHOOT), at, Some(id), || {
                format!("key `{key}` was granted {count} requests in the minute before {at}; its limit is {limit}")
            });
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::kit::{answered, empty, refused};

    #[test]
    fn a_key_may_overshoot_by_one_and_no_more() {
        let mut history = empty();
        history.about.rules.key_limits.insert("load".to_owned(), 5);
        history.requests = (0..6).map(|id| answered(id, id, id)).collect();
        history.requests.push(refused(90, 7, 429));
        history.requests.push(answered(91, 61, 1));
        let verdict = check(&history);
        assert_eq!((verdict.checked, verdict.found), (7, 0), "{verdict:?}");
        history.requests.push(answered(92, 8, 2));
        assert!(check(&history).found >= 1);
    }

    #[test]
    fn keys_without_a_limit_are_not_judged() {
        let mut history = empty();
        history.requests = (0..50).map(|id| answered(id, 0, id)).collect();
        assert_eq!(check(&history).checked, 0);
    }
}
