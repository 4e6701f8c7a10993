//! The targets of one model, and what they share: who waits, how far estimates are off, what moves may still cost.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use outcrop_domain::{
    clock::Moment,
    ids::{ModelId, Region},
    routing::{
        budget::SpillBudget,
        reserve::{Bias, Drift, Reservation},
        view::{Demand, Spill},
        waiting::SizeClasses,
    },
    usage::Usage,
};

use super::TargetCell;

/// The targets of one model. The place of a target in it never changes, so that a set of places means the same to
/// everybody.
#[derive(Debug)]
pub struct ModelPool {
    model: ModelId,
    cells: ArcSwap<Vec<Arc<TargetCell>>>,
    /// One who adds a target at a time.
    adding: Mutex<()>,
    /// Real over estimated input tokens. Written by the targets' owners, one lock for two multiplications.
    bias: Mutex<Bias>,
    spill: AtomicU64,
    /// Size classes of which somebody waits; written by the waiting room.
    classes: AtomicU8,
    /// Somebody waits for this model; written by the waiting room.
    awaited: AtomicBool,
    /// The waiting room was told of new room and has not looked yet.
    nudged: AtomicBool,
}

impl ModelPool {
    pub(super) fn new(model: &ModelId) -> Self {
        Self {
            model: model.clone(),
            cells: ArcSwap::default(),
            adding: Mutex::default(),
            bias: Mutex::default(),
            spill: AtomicU64::new(SpillBudget::default().to_bits()),
            classes: AtomicU8::new(SizeClasses::default().to_bits()),
            awaited: AtomicBool::new(false),
            nudged: AtomicBool::new(false),
        }
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &ModelId {
        &self.model
    }

    /// Its targets, each at its place.
    #[must_use]
    pub fn cells(&self) -> Arc<Vec<Arc<TargetCell>>> {
        self.cells.load_full()
    }

    /// The target in `region`, with its place.
    #[must_use]
    pub fn find(&self, region: &Region) -> Option<(usize, Arc<TargetCell>)> {
        let cells = self.cells.load();
        let place = cells.iter().position(|cell| cell.region == *region)?;
        Some((place, Arc::clone(cells.get(place)?)))
    }

    /// The target in `region`, made by `new` on first sight.
    pub(super) fn find_or_add(&self, region: &Region, new: impl FnOnce() -> TargetCell) -> (usize, Arc<TargetCell>) {
        if let Some(found) = self.find(region) {
            return found;
        }
        let _alone = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        // Another one may have added it while this one waited for the lock.
        if let Some(found) = self.find(region) {
            return found;
        }
        let cell = Arc::new(new());
        let mut cells = Vec::clone(&self.cells.load());
        cells.push(Arc::clone(&cell));
        let place = cells.len() - 1;
        self.cells.store(Arc::new(cells));
        (place, cell)
    }

    /// What a reservation takes of a target's quotas. `drift`: what is known of its conversation's estimates.
    #[must_use]
    pub fn demand(&self, reservation: &Reservation, drift: Option<Drift>) -> Demand {
        let factor = drift.map_or_else(|| self.bias.lock().unwrap_or_else(PoisonError::into_inner).factor(), Drift::factor);
        Demand::of_tokens(reservation.tokens(factor))
    }

    /// Learns how far an estimate was off.
    pub(super) fn learn_bias(&self, input_estimate: u64, usage: &Usage) {
        self.bias.lock().unwrap_or_else(PoisonError::into_inner).learn(input_estimate, usage);
    }

    /// May a conversation leave its warm home for want of room there?
    #[must_use]
    pub fn may_spill(&self, now: Moment) -> Spill {
        SpillBudget::from_bits(self.spill.load(Ordering::Acquire)).allows(now)
    }

    /// A conversation with so many tokens of prefix left its warm home though it might have stayed.
    pub fn spilled(&self, prefix: f64, now: Moment) {
        let rate = self.cells.load().iter().map(|cell| cell.token_rate(now)).sum();
        let book = |bits: u64| Some(SpillBudget::from_bits(bits).moved(prefix, rate, now).to_bits());
        // The closure never declines.
        let _ = self.spill.fetch_update(Ordering::AcqRel, Ordering::Acquire, book);
    }

    /// Must a request of this size stand in line behind others of its size?
    #[must_use]
    pub fn must_queue(&self, demand: &Demand) -> bool {
        SizeClasses::from_bits(self.classes.load(Ordering::Acquire)).must_queue(demand)
    }

    /// The waiting room tells who waits.
    pub(super) fn publish_waiting(&self, classes: SizeClasses, anybody: bool) {
        self.classes.store(classes.to_bits(), Ordering::Release);
        self.awaited.store(anybody, Ordering::Release);
    }

    /// Is somebody to be told of new room? True at most once until the waiting room has looked.
    pub(super) fn claim_nudge(&self) -> bool {
        self.awaited.load(Ordering::Acquire) && !self.nudged.swap(true, Ordering::AcqRel)
    }

    /// The waiting room looks now.
    pub(super) fn looked(&self) {
        self.nudged.store(false, Ordering::Release);
    }
}
