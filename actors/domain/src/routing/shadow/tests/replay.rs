//! Shadows against true buckets of all kinds, under more demand than there is.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// How the true bucket works.
#[derive(Debug, Clone, Copy)]
struct Truth {
    rate: f64,
    /// Seconds.
    span: f64,
    /// Seconds from the end of a call to its settlement.
    lag: f64,
    minutes: bool,
    /// Share of what a call reserves that it uses.
    used: f64,
}

/// Calls of this share of a minute's quota, which take so long.
const SIZE: f64 = 0.01;
const CALL_SECONDS: f64 = 4.0;
/// Error of the estimates, either way.
const ERROR: f64 = 0.25;

struct Replay {
    truth: Truth,
    now: f64,
    level: f64,
    shadow: Shadow,
    /// What falls due, in order: at, whether at AWS or at us, reserved, used.
    due: VecDeque<(f64, bool, f64, f64)>,
    probed: f64,
    word: u64,
    refusals: Vec<f64>,
    /// When the limit was first met.
    met: f64,
}

impl Replay {
    fn new(truth: Truth, shadow: Shadow) -> Self {
        let level = truth.rate * truth.span;
        Self { truth, now: 0.0, level, shadow, due: VecDeque::new(), probed: 0.0, word: 1, refusals: Vec::new(), met: 0.0 }
    }

    /// In `[0, 1)`.
    fn draw(&mut self) -> f64 {
        self.word = self.word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.word >> 32).unwrap()) / f64::from(u32::MAX)
    }

    /// Calls that ask for `demand` times the quota.
    fn run(&mut self, seconds: f64, demand: f64) {
        let step = SIZE * 60.0 * self.truth.used / demand;
        let end = self.now + seconds;
        while self.now < end {
            let next = self.now + step;
            self.pass(self.now, next);
            self.now = next;
            self.call(next);
        }
    }

    fn rest(&mut self, seconds: f64) {
        self.pass(self.now, self.now + seconds);
        self.now += seconds;
    }

    fn pass(&mut self, from: f64, to: f64) {
        let full = self.truth.rate * self.truth.span;
        if !self.truth.minutes {
            self.level = (self.level + self.truth.rate * (to - from)).min(full);
        } else if (to / 60.0).floor() > (from / 60.0).floor() {
            self.level = full;
        }
        self.due.make_contiguous().sort_by(|a, b| a.0.total_cmp(&b.0));
        while let Some((at_aws, aws, reserved, used)) = self.due.front().copied().filter(|(due, ..)| *due <= to) {
            self.due.pop_front();
            if aws {
                self.level = (self.level + reserved - used).min(full);
            } else {
                self.shadow.settle(at(at_aws), reserved, used);
            }
        }
        self.shadow.advance(at(to));
    }

    fn call(&mut self, now: f64) {
        let real = SIZE * 60.0 * self.truth.rate;
        let estimate = real * (1.0 + ERROR * (2.0 * self.draw() - 1.0));
        let gap = self.shadow.gap().as_secs_f64();
        let refused = self.shadow.last_refused().map_or(0.0, |last| last.0.as_secs_f64());
        let fits = self.shadow.fits(estimate);
        if !fits {
            self.met = if self.met == 0.0 { now } else { self.met };
            self.shadow.limited(at(now));
            if now - self.probed.max(refused) < gap {
                return;
            }
            self.probed = now;
        }
        let before = self.shadow.send(at(now), estimate);
        if self.level < real {
            self.refusals.push(now);
            self.met = if self.met == 0.0 { now } else { self.met };
            self.shadow.refused(at(now), estimate, at(now), before);
            return;
        }
        self.level -= real;
        let ended = now + CALL_SECONDS;
        self.due.push_back((ended + self.truth.lag, true, real, real * self.truth.used));
        self.due.push_back((ended, false, estimate, real * self.truth.used));
        if !fits {
            self.shadow.granted(at(now), estimate, before);
        }
    }
}

const TRUTH: Truth = Truth { rate: 1_000.0, span: 60.0, lag: 0.0, minutes: false, used: 0.5 };

fn with_prior(truth: Truth, factor: f64) -> Replay {
    Replay::new(truth, Shadow::prior(Resource::Tokens, 60.0 * truth.rate * factor, at(0.0), at(0.0)))
}

#[test]
fn late_settlements_are_noticed() {
    // As agents do: much is reserved, little is used.
    let mut replay = with_prior(Truth { lag: 5.0, used: 0.05, ..TRUTH }, 1.0);
    // Under an even load a lag is a constant: it shows when the load changes.
    for _ in 0..10 {
        replay.run(20.0, 1.2);
        replay.rest(20.0);
    }
    let snapshot = replay.shadow.snapshot();
    assert!((4..=6).contains(&snapshot.model), "{snapshot:?}");
}

#[test]
fn shallow_buckets_are_noticed() {
    let mut replay = with_prior(Truth { span: 20.0, ..TRUTH }, 1.0);
    // A shallow bucket shows after pauses: full in the shadow, and refused long before it is empty.
    for _ in 0..8 {
        replay.run(20.0, 2.5);
        replay.rest(120.0);
    }
    let snapshot = replay.shadow.snapshot();
    assert!((1..=3).contains(&snapshot.model) && snapshot.depth < 35_000.0, "{snapshot:?}");
}

#[test]
fn quotas_that_are_counted_by_minutes_are_noticed() {
    let mut replay = with_prior(Truth { minutes: true, ..TRUTH }, 1.0);
    replay.run(600.0, 1.3);
    let view = replay.shadow.view();
    assert!(view.refills_after.is_some(), "{:?}", replay.shadow.snapshot());
    assert!((view.rate / 1_000.0 - 1.0).abs() < 0.1, "{view:?}");
}

#[test]
fn an_ordinary_bucket_is_not_taken_for_another() {
    for prior in [0.7, 1.0, 1.5] {
        let mut replay = with_prior(TRUTH, prior);
        replay.run(600.0, 1.3);
        assert_eq!(replay.shadow.snapshot().model, 0, "prior {prior}");
    }
}

/// Where the rate is, over the truth, after two minutes at the limit; `prior` over the truth, or `None` for a cold start.
///
/// Probes and refusals move it around the truth: what counts is where it is on the whole of the next minute.
fn found(rate: f64, span: f64, prior: Option<f64>, demand: f64) -> f64 {
    let truth = Truth { rate, span, ..TRUTH };
    let start = match prior {
        Some(factor) => Shadow::prior(Resource::Tokens, 60.0 * rate * factor, at(0.0), at(0.0)),
        None => Shadow::unknown(Resource::Tokens, at(0.0), at(0.0)),
    };
    let mut replay = Replay::new(truth, start);
    // At the limit, not on the way there: a full bucket hides a wrong rate for minutes.
    replay.level /= 20.0;
    while replay.met == 0.0 {
        replay.run(1.0, demand);
    }
    replay.run(120.0, demand);
    let seen = (0..12).map(|_| {
        let seen = replay.shadow.view().rate / rate;
        replay.run(5.0, demand);
        seen
    });
    seen.sum::<f64>() / 12.0
}

#[test]
fn nearly_every_rate_is_found_within_a_tenth_in_two_minutes() {
    let mut errors = Vec::new();
    for rate in [20.0, 1_700.0, 70_000.0] {
        for span in [20.0, 40.0, 60.0] {
            for prior in [None, Some(0.6), Some(1.0), Some(1.5)] {
                errors.extend([1.3, 1.6, 2.0].map(|demand| (found(rate, span, prior, demand) - 1.0).abs()));
            }
        }
    }
    let within = errors.iter().filter(|error| **error <= 0.1).count();
    assert!(within * 100 >= errors.len() * 95, "{within} of {}: {errors:?}", errors.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_rate_is_found_within_a_third_in_two_minutes(
        rate in 10.0..200_000.0f64,
        span in 20.0..60.0f64,
        prior in prop::option::of(0.6..1.5f64),
        demand in 1.3..2.0f64,
    ) {
        let found = found(rate, span, prior, demand);
        prop_assert!((found - 1.0).abs() <= 0.35, "{found}");
    }
}
