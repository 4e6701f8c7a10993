//! Which limits hold where and when, and the meters they made.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    Denied, EVERY_MODEL, Wanted,
    ledger::{BucketChange, Ledger},
    limits::{BucketKey, ProfileClass, Quota, QuotaRoom},
    meter::{Meter, Settlement},
};
use crate::brain::TurnUsage;

/// A fault that changes limits while it is in force.
#[derive(Debug, Clone)]
pub(crate) struct QuotaFault {
    /// Tells its limits from all others.
    pub(crate) version: u64,
    pub(crate) region: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) profile: Option<ProfileClass>,
    pub(crate) kind: QuotaFaultKind,
    pub(crate) from: Duration,
    pub(crate) until: Option<Duration>,
    /// Counts the calls it refuses.
    pub(crate) hits: Arc<AtomicU64>,
}

/// What such a fault does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum QuotaFaultKind {
    Limits(Quota),
    Scale(f64),
}

impl QuotaFault {
    fn in_force(&self, now: Duration) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }

    fn concerns(&self, region: &str, model: &str, profile: Option<ProfileClass>) -> bool {
        self.region.as_deref().is_none_or(|wanted| wanted == region)
            && self.model.as_deref().is_none_or(|wanted| wanted == model || wanted == EVERY_MODEL)
            && self.profile.is_none_or(|wanted| profile == Some(wanted))
    }
}

/// Limits, faults, meters and the ledger.
#[derive(Debug)]
pub(super) struct Book {
    /// By region, model or `*`, and class of profile or none.
    limits: BTreeMap<BucketKey, Standing>,
    faults: Vec<QuotaFault>,
    meters: BTreeMap<Arc<BucketKey>, Metered>,
    /// When buckets that are no longer limited were last written about: their next entries must not be older.
    ended: BTreeMap<BucketKey, Duration>,
    pub(super) ledger: Ledger,
    versions: u64,
    /// The latest time it has heard of. Callers read the clock before they have the lock; time never goes back here.
    seen: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Standing {
    quota: Quota,
    version: u64,
    since: Duration,
}

/// The limits that hold for a call.
struct Row {
    quota: Quota,
    version: u64,
    since: Duration,
    bucket: BucketKey,
    hits: Option<Arc<AtomicU64>>,
}

#[derive(Debug)]
struct Metered {
    meter: Meter,
    /// Which row made it.
    version: u64,
    /// Its limits before any fault scaled them.
    base: Quota,
    /// Burn-down of its model, for limits that do not say.
    burndown: u64,
    factor: f64,
}

/// Tokens taken from a bucket.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bucket: Arc<BucketKey>,
    pub(super) reserved: u64,
    version: u64,
}

impl Book {
    pub(super) fn new(ledger_entries: usize) -> Self {
        Self {
            limits: BTreeMap::new(),
            faults: Vec::new(),
            meters: BTreeMap::new(),
            ended: BTreeMap::new(),
            ledger: Ledger::new(ledger_entries),
            versions: 0,
            seen: Duration::ZERO,
        }
    }

    pub(super) fn set(&mut self, place: BucketKey, quota: Quota, burndown: u64, now: Duration) {
        let now = self.monotone(now);
        self.sync_all(now);
        self.versions += 1;
        let standing = Standing { quota, version: self.versions, since: now };
        let named = (place.model != EVERY_MODEL).then(|| place.clone());
        self.limits.insert(place, standing);
        self.sync_all(now);
        if let Some(place) = named {
            // Made at once, so that the book knows the bucket before its first call.
            self.meter(&place.region, &place.model, place.profile, burndown, now);
        }
    }

    pub(super) fn scale(&mut self, place: &BucketKey, factor: f64, now: Duration) -> bool {
        let now = self.monotone(now);
        self.sync_all(now);
        let Some(standing) = self.limits.get_mut(place) else { return false };
        standing.quota = standing.quota.scaled(factor);
        let (version, quota) = (standing.version, standing.quota);
        for (bucket, metered) in &mut self.meters {
            if metered.version == version {
                metered.base = Quota { burndown: metered.base.burndown, ..quota };
                metered.change(bucket, metered.factor, &mut self.ledger);
            }
        }
        true
    }

    pub(super) fn clear(&mut self, now: Duration) {
        let now = self.monotone(now);
        self.sync_all(now);
        self.limits.clear();
        self.sync_all(now);
    }

    pub(super) fn set_faults(&mut self, faults: Vec<QuotaFault>, now: Duration) {
        let now = self.monotone(now);
        self.sync_all(now);
        self.faults = faults;
        self.sync_all(now);
    }

    pub(super) fn room(&mut self, place: &BucketKey, now: Duration) -> Option<QuotaRoom> {
        let now = self.monotone(now);
        let (bucket, _) = self.meter(&place.region, &place.model, place.profile, 1, now)?;
        self.meters.get(&bucket).map(|metered| metered.meter.level())
    }

    pub(super) fn admit(&mut self, wanted: &Wanted<'_>, now: Duration) -> Result<Option<Held>, Denied> {
        let now = self.monotone(now);
        let Some((bucket, hits)) = self.meter(wanted.region, wanted.model, wanted.profile, wanted.burndown, now) else { return Ok(None) };
        let Some(metered) = self.meters.get_mut(&bucket) else { return Ok(None) };
        let output = if metered.base.reserve_max_tokens { wanted.most_output } else { 0 };
        let amount = wanted.input.saturating_add(output);
        let outcome = metered.meter.admit(amount);
        let (at, room) = (metered.meter.at(), metered.meter.level());
        match outcome {
            Ok(()) => {
                self.ledger.write(at, &bucket, Some(wanted.call), BucketChange::Admitted { reserved: amount }, room);
                Ok(Some(Held { bucket, reserved: amount, version: metered.version }))
            }
            Err(limit) => {
                if let Some(hits) = hits {
                    hits.fetch_add(1, Ordering::Relaxed);
                }
                self.ledger.write(at, &bucket, Some(wanted.call), BucketChange::Refused { wanted: amount, limit }, room);
                Err(Denied { bucket: bucket.as_ref().clone(), limit, wanted: amount })
            }
        }
    }

    pub(super) fn settle(&mut self, held: &Held, call: u64, usage: &TurnUsage, now: Duration) {
        let now = self.monotone(now);
        self.sync_all_of(&held.bucket, now);
        let Some(metered) = self.meters.get_mut(&held.bucket).filter(|metered| metered.version == held.version) else { return };
        let output = usage.output.saturating_mul(metered.base.burndown);
        let cost = usage.input + usage.cache_write_5m + usage.cache_write_1h + output;
        let at = metered.meter.at();
        if metered.meter.settle(at, Settlement { call, reserved: held.reserved, cost }) {
            let change = BucketChange::Settled { reserved: held.reserved, cost };
            self.ledger.write(at, &held.bucket, Some(call), change, metered.meter.level());
        }
    }

    pub(super) fn release(&mut self, held: &Held, call: u64, now: Duration) {
        let now = self.monotone(now);
        self.sync_all_of(&held.bucket, now);
        let Some(metered) = self.meters.get_mut(&held.bucket).filter(|metered| metered.version == held.version) else { return };
        metered.meter.give_back(held.reserved);
        let change = BucketChange::Released { reserved: held.reserved };
        self.ledger.write(metered.meter.at(), &held.bucket, Some(call), change, metered.meter.level());
    }

    fn monotone(&mut self, now: Duration) -> Duration {
        self.seen = self.seen.max(now);
        self.seen
    }

    /// Brings every meter to `now`; those whose limits no longer hold are removed.
    pub(super) fn sync_all(&mut self, now: Duration) {
        let now = self.monotone(now);
        let buckets: Vec<Arc<BucketKey>> = self.meters.keys().cloned().collect();
        for bucket in buckets {
            self.sync_all_of(&bucket, now);
        }
    }

    /// Brings the meter of one bucket to `now`, if it still has one.
    fn sync_all_of(&mut self, bucket: &Arc<BucketKey>, now: Duration) {
        let burndown = self.meters.get(bucket).map_or(1, |metered| metered.burndown);
        let row = self.row(&bucket.region, &bucket.model, bucket.profile, now).filter(|row| row.bucket == **bucket);
        match row {
            Some(row) => self.bring(bucket, row, burndown, now),
            None => self.remove(bucket, now),
        }
    }

    /// The bucket of a call and the hit counter of the fault that limits it; `None` where nothing does.
    fn meter(
        &mut self,
        region: &str,
        model: &str,
        profile: Option<ProfileClass>,
        burndown: u64,
        now: Duration,
    ) -> Option<(Arc<BucketKey>, Option<Arc<AtomicU64>>)> {
        let mut row = self.row(region, model, profile, now)?;
        let hits = row.hits.take();
        let bucket = self.meters.get_key_value(&row.bucket).map_or_else(|| Arc::new(row.bucket.clone()), |(key, _)| Arc::clone(key));
        self.bring(&bucket, row, burndown, now);
        Some((bucket, hits))
    }

    /// Brings the meter of `bucket` to `now` under the limits of `row`; makes it where it is missing or out of date.
    fn bring(&mut self, bucket: &Arc<BucketKey>, row: Row, burndown: u64, now: Duration) {
        let current = self.meters.get(bucket).filter(|metered| metered.version == row.version);
        if current.is_none() {
            let before = self.meters.get(bucket).map(|old| old.meter.at()).or_else(|| self.ended.remove(bucket.as_ref()));
            let since = row.since.max(before.unwrap_or_default()).min(now);
            let factor = self.factor(bucket, since);
            let base = if row.quota.burndown == 0 { Quota { burndown: burndown.max(1), ..row.quota } } else { row.quota };
            let meter = Meter::new(base.scaled(factor), since);
            self.ledger.write(since, bucket, None, BucketChange::Made { quota: *meter.quota() }, meter.level());
            self.meters.insert(Arc::clone(bucket), Metered { meter, version: row.version, base, burndown, factor });
        }
        let steps = self.steps(bucket, now);
        let Some(metered) = self.meters.get_mut(bucket) else { return };
        for (at, factor) in steps {
            metered.advance(bucket, at, &mut self.ledger);
            if factor.to_bits() != metered.factor.to_bits() {
                metered.change(bucket, factor, &mut self.ledger);
            }
        }
    }

    /// The times at which the scale of a bucket may have changed since its meter was last looked at, `now` included.
    fn steps(&self, bucket: &BucketKey, now: Duration) -> Vec<(Duration, f64)> {
        let seen = self.meters.get(bucket).map_or(now, |metered| metered.meter.at());
        let mut times: Vec<Duration> = self
            .scales(bucket)
            .flat_map(|(fault, _)| [Some(fault.from), fault.until])
            .flatten()
            .filter(|at| *at > seen && *at < now)
            .collect();
        times.sort_unstable();
        times.dedup();
        times.push(now.max(seen));
        times.into_iter().map(|at| (at, self.factor(bucket, at))).collect()
    }

    fn scales<'a>(&'a self, bucket: &'a BucketKey) -> impl Iterator<Item = (&'a QuotaFault, f64)> {
        self.faults.iter().filter_map(|fault| match fault.kind {
            QuotaFaultKind::Scale(factor) if fault.concerns(&bucket.region, &bucket.model, bucket.profile) => Some((fault, factor)),
            _ => None,
        })
    }

    fn factor(&self, bucket: &BucketKey, at: Duration) -> f64 {
        self.scales(bucket).filter(|(fault, _)| fault.in_force(at)).map(|(_, factor)| factor).product()
    }

    fn remove(&mut self, bucket: &Arc<BucketKey>, now: Duration) {
        let Some(mut metered) = self.meters.remove(bucket) else { return };
        metered.advance(bucket, now, &mut self.ledger);
        self.ended.insert(bucket.as_ref().clone(), now);
        self.ledger.write(now, bucket, None, BucketChange::Removed, metered.meter.level());
    }

    /// The limits that hold for calls of `profile` (`None`: for no class in particular): faults first, then the most special.
    fn row(&self, region: &str, model: &str, profile: Option<ProfileClass>, now: Duration) -> Option<Row> {
        let key = |model: &str, profile| BucketKey { region: region.to_owned(), model: model.to_owned(), profile };
        let ruling = self.faults.iter().find_map(|fault| match fault.kind {
            QuotaFaultKind::Limits(quota) if fault.in_force(now) && fault.concerns(region, model, profile) => Some((fault, quota)),
            _ => None,
        });
        if let Some((fault, quota)) = ruling {
            let bucket = key(model, fault.profile);
            return Some(Row { quota, version: fault.version, since: fault.from, bucket, hits: Some(Arc::clone(&fault.hits)) });
        }
        let mut places = vec![key(model, None), key(EVERY_MODEL, None)];
        if profile.is_some() {
            places = vec![key(model, profile), key(model, None), key(EVERY_MODEL, profile), key(EVERY_MODEL, None)];
        }
        let (place, standing) = places.into_iter().find_map(|place| self.limits.get(&place).map(|standing| (place, *standing)))?;
        // It holds again since the last fault that replaced it has ended.
        let ended =
            self.faults.iter().filter(|fault| matches!(fault.kind, QuotaFaultKind::Limits(_)) && fault.concerns(region, model, profile));
        let since = ended.filter_map(|fault| fault.until).filter(|until| *until <= now).fold(standing.since, Duration::max);
        Some(Row { quota: standing.quota, version: standing.version, since, bucket: key(model, place.profile), hits: None })
    }
}

impl Metered {
    fn advance(&mut self, bucket: &Arc<BucketKey>, now: Duration, ledger: &mut Ledger) {
        self.meter.advance(now, |at, Settlement { call, reserved, cost }, room| {
            ledger.write(at, bucket, Some(call), BucketChange::Settled { reserved, cost }, room);
        });
    }

    /// Puts its base limits times `factor` into force at the last moment it has seen.
    fn change(&mut self, bucket: &Arc<BucketKey>, factor: f64, ledger: &mut Ledger) {
        self.factor = factor;
        self.meter.change(self.base.scaled(factor));
        ledger.write(self.meter.at(), bucket, None, BucketChange::Changed { quota: *self.meter.quota() }, self.meter.level());
    }
}
