//! A target's quotas as everybody sees them: atomics that the owner publishes and senders debit.
//!
//! The level of a bucket is kept as the time at which it will be full again: it refills by itself, a debit pushes that
//! time back with one compare-exchange, and no reader ever pairs a new level with an old clock. The owner keeps the
//! [`TargetQuota`], whose levels it takes over from the cell before every change and gives back as differences after it,
//! so that debits made meanwhile are kept:
//!
//! ```text
//! sender   cell.debit(..) -> Ok(sent)            no message
//! answer   laid before the owner                 who settles what has ended every few milliseconds; no message of its own
//! refusal  owner <- Refused / Granted            one message, and one when a probe got through
//! owner    cell.update(&mut quota, now, |quota| quota.settle(now, &demand, used))
//! ```
//!
//! What that time means depends on rate, depth and the rest, which the owner changes. There are two sets of them, and the
//! word that holds the time says in its lowest bits which *edition* of them it was written with: the owner fills the set
//! that nobody uses and moves on to it with the same compare-exchange that rewrites the time. A sender whose edition has
//! gone fails its compare-exchange and reads again, a reader sees it and reads again. Nobody ever waits for anybody.

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

    /// Gives the debit of a call back that AWS never counted, when the owner cannot be told
    /// ([`TargetQuota::give_back`] otherwise, not both): for guards that are dropped.
    pub fn give_back(&self, demand: &Demand, now: Moment) {
        for (cell, amount) in self.resources.iter().zip(demand.0) {
            cell.give_back(amount, now);
        }
    }

    /// Gives back what a call did not use of its tokens, when the owner cannot be told ([`TargetQuota::settle`] otherwise, not
    /// both). `used_tokens` as [`settled`](super::reserve::settled) says; its request stays used up. Nothing is learned from
    /// the call, and the daily quota does not hear of it.
    pub fn settle(&self, demand: &Demand, used_tokens: f64, now: Moment) {
        let [_, tokens] = &self.resources;
        tokens.give_back(demand.tokens() - used_tokens, now);
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

/// One resource. Times are seconds of the clock: as `f64` they are exact to microseconds for months, without the bits of the
/// edition.
#[derive(Debug)]
struct ResourceCell {
    /// When the bucket is full again, and the edition that says what that means.
    full_at: AtomicU64,
    /// The parameters of the present edition and of the one before or after it.
    editions: [Parameters; 2],
    /// Debits since the owner last looked.
    used: Sum,
}

/// What of a bucket only its owner changes.
#[derive(Debug, Default)]
struct Parameters {
    rate: Number,
    depth: Number,
    margin: Number,
    known: AtomicBool,
    tentative: AtomicBool,
    /// Some moment at which a minute begins; infinite when the bucket refills all the time.
    minute: Number,
}

/// A time with the edition of the parameters that it was written with. The lowest bits of the `f64` are the edition's: 256
/// editions would have to pass, and the time come back to the same bits, between a sender's two looks to deceive it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(u64);

impl Stamp {
    const EDITION: u64 = 0xff;

    fn new(full_at: f64, edition: u64) -> Self {
        // The bits of infinity with an edition would be no number any more.
        let full_at = full_at.clamp(-FAR, FAR);
        Self((full_at.to_bits() & !Self::EDITION) | (edition & Self::EDITION))
    }

    fn edition(self) -> u64 {
        self.0 & Self::EDITION
    }

    fn full_at(self) -> f64 {
        f64::from_bits(self.0 & !Self::EDITION)
    }
}

/// Later than any bucket is full, seconds.
const FAR: f64 = 1e300;

impl ResourceCell {
    fn new(view: &ResourceView, minute: Option<Moment>, now: Moment) -> Self {
        let cell = Self { full_at: AtomicU64::default(), editions: Default::default(), used: Sum::default() };
        cell.edition(0).store(view, minute);
        cell.full_at.store(Stamp::new(encode(view, seconds_of(now)), 0).0, Ordering::Release);
        cell
    }

    fn edition(&self, edition: u64) -> &Parameters {
        let [even, odd] = &self.editions;
        if edition & 1 == 0 { even } else { odd }
    }

    fn view(&self, now: Moment) -> ResourceView {
        self.read(seconds_of(now)).1
    }

    /// The stamp, and what it says at `now` with the parameters of its own edition.
    fn read(&self, now: f64) -> (Stamp, ResourceView) {
        let mut stamp = Stamp(self.full_at.load(Ordering::Acquire));
        loop {
            let view = self.edition(stamp.edition()).view(stamp.full_at(), now);
            let again = Stamp(self.full_at.load(Ordering::Acquire));
            if again.edition() == stamp.edition() {
                return (stamp, view);
            }
            // The set may have been rewritten while it was read.
            stamp = again;
        }
    }

    /// Debits if `fits` says so of the view it debits. Returns the view before.
    fn take(&self, amount: f64, now: Moment, fits: impl Fn(&ResourceView) -> bool) -> Option<ResourceView> {
        let before = self.replace(now, |stamp, before, now| {
            let after = ResourceView { level: before.level - amount, ..*before };
            fits(before).then(|| Stamp::new(encode(&after, now), stamp.edition()))
        })?;
        self.used.add(amount);
        Some(before)
    }

    fn give_back(&self, amount: f64, now: Moment) {
        self.replace(now, |stamp, before, now| {
            let after = ResourceView { level: before.level + amount, ..*before };
            Some(Stamp::new(encode(&after, now), stamp.edition()))
        });
        self.used.add(-amount);
    }

    /// Publishes what the owner made of `before`: the new parameters, and the difference of the levels. Only the owner moves
    /// editions on, so that the set it fills stays unused until then.
    fn publish(&self, before: &ResourceView, after: &ResourceView, minute: Option<Moment>, now: Moment) {
        let edition = Stamp(self.full_at.load(Ordering::Acquire)).edition().wrapping_add(1);
        self.edition(edition).store(after, minute);
        self.replace(now, |_, present, now| {
            let level = present.level + after.level - before.level;
            Some(Stamp::new(encode(&ResourceView { level, ..*after }, now), edition))
        });
    }

    /// Replaces the stamp by what `change` makes of it, of what it says, and of the time. Returns the view before; `None` when
    /// `change` declines.
    fn replace(&self, now: Moment, change: impl Fn(Stamp, &ResourceView, f64) -> Option<Stamp>) -> Option<ResourceView> {
        let now = seconds_of(now);
        loop {
            let (stamp, before) = self.read(now);
            let new = change(stamp, &before, now)?;
            if self.full_at.compare_exchange_weak(stamp.0, new.0, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return Some(before);
            }
        }
    }
}

impl Parameters {
    fn store(&self, view: &ResourceView, minute: Option<Moment>) {
        self.rate.store(view.rate);
        self.depth.store(view.depth);
        self.margin.store(view.margin);
        self.known.store(view.known, Ordering::Release);
        self.tentative.store(view.tentative, Ordering::Release);
        self.minute.store(minute.map_or(f64::INFINITY, seconds_of));
    }

    fn view(&self, full_at: f64, now: f64) -> ResourceView {
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
            tentative: self.tentative.load(Ordering::Acquire),
            refills_after: into_minute.map(|into| MINUTE - into),
        }
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
