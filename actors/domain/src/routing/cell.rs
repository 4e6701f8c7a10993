//! A target's quotas as everybody sees them: atomics that the owner publishes and senders debit.
//!
//! The level of a bucket is kept as the time at which it will be full again: it refills by itself, a debit pushes that
//! time back with one compare-exchange, and no reader ever pairs a new level with an old clock. The owner keeps the
//! [`TargetQuota`], whose levels it takes over from the cell before every change and gives back as differences after it,
//! so that debits made meanwhile are kept:
//!
//! ```text
//! sender   cell.debit(..) -> Ok(sent)            no message
//! answer   owner <- Settled / Refused / Granted  one message when a call ends, one more when a probe got through
//! owner    cell.update(&mut quota, now, |quota| quota.settle(now, &demand, used))
//! ```
//!
//! Between the writes of one update a reader may see a new rate with an old level: off by the change of the rate, a few
//! percent of what is missing, for nanoseconds. A lost race costs a margin.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{
    quota::{Sent, TargetQuota},
    view::{Demand, RESOURCES, Resource, ResourceView},
};
use crate::clock::Moment;

/// The published quotas of one target.
#[derive(Debug)]
pub struct QuotaCell {
    resources: [ResourceCell; RESOURCES],
}

/// A debit that was not made because the room has gone: plan again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the target has no room any more")]
pub struct NoRoom;

impl QuotaCell {
    /// Publishes a target's quotas for the first time.
    #[must_use]
    pub fn new(quota: &TargetQuota, now: Moment) -> Self {
        let of = |resource: Resource| {
            let shadow = quota.shadow(resource);
            ResourceCell::new(&shadow.view(), shadow.minute(), now)
        };
        Self { resources: Resource::ALL.map(of) }
    }

    /// What a planner sees at `now`.
    #[must_use]
    pub fn view(&self, now: Moment) -> [ResourceView; RESOURCES] {
        self.resources.each_ref().map(|cell| cell.view(now))
    }

    /// Takes `demand` out of every bucket, if it still fits beside what is held for the oldest waiter.
    ///
    /// # Errors
    /// [`NoRoom`] when somebody else took the room since the plan.
    pub fn debit(&self, demand: &Demand, held: f64, now: Moment) -> Result<Sent, NoRoom> {
        self.take(demand, now, |resource, view, amount| view.fits(if resource == Resource::Tokens { amount + held } else { amount }))
    }

    /// Takes `demand` out of every bucket whatever is in them: a probe.
    pub fn debit_probe(&self, demand: &Demand, now: Moment) -> Sent {
        // Nothing is refused when everything fits.
        self.take(demand, now, |_, _, _| true).unwrap_or(Sent::new(now))
    }

    fn take(&self, demand: &Demand, now: Moment, fits: impl Fn(Resource, &ResourceView, f64) -> bool) -> Result<Sent, NoRoom> {
        let mut sent = Sent::new(now);
        for (place, ((cell, resource), amount)) in self.resources.iter().zip(Resource::ALL).zip(demand.0).enumerate() {
            match cell.take(amount, now, |view| fits(resource, view, amount)) {
                Some(before) => sent.note(place, &before, amount),
                None => {
                    let taken = self.resources.iter().zip(demand.0).take(place);
                    taken.for_each(|(cell, amount)| cell.give_back(amount, now));
                    return Err(NoRoom);
                }
            }
        }
        Ok(sent)
    }

    /// Changes the owner's quotas with the cell's levels and publishes the result. Only the owner calls this.
    pub fn update<T>(&self, quota: &mut TargetQuota, now: Moment, change: impl FnOnce(&mut TargetQuota) -> T) -> T {
        let mut before = [ResourceView::unknown(Resource::Tokens); RESOURCES];
        for ((cell, resource), before) in self.resources.iter().zip(Resource::ALL).zip(&mut before) {
            *before = cell.view(now);
            quota.adopt(now, resource, before.level, cell.used.take());
        }
        let result = change(quota);
        for (((cell, view), resource), before) in self.resources.iter().zip(quota.view()).zip(Resource::ALL).zip(before) {
            cell.publish(&before, &view, quota.shadow(resource).minute(), now);
        }
        result
    }
}

/// One resource. Times are seconds of the clock: as `f64` they are exact to nanoseconds for months.
#[derive(Debug)]
struct ResourceCell {
    /// When the bucket is full again.
    full_at: Number,
    /// Debits since the owner last looked.
    used: Sum,
    rate: Number,
    depth: Number,
    margin: Number,
    known: AtomicBool,
    /// Some moment at which a minute begins; infinite when the bucket refills all the time.
    minute: Number,
}

impl ResourceCell {
    fn new(view: &ResourceView, minute: Option<Moment>, now: Moment) -> Self {
        let cell = Self {
            full_at: Number::default(),
            used: Sum::default(),
            rate: Number::default(),
            depth: Number::default(),
            margin: Number::default(),
            known: AtomicBool::default(),
            minute: Number::default(),
        };
        cell.parameters(view, minute);
        cell.full_at.store(encode(view, seconds_of(now)));
        cell
    }

    fn view(&self, now: Moment) -> ResourceView {
        self.view_at(self.full_at.load(), seconds_of(now))
    }

    fn view_at(&self, full_at: f64, now: f64) -> ResourceView {
        let (rate, depth, minute) = (self.rate.load(), self.depth.load(), self.minute.load());
        // A bucket that refills with the minute stands still in between: its clock is the minute's begin.
        let into_minute = minute.is_finite().then(|| (now - minute).rem_euclid(MINUTE));
        let missing = (full_at - now + into_minute.unwrap_or(0.0)).max(0.0) * rate;
        ResourceView {
            rate,
            depth,
            level: depth - missing,
            margin: self.margin.load(),
            known: self.known.load(Ordering::Acquire),
            refills_after: into_minute.map(|into| MINUTE - into),
        }
    }

    /// Debits if `fits` says so of the view it debits. Returns the view before.
    fn take(&self, amount: f64, now: Moment, fits: impl Fn(&ResourceView) -> bool) -> Option<ResourceView> {
        let now = seconds_of(now);
        let mut full_at = self.full_at.load();
        loop {
            let before = self.view_at(full_at, now);
            if !fits(&before) {
                return None;
            }
            let after = ResourceView { level: before.level - amount, ..before };
            match self.full_at.replace(full_at, encode(&after, now)) {
                Ok(()) => {
                    self.used.add(amount);
                    return Some(before);
                }
                Err(newer) => full_at = newer,
            }
        }
    }

    fn give_back(&self, amount: f64, now: Moment) {
        self.shift(now, amount, |view| *view);
        self.used.add(-amount);
    }

    /// Publishes what the owner made of `before`: the new parameters, and the difference of the levels.
    fn publish(&self, before: &ResourceView, after: &ResourceView, minute: Option<Moment>, now: Moment) {
        self.shift(now, after.level - before.level, |view| ResourceView { level: view.level, ..*after });
        self.parameters(after, minute);
    }

    /// Moves the level by `difference`, and writes it down with the parameters that `new` gives it.
    fn shift(&self, now: Moment, difference: f64, new: impl Fn(&ResourceView) -> ResourceView) {
        let now = seconds_of(now);
        let mut full_at = self.full_at.load();
        loop {
            let mut view = new(&self.view_at(full_at, now));
            view.level += difference;
            match self.full_at.replace(full_at, encode(&view, now)) {
                Ok(()) => return,
                Err(newer) => full_at = newer,
            }
        }
    }

    fn parameters(&self, view: &ResourceView, minute: Option<Moment>) {
        self.rate.store(view.rate);
        self.depth.store(view.depth);
        self.margin.store(view.margin);
        self.known.store(view.known, Ordering::Release);
        self.minute.store(minute.map_or(f64::INFINITY, seconds_of));
    }
}

/// Seconds of a minute, for buckets that refill with it.
const MINUTE: f64 = 60.0;

fn seconds_of(now: Moment) -> f64 {
    now.0.as_secs_f64()
}

/// When a bucket of this level is full.
fn encode(view: &ResourceView, now: f64) -> f64 {
    let into_minute = view.refills_after.map_or(0.0, |left| MINUTE - left);
    now - into_minute + (view.depth - view.level) / view.rate
}

/// A number that several threads see.
#[derive(Debug, Default)]
struct Number(AtomicU64);

impl Number {
    fn load(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Acquire))
    }

    fn store(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Release);
    }

    /// Replaces `seen` by `new`.
    ///
    /// # Errors
    /// What it is now, when it is no longer `seen` (or sometimes when it is).
    fn replace(&self, seen: f64, new: f64) -> Result<(), f64> {
        let replaced = self.0.compare_exchange_weak(seen.to_bits(), new.to_bits(), Ordering::AcqRel, Ordering::Acquire);
        replaced.map(drop).map_err(f64::from_bits)
    }
}

/// A sum of numbers that several threads add to.
#[derive(Debug, Default)]
struct Sum(AtomicU64);

impl Sum {
    fn add(&self, amount: f64) {
        let add = |bits: u64| Some((f64::from_bits(bits) + amount).to_bits());
        // The closure never declines.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
    }

    /// The sum, which begins anew.
    fn take(&self) -> f64 {
        f64::from_bits(self.0.swap(0, Ordering::AcqRel))
    }
}

#[cfg(test)]
mod tests;
