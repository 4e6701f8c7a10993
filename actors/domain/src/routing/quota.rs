//! The quotas of one target, as its owner keeps them: a shadow bucket per resource, the daily quota, the margin for
//! somebody else who draws on them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Gate,
    daily::{Daily, Pace, SpentDay},
    shadow::{Shadow, ShadowSnapshot},
    view::{Demand, RESOURCES, Resource, ResourceView, strictest},
};
use crate::clock::Moment;

/// Which quota refused a call, as far as the message tells. Whoever reads the message classifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// Calls per minute: "Too many requests".
    Requests,
    /// Tokens per minute: "Too many tokens".
    Tokens,
    /// Tokens per day: "... per day".
    Daily,
    /// A throttle that names nothing.
    Unnamed,
}

/// Refusals while the shadow was fuller than this are not explained by our own use.
const UNEXPLAINED_LEVEL: f64 = 0.5;
/// So many windows of unexplained refusals in a row are no accident: somebody else drains the quota, or the service
/// throttles everybody.
const UNEXPLAINED_WINDOWS: u32 = 3;
/// Length of such a window.
const WINDOW: Duration = Duration::from_secs(1);
/// Windows further apart than this do not belong to one row: a bucket has refilled twice by then.
const FORGET: Duration = Duration::from_secs(120);
/// First rest of a target that refuses without a reason we know; doubles per window.
const REST_FIRST: Duration = Duration::from_secs(5);
/// Longest rest: quotas are per minute.
const REST_MAX: Duration = Duration::from_secs(60);
/// Share by which a rest is lengthened or shortened at random, so that replicas do not come back together.
const REST_JITTER: f64 = 0.2;

/// The quotas of one target. One owner changes them; see [the module](super) for how others see and debit them.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetQuota {
    shadows: [Shadow; RESOURCES],
    daily: Daily,
    rest: Rest,
    /// What was known ahead, per minute, by resource.
    told: [Option<f64>; RESOURCES],
}

/// What of a target's quotas outlives the process, beside a spent day ([`TargetQuota::spent_day`]).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct QuotaSnapshot {
    /// By resource, in the order of [`Resource::ALL`].
    pub shadows: [ShadowSnapshot; RESOURCES],
    /// What was known ahead when this was learned, per minute: where the settings say otherwise now, they are right.
    #[serde(default)]
    pub told: [Option<f64>; RESOURCES],
}

/// Quotas that are known ahead, from Service Quotas or the settings. `None` = not known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Priors {
    /// Calls per minute.
    pub requests_per_minute: Option<f64>,
    /// Tokens per minute.
    pub tokens_per_minute: Option<f64>,
    /// Tokens per day.
    pub tokens_per_day: Option<f64>,
}

/// Consecutive windows of refusals that our own use does not explain.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Rest {
    windows: u32,
    /// When the last window began, and the rest with it, if there is one.
    last: Option<Moment>,
    until: Option<Moment>,
}

impl TargetQuota {
    /// Starts from what is known: the last run where there is one, else the priors, else nothing. `last_run` comes with
    /// its age; `until_midnight` is how long the day in UTC still lasts.
    #[must_use]
    pub fn new(priors: &Priors, last_run: Option<(&QuotaSnapshot, Duration)>, now: Moment, until_midnight: Duration) -> Self {
        let from_prior = [(Resource::Requests, priors.requests_per_minute), (Resource::Tokens, priors.tokens_per_minute)];
        // Midnight begins a minute, too.
        let minute = now.after(until_midnight);
        let mut shadows = from_prior.map(|(resource, per_minute)| match per_minute {
            Some(per_minute) => Shadow::prior(resource, per_minute, now, minute),
            None => Shadow::unknown(resource, now, minute),
        });
        if let Some((snapshot, age)) = last_run {
            let told = from_prior.iter().map(|(_, now)| *now).zip(snapshot.told);
            for (((shadow, resource), kept), (now_told, then_told)) in
                shadows.iter_mut().zip(Resource::ALL).zip(&snapshot.shadows).zip(told)
            {
                let corrected = now_told.is_some() && now_told != then_told;
                if kept.known && !corrected {
                    *shadow = Shadow::restore(resource, kept, age, now, minute);
                }
            }
        }
        let told = from_prior.map(|(_, per_minute)| per_minute);
        Self { shadows, daily: Daily::new(priors.tokens_per_day, now, until_midnight), rest: Rest::default(), told }
    }

    /// What to keep for the next run.
    #[must_use]
    pub fn snapshot(&self) -> QuotaSnapshot {
        QuotaSnapshot { shadows: self.shadows.each_ref().map(Shadow::snapshot), told: self.told }
    }

    /// What to keep of a spent day; `None` while there is quota left.
    #[must_use]
    pub fn spent_day(&self, now: Moment) -> Option<SpentDay> {
        self.daily.spent(now)
    }

    /// The last run found the day spent.
    pub fn close_day(&mut self, now: Moment, spent: SpentDay) {
        self.daily.close(now, spent);
    }

    /// What planners see of the buckets.
    #[must_use]
    pub fn view(&self) -> [ResourceView; RESOURCES] {
        self.shadows.each_ref().map(Shadow::view)
    }

    /// One resource's shadow.
    #[must_use]
    pub fn shadow(&self, resource: Resource) -> &Shadow {
        let [requests, tokens] = &self.shadows;
        match resource {
            Resource::Requests => requests,
            Resource::Tokens => tokens,
        }
    }

    fn shadow_mut(&mut self, resource: Resource) -> &mut Shadow {
        let [requests, tokens] = &mut self.shadows;
        match resource {
            Resource::Requests => requests,
            Resource::Tokens => tokens,
        }
    }

    /// Whether the quotas let calls through: closed by a spent day, or resting after refusals that nothing explains.
    #[must_use]
    pub fn gate(&self, now: Moment) -> Gate {
        let resting = self.rest.ends(now).map_or(Gate::Closed, |until| Gate::Open { until });
        strictest(self.daily.gate(now), resting)
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: Moment) {
        self.shadows.iter_mut().for_each(|shadow| shadow.advance(now));
        self.daily.advance(now);
    }

    /// Takes over one resource's level and the debits since the owner last looked ([`cell`](super::cell)).
    pub fn adopt(&mut self, now: Moment, resource: Resource, level: f64, used: f64) {
        self.shadow_mut(resource).adopt(now, level, used);
    }

    /// Debits a call that is sent now. What it returns, [`TargetQuota::granted`] and [`TargetQuota::refused`] want back.
    pub fn send(&mut self, now: Moment, demand: &Demand) -> Sent {
        self.advance(now);
        let mut sent = Sent::new(now);
        for (place, (shadow, amount)) in self.shadows.iter_mut().zip(demand.0).enumerate() {
            sent.note(place, &shadow.view(), amount);
            shadow.send(now, amount);
        }
        sent
    }

    /// A call was answered. Worth telling when it was a probe ([`Sent::probed`]) or the gate was not closed when it was sent;
    /// harmless otherwise.
    pub fn granted(&mut self, now: Moment, demand: &Demand, sent: &Sent) {
        for ((shadow, amount), (before, short)) in self.shadows.iter_mut().zip(demand.0).zip(sent.levels.iter().zip(sent.short)) {
            if short {
                shadow.granted(now, amount, *before);
            } else {
                shadow.held(amount);
            }
        }
        self.daily.granted(sent.at);
        self.rest.granted(sent.at);
    }

    /// A call was answered and has ended; it used `used` tokens of what it had reserved. Requests are used up by one.
    pub fn settle(&mut self, now: Moment, demand: &Demand, used: f64) -> Pace {
        self.shadow_mut(Resource::Tokens).settle(now, demand.tokens(), used);
        for (shadow, amount) in self.shadows.iter_mut().zip(demand.0) {
            shadow.held(amount);
        }
        self.rest.settled(now);
        self.daily.settle(now, used)
    }

    /// A call ended without having been counted by AWS: it never arrived, or failed before admission.
    pub fn give_back(&mut self, now: Moment, demand: &Demand) {
        for (shadow, amount) in self.shadows.iter_mut().zip(demand.0) {
            shadow.take_back(now, amount);
        }
    }

    /// A call was refused. Gives its debit back. `unit` is a random draw in `[0, 1)` for jitter.
    pub fn refused(&mut self, now: Moment, demand: &Demand, sent: &Sent, by: Refused, unit: f64) {
        let named = match by {
            Refused::Requests => Resource::Requests,
            Refused::Tokens => Resource::Tokens,
            Refused::Daily => {
                self.give_back(now, demand);
                self.daily.refused(now);
                return;
            }
            Refused::Unnamed => self.likeliest(now, demand),
        };
        for (shadow, (resource, amount)) in self.shadows.iter_mut().zip(Resource::ALL.into_iter().zip(demand.0)) {
            if resource != named {
                shadow.take_back(now, amount);
            }
        }
        let [calls, tokens] = demand.0;
        let [calls_before, tokens_before] = sent.levels;
        let (amount, before) = if named == Resource::Requests { (calls, calls_before) } else { (tokens, tokens_before) };
        let shadow = self.shadow_mut(named);
        shadow.advance(now);
        let view = shadow.view();
        let unexplained = view.known && view.level > UNEXPLAINED_LEVEL * view.depth;
        shadow.refused(now, amount, sent.at, before);
        self.rest.learn(now, unexplained, unit);
    }

    /// Which bucket refused, when nobody says: the one with the least room beyond the demand, as a share of its depth.
    /// Tokens when neither is known, because they are what runs out first.
    fn likeliest(&mut self, now: Moment, demand: &Demand) -> Resource {
        self.advance(now);
        let room = |resource: Resource, amount: f64| {
            let view = self.shadow(resource).view();
            if view.known { (view.level - amount) / view.depth } else { f64::INFINITY }
        };
        let [calls, tokens] = demand.0;
        if room(Resource::Requests, calls) < room(Resource::Tokens, tokens) { Resource::Requests } else { Resource::Tokens }
    }

    /// The demand stands at the limit of `resource`: a request was turned away there or waits for it.
    pub fn limited(&mut self, now: Moment, resource: Resource) {
        self.shadow_mut(resource).limited(now);
    }
}

impl Rest {
    /// When it ends, if it lasts at `now`.
    fn ends(&self, now: Moment) -> Option<Moment> {
        self.until.filter(|until| now < *until)
    }

    /// A call was answered that was sent at `sent`. Calls from before the last refusals say nothing of the time since.
    fn granted(&mut self, sent: Moment) {
        if self.last.is_none_or(|last| sent > last) {
            *self = Self::default();
        }
    }

    /// A call has ended well: the row is broken. A rest is not: nothing is sent during one, so that was a call from before.
    fn settled(&mut self, now: Moment) {
        if self.ends(now).is_none() {
            self.windows = 0;
        }
    }

    fn learn(&mut self, now: Moment, unexplained: bool, unit: f64) {
        // What is refused during a rest was sent before it, and belongs to the window that began it.
        if self.ends(now).is_some() || self.last.is_some_and(|last| now.since(last) < WINDOW) {
            return;
        }
        if self.last.is_some_and(|last| now.since(last) > FORGET) {
            self.windows = 0;
        }
        self.last = Some(now);
        if !unexplained {
            *self = Self { last: self.last, ..Self::default() };
            return;
        }
        self.windows = self.windows.saturating_add(1);
        if let Some(doublings) = self.windows.checked_sub(UNEXPLAINED_WINDOWS) {
            let rest = REST_FIRST.saturating_mul(1 << doublings.min(8)).min(REST_MAX);
            let jitter = 1.0 - REST_JITTER + 2.0 * REST_JITTER * unit.clamp(0.0, 1.0);
            self.until = Some(now.after(rest.mul_f64(jitter)));
        }
    }
}

/// How a target stood when a call was sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sent {
    /// When.
    pub at: Moment,
    /// The levels just before the debit, in the order of [`Resource::ALL`]; infinite where nothing is known.
    pub levels: [f64; RESOURCES],
    /// Where there was no room for it.
    pub short: [bool; RESOURCES],
}

impl Sent {
    pub(super) fn new(at: Moment) -> Self {
        Self { at, levels: [f64::INFINITY; RESOURCES], short: [false; RESOURCES] }
    }

    /// Notes how the bucket at `place` stood just before it was debited.
    pub(super) fn note(&mut self, place: usize, view: &ResourceView, amount: f64) {
        if let (Some(level), Some(short)) = (self.levels.get_mut(place), self.short.get_mut(place)) {
            *level = view.certain_level();
            *short = !view.fits(amount);
        }
    }

    /// Was it sent although the shadow had no room: a probe, whose answer is news?
    #[must_use]
    pub fn probed(&self) -> bool {
        self.short.contains(&true)
    }
}

#[cfg(test)]
mod tests;
