//! The buckets of one model in one region, exact to the nanosecond.

use std::{collections::BTreeMap, time::Duration};

use super::limits::{Quota, QuotaLimit, QuotaRoom, Refill};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Requests, tokens and tokens of the day, and settlements that are not due yet.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    quota: Quota,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    day_tokens: Option<Bucket>,
    /// By due time and order.
    due: BTreeMap<(Duration, u64), Settlement>,
    deferred: u64,
    at: Duration,
}

/// A reservation and what it turned out to cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settlement {
    pub(super) call: u64,
    pub(super) reserved: u64,
    pub(super) cost: u64,
}

impl Meter {
    /// Full buckets.
    pub(super) fn new(quota: Quota, now: Duration) -> Self {
        let bucket = |limit: Option<u64>, period, depth| limit.map(|limit| Bucket::full(limit, period, depth, quota.refill, now));
        Self {
            requests: bucket(quota.requests_per_minute, MINUTE, quota.depth),
            tokens: bucket(quota.tokens_per_minute, MINUTE, quota.depth),
            day_tokens: bucket(quota.tokens_per_day, DAY, DAY),
            quota,
            due: BTreeMap::new(),
            deferred: 0,
            at: now,
        }
    }

    pub(super) fn quota(&self) -> &Quota {
        &self.quota
    }

    /// The last moment it has seen.
    pub(super) fn at(&self) -> Duration {
        self.at
    }

    /// Goes on to `now`, and tells of each settlement that fell due on the way, with its time.
    pub(super) fn advance(&mut self, now: Duration, mut settled: impl FnMut(Duration, Settlement, QuotaRoom)) {
        while let Some(entry) = self.due.first_entry() {
            let (due, _) = *entry.key();
            if due > now {
                break;
            }
            let settlement = entry.remove();
            self.refill(due);
            self.apply(settlement);
            settled(due, settlement, self.level());
        }
        self.refill(now);
    }

    /// Takes one request and `reserve` tokens, or nothing at all and says which limit forbids it.
    ///
    /// Call [`Meter::advance`] before.
    pub(super) fn admit(&mut self, reserve: u64) -> Result<(), QuotaLimit> {
        match self.obstacle(reserve) {
            Some(limit) => {
                if let Some(requests) = self.requests.as_mut().filter(|_| self.quota.count_refused) {
                    requests.take_at_most_one();
                }
                Err(limit)
            }
            None => {
                for (bucket, amount) in [(&mut self.requests, 1), (&mut self.tokens, reserve), (&mut self.day_tokens, reserve)] {
                    if let Some(bucket) = bucket {
                        bucket.take(amount);
                    }
                }
                Ok(())
            }
        }
    }

    /// The first limit that forbids a call now.
    pub(super) fn obstacle(&self, reserve: u64) -> Option<QuotaLimit> {
        let wanted = [
            (&self.requests, 1, QuotaLimit::Requests),
            (&self.tokens, reserve, QuotaLimit::Tokens),
            (&self.day_tokens, reserve, QuotaLimit::Day),
        ];
        wanted.into_iter().find(|(bucket, amount, _)| bucket.as_ref().is_some_and(|bucket| !bucket.has(*amount))).map(|(_, _, limit)| limit)
    }

    /// Exchanges a reservation for its cost, now or when it is due. True when that was now.
    pub(super) fn settle(&mut self, now: Duration, settlement: Settlement) -> bool {
        if self.quota.settle_after.is_zero() {
            self.apply(settlement);
            return true;
        }
        self.deferred += 1;
        self.due.insert((now + self.quota.settle_after, self.deferred), settlement);
        false
    }

    fn apply(&mut self, settlement: Settlement) {
        for bucket in [&mut self.tokens, &mut self.day_tokens].into_iter().flatten() {
            bucket.give(settlement.reserved);
            bucket.take(settlement.cost);
        }
    }

    /// Gives a reservation back whole.
    pub(super) fn give_back(&mut self, reserved: u64) {
        for bucket in [&mut self.tokens, &mut self.day_tokens].into_iter().flatten() {
            bucket.give(reserved);
        }
    }

    /// Changes rates and depths; levels stay, as far as the new depth holds them. Limits appear full and vanish whole.
    pub(super) fn change(&mut self, quota: Quota) {
        let fresh = Self::new(quota, self.at);
        let carry = |old: Option<&Bucket>, new: Option<Bucket>| match (old, new) {
            (Some(old), Some(new)) => Some(Bucket { level: old.level.min(new.capacity), ..new }),
            (_, new) => new,
        };
        self.requests = carry(self.requests.as_ref(), fresh.requests);
        self.tokens = carry(self.tokens.as_ref(), fresh.tokens);
        self.day_tokens = carry(self.day_tokens.as_ref(), fresh.day_tokens);
        self.quota = quota;
    }

    /// What is left at the last moment it has seen.
    pub(super) fn level(&self) -> QuotaRoom {
        let room = |bucket: &Option<Bucket>| bucket.as_ref().map(Bucket::whole_units);
        QuotaRoom { requests: room(&self.requests), tokens: room(&self.tokens), day_tokens: room(&self.day_tokens) }
    }

    fn refill(&mut self, now: Duration) {
        for bucket in [&mut self.requests, &mut self.tokens, &mut self.day_tokens].into_iter().flatten() {
            bucket.refill(now);
        }
        self.at = self.at.max(now);
    }
}

/// A bucket whose level is kept in units times nanoseconds of the period, so that no refill is rounded.
#[derive(Debug, Clone)]
struct Bucket {
    limit: u64,
    period: Duration,
    refill: Refill,
    capacity: i128,
    level: i128,
    filled_at: Duration,
}

impl Bucket {
    fn full(limit: u64, period: Duration, depth: Duration, refill: Refill, now: Duration) -> Self {
        let unit = as_i128(period.as_nanos());
        let capacity = match refill {
            // However shallow, a bucket that grants anything can hold one whole unit, or it would grant nothing.
            Refill::Continuous if limit > 0 => (i128::from(limit) * as_i128(depth.as_nanos())).max(unit),
            Refill::Continuous => 0,
            Refill::Window => i128::from(limit) * unit,
        };
        Self { limit, period, refill, capacity, level: capacity, filled_at: now }
    }

    fn refill(&mut self, now: Duration) {
        match self.refill {
            Refill::Continuous => {
                let elapsed = as_i128(now.saturating_sub(self.filled_at).as_nanos());
                self.level = (self.level + i128::from(self.limit) * elapsed).min(self.capacity);
            }
            Refill::Window => {
                let window = |at: Duration| at.as_nanos() / self.period.as_nanos().max(1);
                if window(now) > window(self.filled_at) {
                    self.level = self.capacity;
                }
            }
        }
        self.filled_at = self.filled_at.max(now);
    }

    fn has(&self, amount: u64) -> bool {
        self.level >= self.scaled(amount)
    }

    fn take(&mut self, amount: u64) {
        self.level -= self.scaled(amount);
    }

    fn take_at_most_one(&mut self) {
        self.level -= self.scaled(1).min(self.level.max(0));
    }

    fn give(&mut self, amount: u64) {
        self.level = (self.level + self.scaled(amount)).min(self.capacity);
    }

    fn whole_units(&self) -> i64 {
        i64::try_from(self.level.div_euclid(as_i128(self.period.as_nanos()))).unwrap_or(i64::MAX)
    }

    fn scaled(&self, amount: u64) -> i128 {
        i128::from(amount) * as_i128(self.period.as_nanos())
    }
}

fn as_i128(nanos: u128) -> i128 {
    i128::try_from(nanos).unwrap_or(i128::MAX)
}
