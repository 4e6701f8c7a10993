//! What is not known of AWS's buckets, as a few models that are believed or not.
//!
//! How deep a bucket is, when a finished call is settled, and whether it refills all the time or once a minute is nowhere
//! documented. Each model keeps a rate and a level of its own. A refusal of less than a model's level, and a grant of more
//! than it, are errors of that model; they correct it, and the model with the least errors of late is believed.

use std::time::Duration;

use super::ring::{self, Ring};
use crate::clock::Moment;

/// One way a bucket may work.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Model {
    /// What it holds, seconds of its rate.
    span: f64,
    /// How long after the end of a call what it did not use comes back, in [`SLOT`]s.
    lag: usize,
    /// How it refills.
    refill: Refill,
}

/// How a bucket refills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refill {
    /// All the time.
    Steady,
    /// All at once, with every minute.
    Minutes,
}

const fn steady(span: f64, lag: usize) -> Model {
    Model { span, lag, refill: Refill::Steady }
}

/// How many models there are.
const MODELS: usize = 8;

/// The models. The first is what the quota pages suggest, and what is believed until it errs. The last counts by minutes.
const ALL: [Model; MODELS] = [
    steady(60.0, 0),
    steady(30.0, 0),
    steady(20.0, 0),
    steady(10.0, 0),
    steady(60.0, 4),
    steady(60.0, 10),
    steady(60.0, 20),
    Model { span: 60.0, lag: 0, refill: Refill::Minutes },
];

/// Resolution of the lag of settlements.
const SLOT: Duration = Duration::from_millis(500);
/// Slots that are kept: more than the longest lag.
const SLOTS: usize = 24;
/// Half-life of errors, seconds: AWS does not change how its buckets work, but a changed quota looks like an error of all.
const ERROR_HALF_LIFE: f64 = 300.0;
/// Another model is believed when the present one has erred by so much more, in minutes of its rate...
const SWITCH_ERROR: f64 = 0.2;
/// ...and the other one by no more than this share of it.
const SWITCH_SHARE: f64 = 0.6;
/// Most that one measurement counts: a changed quota is one large error of every model, a wrong model errs again and again.
const ERROR_MAX: f64 = 0.1;
/// A minute, the windows of [`Refill::Minutes`].
const MINUTE: Duration = Duration::from_secs(60);
const MINUTE_SECONDS: f64 = 60.0;
/// Our minutes begin so much later than the clock's: whoever calls at the very turn, by a clock that is ahead, is refused.
const MINUTE_GUARD: Duration = Duration::from_millis(500);

/// Who had so much of a bucket before it was among the first of its minute.
const FIRST: f64 = 0.9;

/// Share of the measured drift that goes into the rate: one measurement may be wrong by the estimate of one request.
const DRIFT_SHARE: f64 = 0.5;
/// A drift is spread over at least so many seconds: measurements close together say much of the level, little of the rate.
const DRIFT_MIN_SECONDS: f64 = 5.0;
/// Most that a rate falls in one window of refusals.
const FALL_MAX: f64 = 0.85;
/// Most that a rate rises by one grant.
const RISE_MAX: f64 = 1.15;
/// After a refusal the level is put this share of the depth below what was refused.
const BELOW_REFUSED: f64 = 0.01;
/// Share of the floor that the rate must reach: the floor counts calls whose refusal is still on its way.
const FLOOR_TRUST: f64 = 0.97;
/// Share of the depth from which on a bucket counts as full, for what a refusal says of the depth: just below the level at
/// which [`ResourceView::fits`](crate::routing::view::ResourceView::fits) lets a call have a whole bucket.
const FULL: f64 = 0.98;
/// No rate is below this, units per second: it is divided by.
const RATE_MIN: f64 = 1e-6;

/// What one model has come to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Belief {
    /// Units per second.
    rate: f64,
    /// Units.
    level: f64,
    /// Sum of its errors of late, in minutes of its rate.
    error: f64,
    /// When it was last measured.
    synced: Moment,
}

impl Belief {
    fn err(&mut self, by: f64) {
        self.error += (by / (MINUTE_SECONDS * self.rate)).min(ERROR_MAX);
    }

    fn depth(&self, model: &Model, least: f64) -> f64 {
        (model.span * self.rate).max(least)
    }

    fn add(&mut self, amount: f64, model: &Model, least: f64) {
        let depth = self.depth(model, least);
        self.level = (self.level + amount).clamp(-depth, depth);
    }

    /// Seconds over which a drift has come about.
    fn drift_seconds(&self, model: &Model, now: Moment) -> f64 {
        match model.refill {
            Refill::Steady => now.since(self.synced).as_secs_f64().max(DRIFT_MIN_SECONDS),
            Refill::Minutes => MINUTE_SECONDS,
        }
    }

    /// Measured: there was `missing` more. `drift` is what the rate is to blame for.
    fn raise(&mut self, missing: f64, drift: f64, model: &Model, least: f64, now: Moment) {
        self.err(missing);
        let rise = 1.0 + DRIFT_SHARE * drift / self.drift_seconds(model, now) / self.rate;
        self.rate *= rise.min(RISE_MAX);
        self.add(missing, model, least);
        self.synced = now;
    }
}

/// A refused call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    /// What it wanted.
    pub(super) amount: f64,
    /// The believed level when it was sent, corrected by what was measured since.
    pub(super) before: f64,
    /// The same, as it was believed then.
    pub(super) seen: f64,
    /// When it was sent.
    pub(super) sent: Moment,
    /// What of the levels was on credit.
    pub(super) credit: f64,
    /// It is the first refusal of its window, which says something of rates.
    pub(super) news: bool,
    /// The quota is tentative, or was until a moment ago: what of it is wrong says nothing of how the bucket works.
    pub(super) tentative: bool,
}

/// All models, and which one is believed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Models {
    beliefs: [Belief; MODELS],
    chosen: usize,
    /// Largest call that was ever granted: every bucket holds at least that.
    granted: f64,
    /// Size of a call that every bucket is taken to hold until a bucket that should be full refuses it: the largest that was
    /// refused when nothing was known yet. That it was refused says how full the bucket was, and nothing of its depth.
    assumed: f64,
    /// Credits by slot, newest first.
    credits: [f64; SLOTS],
    slot: u64,
    /// Some moment at which a minute of the wall clock begins.
    minute: Moment,
    /// What was learned at the turn of the last minute.
    turn: Turn,
}

/// What refusals have taught at the turn of a minute, to be taken back when they turn out to be those of a minute that AWS had yet to
/// begin.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Turn {
    /// When our minute began.
    began: Moment,
    /// What was believed to be there then.
    full: f64,
    /// AWS's began later.
    hasty: bool,
    /// What they took off the level, the rate and added to the error.
    taken: (f64, f64, f64),
}

impl Models {
    /// All full.
    pub(super) fn new(chosen: usize, rate: f64, now: Moment, minute: Moment) -> Self {
        let rate = rate.max(RATE_MIN);
        let beliefs = ALL.map(|model| Belief { rate, level: model.span * rate, error: 0.0, synced: now });
        let chosen = if chosen < MODELS { chosen } else { 0 };
        let minute = minute.after(MINUTE_GUARD);
        Self { beliefs, chosen, granted: 0.0, assumed: 0.0, credits: [0.0; SLOTS], slot: slot(now), minute, turn: Turn::default() }
    }

    /// The number of the believed model, for snapshots.
    pub(super) fn chosen(&self) -> usize {
        self.chosen
    }

    fn believed(&self) -> (Belief, Model) {
        let [first, ..] = self.beliefs;
        let belief = self.beliefs.get(self.chosen).copied().unwrap_or(first);
        (belief, ALL.get(self.chosen).copied().unwrap_or(steady(MINUTE_SECONDS, 0)))
    }

    fn each(&mut self) -> impl Iterator<Item = (&mut Belief, &'static Model)> {
        self.beliefs.iter_mut().zip(&ALL)
    }

    pub(super) fn rate(&self) -> f64 {
        self.believed().0.rate
    }

    pub(super) fn level(&self) -> f64 {
        self.believed().0.level
    }

    pub(super) fn depth(&self) -> f64 {
        let (belief, model) = self.believed();
        belief.depth(&model, self.least())
    }

    /// What the believed bucket holds by its rate and by what was granted, without what is assumed.
    fn proven_depth(&self) -> f64 {
        let (belief, model) = self.believed();
        belief.depth(&model, self.granted)
    }

    /// When the present minute began, if the believed model counts by minutes.
    pub(super) fn minute_began(&self, now: Moment) -> Option<Moment> {
        (self.believed().1.refill == Refill::Minutes).then(|| minute_began(self.minute, now))
    }

    /// Least rate that explains the use in `ring`, and `more` of it now, under the believed model.
    pub(super) fn floor(&self, ring: &Ring, more: f64) -> f64 {
        let model = self.believed().1;
        ring.floor(more, model.span, model.refill)
    }

    /// The least depth of any model.
    fn least(&self) -> f64 {
        self.granted.max(self.assumed)
    }

    /// A depth that is believed for now: of a bucket that was learned by one refusal, or in another run.
    pub(super) fn assume(&mut self, amount: f64) {
        self.assumed = self.assumed.max(amount);
    }

    /// A call of this size was granted.
    pub(super) fn granted(&mut self, amount: f64) {
        self.granted = self.granted.max(amount);
    }

    /// Multiplies every rate.
    pub(super) fn scale(&mut self, factor: f64) {
        self.each().for_each(|(belief, _)| belief.rate = (belief.rate * factor).max(RATE_MIN));
        // Levels lie within the depth.
        self.shift(0.0);
    }

    /// Raises the believed rate.
    pub(super) fn grow(&mut self, factor: f64) {
        if let Some(belief) = self.beliefs.get_mut(self.chosen) {
            belief.rate *= factor;
        }
    }

    /// Every rate is at least what the granted use proves under its model.
    pub(super) fn rise_to_floor(&mut self, ring: &Ring) {
        for (belief, model) in self.each() {
            belief.rate = belief.rate.max(FLOOR_TRUST * ring.floor(0.0, model.span, model.refill));
        }
    }

    /// Puts the believed level right, and no other.
    pub(super) fn set_believed(&mut self, level: f64) {
        let depth = self.depth();
        if let Some(belief) = self.beliefs.get_mut(self.chosen) {
            belief.level = level.clamp(-depth, depth);
        }
    }

    /// A call of this size was answered at once: every rate is at least what that proves under its model.
    pub(super) fn rise_to(&mut self, amount: f64) {
        for (belief, model) in self.each() {
            belief.rate = belief.rate.max(FLOOR_TRUST * ring::floor_of(amount, model.span, model.refill));
        }
    }

    /// Moves all levels.
    pub(super) fn shift(&mut self, difference: f64) {
        let least = self.least();
        self.each().for_each(|(belief, model)| belief.add(difference, model, least));
    }

    /// The first refusal: what was granted up to now, and half of what was not, is all that is known of the rates and of the
    /// levels. The depth is at least what was refused: a target that lets little through now is no small one.
    pub(super) fn learn(&mut self, ring: &Ring, amount: f64, now: Moment) {
        self.assume(amount);
        let least = self.least();
        for (belief, model) in self.each() {
            // What calls from before the ring's memory give back now may hide all that was granted: half of what was refused is
            // taken to be there again within that memory.
            let slowest = (amount / 2.0 / ring::SECONDS).max(RATE_MIN);
            belief.rate = ring.floor(amount / 2.0, model.span, model.refill).max(slowest);
            belief.level = (amount / 2.0).min(belief.depth(model, least));
            belief.synced = now;
        }
    }

    /// Lets time pass from `from` to `now`. Returns the late credits that the believed level got.
    pub(super) fn advance(&mut self, from: Moment, now: Moment) -> f64 {
        let passed = now.since(from).as_secs_f64();
        let new_minute = minute_began(self.minute, now) > from;
        let kept = (-passed / ERROR_HALF_LIFE).exp2();
        let due = self.roll(now);
        let least = self.least();
        for ((belief, model), due) in self.each().zip(due) {
            belief.error *= kept;
            let full = belief.depth(model, least);
            belief.level = match model.refill {
                // Late credits are negative for calls that used more than they had reserved.
                Refill::Steady => (belief.level + belief.rate * passed + due).clamp(-full, full),
                Refill::Minutes if new_minute => full + belief.level.min(0.0),
                Refill::Minutes => belief.level.min(full),
            };
        }
        if new_minute {
            self.turn = Turn { began: minute_began(self.minute, now), full: self.minutes().0.level, ..Turn::default() };
        }
        due.get(self.chosen).copied().unwrap_or(0.0)
    }

    /// Calls were granted while a model had less than nothing: it was too pessimistic by that much.
    ///
    /// The believed model is left alone: it goes below zero by probes, which are answered one by one.
    pub(super) fn doubt(&mut self, now: Moment) {
        let (least, chosen) = (self.least(), self.chosen);
        for (number, (belief, model)) in self.each().enumerate() {
            if belief.level < 0.0 && number != chosen {
                belief.raise(-belief.level, -belief.level, model, least, now);
            }
        }
    }

    /// Gives back what a call did not use, to each model in its time.
    pub(super) fn credit(&mut self, amount: f64) {
        let least = self.least();
        self.each().filter(|(_, model)| model.lag == 0).for_each(|(belief, model)| belief.add(amount, model, least));
        if let Some(newest) = self.credits.first_mut() {
            *newest += amount;
        }
    }

    /// Measured: there was less than was refused.
    pub(super) fn at_most(&mut self, refusal: &Refusal, now: Moment) {
        let depth = self.depth();
        let was_full = refusal.before - refusal.credit >= FULL * depth;
        let wanted_all = (FULL * depth..=depth).contains(&refusal.amount);
        if was_full && refusal.amount > self.proven_depth() && refusal.amount <= depth {
            // It had a bucket that was full as far as we know, and as deep as was assumed for it: so it is not that deep.
            self.assumed = 0.0;
            // Levels lie within the depth.
            self.shift(0.0);
        }
        let (least, believed) = (self.least(), self.level());
        let of_minutes = self.tells_of_minutes(refusal, now);
        let untaught = *self.minutes().0;
        for (belief, model) in self.each() {
            if !of_minutes && model.refill == Refill::Minutes {
                continue;
            }
            // What happened since the call was sent has happened to all.
            let level = refusal.before + belief.level - believed;
            let excess = level - refusal.amount;
            // What was on credit was tried on purpose: no error, and no news of the rate.
            let error = excess - refusal.credit;
            if error > 0.0 {
                if !refusal.tentative {
                    belief.err(error);
                }
                if refusal.news {
                    let fallen = belief.rate - DRIFT_SHARE * error / belief.drift_seconds(model, now);
                    belief.rate = fallen.max(FALL_MAX * belief.rate).max(RATE_MIN);
                }
            }
            let depth = belief.depth(model, least);
            belief.level = (belief.level - (excess + BELOW_REFUSED * depth).max(0.0)).clamp(-depth, depth);
            if was_full && wanted_all {
                // It would count as full again at once, and be asked without an end.
                belief.level = belief.level.min(depth / 2.0);
            }
            belief.synced = now;
        }
        if at_turn(self.turn.began, refusal) {
            let taught = *self.minutes().0;
            self.turn.taken.0 += untaught.level - taught.level;
            self.turn.taken.1 += untaught.rate - taught.rate;
            self.turn.taken.2 += taught.error - untaught.error;
        } else if !refusal.tentative {
            // What may be taken back changes no belief.
            self.choose();
        }
    }

    /// Whether a refusal measures this minute's bucket. If not, it tells of a minute that is over, or of clocks that differ.
    ///
    /// Who waited for the turn of a minute is sent at once. When AWS's minute begins later than ours it refuses all of them, also the
    /// first, in whatever order their refusals come; a bucket that is smaller than believed, down to a tenth, answers that.
    fn tells_of_minutes(&mut self, refusal: &Refusal, now: Moment) -> bool {
        let began = minute_began(self.minute, now);
        if refusal.sent < began {
            return false;
        }
        if self.turn.began != began || !at_turn(began, refusal) {
            return true;
        }
        let (least, believed, first) = (self.least(), self.level(), FIRST * self.turn.full);
        let (belief, model) = self.minutes();
        if refusal.seen + belief.level - believed > first {
            let (level, rate, error) = std::mem::take(&mut self.turn.taken);
            let (belief, _) = self.minutes();
            belief.rate += rate;
            belief.error = (belief.error - error).max(0.0);
            belief.add(level, model, least);
            self.turn.hasty = true;
        }
        !self.turn.hasty
    }

    /// The model that counts by minutes.
    fn minutes(&mut self) -> (&mut Belief, &'static Model) {
        let [.., belief] = &mut self.beliefs;
        let [.., model] = &ALL;
        (belief, model)
    }

    /// Measured: there was `amount` when the believed level was `before`, and `proven` more since the last measurement.
    /// `weight`: how much more than the measurement is concluded from it.
    pub(super) fn at_least(&mut self, amount: f64, before: f64, proven: f64, weight: f64, now: Moment) {
        let (least, believed) = (self.least(), self.level());
        for (belief, model) in self.each() {
            // What happened since the call was sent has happened to all.
            let missing = (amount - (before + belief.level - believed)).max(0.0);
            if missing + proven > 0.0 {
                belief.raise(missing, weight * missing + proven, model, least, now);
            }
        }
        self.choose();
    }

    fn choose(&mut self) {
        let present = self.believed().0.error;
        let least = self.beliefs.iter().enumerate().min_by(|(_, a), (_, b)| a.error.total_cmp(&b.error));
        if let Some((number, least)) = least
            && present - least.error > SWITCH_ERROR
            && least.error < SWITCH_SHARE * present
        {
            self.chosen = number;
        }
    }

    /// Opens new slots. Returns what falls due meanwhile, by model.
    fn roll(&mut self, now: Moment) -> [f64; MODELS] {
        let newest = slot(now);
        let passed = usize::try_from(newest.saturating_sub(self.slot)).unwrap_or(SLOTS).min(SLOTS);
        self.slot = self.slot.max(newest);
        let due = ALL.map(|model| self.credits.get(model.lag.saturating_sub(passed)..model.lag).unwrap_or_default().iter().sum());
        self.credits.rotate_right(passed);
        self.credits.iter_mut().take(passed).for_each(|slot| *slot = 0.0);
        due
    }
}

/// The last moment up to `now` that is whole minutes away from `minute`.
fn minute_began(minute: Moment, now: Moment) -> Moment {
    let into = |moment: Moment| moment.0.as_nanos() % MINUTE.as_nanos();
    let since = (into(now) + MINUTE.as_nanos() - into(minute)) % MINUTE.as_nanos();
    Moment(now.0.saturating_sub(Duration::from_nanos(u64::try_from(since).unwrap_or(0))))
}

/// Was it sent at the turn of the minute that began then?
fn at_turn(began: Moment, refusal: &Refusal) -> bool {
    (began..began.after(MINUTE_GUARD)).contains(&refusal.sent)
}

fn slot(now: Moment) -> u64 {
    u64::try_from(now.0.as_millis() / SLOT.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
