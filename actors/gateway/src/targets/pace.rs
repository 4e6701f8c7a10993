//! How fast a target usually answers and when it last said anything: what its silence is measured by.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use outcrop_domain::clock::Moment;

/// How a call is answered: a stream begins within seconds, a whole answer is first written to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answering {
    /// Event by event.
    Streamed,
    /// In one piece.
    Whole,
}

/// How long a call may wait before its silence says something of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Which of the target's usual times it is measured by.
    pub answering: Answering,
    /// The first-byte timeout of such a call: no wait is longer, and while the usual time is not known this is it.
    pub at_most: Duration,
}

/// Silence of so many usual times is no slow answer any more. Source: the silence rule of the routing notes; at three
/// times its mean an exponential wait is in its last 5 %.
const USUAL_TIMES: u32 = 3;

/// No shorter silence means anything: prompts differ in size, and a queue at AWS may hold a call for seconds.
const LEAST_SILENCE_STREAMED: Duration = Duration::from_secs(5);

/// As above for whole answers, whose time depends on their length: one of 2,000 tokens takes half a minute.
const LEAST_SILENCE_WHOLE: Duration = Duration::from_secs(30);

/// Weight of a new answer in the usual time, as a divisor: the last dozen answers or so decide.
const WEIGHT: u64 = 8;

/// Written by leases: each number stands for itself, and an update lost between two of them changes nothing that matters.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Usual time to the first event, in microseconds; 0 = not known.
    streamed: AtomicU64,
    /// Usual time to a whole answer, likewise.
    whole: AtomicU64,
    /// When upstream last answered anything, in microseconds of the clock.
    heard: AtomicU64,
}

impl Pace {
    /// A call was answered at `now` that began at `began`.
    pub(super) fn answered(&self, answering: Answering, began: Moment, now: Moment) {
        let took = micros(now.since(began)).max(1);
        let usual = self.usual(answering);
        let known = usual.load(Ordering::Relaxed);
        let next = if known == 0 { took } else { known - known / WEIGHT + took / WEIGHT };
        usual.store(next.max(1), Ordering::Relaxed);
        self.heard(now);
    }

    /// Upstream said something, if only that it refuses.
    pub(super) fn heard(&self, now: Moment) {
        self.heard.fetch_max(micros(now.0), Ordering::Relaxed);
    }

    /// How long the target has said nothing at all to a call that began at `began`.
    pub(super) fn silence(&self, began: Moment, now: Moment) -> Duration {
        let heard = Moment(Duration::from_micros(self.heard.load(Ordering::Relaxed)));
        now.since(began.max(heard))
    }

    /// How long it may.
    pub(super) fn bound(&self, patience: Patience) -> Duration {
        let usual = Duration::from_micros(self.usual(patience.answering).load(Ordering::Relaxed));
        if usual.is_zero() {
            return patience.at_most;
        }
        let least = match patience.answering {
            Answering::Streamed => LEAST_SILENCE_STREAMED,
            Answering::Whole => LEAST_SILENCE_WHOLE,
        };
        usual.saturating_mul(USUAL_TIMES).max(least).min(patience.at_most)
    }

    /// The usual time, for consoles; `None` while it is not known.
    pub(super) fn usual_ms(&self, answering: Answering) -> Option<u64> {
        let micros = self.usual(answering).load(Ordering::Relaxed);
        (micros > 0).then_some(micros / 1_000)
    }

    fn usual(&self, answering: Answering) -> &AtomicU64 {
        match answering {
            Answering::Streamed => &self.streamed,
            Answering::Whole => &self.whole,
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const STREAMED: Patience = Patience { answering: Answering::Streamed, at_most: Duration::from_secs(120) };

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn before_the_first_answer_the_timeout_is_the_bound() {
        assert_eq!(Pace::default().bound(STREAMED), STREAMED.at_most);
    }

    #[test]
    fn the_bound_follows_the_usual_time_between_its_limits() {
        let pace = Pace::default();
        pace.answered(Answering::Streamed, at(0), at(1));
        assert_eq!(pace.bound(STREAMED), LEAST_SILENCE_STREAMED);
        for _ in 0..200 {
            pace.answered(Answering::Streamed, at(0), at(10));
        }
        let bound = pace.bound(STREAMED);
        assert!(bound > 29 * SECOND && bound <= 30 * SECOND, "{bound:?}");
        assert_eq!(pace.bound(Patience { at_most: 7 * SECOND, ..STREAMED }), 7 * SECOND);
    }

    #[test]
    fn whole_answers_are_measured_by_whole_answers() {
        let pace = Pace::default();
        pace.answered(Answering::Streamed, at(0), at(1));
        let whole = Patience { answering: Answering::Whole, at_most: 900 * SECOND };
        assert_eq!(pace.bound(whole), whole.at_most);
        pace.answered(Answering::Whole, at(0), at(20));
        assert_eq!(pace.bound(whole), 60 * SECOND);
        assert_eq!((pace.usual_ms(Answering::Streamed), pace.usual_ms(Answering::Whole)), (Some(1_000), Some(20_000)));
    }

    #[test]
    fn a_target_that_answers_others_is_not_silent() {
        let pace = Pace::default();
        assert_eq!(pace.silence(at(10), at(40)), 30 * SECOND);
        pace.heard(at(35));
        pace.heard(at(20));
        assert_eq!(pace.silence(at(10), at(40)), 5 * SECOND);
        assert_eq!(pace.silence(at(38), at(40)), 2 * SECOND);
    }
}
