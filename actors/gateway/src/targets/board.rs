//! The live health of every target, read by all jobs and decided by the region's `Target` actor.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use dashmap::DashMap;
use outcrop_domain::{
    clock::Moment,
    error::UpstreamFailure,
    ids::{ModelId, Region},
    routing::{Breaker, Candidate, Gate},
};
use serde::Serialize;
use tokio::sync::watch;

use super::{
    TargetMeters,
    pace::{Answering, Pace},
    probe::ProbeFlag,
};

/// Health of all targets. Cells are made on first sight and never removed: there are models x regions of them.
#[derive(Debug)]
pub struct HealthBoard {
    cells: DashMap<(ModelId, Region), Arc<TargetCell>>,
    changed: Arc<watch::Sender<u64>>,
}

impl Default for HealthBoard {
    fn default() -> Self {
        Self { cells: DashMap::new(), changed: Arc::new(watch::Sender::new(0)) }
    }
}

impl HealthBoard {
    /// The cell of a target.
    #[must_use]
    pub fn cell(&self, model: &ModelId, region: &Region) -> Arc<TargetCell> {
        let key = (model.clone(), region.clone());
        if let Some(cell) = self.cells.get(&key) {
            return Arc::clone(&cell);
        }
        Arc::clone(&self.cells.entry(key).or_insert_with(|| Arc::new(TargetCell::new(model, region, Arc::clone(&self.changed)))))
    }

    /// The cells of one region, for its actor.
    #[must_use]
    pub fn of_region(&self, region: &Region) -> Vec<Arc<TargetCell>> {
        let mut cells: Vec<_> = self.cells.iter().filter(|entry| entry.key().1 == *region).map(|entry| Arc::clone(entry.value())).collect();
        cells.sort_by(|a, b| a.model.cmp(&b.model));
        cells
    }

    /// Resolves at the next change of any breaker.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Calls under way, over all targets.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.cells.iter().map(|entry| u64::from(entry.in_flight.load(Ordering::Relaxed))).sum()
    }
}

/// Health of one target. The breaker and the last failure are written by the region's actor; the counters and the pace
/// by leases, which also claim the probe.
#[derive(Debug)]
pub struct TargetCell {
    pub(super) model: ModelId,
    pub(super) region: Region,
    pub(super) breaker: ArcSwap<Breaker>,
    pub(super) probe: ProbeFlag,
    pub(super) pace: Pace,
    pub(super) in_flight: AtomicU32,
    pub(super) answered: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) last_failure: ArcSwapOption<UpstreamFailure>,
    pub(super) meters: TargetMeters,
    changed: Arc<watch::Sender<u64>>,
}

impl TargetCell {
    fn new(model: &ModelId, region: &Region, changed: Arc<watch::Sender<u64>>) -> Self {
        Self {
            changed,
            model: model.clone(),
            region: region.clone(),
            breaker: ArcSwap::default(),
            probe: ProbeFlag::default(),
            pace: Pace::default(),
            in_flight: AtomicU32::new(0),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last_failure: ArcSwapOption::empty(),
            meters: TargetMeters::new(model, region),
        }
    }

    /// The target as the planner sees it.
    #[must_use]
    pub fn candidate(&self, now: Moment, tried: bool) -> Candidate {
        Candidate { gate: self.breaker.load().gate(now), probing: self.probe.is_taken(), tried }
    }

    /// Frees the probe whoever has it, and wakes jobs that wait for it.
    pub(super) fn free_probe(&self) {
        self.probe.clear();
        self.announce();
    }

    /// Wakes jobs that wait for a target to open.
    pub(super) fn announce(&self) {
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
    }

    /// Its metrics.
    #[must_use]
    pub fn meters(&self) -> &TargetMeters {
        &self.meters
    }

    /// What last tripped it, while it is not closed.
    #[must_use]
    pub fn last_failure(&self) -> Option<Arc<UpstreamFailure>> {
        self.last_failure.load_full()
    }

    /// A serialisable view.
    #[must_use]
    pub fn describe(&self, now: Moment) -> TargetHealth {
        let breaker = self.breaker.load();
        let gate = breaker.gate(now);
        TargetHealth {
            model: self.model.clone(),
            region: self.region.clone(),
            gate,
            cause: breaker.cause().map(outcrop_domain::error::Cause::as_str),
            opens_in_ms: match gate {
                Gate::Open { until } => u64::try_from(until.since(now).as_millis()).unwrap_or(u64::MAX),
                Gate::Closed | Gate::HalfOpen => 0,
            },
            failure_windows: breaker.windows(),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            answered: self.answered.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            usual_first_event_ms: self.pace.usual_ms(Answering::Streamed),
            usual_answer_ms: self.pace.usual_ms(Answering::Whole),
        }
    }
}

/// Health of a target, for consoles and tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetHealth {
    /// The model.
    pub model: ModelId,
    /// The region.
    pub region: Region,
    /// Open to calls or not.
    #[serde(flatten)]
    pub gate: Gate,
    /// What tripped it.
    pub cause: Option<&'static str>,
    /// Milliseconds until it half-opens; 0 when it is not open.
    pub opens_in_ms: u64,
    /// Failure windows in a row.
    pub failure_windows: u32,
    /// Calls under way.
    pub in_flight: u32,
    /// Calls answered since start.
    pub answered: u64,
    /// Calls failed since start, those among them that were given up after too long a silence.
    pub failed: u64,
    /// Usual time to the first event of a stream, once known.
    pub usual_first_event_ms: Option<u64>,
    /// Usual time to a whole answer, once known.
    pub usual_answer_ms: Option<u64>,
}
