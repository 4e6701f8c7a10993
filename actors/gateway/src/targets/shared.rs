//! What all targets share: the retry budget, where conversations live, whose turn it is, which regions are drained.

use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use outcrop_domain::{
    clock::Moment,
    ids::Region,
    routing::{
        budget::{HedgeBudget, RetryBudget},
        reserve::Drift,
        sticky::{STICKY_CAPACITY, Sticky},
        view::{CacheLife, Home},
    },
};

/// Parts of the table of conversations, each behind a lock of its own that is held for a look-up.
const SHARDS: usize = 16;

/// Routing state of the whole process. Written by jobs (budgets, turns, homes) and by the admin port (drains): none of it
/// needs more than one atomic step or one look-up under a lock, and none of it is worth a message.
#[derive(Debug)]
pub struct SharedRouting {
    retries: AtomicU64,
    hedges: AtomicU64,
    turns: AtomicU64,
    rooms: AtomicU64,
    homes: [Mutex<Sticky>; SHARDS],
    drained: ArcSwap<HashSet<Region>>,
}

impl Default for SharedRouting {
    fn default() -> Self {
        Self {
            retries: AtomicU64::new(RetryBudget::new(Moment::default()).to_bits()),
            hedges: AtomicU64::new(HedgeBudget::new().to_bits()),
            turns: AtomicU64::new(0),
            rooms: AtomicU64::new(0),
            homes: std::array::from_fn(|_| Mutex::new(Sticky::new(STICKY_CAPACITY / SHARDS))),
            drained: ArcSwap::default(),
        }
    }
}

impl SharedRouting {
    /// A new request: it earns its share of a retry. Returns its number.
    pub fn request(&self, now: Moment) -> u64 {
        let earn = |bits: u64| Some(RetryBudget::from_bits(bits).request(now).to_bits());
        // The closure never declines.
        let _ = self.retries.fetch_update(Ordering::AcqRel, Ordering::Acquire, earn);
        self.turn()
    }

    /// A number of its own for whatever goes round.
    pub fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes one retry out of the process's budget. False when it is spent.
    pub fn retry(&self, now: Moment) -> bool {
        let take = |bits: u64| RetryBudget::from_bits(bits).take(now).map(RetryBudget::to_bits);
        self.retries.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }

    /// A call is made, of which so many thousandths may be hedged.
    pub fn called(&self, thousandths: u32) {
        if thousandths > 0 {
            let earn = |bits: u64| Some(HedgeBudget::from_bits(bits).call(thousandths).to_bits());
            // The closure never declines.
            let _ = self.hedges.fetch_update(Ordering::AcqRel, Ordering::Acquire, earn);
        }
    }

    /// Takes one hedge out of the process's budget. False when it is spent.
    pub fn hedge(&self) -> bool {
        let take = |bits: u64| HedgeBudget::from_bits(bits).take().map(HedgeBudget::to_bits);
        self.hedges.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }

    /// Numbers waiting rooms.
    pub(super) fn next_room(&self) -> u64 {
        self.rooms.fetch_add(1, Ordering::Relaxed)
    }

    /// Retries that are left.
    #[must_use]
    pub fn retries_left(&self, now: Moment) -> u32 {
        RetryBudget::from_bits(self.retries.load(Ordering::Acquire)).left(now)
    }

    /// Where a conversation lives, while its prompt cache does.
    #[must_use]
    pub fn home(&self, conversation: u64, now: Moment) -> Option<Home> {
        self.shard(conversation)?.lock().unwrap_or_else(PoisonError::into_inner).home(conversation, now)
    }

    /// A conversation was answered by `target`: it lives there from now on, unless it moved elsewhere since the call was sent,
    /// when it lived at `sent_from`. True when it moves by this.
    pub fn settle_home(&self, conversation: u64, target: u64, sent_from: Option<u64>, cache: CacheLife, now: Moment) -> bool {
        let Some(shard) = self.shard(conversation) else { return false };
        let mut homes = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let home = homes.home(conversation, now).map(|home| home.target);
        if home.is_some_and(|home| home != target) && home != sent_from {
            // A slow call to where it lived before: it does not come back for that.
            return false;
        }
        homes.settle(conversation, target, cache, now);
        home.is_some_and(|home| home != target)
    }

    /// How far estimates of a conversation's turns are off, once one is known.
    #[must_use]
    pub fn drift(&self, conversation: u64) -> Option<Drift> {
        self.shard(conversation)?.lock().unwrap_or_else(PoisonError::into_inner).drift(conversation)
    }

    /// A turn of a conversation has ended, and how far its estimate was off is known.
    pub(super) fn learn_drift(&self, conversation: u64, drift: Drift) {
        if let Some(shard) = self.shard(conversation) {
            shard.lock().unwrap_or_else(PoisonError::into_inner).learn_drift(conversation, drift);
        }
    }

    /// Takes a region out, or puts it back: no new call goes to a drained one. True when that is a change.
    pub fn drain(&self, region: &Region, drained: bool) -> bool {
        let before = self.drained.rcu(|regions| {
            let mut regions = HashSet::clone(regions);
            if drained {
                regions.insert(region.clone())
            } else {
                regions.remove(region)
            };
            regions
        });
        before.contains(region) != drained
    }

    /// Is a region drained?
    #[must_use]
    pub fn is_drained(&self, region: &Region) -> bool {
        let drained = self.drained.load();
        !drained.is_empty() && drained.contains(region)
    }

    /// The drained regions, in the order of their names.
    #[must_use]
    pub fn drained(&self) -> Vec<Region> {
        let mut drained: Vec<Region> = self.drained.load().iter().cloned().collect();
        drained.sort();
        drained
    }

    fn shard(&self, conversation: u64) -> Option<&Mutex<Sticky>> {
        // The low bits are the table's own places: the high ones choose the table.
        self.homes.get(usize::try_from(conversation >> 60).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn a_conversation_moves_when_another_target_answers_it() {
        let shared = SharedRouting::default();
        for conversation in [0, 1 << 60, u64::MAX] {
            assert!(!shared.settle_home(conversation, 1, None, CacheLife::Short, at(0)));
            assert_eq!(shared.home(conversation, at(1)).map(|home| home.target), Some(1));
            assert!(!shared.settle_home(conversation, 1, Some(1), CacheLife::Short, at(2)), "it was there");
            assert!(shared.settle_home(conversation, 2, Some(1), CacheLife::Short, at(3)));
            assert!(!shared.settle_home(conversation, 3, None, CacheLife::Short, at(1_000)), "its cache had ended");
            assert_eq!(shared.home(conversation, at(1_001)).map(|home| home.target), Some(3));
        }
    }

    #[test]
    fn a_slow_answer_from_where_a_conversation_lived_does_not_bring_it_back() {
        let shared = SharedRouting::default();
        shared.settle_home(7, 1, None, CacheLife::Short, at(0));
        // Two turns are sent from there; the one that moves is answered first.
        assert!(shared.settle_home(7, 2, Some(1), CacheLife::Short, at(1)));
        assert!(!shared.settle_home(7, 1, Some(1), CacheLife::Short, at(2)));
        assert_eq!(shared.home(7, at(3)).map(|home| home.target), Some(2));
    }

    #[test]
    fn the_budget_ends_and_requests_earn_it_anew() {
        let shared = SharedRouting::default();
        let spent = std::iter::repeat_with(|| shared.retry(at(0))).take_while(|taken| *taken).count();
        assert_eq!(u32::try_from(spent).unwrap(), RetryBudget::new(at(0)).left(at(0)));
        assert_eq!((0..10).map(|_| shared.request(at(0))).max(), Some(9));
        assert_eq!(shared.retries_left(at(0)), 1);
    }

    #[test]
    fn a_region_is_drained_until_it_is_restored() {
        let (shared, region) = (SharedRouting::default(), Region::from("us-east-1"));
        assert!(!shared.is_drained(&region));
        assert!(shared.drain(&region, true));
        assert!(!shared.drain(&region, true), "it was already");
        assert!(shared.is_drained(&region) && !shared.is_drained(&Region::from("us-west-2")));
        shared.drain(&Region::from("eu-west-1"), true);
        assert_eq!(shared.drained(), ["eu-west-1".into(), region.clone()]);
        assert!(shared.drain(&region, false));
        assert!(!shared.is_drained(&region));
    }
}
