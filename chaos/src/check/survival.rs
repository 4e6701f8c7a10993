//! I16: survives SIGKILL.

use super::Verdict;
use crate::history::{End, History, HostFact, Joined, Micros};

/// Answers that ended so shortly before the kill that their rows are the interesting ones; all are judged.
const RECENT: Micros = Micros::seconds(600);

/// A row may be on its way to the log for so long: the gateway gathers lines for 5 ms, under load
/// for 20, and a busy machine wakes its writer late.
const ON_ITS_WAY: Micros = Micros::millis(50);

/// Each answer that was complete before a kill must have exactly one row, unless it was so just before.
pub(super) fn check(history: &History) -> Verdict {
    let joined = Joined::of(history);
    let mut verdict = Verdict::default();
    for event in history.host.iter().filter(|event| event.fact == HostFact::Killed) {
        let complete = history.requests.iter().filter(|request| {
            let before = request.ended.filter(|ended| *ended <= event.at).map(|ended| event.at.minus(ended));
            request.end == End::Complete && before.is_some_and(|before| before >= ON_ITS_WAY && before <= RECENT)
        });
        for request in complete {
            let Some(id) = request.request_id.as_deref() else { continue };
            let rows = joined.rows_of(id).len();
            verdict.expect(rows == 1, event.at, Some(request.id), || {
                format!("complete at {}, killed at {}: it has {rows} usage rows", request.ended.unwrap_or_default(), event.at)
            });
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::kit::{answered, empty, host, row};

    #[test]
    fn every_complete_answer_keeps_its_row() {
        let mut history = empty();
        history.host.push(host(10, HostFact::Killed));
        history.requests = vec![answered(1, 5, 1), answered(2, 8, 2), answered(3, 12, 3)];
        history.rows = history.requests.iter().map(row).collect();
        let verdict = check(&history);
        assert_eq!((verdict.checked, verdict.found), (2, 0), "the third came later: {verdict:?}");
        history.rows.remove(1);
        assert_eq!(check(&history).found, 1);
        history.rows.push(row(&history.requests[0]));
        assert_eq!(check(&history).found, 2, "one lost, one doubled");
    }

    #[test]
    fn without_a_kill_there_is_nothing_to_survive() {
        let mut history = empty();
        history.requests.push(answered(1, 5, 1));
        assert_eq!(check(&history).checked, 0);
    }
}
