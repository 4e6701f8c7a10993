//! What people and programs read of a run: a table, JSON, and one self-contained HTML file.

mod chart;
mod charts;
mod html;
mod live;
mod page;
mod store;
mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use live::{Live, REFRESH};
pub use store::{Store, Stored};
pub use table::table;

use crate::{
    check::{self, Outcome, Standing},
    history::{About, End, FaultSpan, History, Micros},
    measure::{self, Judged, Window},
    scenario::Scenario,
    units::{Unit, shown},
};

/// The outcome of one run of a scenario with one strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// What was run.
    pub about: About,
    /// How it came out.
    pub verdict: RunVerdict,
    /// In one sentence.
    pub sentence: String,
    /// The invariants.
    pub invariants: Vec<Outcome>,
    /// The bounds of the scenario and of its faults.
    pub bounds: Vec<Judged>,
    /// The faults and how often they struck.
    pub faults: Vec<FaultSpan>,
    /// Situations and how often they occurred.
    pub labels: BTreeMap<String, u64>,
    /// Requests of the load.
    pub requests: u64,
    /// Ends of requests, by name.
    pub ends: BTreeMap<String, u64>,
    /// Every measure over all judged phases, in words.
    pub numbers: BTreeMap<String, String>,
    /// Length of the run.
    pub lasted: Micros,
}

/// How a run came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunVerdict {
    /// Everything holds, and everything was shown.
    Passed,
    /// Something does not hold.
    Failed,
    /// Nothing is violated, but not everything was shown, or the numbers cannot be trusted. Counts as failed.
    Inconclusive,
}

impl RunVerdict {
    /// In one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl RunReport {
    /// Judges a history by the invariants and the scenario's bounds.
    #[must_use]
    pub fn of(history: &History, scenario: &Scenario) -> Self {
        let invariants = check::judge(history);
        let mut bounds = measure::judge(history, &scenario.bounds);
        for (plan, span) in scenario.faults.iter().zip(&history.faults) {
            bounds.extend(measure::judge_fault(history, span, &plan.expect));
        }
        let judged = history.phases.iter().filter(|phase| phase.judged && !phase.settle);
        let (from, until) =
            judged.fold((Micros(u64::MAX), Micros::ZERO), |(from, until), phase| (from.min(phase.from), until.max(phase.until)));
        let window = Window::between(history, from, until);
        let numbers =
            measure::ALL.iter().filter_map(|measure| Some((measure.name.to_owned(), shown((measure.of)(&window)?, measure.unit))));
        let mut ends: BTreeMap<String, u64> = BTreeMap::new();
        let load = history.requests.iter().filter(|request| measure::is_load(&request.role));
        load.clone().for_each(|request| *ends.entry(request.end.as_str().to_owned()).or_default() += 1);
        let (verdict, sentence) = verdict(&history.about, &invariants, &bounds);
        Self {
            about: history.about.clone(),
            verdict,
            sentence,
            invariants,
            bounds,
            faults: history.faults.clone(),
            labels: check::labels(history).into_iter().map(|(label, count)| (label.to_owned(), count)).collect(),
            requests: u64::try_from(load.count()).unwrap_or(u64::MAX),
            ends,
            numbers: numbers.collect(),
            lasted: history.end(),
        }
    }

    /// A number in words, for tables.
    #[must_use]
    pub fn number(&self, measure: &str) -> &str {
        self.numbers.get(measure).map_or("-", String::as_str)
    }

    /// What stands badly, first things first.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        // Nothing else means anything in a run that could not be carried out.
        if let Some(broken) = &self.about.broken {
            return vec![broken.clone()];
        }
        let mut complaints = Vec::new();
        for outcome in &self.invariants {
            match outcome.standing {
                Standing::Violated => {
                    let first = outcome.verdict.violations.first().map_or("", |violation| violation.words.as_str());
                    complaints.push(format!(
                        "{} {} ({} of {}): {first}",
                        outcome.id, outcome.name, outcome.verdict.found, outcome.verdict.checked
                    ));
                }
                Standing::Unshown => complaints.push(format!("{} {}: nothing was checked", outcome.id, outcome.name)),
                Standing::Holds | Standing::NotExercised | Standing::Waived => {}
            }
        }
        let broken = self.bounds.iter().filter(|bound| !bound.holds);
        complaints.extend(broken.map(|bound| format!("{} in {}: {} wanted {}", bound.measure, bound.within, bound.measured, bound.bound)));
        complaints.extend(self.about.tainted.iter().map(|taint| format!("tainted: {taint}")));
        complaints
    }
}

fn verdict(about: &About, invariants: &[Outcome], bounds: &[Judged]) -> (RunVerdict, String) {
    if let Some(broken) = &about.broken {
        let first = broken.lines().next().unwrap_or_default();
        return (RunVerdict::Failed, format!("The run could not be carried out: {first}"));
    }
    let bad = |standing: Standing| -> Vec<&str> {
        invariants.iter().filter(|outcome| outcome.standing == standing).map(|outcome| outcome.id.as_str()).collect()
    };
    let violated = bad(Standing::Violated);
    // A generator that could not keep its own times says nothing about those of the gateway.
    let late = !about.tainted.is_empty();
    let blamed = |bound: &&Judged| !(late && is_time(&bound.measure));
    let missed: Vec<&str> = bounds.iter().filter(|bound| !bound.holds).filter(blamed).map(|bound| bound.measure.as_str()).collect();
    // Not vacuous is an invariant of the run, not of the gateway: alone it makes the run inconclusive.
    let of_gateway: Vec<&str> = violated.iter().copied().filter(|id| *id != "I20" && !(late && TIMED.contains(id))).collect();
    if !of_gateway.is_empty() || !missed.is_empty() {
        let parts = [named("invariants", &of_gateway), named("bounds", &missed)];
        let words: Vec<String> = parts.into_iter().flatten().collect();
        return (RunVerdict::Failed, format!("Does not hold: {}.", words.join("; ")));
    }
    let unshown = [bad(Standing::Unshown), violated.into_iter().filter(|id| !TIMED.contains(id)).collect()].concat();
    if !unshown.is_empty() {
        return (RunVerdict::Inconclusive, format!("Nothing is violated, but not everything was shown: {}.", unshown.join(", ")));
    }
    if late {
        return (
            RunVerdict::Inconclusive,
            format!("Nothing is violated, but the generator could not keep its plan: {}.", about.tainted.join("; ")),
        );
    }
    (RunVerdict::Passed, "Holds: every invariant, every bound.".to_owned())
}

/// Invariants that are nothing but a length of time.
const TIMED: [&str; 1] = ["I18"];

fn is_time(measure: &str) -> bool {
    measure::find(measure).is_some_and(|measure| measure.unit == Unit::Seconds)
}

fn named(what: &str, names: &[&str]) -> Option<String> {
    (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
}

/// Ends that are failures, for charts: every one is drawn, large.
pub(crate) fn is_bad(end: End) -> bool {
    !matches!(end, End::Complete | End::Left)
}

#[cfg(test)]
mod tests;
