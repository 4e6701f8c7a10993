//! The invariants: pure functions over one history. They judge a stored file as well as a run that just ended.
//!
//! None of them believes the gateway: what must be is computed from the books of clients, simulator and system; the
//! gateway's own rows are only compared with it.

mod affinity;
mod answers;
mod budget;
mod ends;
mod face;
mod fences;
mod flow;
mod honesty;
mod key_limits;
mod labels;
mod leaks;
mod liveness;
mod money;
mod once;
mod quiet;
mod rest;
mod room;
mod shutdown;
mod survival;
mod vacuous;
mod whole;

#[cfg(test)]
mod kit;

use serde::{Deserialize, Serialize};

pub(crate) use affinity::Affinity;
pub(crate) use ends::excused;
pub(crate) use flow::lags;
pub use labels::{LABELS, labels};
pub(crate) use room::Seen;
pub(crate) use vacuous::used;

use crate::history::{History, Micros};

/// What a checker found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Cases looked at. 0 = nothing was shown.
    pub checked: u64,
    /// Cases that violate the invariant.
    pub found: u64,
    /// The first of them.
    pub violations: Vec<Counterexample>,
}

/// One case that violates an invariant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counterexample {
    /// When it showed.
    pub at: Micros,
    /// The client's request.
    pub request: Option<u64>,
    /// The upstream call.
    pub call: Option<u64>,
    /// What is wrong, in words.
    pub words: String,
}

/// Counterexamples kept per invariant.
const MOST_KEPT: usize = 50;

impl Verdict {
    /// Counts a case that was looked at.
    pub fn look(&mut self) {
        self.checked += 1;
    }

    /// Notes a violation.
    pub fn fail(&mut self, at: Micros, request: Option<u64>, call: Option<u64>, words: impl Into<String>) {
        self.found += 1;
        if self.violations.len() < MOST_KEPT {
            self.violations.push(Counterexample { at, request, call, words: words.into() });
        }
    }

    /// Looks at a case, and notes a violation unless it is good.
    pub fn expect(&mut self, good: bool, at: Micros, request: Option<u64>, words: impl FnOnce() -> String) {
        self.look();
        if !good {
            self.fail(at, request, None, words());
        }
    }
}

/// How an invariant came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Checked, and it holds.
    Holds,
    /// It does not hold.
    Violated,
    /// The scenario needs it, and there was no case: as bad as violated.
    Unshown,
    /// No case, and none was needed.
    NotExercised,
    /// Not judged here; the scenario says why.
    Waived,
}

/// One invariant.
#[derive(Debug, Clone, Copy)]
pub struct Invariant {
    /// `I1` to `I20`.
    pub id: &'static str,
    /// Two words.
    pub name: &'static str,
    /// What holds.
    pub statement: &'static str,
    /// The checker.
    pub check: fn(&History) -> Verdict,
}

/// All invariants, in order.
pub const ALL: [Invariant; 20] = [
    Invariant {
        id: "I1",
        name: "every request ends",
        statement: "each request has one end before its deadline; a stream ends with its dialect's end or one error event",
        check: ends::check,
    },
    Invariant {
        id: "I2",
        name: "true answers",
        statement: "no word is lost, doubled, reordered or invented; a broken answer is a prefix of one call",
        check: answers::check,
    },
    Invariant { id: "I3", name: "said is said", statement: "nothing is tried again after the client's first content", check: once::check },
    Invariant {
        id: "I4",
        name: "quiet upstream",
        statement: "no upstream call of a request goes on for more than a second after its end",
        check: quiet::check,
    },
    Invariant {
        id: "I5",
        name: "money",
        statement: "one usage row per request; tokens and micro-dollars equal the simulator's bill at the harness's prices",
        check: money::check,
    },
    Invariant {
        id: "I6",
        name: "no throttle with room",
        statement: "no client is throttled while an allowed, healthy region had room for its reservation",
        check: room::check,
    },
    Invariant {
        id: "I7",
        name: "attempts in budget",
        statement: "upstream calls per client request stay within the budget in every minute",
        check: budget::check,
    },
    Invariant {
        id: "I8",
        name: "honest refusals",
        statement: "each 429 and 503 says when to come back, and who obeys is admitted",
        check: honesty::check,
    },
    Invariant {
        id: "I9",
        name: "fences and benches",
        statement: "no call outside its request's regions; lost and dead regions see nothing but single probes",
        check: fences::check,
    },
    Invariant {
        id: "I10",
        name: "key limits",
        statement: "no key gets more than its limit in any minute, but for one request",
        check: key_limits::check,
    },
    Invariant {
        id: "I11",
        name: "back to rest",
        statement: "calls, connections, descriptors, memory and reservations return to their levels",
        check: rest::check,
    },
    Invariant {
        id: "I12",
        name: "tree whole",
        statement: "a canary of each part succeeds within the longest backoff",
        check: whole::check,
    },
    Invariant {
        id: "I13",
        name: "errors keep their face",
        statement: "errors have the dialect's envelope and the upstream's words, and those of no other request",
        check: face::check,
    },
    Invariant {
        id: "I14",
        name: "nothing leaks",
        statement: "prompts, answers and keys appear in no log line and no metric",
        check: leaks::check,
    },
    Invariant {
        id: "I15",
        name: "graceful stop",
        statement: "SIGTERM: not ready first, running requests finish, exit code 0 within the grace",
        check: shutdown::check,
    },
    Invariant {
        id: "I16",
        name: "survives SIGKILL",
        statement: "each answer that a client saw complete has one usage row after the restart",
        check: survival::check,
    },
    Invariant { id: "I17", name: "affinity", statement: "conversations stay where their prompt cache is", check: affinity::check },
    Invariant { id: "I18", name: "streams flow", statement: "words pass the gateway without being held back", check: flow::check },
    Invariant {
        id: "I19",
        name: "liveness",
        statement: "after the last fault success is back at 100 % within its bound",
        check: liveness::check,
    },
    Invariant { id: "I20", name: "not vacuous", statement: "every fault struck, every wanted situation occurred", check: vacuous::check },
];

/// The outcome of one invariant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it says.
    pub statement: String,
    /// How it came out.
    pub standing: Standing,
    /// What was found.
    pub verdict: Verdict,
    /// Why it is not judged, if it is not.
    pub reason: Option<String>,
}

/// Judges a history by every invariant.
#[must_use]
pub fn judge(history: &History) -> Vec<Outcome> {
    let rules = &history.about.rules;
    ALL.iter()
        .map(|invariant| {
            let verdict = (invariant.check)(history);
            let reason = rules.waived.get(invariant.id).cloned();
            let standing = match (&reason, verdict.found, verdict.checked) {
                (Some(_), _, _) => Standing::Waived,
                (None, 1.., _) => Standing::Violated,
                (None, 0, 0) if rules.must.iter().any(|id| id == invariant.id) => Standing::Unshown,
                (None, 0, 0) => Standing::NotExercised,
                (None, 0, _) => Standing::Holds,
            };
            let Invariant { id, name, statement, .. } = invariant;
            Outcome { id: (*id).to_owned(), name: (*name).to_owned(), statement: (*statement).to_owned(), standing, verdict, reason }
        })
        .collect()
}

/// Ids of the invariants that stand badly.
#[must_use]
pub fn failed(outcomes: &[Outcome]) -> Vec<&str> {
    let bad = outcomes.iter().filter(|outcome| matches!(outcome.standing, Standing::Violated | Standing::Unshown));
    bad.map(|outcome| outcome.id.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariants_are_numbered_in_order() {
        let ids: Vec<String> = (1..=20).map(|number| format!("I{number}")).collect();
        assert_eq!(ALL.map(|invariant| invariant.id.to_owned()).to_vec(), ids);
    }

    #[test]
    fn an_empty_history_shows_nothing_and_fails_where_something_was_needed() {
        let mut history = History::default();
        history.about.rules.must = vec!["I1".to_owned()];
        history.about.rules.waived.insert("I2".to_owned(), "no answers here".to_owned());
        let outcomes = judge(&history);
        let standing = |id: &str| outcomes.iter().find(|outcome| outcome.id == id).unwrap().standing;
        assert_eq!(standing("I1"), Standing::Unshown);
        assert_eq!(standing("I2"), Standing::Waived);
        assert_eq!(standing("I3"), Standing::NotExercised);
        assert_eq!(failed(&outcomes), ["I1"]);
    }

    #[test]
    fn only_the_first_counterexamples_are_kept_and_all_are_counted() {
        let mut verdict = Verdict::default();
        for request in 0..80 {
            verdict.expect(false, Micros::ZERO, Some(request), || "bad".to_owned());
        }
        assert_eq!((verdict.checked, verdict.found, verdict.violations.len()), (80, 80, MOST_KEPT));
    }
}
