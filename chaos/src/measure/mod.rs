//! Numbers of a run: what bounds are put on, and what reports show. All from the books, none from the gateway.

mod latency;
mod oracle;
mod window;

use std::fmt::Write as _;

pub use latency::{Latencies, Spectrum};
pub use window::Window;
pub(crate) use window::at_quantile;

use crate::{
    history::{FaultSpan, HostFact, Role},
    scenario::BoundPlan,
    units::{Bound, Unit, shown},
};

/// A number that can be measured.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// Its name in scenario files.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// What it counts.
    pub words: &'static str,
    /// From a stretch of a run; `None` = nothing to measure it by.
    pub of: fn(&Window<'_>) -> Option<f64>,
}

const fn measure(name: &'static str, unit: Unit, words: &'static str, of: fn(&Window<'_>) -> Option<f64>) -> Measure {
    Measure { name, unit, words, of }
}

/// Every measure.
pub const ALL: [Measure; 26] = [
    measure("silent_ends", Unit::Plain, "requests without an end or an error", |window| window.silent_ends()),
    measure("failed_requests", Unit::Plain, "requests that failed, not by their client's doing", |window| {
        Some(window.count(|request| request.failed()))
    }),
    measure("failed_before_content", Unit::Plain, "requests that failed before the first content, not by their client's doing", |window| {
        Some(window.count(|request| request.failed() && request.first_content.is_none()))
    }),
    measure(
        "failed_unbegun",
        Unit::Plain,
        "requests that failed although no stream to them had begun upstream, not by their client's doing",
        |window| window.failed_unbegun(),
    ),
    measure("failures_besides_throttles", Unit::Plain, "failed requests that are no 429", |window| {
        Some(window.count(|request| request.failed() && !request.throttled()))
    }),
    measure("client_throttles", Unit::Plain, "requests answered 429", |window| Some(window.count(|request| request.throttled()))),
    measure("client_throttle_share", Unit::Percent, "requests answered 429, of all", |window| window.share(|request| request.throttled())),
    measure("throttles_with_room", Unit::Plain, "requests answered 429 while a region had room", |window| window.throttles_with_room()),
    measure(
        "throttles_with_any_room",
        Unit::Plain,
        "the same, also where the room was the last of another bucket, which `spill_reserve` lets a router keep for others",
        |window| window.throttles_with_any_room(),
    ),
    measure("throttles_beyond_oracle", Unit::Percent, "share of 429 above that of a router that reads the true buckets", |window| {
        Some(window.share(|request| request.throttled())? - oracle::throttle_share(window)?)
    }),
    measure("success", Unit::Percent, "requests answered in full", |window| window.share(crate::history::Request::succeeded)),
    measure("success_outside_faults", Unit::Percent, "the same, of requests that no fault overlapped", |window| {
        window.success_outside_faults()
    }),
    measure("attempts_per_request", Unit::Plain, "upstream calls per request", |window| window.attempts()),
    measure("attempts_per_request_outside_faults", Unit::Plain, "the same, of requests that no fault overlapped", |window| {
        window.attempts_outside_faults()
    }),
    measure("failed_per_kill", Unit::Plain, "failed requests per actor killed", |window| window.failed_per_kill()),
    measure("wasted_upstream_calls", Unit::Percent, "upstream calls that were throttled", |window| window.wasted()),
    measure("quota_used", Unit::Percent, "of the summed quota, in the fullest minute", |window| window.quota_used()),
    measure("quota_used_before_first_429", Unit::Percent, "of the summed quota, granted in the minute before the first 429", |window| {
        window.used_before_first_429()
    }),
    measure(
        "cache_hits_vs_single_region",
        Unit::Percent,
        "prompt tokens read from caches, of those that one region would have read",
        |window| window.cache_hits(),
    ),
    measure("conversation_moves", Unit::Percent, "turns that went to another region than the one before", |window| window.moves()),
    measure("ttft_p50", Unit::Seconds, "median time to the first content, from the intended send", |window| window.first_content(0.5)),
    measure("ttft_p99", Unit::Seconds, "99th percentile of the same", |window| window.first_content(0.99)),
    measure("added_ttft_p99", Unit::Seconds, "99th percentile of what the gateway added to the first content", |window| window.added()),
    measure("total_p99", Unit::Seconds, "99th percentile of whole answers, from the intended send", |window| window.total(0.99)),
    measure("word_lag_p99", Unit::Seconds, "99th percentile of the time of a word in the gateway", |window| window.word_lag()),
    measure("regions_used", Unit::Plain, "regions that answered", |window| window.regions_used()),
];

/// A measure by its name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Measure> {
    ALL.iter().find(|measure| measure.name == name)
}

/// All names.
#[must_use]
pub fn names() -> Vec<&'static str> {
    ALL.map(|measure| measure.name).to_vec()
}

/// How a unit is written, for problems.
#[must_use]
pub fn unit_words(unit: Unit) -> &'static str {
    match unit {
        Unit::Plain => "as a plain number",
        Unit::Percent => "in percent",
        Unit::Seconds => "as a time",
    }
}

/// A bound and what was measured.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Judged {
    /// Name of the measure.
    pub measure: String,
    /// Phase or fault, where it is not the whole run.
    pub within: String,
    /// The bound in words.
    pub bound: String,
    /// What was measured, in words.
    pub measured: String,
    /// It holds. What cannot be measured does not hold: a bound must not pass for want of cases.
    pub holds: bool,
}

/// Judges bounds over all judged phases together, or over their own phase.
#[must_use]
pub fn judge(history: &crate::history::History, bounds: &[BoundPlan]) -> Vec<Judged> {
    let mut judged = Vec::new();
    for plan in bounds {
        let Some(measure) = find(&plan.measure) else { continue };
        match &plan.phase {
            Some(name) => {
                let windows = history.phases.iter().filter(|phase| phase.name == *name);
                judged
                    .extend(windows.map(|phase| judge_one(measure, &plan.bound, &Window::between(history, phase.from, phase.until), name)));
            }
            // Each phase by itself: a good hour cannot dilute a bad minute.
            None => {
                let phases = history.phases.iter().filter(|phase| phase.judged && !phase.settle);
                judged.extend(
                    phases.map(|phase| judge_one(measure, &plan.bound, &Window::between(history, phase.from, phase.until), &phase.name)),
                );
            }
        }
    }
    judged
}

/// Judges what a fault's `expect` says, over the time it was in force.
#[must_use]
pub fn judge_fault(history: &crate::history::History, span: &FaultSpan, bounds: &[BoundPlan]) -> Vec<Judged> {
    let window = Window::between(history, span.from, span.until);
    bounds.iter().filter_map(|plan| Some(judge_one(find(&plan.measure)?, &plan.bound, &window, &span.label))).collect()
}

fn judge_one(measure: &Measure, bound: &Bound, window: &Window<'_>, within: &str) -> Judged {
    let measured = (measure.of)(window);
    let mut words = measured.map_or_else(|| "nothing to measure".to_owned(), |value| shown(value, measure.unit));
    if measure.name == "client_throttles" && measured.is_some_and(|count| count > 0.0) {
        let _infallible = write!(words, " of {}", window.requests.len());
    }
    Judged {
        measure: measure.name.to_owned(),
        within: within.to_owned(),
        bound: bound.to_string(),
        measured: words,
        holds: measured.is_some_and(|value| bound.holds(value)),
    }
}

/// Roles that are part of the load.
pub(crate) fn is_load(role: &Role) -> bool {
    matches!(role, Role::Load | Role::Obedient { .. } | Role::Storm { .. })
}

/// Kills within a stretch.
pub(crate) fn is_kill(fact: &HostFact) -> bool {
    matches!(fact, HostFact::ActorKilled { .. } | HostFact::ActorPanicked { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Admission, Call, ClientFault, End, History, HostEvent, Micros, PhaseMark, Request};

    fn history() -> History {
        let mut history = History::default();
        history.phases.push(PhaseMark { name: "steady".to_owned(), until: Micros::seconds(100), judged: true, ..PhaseMark::default() });
        for id in 0..100 {
            let at = Micros::seconds(id);
            let end = if id < 98 { End::Complete } else { End::Refused };
            let request = Request {
                id,
                nonce: format!("n{id}"),
                intended: at,
                sent: Some(at),
                first_content: Some(at.plus(Micros::millis(10 * (id + 1)))),
                ended: Some(at.plus(Micros::seconds(1))),
                end,
                status: Some(if id < 98 { 200 } else { 429 }),
                ..Request::default()
            };
            let admission = if id < 98 {
                Admission::Admitted { reserved: None }
            } else {
                Admission::Refused { status: 429, code: String::new(), text: String::new(), quota: None }
            };
            history.calls.push(Call { number: id + 1, nonce: Some(request.nonce.clone()), arrived: at, admission, ..Call::default() });
            history.requests.push(request);
        }
        history
    }

    fn of(history: &History, name: &str) -> Option<f64> {
        (find(name).unwrap().of)(&Window::between(history, Micros::ZERO, Micros::seconds(100)))
    }

    #[test]
    fn counts_and_shares_are_what_arithmetic_gives() {
        let history = history();
        assert_eq!(of(&history, "client_throttles"), Some(2.0));
        assert_eq!(of(&history, "success"), Some(0.98));
        assert_eq!(of(&history, "attempts_per_request"), Some(1.0));
        assert_eq!(of(&history, "wasted_upstream_calls"), Some(0.02));
        let p99 = of(&history, "ttft_p99").unwrap();
        assert!((0.96..=0.99).contains(&p99), "of 98 successes, 10 to 980 ms: {p99}");
    }

    #[test]
    fn what_clients_do_to_themselves_is_no_failure() {
        let mut history = history();
        history.requests[0].end = End::Left;
        history.requests[0].fault = Some(ClientFault::Vanish);
        assert_eq!(of(&history, "failed_requests"), Some(2.0));
        assert_eq!(of(&history, "success"), Some(97.0 / 99.0));
    }

    #[test]
    fn clients_that_reach_nobody_are_silent_ends_unless_the_process_was_ended() {
        let mut history = history();
        history.requests[50].end = End::Unreachable;
        assert_eq!(of(&history, "silent_ends"), Some(1.0));
        let host = |at, fact| HostEvent { at: Micros::seconds(at), replica: 0, fact };
        history.host = vec![host(49, HostFact::AcceptStopped), host(53, HostFact::Ready)];
        assert_eq!(of(&history, "silent_ends"), Some(1.0), "nobody ended it");
        history.host = vec![host(49, HostFact::Killed), host(53, HostFact::Ready)];
        assert_eq!(of(&history, "silent_ends"), Some(0.0));
    }

    #[test]
    fn a_bound_without_anything_to_measure_does_not_hold() {
        let mut history = history();
        history.requests.clear();
        history.calls.clear();
        let plan = BoundPlan {
            measure: "success".to_owned(),
            bound: Bound::read(">= 0%").unwrap(),
            phase: None,
            place: crate::scenario::Place { file: "x".into(), line: 1 },
        };
        let judged = judge(&history, &[plan]);
        assert!(!judged[0].holds, "{judged:?}");
    }
}
