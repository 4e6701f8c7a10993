//! How fast simulated models answer.

use std::time::Duration;

use crate::draw::{self, Stream};

/// A distribution of delays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Latency {
    /// Always the same delay.
    Fixed(Duration),
    /// Log-normal, given by two percentiles and an upper limit.
    LogNormal {
        /// Median.
        p50: Duration,
        /// 99th percentile; at least the median.
        p99: Duration,
        /// No draw is longer.
        cap: Duration,
    },
}

impl Latency {
    /// No delay at all.
    pub const NONE: Self = Self::Fixed(Duration::ZERO);

    /// Draws one delay.
    pub(crate) fn draw(&self, rng: &mut Stream) -> Duration {
        match *self {
            Self::Fixed(delay) => delay,
            Self::LogNormal { p50, p99, cap } => {
                let median = p50.as_secs_f64();
                if median <= 0.0 {
                    return Duration::ZERO;
                }
                let drawn = median * rng.lognormal(p99.as_secs_f64() / median);
                Duration::try_from_secs_f64(drawn).unwrap_or(cap).min(cap)
            }
        }
    }
}

/// Delays of one region's answers.
///
/// A streamed answer sends its head after `first_token` and waits `per_delta` before each content delta; an
/// unstreamed one waits `first_token` and one `per_delta` for each three output tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// From the end of the request to the response head.
    pub first_token: Latency,
    /// Before each delta.
    pub per_delta: Latency,
}

impl Pace {
    /// Answers as fast as the machine can.
    pub const NONE: Self = Self { first_token: Latency::NONE, per_delta: Latency::NONE };

    /// Constant delays.
    #[must_use]
    pub const fn fixed(first_token: Duration, per_delta: Duration) -> Self {
        Self { first_token: Latency::Fixed(first_token), per_delta: Latency::Fixed(per_delta) }
    }
}

/// A pace and the random numbers of one call's delays: its own, so that another pace changes nothing but the time.
#[derive(Debug)]
pub(crate) struct Tempo {
    pub(crate) pace: Pace,
    stream: Stream,
}

impl Tempo {
    pub(crate) fn new(pace: Pace, seed: u64, call: u64) -> Self {
        Self { pace, stream: draw::stream(seed, "pace", call) }
    }

    /// From the end of the request to the response head.
    pub(crate) fn first_token(&mut self) -> Duration {
        self.pace.first_token.draw(&mut self.stream)
    }

    /// Before a delta.
    pub(crate) fn delta(&mut self) -> Duration {
        self.pace.per_delta.draw(&mut self.stream)
    }

    /// The delay of a whole unstreamed answer that would have had so many deltas.
    pub(crate) fn whole(&mut self, deltas: u64) -> Duration {
        let mut delay = self.first_token();
        if self.pace.per_delta != Latency::NONE {
            for _ in 0..deltas {
                delay += self.delta();
            }
        }
        delay
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_normal_draws_meet_their_percentiles_and_their_cap() {
        let latency = Latency::LogNormal { p50: Duration::from_millis(350), p99: Duration::from_secs(2), cap: Duration::from_secs(3) };
        let mut rng = draw::stream(1, "pace", 0);
        let mut draws: Vec<Duration> = (0..20_000).map(|_| latency.draw(&mut rng)).collect();
        draws.sort_unstable();
        let near = |got: Duration, want: f64, tolerance: f64| (got.as_secs_f64() / want - 1.0).abs() < tolerance;
        assert!(near(draws[10_000], 0.350, 0.05), "median {:?}", draws[10_000]);
        assert!(near(draws[19_800], 2.0, 0.12), "p99 {:?}", draws[19_800]);
        assert_eq!(draws[19_999], Duration::from_secs(3));
    }

    #[test]
    fn an_unstreamed_answer_waits_for_its_tokens() {
        let pace = Pace::fixed(Duration::from_millis(100), Duration::from_millis(10));
        assert_eq!(Tempo::new(pace, 1, 0).whole(3), Duration::from_millis(130));
        assert_eq!(Tempo::new(Pace::NONE, 1, 0).whole(7), Duration::ZERO);
    }
}
