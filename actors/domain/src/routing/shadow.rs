//! The shadow of one quota: a bucket that is believed, corrected by every refusal and every call that got through
//! although it should not have.
//!
//! AWS tells neither the level nor the limit; it only refuses. A refusal of `r` at this moment is therefore a
//! *measurement*, "the level is below `r` now", and so is an answer to a call that the shadow had no room for, "the level
//! was at least `r`". Both correct the level at once and the rate by half of the drift per second since the last
//! measurement. Rate limiters that know a rate but no level have to find the same edge again and again by bleeding.
//!
//! How AWS's buckets work is not documented in full: several ways are kept at once, and the one is believed that errs
//! least.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::view::{Resource, ResourceView};
use crate::clock::Moment;

mod models;
mod ring;

use models::{Models, Refusal};
use ring::Ring;

/// Margin of a shadow that is never wrong: rounding, and calls that overtake each other on their way.
const MARGIN_MIN: f64 = 0.01;
/// Each window with a refusal adds this much: a handful in a row reach the maximum.
const MARGIN_STEP: f64 = 0.015;
/// Others who draw on the same quota look like noise; beyond this the margin costs more throughput than their refusals do.
const MARGIN_MAX: f64 = 0.10;
/// Half-life of the margin above its minimum, seconds: a minute's quota, and half of it again.
const MARGIN_HALF_LIFE: f64 = 90.0;

/// Growth per second while the demand stands at the limit: 2.4 % a minute, well below what the margin hides.
const CREEP: f64 = 0.000_4;
/// The creep grows with the square of the time at the limit without a refusal over this, seconds: such a limit is probably
/// far away.
const CREEP_TIME: f64 = 60.0;
/// Most it creeps per second.
const CREEP_MAX: f64 = 0.01;
/// For so long after a request was turned away the demand counts as standing at the limit.
const LIMITED_FOR: Duration = Duration::from_secs(2);

/// Refusals within this belong together: they tell one thing.
const WINDOW: Duration = Duration::from_secs(1);
/// Pause between probes of a target at first, and after one that got through.
const GAP_MIN: Duration = Duration::from_secs(2);
/// Longest pause between probes: two minutes without news are too long after a quota was raised.
const GAP_MAX: Duration = Duration::from_secs(60);
/// A call that took from the margin alone is news when nothing was refused for so long: a limit that is met is met oftener.
const QUIET: Duration = Duration::from_secs(30);
/// Each probe that gets through doubles the weight of the next, up to this: a doubled quota is found within minutes.
const GAIN_MAX: f64 = 16.0;
/// A probe that found less than this share of the depth beyond the level proves no larger quota: the level is wrong by as much
/// most of the time...
const SMALL_NEWS: f64 = 0.06;
/// ...unless so many of them before it got through as well.
const SMALL_NEWS_BEFORE: u32 = 2;
/// Most of the depth that a gained probe adds to the level.
const GAIN_LEVEL: f64 = 0.1;

/// An answer beyond a tentative quota ([`Resource::tentative_below`]) makes it so many times larger, up to that bound.
const LEAP: f64 = 8.0;
/// So many leaps that were taken back are no accident: the account has so little. With three, rates of 1,200 tokens a minute are
/// still off by a third after two minutes.
const FAILED_LEAPS: u32 = 2;
/// A leap is confirmed when so much later nothing contradicts it: a bucket of the larger rate has refilled.
const LEAP_TRIED: Duration = Duration::from_secs(60);

/// A quota that is counted by minutes refills after so many seconds.
const REFILL_SECONDS: f64 = 60.0;

/// Share of the rate by which it may be wrong: so fast grows what may be there beyond what is believed.
const DOUBT: f64 = 0.05;

/// A snapshot older than this says nothing of the level any more: half full is as good a guess as any.
const STALE_LEVEL: Duration = Duration::from_secs(900);

/// The shadow of one resource of one target. One owner changes it; everybody else reads [`Shadow::view`].
#[derive(Debug, Clone, PartialEq)]
pub struct Shadow {
    models: Models,
    margin: f64,
    known: bool,
    /// Units per second: [`Resource::tentative_below`].
    tentative_below: f64,
    /// `None` when the rate is no longer tentative.
    tentative: Option<Tentative>,
    at: Moment,
    synced: Moment,
    refused: Option<Moment>,
    limited_until: Moment,
    /// Seconds for which the demand stood at the limit since it last refused.
    pressed: f64,
    gain: f64,
    /// Probes in a row that got through and proved little.
    small_news: u32,
    /// What the last probe added to the level beyond what it proved.
    credit: f64,
    gap: Duration,
    /// How much more than believed the last refusal left open.
    slack: f64,
    ring: Ring,
}

/// What became of the leaps of a tentative rate.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Tentative {
    /// The last one, unless it was taken back: when, and by how much it raised the rate. It counts for [`LEAP_TRIED`].
    leapt: Option<(Moment, f64)>,
    /// How many were taken back.
    failed: u32,
}

/// What of a shadow outlives the process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ShadowSnapshot {
    /// Units per second.
    pub rate: f64,
    /// Units.
    pub depth: f64,
    /// Units.
    pub level: f64,
    /// Share of the depth.
    pub margin: f64,
    /// It is a limit.
    pub known: bool,
    /// Number of the model of how the bucket works that was believed.
    #[serde(default)]
    pub model: usize,
    /// It may be far larger: [`ResourceView::tentative`]. What became of its leaps is not kept: another run tries anew.
    #[serde(default)]
    pub tentative: bool,
}

impl Shadow {
    /// A resource of which nothing is known: no limit until the first refusal. `minute` is some moment at which a minute of
    /// the wall clock begins, in case the quota is counted by minutes.
    #[must_use]
    pub fn unknown(resource: Resource, now: Moment, minute: Moment) -> Self {
        Self { known: false, ..Self::with_rate(resource, resource.guess() / 60.0, 0, now, minute) }
    }

    /// Starts from a quota in units per minute, e.g. of Service Quotas or of the settings. A starting value, never a cap.
    /// A prior that is no positive number is as good as none.
    #[must_use]
    pub fn prior(resource: Resource, per_minute: f64, now: Moment, minute: Moment) -> Self {
        if per_minute.is_finite() && per_minute > 0.0 {
            Self::with_rate(resource, per_minute / 60.0, 0, now, minute)
        } else {
            Self::unknown(resource, now, minute)
        }
    }

    fn with_rate(resource: Resource, rate: f64, model: usize, now: Moment, minute: Moment) -> Self {
        let mut models = Models::new(model, rate, now, minute);
        // Whatever was refused, a quota admits one call at least.
        models.granted(resource.smallest());
        Self {
            models,
            margin: MARGIN_MIN,
            known: true,
            tentative_below: resource.tentative_below() / 60.0,
            tentative: None,
            at: now,
            synced: now,
            refused: None,
            limited_until: Moment::default(),
            pressed: 0.0,
            gain: 1.0,
            small_news: 0,
            credit: 0.0,
            gap: GAP_MIN,
            slack: 0.0,
            ring: Ring::new(now),
        }
    }

    /// Continues from the last run, which ended `age` ago.
    #[must_use]
    pub fn restore(resource: Resource, snapshot: &ShadowSnapshot, age: Duration, now: Moment, minute: Moment) -> Self {
        let sound = [snapshot.rate, snapshot.depth, snapshot.level, snapshot.margin].iter().all(|value| value.is_finite());
        if !snapshot.known || !sound || snapshot.rate <= 0.0 || snapshot.depth <= 0.0 {
            return Self::unknown(resource, now, minute);
        }
        let level = if age > STALE_LEVEL { snapshot.depth / 2.0 } else { snapshot.level + snapshot.rate * age.as_secs_f64() };
        let mut shadow = Self::with_rate(resource, snapshot.rate, snapshot.model, now, minute);
        shadow.margin = snapshot.margin.clamp(MARGIN_MIN, MARGIN_MAX);
        shadow.tentative = snapshot.tentative.then(Tentative::default);
        if snapshot.depth > shadow.models.depth() {
            shadow.models.assume(snapshot.depth);
        }
        shadow.models.shift(level - shadow.models.level());
        shadow
    }

    /// What to keep for the next run.
    #[must_use]
    pub fn snapshot(&self) -> ShadowSnapshot {
        ShadowSnapshot {
            rate: self.models.rate(),
            depth: self.models.depth(),
            level: self.models.level(),
            margin: self.margin,
            known: self.known,
            model: self.models.chosen(),
            tentative: self.is_tentative(),
        }
    }

    /// What a planner sees.
    #[must_use]
    pub fn view(&self) -> ResourceView {
        ResourceView {
            rate: self.models.rate(),
            depth: self.models.depth(),
            level: self.models.level(),
            margin: self.margin,
            known: self.known,
            tentative: self.is_tentative(),
            refills_after: self.minute().map(|began| REFILL_SECONDS - self.at.since(began).as_secs_f64()),
        }
    }

    /// Some moment at which a minute begins, if the quota is believed to be counted by minutes.
    #[must_use]
    pub fn minute(&self) -> Option<Moment> {
        self.models.minute_began(self.at)
    }

    /// Is there room for `amount`, as of the last [`Shadow::advance`]?
    #[must_use]
    pub fn fits(&self, amount: f64) -> bool {
        self.view().fits(amount)
    }

    /// Seconds until `amount` fits; infinite when it never will.
    #[must_use]
    pub fn eta(&self, amount: f64) -> f64 {
        self.view().eta(amount)
    }

    /// Lets time pass: refill, late credits, creep while the demand stands at the limit, forgetting of the margin.
    pub fn advance(&mut self, now: Moment) {
        self.pass(now);
    }

    /// As [`Shadow::advance`]. Returns the late credits.
    fn pass(&mut self, now: Moment) -> f64 {
        let passed = now.since(self.at).as_secs_f64();
        if passed <= 0.0 {
            return 0.0;
        }
        let before = std::mem::replace(&mut self.at, now);
        let new_slot = self.ring.roll(now);
        // Tests of any size may be out: they count when they are answered.
        if new_slot && !self.is_unsettled(now) {
            self.models.rise_to_floor(&self.ring);
        }
        if self.known && now < self.limited_until {
            // A pause between two looks is not pressure.
            let passed = passed.min(1.0);
            self.pressed += passed;
            let age = self.pressed / CREEP_TIME;
            self.models.grow(1.0 + CREEP.mul_add(age * age, CREEP).min(CREEP_MAX) * passed);
        }
        let credits = self.models.advance(before, now);
        if self.models.level() >= self.models.depth() {
            // A full bucket has nothing on credit.
            self.credit = 0.0;
        }
        if self.known && self.refused.is_none_or(|last| now.since(last) >= WINDOW) {
            self.models.doubt(now);
        }
        self.margin = MARGIN_MIN + (self.margin - MARGIN_MIN) * (-passed / MARGIN_HALF_LIFE).exp2();
        let most = (self.models.depth() - self.models.level()).max(0.0);
        self.slack = (self.slack + DOUBT * self.models.rate() * passed).min(most);
        credits
    }

    /// The demand stands at this limit: a request was turned away or had to wait. Only then may the rate creep up.
    pub fn limited(&mut self, now: Moment) {
        self.limited_until = self.limited_until.max(now.after(LIMITED_FOR));
    }

    /// Least rate that explains what was granted, units per second: use within `W` seconds never exceeds depth + rate x `W`.
    #[must_use]
    pub fn floor(&self) -> f64 {
        self.models.floor(&self.ring, 0.0)
    }

    /// Debits a call that is sent now. Returns the level before it, which [`Shadow::granted`] wants back; infinite while
    /// nothing is known, when an answer is no news.
    pub fn send(&mut self, now: Moment, amount: f64) -> f64 {
        self.advance(now);
        let before = self.view().certain_level();
        self.models.shift(-amount);
        self.ring.add(amount);
        before
    }

    /// A call of this size got through: the bucket is at least so deep. To be told of every call that was answered.
    pub fn held(&mut self, amount: f64) {
        self.models.granted(amount);
    }

    /// Takes over what happened to the level since the owner last looked: senders debit a copy of it, see
    /// [`cell`](super::cell). `used` is the sum of their debits.
    pub fn adopt(&mut self, now: Moment, level: f64, used: f64) {
        // Into the slot of the last look, even if a new one has begun: better too early than counted within too short a time.
        self.ring.add(used);
        let credits = self.pass(now);
        // The copy knows refills and debits; the other models hear of the debits.
        self.models.shift(-used);
        self.models.set_believed(level + credits);
    }

    /// Replaces what was reserved by what was used, once the answer has ended.
    pub fn settle(&mut self, now: Moment, reserved: f64, used: f64) {
        self.advance(now);
        self.models.credit(reserved - used);
        self.ring.add(used - reserved);
    }

    /// Undoes a debit at once: the call never was in the bucket.
    pub fn take_back(&mut self, now: Moment, amount: f64) {
        self.advance(now);
        // The level could not fall by all of a test of more than twice the depth, and must not rise by it.
        let fallen = if amount > 2.0 * self.models.depth() { -self.models.level() } else { amount };
        self.models.shift(fallen.min(amount));
        self.ring.add(-amount);
    }

    /// A call got through that was sent when the level was `before` and the shadow had no room for it, or none but its margin.
    pub fn granted(&mut self, now: Moment, amount: f64, before: f64) {
        self.advance(now);
        self.models.granted(amount);
        // Many may take from the margin at once, which is what it is for: one in a while is news.
        let quiet = self.refused.is_none_or(|last| now.since(last) >= QUIET) && now.since(self.synced) >= GAP_MIN;
        if !self.known || !before.is_finite() || !(before < amount || quiet) {
            return;
        }
        if self.leap(amount, before, now) {
            return;
        }
        if amount - before < SMALL_NEWS * self.models.depth() && self.small_news < SMALL_NEWS_BEFORE {
            self.small_news += 1;
            self.raise(|models| models.at_least(amount, before, 0.0, 1.0, now));
            self.synced = now;
            return;
        }
        // What the probe before this one added on credit has been used up, and nothing was refused: it was there.
        let proven = std::mem::take(&mut self.credit);
        let gain = self.gain;
        self.raise(|models| models.at_least(amount, before, proven, gain, now));
        // Small requests say little each, but several in a row say that the limit is far.
        let most = GAIN_LEVEL * self.models.depth();
        let row = most * (self.gain - 1.0) / (GAIN_MAX - 1.0);
        self.credit = ((self.gain - 1.0) * amount).min(most).max(row);
        let credit = self.credit;
        self.raise(|models| models.shift(credit));
        self.gain = (self.gain * 2.0).min(GAIN_MAX);
        self.gap = GAP_MIN;
        self.synced = now;
    }

    /// A tentative quota got a call through that it had no room for: it is not that small. True when it was tentative.
    ///
    /// How large it is, nothing tells. The rate leaps until it is no more unusual, and back when that meets a refusal.
    fn leap(&mut self, amount: f64, before: f64, now: Moment) -> bool {
        let Some(tentative) = self.tentative.filter(|_| self.is_tentative()) else {
            self.tentative = None;
            return false;
        };
        if before < amount {
            self.models.rise_to(amount);
            let factor = LEAP.min(self.tentative_below / self.models.rate()).max(1.0);
            self.models.scale(factor);
            // A target that is hardly used is rather full than empty.
            self.models.shift(self.models.depth() / 2.0 - self.models.level());
            self.slack = 0.0;
            // One leap proves little, as the next refusal may show.
            self.gap = if self.last_leap(now).is_some() { GAP_MIN } else { self.gap };
            self.tentative = Some(Tentative { leapt: Some((now, factor)), ..tentative });
        }
        self.synced = now;
        true
    }

    fn is_tentative(&self) -> bool {
        // What has leapt to the bound is there but for rounding.
        self.tentative.is_some() && self.models.rate() < 0.999 * self.tentative_below
    }

    /// It is tentative, or its last leap is still to be confirmed.
    fn is_unsettled(&self, now: Moment) -> bool {
        self.is_tentative() || self.last_leap(now).is_some()
    }

    /// The last leap, while it may be taken back.
    fn last_leap(&self, now: Moment) -> Option<(Moment, f64)> {
        self.tentative?.leapt.filter(|(at, _)| now.since(*at) <= LEAP_TRIED)
    }

    /// A call was refused. If nothing but the last leap had room for it, that is taken back: true then.
    fn leapt_too_far(&mut self, refusal: &Refusal, now: Moment) -> bool {
        let Some((tentative, (leapt, factor))) = self.tentative.zip(self.last_leap(now)) else { return false };
        if refusal.sent <= leapt || refusal.before < refusal.amount {
            return false;
        }
        self.models.scale(1.0 / factor);
        let failed = tentative.failed + 1;
        self.tentative = (failed < FAILED_LEAPS).then_some(Tentative { leapt: None, failed });
        true
    }

    /// Raises the level, by what was reckoned with.
    fn raise(&mut self, by: impl FnOnce(&mut Models)) {
        let level = self.models.level();
        by(&mut self.models);
        self.slack = (self.slack - (self.models.level() - level).max(0.0)).max(0.0);
    }

    /// A call of `amount` was refused by this resource that was sent at `sent`, when the level was `before`. Gives its debit
    /// back.
    pub fn refused(&mut self, now: Moment, amount: f64, sent: Moment, before: f64) {
        self.take_back(now, amount);
        self.gain = 1.0;
        self.small_news = 0;
        self.pressed = 0.0;
        let credit = std::mem::take(&mut self.credit);
        let news = self.refused.is_none_or(|last| now.since(last) >= WINDOW);
        if !self.known {
            self.known = true;
            self.models.learn(&self.ring, amount, now);
            self.tentative = (self.models.rate() < self.tentative_below).then(Tentative::default);
        } else {
            // A level from before the last measurement has been corrected since.
            let seen = if before.is_finite() { before } else { self.models.level() };
            let before = if sent > self.synced { seen } else { self.models.level() };
            let tentative = self.is_unsettled(now);
            self.tentative = self.tentative.filter(|_| tentative);
            let mut refusal = Refusal { amount, before, seen, sent, credit, news, tentative };
            if self.leapt_too_far(&refusal, now) {
                refusal.before = self.models.level();
            }
            self.models.at_most(&refusal, now);
            if news {
                self.margin = (self.margin + MARGIN_STEP).min(MARGIN_MAX);
                self.gap = (self.gap * 2).min(GAP_MAX);
            }
        }
        if news {
            self.refused = Some(now);
        }
        self.slack = (amount - self.models.level()).max(0.0);
        self.synced = now;
    }

    /// Least pause between two probes of this resource.
    #[must_use]
    pub fn gap(&self) -> Duration {
        self.gap
    }

    /// How much more than believed may be there, units. A refusal says that what was refused was not there, and no more: for less
    /// there may be room, whatever was believed before. It grows with the doubt about the rate, and what answers prove is taken
    /// off it. No strict bound: carrying over what happened since the refused call was sent, or never raising it above the bound
    /// before, changed nothing that is refused (simulated, 40 runs) and wasted a third more calls beyond the quotas.
    #[must_use]
    pub fn slack(&self) -> f64 {
        self.slack
    }

    /// When it last refused a call.
    #[must_use]
    pub fn last_refused(&self) -> Option<Moment> {
        self.refused
    }

    /// When its level was last measured.
    #[must_use]
    pub fn synced(&self) -> Moment {
        self.synced
    }
}

#[cfg(test)]
mod tests;
