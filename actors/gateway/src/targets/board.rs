//! The live state of every target, read by all jobs and decided by the regions' `Target` actors.

use std::sync::{Arc, PoisonError, atomic::Ordering};

use dashmap::DashMap;
use outcrop_domain::{
    clock::Clock,
    ids::{ModelId, Region},
    routing::{Breaker, daily::until_midnight, quota::TargetQuota},
};
use tokio::sync::watch;

use super::{
    ModelPool, SharedRouting, TargetCell,
    cell::Beginning,
    ended::EndedCalls,
    memory::{RememberedDay, RememberedTarget, RoutingMemory, unix_seconds},
    tell::tell_of_beginning,
};
use crate::settings::SettingsCell;

/// All targets. Cells are made on first sight and never removed: there are models x regions of them.
#[derive(Debug)]
pub struct HealthBoard {
    pools: DashMap<ModelId, Arc<ModelPool>>,
    /// By region.
    ended: DashMap<Region, Arc<EndedCalls>>,
    shared: SharedRouting,
    settings: SettingsCell,
    clock: Arc<dyn Clock>,
    /// What the last run knew.
    memory: RoutingMemory,
    changed: Arc<watch::Sender<u64>>,
}

impl HealthBoard {
    /// An empty board. Targets begin with what `memory` has of them, else with what the settings say of their quotas.
    #[must_use]
    pub fn new(settings: SettingsCell, clock: Arc<dyn Clock>, memory: RoutingMemory) -> Self {
        Self {
            pools: DashMap::new(),
            ended: DashMap::new(),
            shared: SharedRouting::default(),
            settings,
            clock,
            memory,
            changed: Arc::new(watch::Sender::new(0)),
        }
    }

    /// The targets of a model.
    #[must_use]
    pub fn pool(&self, model: &ModelId) -> Arc<ModelPool> {
        if let Some(pool) = self.pools.get(model) {
            return Arc::clone(&pool);
        }
        Arc::clone(&self.pools.entry(model.clone()).or_insert_with(|| Arc::new(ModelPool::new(model))))
    }

    /// The target of `pool` in a region, with its place.
    #[must_use]
    pub fn target(&self, pool: &ModelPool, region: &Region) -> (usize, Arc<TargetCell>) {
        pool.find_or_add(region, || {
            let beginning = self.beginning(pool.model(), region);
            let now = beginning.now;
            let cell = TargetCell::new(pool.model(), region, beginning, Arc::clone(&self.changed));
            tell_of_beginning(&cell, now);
            cell
        })
    }

    /// The cell of a target.
    #[must_use]
    pub fn cell(&self, model: &ModelId, region: &Region) -> Arc<TargetCell> {
        self.target(&self.pool(model), region).1
    }

    /// What all targets share.
    #[must_use]
    pub fn shared(&self) -> &SharedRouting {
        &self.shared
    }

    /// The cells of one region, for its actor.
    #[must_use]
    pub fn of_region(&self, region: &Region) -> Vec<Arc<TargetCell>> {
        let mut cells: Vec<_> = self.pools.iter().filter_map(|pool| pool.find(region)).map(|(_, cell)| cell).collect();
        cells.sort_by(|a, b| a.model.cmp(&b.model));
        cells
    }

    /// The calls of a region that have ended, for its actor.
    pub(super) fn ended(&self, region: &Region) -> Arc<EndedCalls> {
        Arc::clone(&self.ended.entry(region.clone()).or_default())
    }

    /// The targets of every model that was asked for, in no order.
    #[must_use]
    pub fn pools(&self) -> Vec<Arc<ModelPool>> {
        self.pools.iter().map(|pool| Arc::clone(&pool)).collect()
    }

    /// What the next run should know of the targets.
    #[must_use]
    pub fn remember(&self) -> Vec<(ModelId, Region, RememberedTarget)> {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let today = unix_seconds(wall);
        let remember = |cell: &TargetCell| {
            // One that was looked at and not called is as the last run knew it.
            let before = || self.memory.of(&cell.model, &cell.region).map_or(today, |target| target.seen);
            let seen = cell.last_call().map_or_else(before, |last| today.saturating_sub(now.since(last).as_secs()));
            let (quota, spent) = {
                let book = cell.book.lock().unwrap_or_else(PoisonError::into_inner);
                (book.snapshot(), book.spent_day(now))
            };
            let spent = spent.map(|day| RememberedDay::of(day, now, wall));
            let (tripped, usual) = (cell.breaker.load().cause(), cell.usual_times());
            (cell.model.clone(), cell.region.clone(), RememberedTarget { quota, tripped, spent, usual, seen })
        };
        let mut known: Vec<_> = self.cells().iter().map(|cell| remember(cell)).collect();
        // What nobody asked for in this run is as the last one knew it.
        let unseen = |model: &ModelId, region: &Region| self.pools.get(model).is_none_or(|pool| pool.find(region).is_none());
        known.extend(self.memory.all().filter(|(model, region, _)| unseen(model, region)));
        known
    }

    /// All cells, in no order.
    #[must_use]
    pub fn cells(&self) -> Vec<Arc<TargetCell>> {
        self.pools.iter().flat_map(|pool| Vec::clone(&pool.cells())).collect()
    }

    /// Resolves at the next change of any breaker.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Takes a region out, or puts it back. True when that is a change.
    pub fn drain(&self, region: &Region, drained: bool) -> bool {
        let changed = self.shared.drain(region, drained);
        if changed {
            self.changed.send_modify(|version| *version = version.wrapping_add(1));
        }
        changed
    }

    /// Takes out again what an operator had taken out in the last run, of the regions that there are.
    pub fn drain_again(&self, regions: &[Region]) {
        let mut drained = Vec::new();
        for region in regions.iter().filter(|region| self.memory.was_drained(region)) {
            self.shared.drain(region, true);
            drained.push(region.as_str());
        }
        if drained.is_empty() {
            return;
        }
        tracing::warn!(
            regions = drained.join(","),
            "regions that an operator drained before this start stay drained: they get no traffic until they are restored"
        );
    }

    /// Calls under way, over all targets.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        let of_pool = |pool: &ModelPool| pool.cells().iter().map(|cell| u64::from(cell.in_flight.load(Ordering::Relaxed))).sum::<u64>();
        self.pools.iter().map(|pool| of_pool(&pool)).sum()
    }

    fn beginning(&self, model: &ModelId, region: &Region) -> Beginning {
        let now = self.clock.now();
        let remembered = self.memory.of(model, region);
        let priors = self.settings.load().routing.priors(model, region);
        let wall = self.clock.wall();
        let until_midnight = until_midnight(wall);
        let last_run = remembered.map(|target| (&target.quota, target.age(wall)));
        let mut quota = TargetQuota::new(&priors, last_run, now, until_midnight);
        if let Some(spent) = remembered.and_then(|target| target.spent?.at(now, wall)) {
            quota.close_day(now, spent);
        }
        let breaker = remembered.map_or_else(Breaker::default, |target| target.breaker(now));
        let usual = remembered.map(|target| target.usual).unwrap_or_default();
        Beginning { breaker, quota, usual, ended: self.ended(region), now }
    }
}

impl Drop for HealthBoard {
    fn drop(&mut self) {
        // Calls that lie there hold their targets, and these the place where they lie.
        self.ended.iter().for_each(|ended| ended.take(&mut Vec::new()));
    }
}
