//! Silence: a target that answers nobody, and a region that fails for several models.
//!
//! A refused connection is seen at once; a region that swallows requests is only seen by its silence. When no first byte
//! came from a target for three times its usual one while a request waits there, the target is benched and every request
//! that has no first byte yet moves on, long before the first-byte timeout.
//!
//! Answers that come whole have their first byte at their end, which says less of the target than a stream's: they are given
//! [`PATIENCE_WHOLE`] at least, and streams [`PATIENCE_STREAM`].

use std::time::Duration;

use crate::clock::Moment;

/// So many times the usual first byte is no longer an accident.
const PATIENCE: f64 = 3.0;
/// Never call a target silent sooner that streams: fast models have short usual times and ordinary hiccups.
pub const PATIENCE_STREAM: Duration = Duration::from_secs(2);
/// Never call a target silent sooner that answers at once and whole: how long that takes depends on the answer's length, and a
/// model writes two or three thousand tokens a minute.
pub const PATIENCE_WHOLE: Duration = Duration::from_secs(60);
/// Weight of a new measurement: about the last 20 calls count.
const NEWEST: f64 = 0.05;

/// Sizes of prompts with first bytes of their own: reading 100 K tokens takes seconds. By input tokens that are not cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PromptSize {
    /// Below 4 K tokens.
    Small,
    /// Below 32 K.
    Medium,
    /// Below 128 K.
    Large,
    /// 128 K and more.
    Huge,
}

/// How many [`PromptSize`]s there are.
pub const SIZES: usize = 4;

impl PromptSize {
    /// The class of so many uncached input tokens.
    #[must_use]
    pub fn of(tokens: u64) -> Self {
        match tokens {
            0..4_000 => Self::Small,
            4_000..32_000 => Self::Medium,
            32_000..128_000 => Self::Large,
            _ => Self::Huge,
        }
    }

    /// Its place in every array by size, from 0 for the smallest; less than [`SIZES`].
    #[must_use]
    pub fn place(self) -> usize {
        match self {
            Self::Small => 0,
            Self::Medium => 1,
            Self::Large => 2,
            Self::Huge => 3,
        }
    }
}

/// First bytes of one target: the usual time by size of the prompt, and when the last one came.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FirstBytes {
    /// Seconds, moving averages.
    usual: [Option<f64>; SIZES],
    last: Option<Moment>,
}

impl FirstBytes {
    /// From numbers that the owner published: the usual first byte by [`PromptSize::place`], seconds, and
    /// when the last one came ([`FirstBytes::last`]). A negative number, or none, counts as never measured.
    #[must_use]
    pub fn of(usual: [Option<f64>; SIZES], last: Option<Moment>) -> Self {
        Self { usual: usual.map(|seconds| seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0)), last }
    }

    /// A first byte came after `waited`.
    pub fn learn(&mut self, size: PromptSize, waited: Duration, now: Moment) {
        self.last = self.last.max(Some(now));
        let waited = waited.as_secs_f64();
        if let Some(usual) = self.usual.get_mut(size.place()) {
            *usual = Some(usual.map_or(waited, |usual| usual + NEWEST * (waited - usual)));
        }
    }

    /// The usual time for a prompt of this size, seconds. A size that was never seen is judged by the next larger one, then
    /// by the next smaller one.
    #[must_use]
    pub fn usual(&self, size: PromptSize) -> Option<f64> {
        let (smaller, from) = self.usual.split_at_checked(size.place())?;
        from.iter().flatten().next().or_else(|| smaller.iter().rev().flatten().next()).copied()
    }

    /// When the last first byte came.
    #[must_use]
    pub fn last(&self) -> Option<Moment> {
        self.last
    }

    /// How long a request of this size waits before the target counts as silent: at least `least` ([`PATIENCE_STREAM`] or
    /// [`PATIENCE_WHOLE`]), at most the first-byte timeout, which is also the answer while nothing is known.
    #[must_use]
    pub fn patience(&self, size: PromptSize, least: Duration, first_byte_timeout: Duration) -> Duration {
        let usual = self.usual(size).map_or(Duration::MAX, |usual| super::view::seconds(PATIENCE * usual));
        usual.max(least).min(first_byte_timeout)
    }

    /// Is the target silent, as a request sees it that waits since `sent`: nothing for it, and nothing for anybody else?
    #[must_use]
    pub fn silent(&self, size: PromptSize, sent: Moment, least: Duration, first_byte_timeout: Duration, now: Moment) -> bool {
        let patience = self.patience(size, least, first_byte_timeout);
        now.since(sent) > patience && self.last.is_none_or(|last| now.since(last) > patience)
    }

    /// When to look again: the first moment at which [`FirstBytes::silent`] can be true.
    #[must_use]
    pub fn look_again(&self, size: PromptSize, sent: Moment, least: Duration, first_byte_timeout: Duration) -> Moment {
        self.last.map_or(sent, |last| last.max(sent)).after(self.patience(size, least, first_byte_timeout))
    }
}

/// So many models of one region that trip...
const REGION_MODELS: usize = 3;
/// ...within this time mean the region.
const REGION_WINDOW: Duration = Duration::from_secs(10);

/// Trips of one region's models: three different ones within ten seconds trip all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RegionTrips {
    /// The last trip of the models that tripped last.
    recent: [Option<(u64, Moment)>; REGION_MODELS],
}

impl RegionTrips {
    /// A model (any stable number of it) tripped. True when the whole region should: the trips begin anew after that.
    pub fn tripped(&mut self, model: u64, now: Moment) -> bool {
        let known = self.recent.iter().position(|trip| trip.is_some_and(|(known, _)| known == model));
        // Newest first: the model's own older trip, or the oldest of all, makes room.
        let last = known.unwrap_or(REGION_MODELS - 1);
        if let Some(moved) = self.recent.get_mut(..=last) {
            moved.rotate_right(1);
        }
        if let Some(newest) = self.recent.first_mut() {
            *newest = Some((model, now));
        }
        let all = self.recent.iter().all(|trip| trip.is_some_and(|(_, at)| now.since(at) <= REGION_WINDOW));
        if all {
            *self = Self::default();
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(120);

    fn at(milliseconds: u64) -> Moment {
        Moment(Duration::from_millis(milliseconds))
    }

    fn usually(milliseconds: u64) -> FirstBytes {
        let mut bytes = FirstBytes::default();
        bytes.learn(PromptSize::Small, Duration::from_millis(milliseconds), at(0));
        bytes
    }

    #[test]
    fn three_times_the_usual_first_byte_without_any_is_silence() {
        let bytes = usually(1_000);
        assert!(!bytes.silent(PromptSize::Small, at(500), PATIENCE_STREAM, TIMEOUT, at(3_500)));
        assert!(bytes.silent(PromptSize::Small, at(500), PATIENCE_STREAM, TIMEOUT, at(3_501)));
        assert_eq!(bytes.look_again(PromptSize::Small, at(500), PATIENCE_STREAM, TIMEOUT), at(3_500));
    }

    #[test]
    fn a_first_byte_for_somebody_else_breaks_the_silence() {
        let mut bytes = usually(1_000);
        bytes.learn(PromptSize::Small, Duration::from_millis(1_000), at(3_000));
        assert!(!bytes.silent(PromptSize::Small, at(500), PATIENCE_STREAM, TIMEOUT, at(5_000)));
        assert_eq!(bytes.look_again(PromptSize::Small, at(500), PATIENCE_STREAM, TIMEOUT), at(6_000));
    }

    #[test]
    fn patience_has_a_floor_and_ends_with_the_timeout() {
        let patience = |bytes: FirstBytes, least| bytes.patience(PromptSize::Small, least, TIMEOUT);
        assert_eq!(patience(usually(100), PATIENCE_STREAM), Duration::from_secs(2));
        assert_eq!(patience(usually(100), PATIENCE_WHOLE), Duration::from_secs(60), "a whole answer takes its time");
        assert_eq!(patience(usually(30_000), PATIENCE_WHOLE), Duration::from_secs(90));
        assert_eq!(patience(usually(60_000), PATIENCE_STREAM), TIMEOUT);
        assert_eq!(patience(FirstBytes::default(), PATIENCE_STREAM), TIMEOUT);
        assert_eq!(usually(100).patience(PromptSize::Small, PATIENCE_WHOLE, Duration::from_secs(5)), Duration::from_secs(5));
    }

    #[test]
    fn a_whole_answer_is_not_called_silent_as_soon_as_a_stream() {
        let bytes = usually(1_000);
        let silent = |least| bytes.silent(PromptSize::Small, at(500), least, TIMEOUT, at(60_500));
        assert!(silent(PATIENCE_STREAM) && !silent(PATIENCE_WHOLE));
        assert_eq!(bytes.look_again(PromptSize::Small, at(500), PATIENCE_WHOLE, TIMEOUT), at(60_500));
    }

    #[test]
    fn what_was_published_judges_as_the_owner_does() {
        let mut bytes = usually(1_000);
        bytes.learn(PromptSize::Large, Duration::from_secs(8), at(3_000));
        let copy = FirstBytes::of(bytes.usual, bytes.last());
        assert_eq!(copy, bytes);
        assert_eq!(bytes.usual[PromptSize::Large.place()], Some(8.0));
        assert_eq!(bytes.usual[PromptSize::Medium.place()], None, "not what stands in for it");
        let odd = FirstBytes::of([Some(f64::NAN), Some(-1.0), None, Some(f64::INFINITY)], None);
        assert_eq!(odd, FirstBytes::default());
        let places = [PromptSize::Small, PromptSize::Medium, PromptSize::Large, PromptSize::Huge].map(PromptSize::place);
        assert_eq!(places, [0, 1, 2, 3]);
    }

    #[test]
    fn large_prompts_have_a_patience_of_their_own() {
        let mut bytes = usually(1_000);
        assert_eq!(bytes.usual(PromptSize::Huge), Some(1.0), "nothing better is known");
        bytes.learn(PromptSize::Large, Duration::from_secs(8), at(0));
        assert_eq!(bytes.usual(PromptSize::Medium), Some(8.0), "the next larger size");
        assert_eq!(bytes.usual(PromptSize::of(3_999)), Some(1.0));
        assert_eq!(bytes.usual(PromptSize::of(127_999)), Some(8.0));
        assert_eq!(PromptSize::of(128_000), PromptSize::Huge);
    }

    #[test]
    fn the_average_moves_slowly() {
        let mut bytes = usually(1_000);
        bytes.learn(PromptSize::Small, Duration::from_secs(21), at(0));
        assert_eq!(bytes.usual(PromptSize::Small), Some(2.0));
    }

    #[test]
    fn three_models_within_ten_seconds_trip_the_region() {
        let mut trips = RegionTrips::default();
        assert!(!trips.tripped(1, at(0)));
        assert!(!trips.tripped(2, at(4_000)));
        assert!(!trips.tripped(2, at(5_000)), "the same model again");
        assert!(trips.tripped(3, at(10_000)));
        assert!(!trips.tripped(4, at(10_001)), "they begin anew");
    }

    #[test]
    fn trips_further_apart_do_not_count_together() {
        let mut trips = RegionTrips::default();
        assert!(!trips.tripped(1, at(0)));
        assert!(!trips.tripped(2, at(4_000)));
        assert!(!trips.tripped(3, at(10_001)));
        assert!(trips.tripped(1, at(13_000)));
    }
}
