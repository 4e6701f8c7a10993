//! The faults of a scenario on its time axis: installed when they begin, removed when they end, counted at the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::Upstream;
use crate::{
    history::{FaultSpan, Layer, Micros},
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

impl Timeline {
    /// When each fault is in force.
    pub(super) fn of(scenario: &Scenario) -> Self {
        let spans = (0..).zip(&scenario.faults).map(|(index, plan)| span(scenario, index, plan)).collect();
        Self { spans, hits: scenario.faults.iter().map(|_| Arc::default()).collect() }
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
                            Some(Ok(())) => hits.store(1, Ordering::Relaxed),
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
    pub(super) fn finish(mut self, counts: &LiveCounts) -> Vec<FaultSpan> {
        for ((index, span), hits) in self.spans.iter_mut().enumerate().zip(&self.hits) {
            let deeds = counts.deeds.get(index).map_or(0, |deeds| deeds.load(Ordering::Relaxed));
            span.hits = if span.layer == Layer::Client { deeds } else { hits.load(Ordering::Relaxed) };
        }
        self.spans
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
    }
}
