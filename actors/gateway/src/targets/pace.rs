//! How fast a target usually answers and when it last said anything: what its silence is measured by.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use outcrop_domain::{
    clock::Moment,
    routing::{
        silence::{FirstBytes, PATIENCE_STREAM, PATIENCE_WHOLE, PromptSize, SIZES},
        view::FirstByte,
    },
};
use serde::{Deserialize, Serialize};

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
    /// Size of its prompt: reading a long one takes seconds.
    pub size: PromptSize,
    /// The first-byte timeout of such a call: no wait is longer, and while the usual time is not known this is it.
    pub at_most: Duration,
    /// How long the longest answer takes that the call allows: a whole one says nothing before it is written.
    pub writes: Duration,
}

impl Patience {
    fn least(self) -> Duration {
        match self.answering {
            Answering::Streamed => PATIENCE_STREAM,
            Answering::Whole => PATIENCE_WHOLE.max(self.writes),
        }
    }
}

/// The usual times of a target, for a process that begins: seconds by [`PromptSize::place`], `None` where never measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct UsualTimes {
    /// To the first event of a stream.
    pub streamed: [Option<f64>; SIZES],
    /// To a whole answer.
    pub whole: [Option<f64>; SIZES],
}

/// Written by leases: each number stands for itself, and an update lost between two of them changes nothing that matters.
#[derive(Debug, Default)]
pub(super) struct Pace {
    streamed: Usual,
    whole: Usual,
    /// When upstream last answered anything, in microseconds of the clock; 0 = never.
    heard: AtomicU64,
}

/// Usual times to the first byte.
#[derive(Debug, Default)]
struct Usual {
    /// By size of the prompt, bits of seconds; 0 = not known.
    seconds: [AtomicU64; SIZES],
    /// When the last one was measured, in microseconds of the clock; 0 = never.
    measured: AtomicU64,
}

impl Usual {
    fn of(seconds: [Option<f64>; SIZES]) -> Self {
        let sound = |seconds: &f64| seconds.is_finite() && *seconds > 0.0;
        let bits = seconds.map(|seconds| AtomicU64::new(seconds.filter(sound).map_or(0, f64::to_bits)));
        Self { seconds: bits, measured: AtomicU64::new(0) }
    }

    fn load(&self) -> [Option<f64>; SIZES] {
        self.seconds.each_ref().map(|bits| match bits.load(Ordering::Relaxed) {
            0 => None,
            bits => Some(f64::from_bits(bits)),
        })
    }
}

impl Pace {
    /// Begins with what an earlier process measured. When it did counts as never.
    pub(super) fn beginning(usual: &UsualTimes) -> Self {
        Self { streamed: Usual::of(usual.streamed), whole: Usual::of(usual.whole), heard: AtomicU64::new(0) }
    }

    /// What the next process should begin with.
    pub(super) fn usual_times(&self) -> UsualTimes {
        UsualTimes { streamed: self.streamed.load(), whole: self.whole.load() }
    }

    /// A call was answered at `now` that began at `began`.
    pub(super) fn answered(&self, patience: Patience, began: Moment, now: Moment) {
        let mut first_bytes = self.first_bytes(patience.answering);
        // Never 0, which means "not known".
        first_bytes.learn(patience.size, now.since(began).max(Duration::from_micros(1)), now);
        let known = self.usual(patience.answering);
        if let (Some(usual), Some(seconds)) = (known.seconds.get(patience.size.place()), first_bytes.usual(patience.size)) {
            usual.store(seconds.to_bits(), Ordering::Relaxed);
        }
        known.measured.fetch_max(micros(now.0).max(1), Ordering::Relaxed);
        self.heard(now);
    }

    /// Upstream said something, if only that it refuses.
    pub(super) fn heard(&self, now: Moment) {
        self.heard.fetch_max(micros(now.0).max(1), Ordering::Relaxed);
    }

    /// Has the target said nothing at all for longer than its pace explains, to a call that began at `began`?
    pub(super) fn silent(&self, patience: Patience, began: Moment, now: Moment) -> bool {
        self.first_bytes(patience.answering).silent(patience.size, began, patience.least(), patience.at_most, now)
    }

    /// When it can be silent at the earliest.
    pub(super) fn look_again(&self, patience: Patience, began: Moment) -> Moment {
        self.first_bytes(patience.answering).look_again(patience.size, began, patience.least(), patience.at_most)
    }

    /// How long the target has said nothing at all to a call that began at `began`.
    pub(super) fn silence(&self, began: Moment, now: Moment) -> Duration {
        now.since(began.max(self.last_heard().unwrap_or_default()))
    }

    /// The usual time to the first event of a stream, or to a whole answer, and when one was last measured. The one says
    /// nothing of the other.
    pub(super) fn first_byte(&self, answering: Answering, size: PromptSize) -> Option<FirstByte> {
        let seconds = self.first_bytes(answering).usual(size)?;
        Some(FirstByte { seconds, measured: moment(&self.usual(answering).measured).unwrap_or_default() })
    }

    /// The usual time of short prompts, for consoles; `None` while it is not known.
    pub(super) fn usual_ms(&self, answering: Answering) -> Option<u64> {
        let seconds = self.first_bytes(answering).usual(PromptSize::Small)?;
        u64::try_from(Duration::try_from_secs_f64(seconds).ok()?.as_millis()).ok()
    }

    fn first_bytes(&self, answering: Answering) -> FirstBytes {
        FirstBytes::of(self.usual(answering).load(), self.last_heard())
    }

    fn last_heard(&self) -> Option<Moment> {
        moment(&self.heard)
    }

    fn usual(&self, answering: Answering) -> &Usual {
        match answering {
            Answering::Streamed => &self.streamed,
            Answering::Whole => &self.whole,
        }
    }
}

/// A moment that was noted in microseconds; 0 = never.
fn moment(noted: &AtomicU64) -> Option<Moment> {
    match noted.load(Ordering::Relaxed) {
        0 => None,
        micros => Some(Moment(Duration::from_micros(micros))),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const STREAMED: Patience =
        Patience { answering: Answering::Streamed, size: PromptSize::Small, at_most: Duration::from_secs(120), writes: Duration::ZERO };

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn before_the_first_answer_the_timeout_is_the_bound() {
        let pace = Pace::default();
        assert_eq!(pace.look_again(STREAMED, at(7)), at(127));
        assert!(!pace.silent(STREAMED, at(7), at(127)) && pace.silent(STREAMED, at(7), at(128)));
    }

    #[test]
    fn the_bound_follows_the_usual_time_between_its_limits() {
        let pace = Pace::default();
        pace.answered(STREAMED, Moment(Duration::from_millis(500)), at(1));
        assert_eq!(pace.look_again(STREAMED, at(10)), at(10).after(PATIENCE_STREAM));
        for _ in 0..200 {
            pace.answered(STREAMED, at(0), at(10));
        }
        let bound = pace.look_again(STREAMED, at(10)).since(at(10));
        assert!(bound > 29 * SECOND && bound <= 30 * SECOND, "{bound:?}");
        assert_eq!(pace.look_again(Patience { at_most: 7 * SECOND, ..STREAMED }, at(10)), at(17));
    }

    #[test]
    fn long_prompts_have_a_usual_time_of_their_own() {
        let pace = Pace::default();
        let huge = Patience { size: PromptSize::Huge, ..STREAMED };
        pace.answered(STREAMED, at(0), at(1));
        pace.answered(huge, at(0), at(20));
        assert_eq!(pace.look_again(STREAMED, at(20)), at(23));
        assert_eq!(pace.look_again(huge, at(20)), at(80));
        assert_eq!(pace.first_byte(Answering::Streamed, PromptSize::Huge), Some(FirstByte { seconds: 20.0, measured: at(20) }));
    }

    #[test]
    fn whole_answers_are_measured_by_whole_answers() {
        let pace = Pace::default();
        pace.answered(STREAMED, at(0), at(1));
        let whole = Patience { answering: Answering::Whole, at_most: 900 * SECOND, ..STREAMED };
        assert_eq!(pace.look_again(whole, at(1)), at(901));
        pace.answered(whole, at(0), at(20));
        assert_eq!(pace.look_again(whole, at(20)), at(80));
        assert_eq!((pace.usual_ms(Answering::Streamed), pace.usual_ms(Answering::Whole)), (Some(1_000), Some(20_000)));
    }

    #[test]
    fn a_whole_answer_is_given_the_time_to_be_written() {
        let pace = Pace::default();
        let whole = Patience { answering: Answering::Whole, at_most: 900 * SECOND, writes: 100 * SECOND, ..STREAMED };
        pace.answered(whole, at(0), at(3));
        assert_eq!(pace.look_again(whole, at(3)), at(103));
        assert_eq!(pace.look_again(Patience { writes: Duration::ZERO, ..whole }, at(3)), at(3).after(PATIENCE_WHOLE));
    }

    #[test]
    fn streams_and_whole_answers_have_times_of_their_own_and_only_measurements_are_fresh() {
        let pace = Pace::default();
        let whole = Patience { answering: Answering::Whole, ..STREAMED };
        let first = |answering| pace.first_byte(answering, PromptSize::Small);
        pace.answered(whole, at(0), at(8));
        pace.heard(at(50));
        let of_whole = Some(FirstByte { seconds: 8.0, measured: at(8) });
        assert_eq!((first(Answering::Streamed), first(Answering::Whole)), (None, of_whole));
        pace.answered(STREAMED, at(51), at(52));
        assert_eq!((first(Answering::Streamed), first(Answering::Whole)), (Some(FirstByte { seconds: 1.0, measured: at(52) }), of_whole));
    }

    #[test]
    fn a_process_begins_with_the_usual_times_of_the_one_before_it() {
        let pace = Pace::default();
        pace.answered(STREAMED, at(0), at(1));
        let next = Pace::beginning(&pace.usual_times());
        assert_eq!(next.look_again(STREAMED, at(10)), at(13));
        assert_eq!(next.usual_times(), pace.usual_times());
        let broken = UsualTimes { streamed: [Some(f64::NAN), Some(-1.0), Some(f64::INFINITY), None], ..UsualTimes::default() };
        assert_eq!(Pace::beginning(&broken).usual_times(), UsualTimes::default());
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
