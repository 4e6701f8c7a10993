//! Account quotas: requests and tokens per minute and tokens per day of one model in one region.
//!
//! Tokens are reserved when a call is admitted (input and `maxTokens`) and settled when it ends (input, cache
//! writes, and output times a burn-down factor). Source: Bedrock user guide, "Token burndown" of the quotas page.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{brain::TurnUsage, lock::held, validate::Refusal};

/// AWS's words for too many requests per minute.
pub(crate) const TOO_MANY_REQUESTS: &str = "Too many requests, please wait before trying again.";
const TOO_MANY_TOKENS: &str = "Too many tokens, please wait before trying again.";
const TOO_MANY_TOKENS_PER_DAY: &str = "Too many tokens per day, please wait before trying again.";

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// Names the quota of every model of a region that has none of its own.
const EVERY_MODEL: &str = "*";

/// How a bucket fills again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Refill {
    /// Evenly, up to one whole period.
    #[default]
    Continuous,
    /// All at once when a new period starts (periods count from the start of the simulator).
    Window,
}

/// Limits of one model in one region; what is `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Requests per minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute.
    pub tokens_per_minute: Option<u64>,
    /// Tokens per day.
    pub tokens_per_day: Option<u64>,
    /// How many tokens one output token costs at settlement; 0 counts as 1.
    pub burndown: u64,
    /// How the buckets fill again.
    pub refill: Refill,
}

impl Quota {
    /// Requests and tokens per minute, continuous refill.
    #[must_use]
    pub fn per_minute(requests: u64, tokens: u64, burndown: u64) -> Self {
        Self { requests_per_minute: Some(requests), tokens_per_minute: Some(tokens), burndown, ..Self::default() }
    }
}

/// What is left of a quota; `None` is unlimited. Tokens are negative after an answer that cost more than reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaRoom {
    /// Requests that would be admitted now.
    pub requests: Option<i64>,
    /// Tokens of the minute that can be reserved now.
    pub tokens: Option<i64>,
    /// Tokens of the day that can be reserved now.
    pub day_tokens: Option<i64>,
}

/// All quotas of a simulator.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    limits: BTreeMap<(String, String), Quota>,
    meters: BTreeMap<(String, String), Meter>,
}

impl Quotas {
    /// Sets the limits of `model` (or of every model, `*`) in `region`; buckets start full.
    pub(crate) fn set(&self, region: &str, model: &str, quota: Quota) {
        let mut book = held(&self.book);
        book.limits.insert((region.to_owned(), model.to_owned()), quota);
        // Meters made from an older limit of the same place start afresh.
        book.meters
            .retain(|(metered_region, metered_model), _| metered_region != region || (metered_model != model && model != EVERY_MODEL));
    }

    /// Removes every limit.
    pub(crate) fn clear(&self) {
        *held(&self.book) = Book::default();
    }

    pub(crate) fn room(&self, region: &str, model: &str, now: Duration) -> Option<QuotaRoom> {
        held(&self.book).meter(region, model, now).map(|meter| meter.room(now))
    }

    /// Admits a call that may cost `reserve` tokens, or refuses it as AWS does.
    pub(crate) fn admit(self: &Arc<Self>, region: &str, model: &str, now: Duration, reserve: u64) -> Result<Reservation, Refusal> {
        let refused = match held(&self.book).meter(region, model, now) {
            Some(meter) => meter.admit(now, reserve).err(),
            None => None,
        };
        match refused {
            Some(message) => Err(Refusal { status: 429, error_type: "ThrottlingException", message: message.to_owned() }),
            None => Ok(Reservation {
                quotas: Arc::clone(self),
                region: region.to_owned(),
                model: model.to_owned(),
                reserved: reserve,
                open: true,
            }),
        }
    }
}

impl Book {
    fn meter(&mut self, region: &str, model: &str, now: Duration) -> Option<&mut Meter> {
        let key = (region.to_owned(), model.to_owned());
        if !self.meters.contains_key(&key) {
            let quota = self.limits.get(&key).or_else(|| self.limits.get(&(region.to_owned(), EVERY_MODEL.to_owned())))?;
            self.meters.insert(key.clone(), Meter::new(*quota, now));
        }
        self.meters.get_mut(&key)
    }
}

/// Tokens held for a running call; dropping it gives all of them back.
#[derive(Debug)]
pub(crate) struct Reservation {
    quotas: Arc<Quotas>,
    region: String,
    model: String,
    reserved: u64,
    open: bool,
}

impl Reservation {
    /// Tokens held.
    pub(crate) fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Exchanges the held tokens for what the call really used.
    pub(crate) fn settle(mut self, now: Duration, usage: &TurnUsage) {
        self.open = false;
        if let Some(meter) = held(&self.quotas.book).meter(&self.region, &self.model, now) {
            let cost = meter.cost(usage);
            meter.settle(now, self.reserved, cost);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.open
            && let Some(meter) = held(&self.quotas.book).meters.get_mut(&(self.region.clone(), self.model.clone()))
        {
            meter.give_back(self.reserved);
        }
    }
}

/// The buckets of one model in one region.
#[derive(Debug, Clone)]
struct Meter {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    day_tokens: Option<Bucket>,
    burndown: u64,
}

impl Meter {
    fn new(quota: Quota, now: Duration) -> Self {
        let bucket = |limit: Option<u64>, period| limit.map(|limit| Bucket::full(limit, period, quota.refill, now));
        Self {
            requests: bucket(quota.requests_per_minute, MINUTE),
            tokens: bucket(quota.tokens_per_minute, MINUTE),
            day_tokens: bucket(quota.tokens_per_day, DAY),
            burndown: quota.burndown.max(1),
        }
    }

    /// Takes one request and `reserve` tokens, or nothing at all and says why.
    fn admit(&mut self, now: Duration, reserve: u64) -> Result<(), &'static str> {
        let wanted = [
            (&mut self.requests, 1, TOO_MANY_REQUESTS),
            (&mut self.tokens, reserve, TOO_MANY_TOKENS),
            (&mut self.day_tokens, reserve, TOO_MANY_TOKENS_PER_DAY),
        ];
        let mut granted = Vec::with_capacity(wanted.len());
        for (bucket, amount, refusal) in wanted {
            if let Some(bucket) = bucket {
                bucket.refill(now);
                if !bucket.has(amount) {
                    return Err(refusal);
                }
                granted.push((bucket, amount));
            }
        }
        for (bucket, amount) in granted {
            bucket.take(amount);
        }
        Ok(())
    }

    fn cost(&self, usage: &TurnUsage) -> u64 {
        usage.input + usage.cache_write_5m + usage.cache_write_1h + usage.output.saturating_mul(self.burndown)
    }

    fn settle(&mut self, now: Duration, reserved: u64, cost: u64) {
        for bucket in [&mut self.tokens, &mut self.day_tokens].into_iter().flatten() {
            bucket.refill(now);
            bucket.give(reserved);
            bucket.take(cost);
        }
    }

    fn give_back(&mut self, reserved: u64) {
        for bucket in [&mut self.tokens, &mut self.day_tokens].into_iter().flatten() {
            bucket.give(reserved);
        }
    }

    fn room(&mut self, now: Duration) -> QuotaRoom {
        let room = |bucket: &mut Option<Bucket>| {
            bucket.as_mut().map(|bucket| {
                bucket.refill(now);
                bucket.whole_units()
            })
        };
        QuotaRoom { requests: room(&mut self.requests), tokens: room(&mut self.tokens), day_tokens: room(&mut self.day_tokens) }
    }
}

/// A bucket whose level is kept in units times nanoseconds of the period, so that no refill is rounded.
#[derive(Debug, Clone)]
struct Bucket {
    limit: u64,
    period: Duration,
    refill: Refill,
    level: i128,
    filled_at: Duration,
}

impl Bucket {
    fn full(limit: u64, period: Duration, refill: Refill, now: Duration) -> Self {
        let mut bucket = Self { limit, period, refill, level: 0, filled_at: now };
        bucket.level = bucket.capacity();
        bucket
    }

    fn refill(&mut self, now: Duration) {
        match self.refill {
            Refill::Continuous => {
                let elapsed = as_i128(now.saturating_sub(self.filled_at).as_nanos());
                self.level = (self.level + i128::from(self.limit) * elapsed).min(self.capacity());
            }
            Refill::Window => {
                let window = |at: Duration| at.as_nanos() / self.period.as_nanos().max(1);
                if window(now) > window(self.filled_at) {
                    self.level = self.capacity();
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

    fn give(&mut self, amount: u64) {
        self.level = (self.level + self.scaled(amount)).min(self.capacity());
    }

    fn whole_units(&self) -> i64 {
        i64::try_from(self.level.div_euclid(as_i128(self.period.as_nanos()))).unwrap_or(i64::MAX)
    }

    fn capacity(&self) -> i128 {
        self.scaled(self.limit)
    }

    fn scaled(&self, amount: u64) -> i128 {
        i128::from(amount) * as_i128(self.period.as_nanos())
    }
}

fn as_i128(nanos: u128) -> i128 {
    i128::try_from(nanos).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests;
