//! The faults of a scenario on its time axis: installed when they begin, removed when they end, counted at the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use outcrop_sim::faults::FaultKind as Trouble;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::Upstream;
use crate::{
    history::{Admission, Call, FaultSpan, Layer, Micros},
    host::HostDeed,
    load::LiveCounts,
    scenario::{FaultKind, FaultPlan, Scenario},
    target::{Credentials, Gateway, HostBook},
};

/// The faults of a run, and their hits as they come in.
pub(super) struct Timeline {
    /// Spans without their hits.
    pub(super) spans: Vec<FaultSpan>,
    hits: Vec<Arc<AtomicU64>>,
}

/// Counts the calls that were refused for expired credentials: what strikes is the refusal, not that they could have been.
#[derive(Clone, Default)]
pub(super) struct Expiries(Vec<(Micros, Arc<AtomicU64>)>);

/// How AWS names it.
const EXPIRED: &str = "ExpiredTokenException";

impl Expiries {
    /// Looks at a call that has ended. Credentials that fail for good do so after the last time that any expired.
    pub(super) fn see(&self, call: &Call) {
        let expired = matches!(&call.admission, Admission::Refused { code, .. } if code == EXPIRED);
        let latest = self.0.iter().filter(|(from, _)| *from <= call.arrived).max_by_key(|(from, _)| *from);
        if let Some((_, hits)) = latest.filter(|_| expired) {
            hits.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Timeline {
    /// When each fault is in force.
    pub(super) fn of(scenario: &Scenario) -> Self {
        let spans = (0..).zip(&scenario.faults).map(|(index, plan)| span(scenario, index, plan)).collect();
        Self { spans, hits: scenario.faults.iter().map(|_| Arc::default()).collect() }
    }

    /// What counts refusals for expired credentials.
    pub(super) fn expiries(&self) -> Expiries {
        let expiring = self.spans.iter().zip(&self.hits).filter(|(span, _)| span.kind == CREDENTIALS);
        Expiries(expiring.map(|(span, hits)| (span.from, Arc::clone(hits))).collect())
    }

    /// Carries out all faults but those of clients, which the load itself does. Ends when the last of them has.
    pub(super) async fn carry_out(&self, scenario: &Scenario, stage: Stage) {
        let mut tasks = JoinSet::new();
        for ((plan, span), hits) in scenario.faults.iter().zip(&self.spans).zip(&self.hits) {
            let (from, until) = (stage.origin + Duration::from(span.from), stage.origin + Duration::from(span.until));
            let hits = Arc::clone(hits);
            match &plan.kind {
                FaultKind::Upstream(fault) => {
                    let (upstream, fault, index) = (Arc::clone(&stage.upstream), fault.as_ref().clone(), span.index);
                    tasks.spawn(async move {
                        sleep_until(from).await;
                        let installed = match upstream.install(index, fault) {
                            Ok(installed) => installed,
                            Err(error) => {
                                tracing::error!("fault {index} could not be installed: {error:#}");
                                return;
                            }
                        };
                        sleep_until(until).await;
                        hits.store(upstream.remove(installed), Ordering::Relaxed);
                    });
                }
                FaultKind::Credentials => {
                    let (upstream, credentials, number) = (Arc::clone(&stage.upstream), stage.credentials.clone(), span.index);
                    tasks.spawn(async move {
                        sleep_until(from).await;
                        match credentials.map(|credentials| upstream.expire_credentials(&credentials, number + 1)) {
                            // Struck is who is refused.
                            Some(Ok(())) => {}
                            Some(Err(error)) => tracing::error!("credentials could not be replaced: {error:#}"),
                            None => tracing::error!("credentials can only expire for a gateway that the harness starts"),
                        }
                    });
                }
                FaultKind::Host(fault) => {
                    let Some(gateway) = stage.gateway.clone() else { continue };
                    let deed = HostDeed { index: span.index, fault: fault.clone(), from, until, seed: stage.seed, hits };
                    tasks.spawn(deed.run(gateway, stage.book.clone()));
                }
                FaultKind::Client(_) => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// The spans with what they struck.
    pub(super) fn finished(&self, counts: &LiveCounts) -> Vec<FaultSpan> {
        let finished = |((index, span), hits): ((usize, &FaultSpan), &Arc<AtomicU64>)| {
            let deeds = counts.deeds.get(index).map_or(0, |deeds| deeds.load(Ordering::Relaxed));
            let hits = if span.layer == Layer::Client { deeds } else { hits.load(Ordering::Relaxed) };
            FaultSpan { hits, ..span.clone() }
        };
        self.spans.iter().enumerate().zip(&self.hits).map(finished).collect()
    }
}

/// What faults act upon.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) origin: Instant,
    pub(super) upstream: Arc<Upstream>,
    pub(super) gateway: Option<Arc<Gateway>>,
    pub(super) credentials: Option<Credentials>,
    pub(super) book: HostBook,
    pub(super) seed: u64,
}

fn span(scenario: &Scenario, index: u64, plan: &FaultPlan) -> FaultSpan {
    let layer = match plan.kind {
        FaultKind::Upstream(_) | FaultKind::Credentials => Layer::Upstream,
        FaultKind::Host(_) => Layer::Host,
        FaultKind::Client(_) => Layer::Client,
    };
    let until = scenario.in_force_until(plan);
    let region = plan.region.as_deref().map_or(String::new(), |region| format!(" {region}"));
    let share = if plan.share < 1.0 { format!(" {:.0}%", plan.share * 100.0) } else { String::new() };
    FaultSpan {
        index,
        kind: plan.word.clone(),
        label: format!("{}{region}{share}", plan.word),
        layer,
        region: plan.region.clone(),
        from: plan.from.into(),
        until: Micros::from(until),
        share: plan.share,
        hits: 0,
        at_least: plan.at_least,
        text: words(plan),
    }
}

/// The word of this fault in scenario files.
const CREDENTIALS: &str = "credentials_expired";

/// What a fault says in the errors that it makes, where the scenario chose it.
fn words(plan: &FaultPlan) -> Option<String> {
    let FaultKind::Upstream(fault) = &plan.kind else { return None };
    match &fault.kind {
        Trouble::ExceptionFrame { text, .. } | Trouble::ErrorFrame { text, .. } | Trouble::Error { text, .. } => text.clone(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::parse_text;

    const TEXT: &str = r#"
name = "faulty"
hypothesis = "faults are told"
region = [{ name = "us-east-1" }]
model = [{ id = "anthropic.claude-sonnet-4-6" }]
phase = [{ name = "steady", for = "60s", rate = "1/s" }]
fault = [
  { kind = "credentials_expired", at = "10s", for = "5s" },
  { kind = "exception_frame", type = "modelStreamErrorException", text = "broke in call {call}", from = "5s", for = "9s" },
  { kind = "credentials_expired", at = "20s", for = "5s" },
]
[load]
mix = [{ }]
[bounds]
success = ">= 0%"
[vacuous]
at_least = { upstream_calls = 1 }
"#;

    fn timeline() -> Timeline {
        Timeline::of(&parse_text(Path::new("faulty.toml"), TEXT).unwrap_or_else(|error| panic!("{error}")))
    }

    fn hits(timeline: &Timeline) -> Vec<u64> {
        timeline.finished(&LiveCounts::default()).iter().map(|span| span.hits).collect()
    }

    #[test]
    fn expired_credentials_strike_whom_they_refuse() {
        let timeline = timeline();
        let expiries = timeline.expiries();
        let call = |at, code: &str| Call {
            arrived: Micros::seconds(at),
            admission: Admission::Refused { status: 403, code: code.to_owned(), text: String::new(), quota: None },
            ..Call::default()
        };
        expiries.see(&call(5, EXPIRED));
        expiries.see(&call(12, "AccessDeniedException"));
        expiries.see(&Call { arrived: Micros::seconds(12), ..Call::default() });
        assert_eq!(hits(&timeline), [0, 0, 0], "nobody was refused for it");
        [11, 12, 21].into_iter().for_each(|at| expiries.see(&call(at, EXPIRED)));
        assert_eq!(hits(&timeline), [2, 0, 1]);
    }

    #[test]
    fn spans_are_told_also_while_a_task_still_holds_them() {
        let timeline = Arc::new(timeline());
        let _held = Arc::clone(&timeline);
        let spans = timeline.finished(&LiveCounts::default());
        assert_eq!(spans.iter().map(|span| span.index).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(spans[1].text.as_deref(), Some("broke in call {call}"));
    }
}
