//! I12: the tree is whole again.

use std::collections::BTreeMap;

use super::Verdict;
use crate::history::{History, Micros, Request, Role};

/// Each part must have answered a canary within the longest backoff.
pub(super) fn check(history: &History) -> Verdict {
    let mut parts: BTreeMap<&str, Vec<&Request>> = BTreeMap::new();
    for request in &history.requests {
        if let Role::Canary { part } = &request.role {
            parts.entry(part).or_default().push(request);
        }
    }
    let mut verdict = Verdict::default();
    for (part, canaries) in parts {
        let first = canaries.iter().map(|canary| canary.intended).min().unwrap_or_default();
        let latest = first.plus(history.about.rules.longest_backoff);
        let well = |canary: &&Request| canary.succeeded() && canary.ended.is_some_and(|ended: Micros| ended <= latest);
        verdict.expect(canaries.iter().any(well), latest, canaries.first().map(|canary| canary.id), || {
            let ends: Vec<&str> = canaries.iter().map(|canary| canary.end.as_str()).collect();
            format!("no canary of {part} succeeded until {latest}: {}", ends.join(", "))
        });
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::kit::{answered, empty, refused};

    fn canary(part: &str, request: Request) -> Request {
        Request { role: Role::Canary { part: part.to_owned() }, ..request }
    }

    #[test]
    fn one_success_in_time_is_enough_for_each_part() {
        let mut history = empty();
        history.requests = vec![canary("east", refused(1, 0, 503)), canary("east", answered(2, 10, 1)), canary("west", answered(3, 0, 2))];
        let verdict = check(&history);
        assert_eq!((verdict.checked, verdict.found), (2, 0), "{verdict:?}");
    }

    #[test]
    fn a_part_without_a_success_in_time_is_broken() {
        let mut history = empty();
        history.requests = vec![canary("east", refused(1, 0, 503)), canary("east", answered(2, 31, 1))];
        assert_eq!(check(&history).found, 1);
    }
}
