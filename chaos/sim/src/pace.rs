//! How fast simulated models answer.

use std::time::Duration;

use fastrand::Rng;

/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874_040_841;

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
    pub(crate) fn draw(&self, rng: &mut Rng) -> Duration {
        match *self {
            Self::Fixed(delay) => delay,
            Self::LogNormal { p50, p99, cap } => {
                let median = p50.as_secs_f64();
                if median <= 0.0 {
                    return Duration::ZERO;
                }
                let sigma = (p99.as_secs_f64() / median).max(1.0).ln() / Z99;
                Duration::try_from_secs_f64(median * (sigma * normal(rng)).exp()).unwrap_or(cap).min(cap)
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

    /// The delay of a whole unstreamed answer with `output_tokens`.
    pub(crate) fn whole(&self, output_tokens: u64, rng: &mut Rng) -> Duration {
        let mut delay = self.first_token.draw(rng);
        if self.per_delta != Latency::NONE {
            for _ in 0..output_tokens.div_ceil(3) {
                delay += self.per_delta.draw(rng);
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

/// One standard normal draw (Box-Muller).
fn normal(rng: &mut Rng) -> f64 {
    // 1 - f64() lies in (0, 1], so that the logarithm is finite.
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw;

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
        assert_eq!(pace.whole(7, &mut draw::stream(1, "pace", 0)), Duration::from_millis(130));
        assert_eq!(Pace::NONE.whole(7, &mut draw::stream(1, "pace", 0)), Duration::ZERO);
    }
}
