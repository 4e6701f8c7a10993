//! What a call will reserve, and what it used in the end.
//!
//! Bedrock admits a call when input and `max_tokens` fit into the token quota, and settles it at its end by what it used;
//! output may count several times ("burn-down"). Source: quotas-token-burndown page of the Bedrock user guide.

use crate::usage::Usage;

/// What a call holds of the token quota from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// Our estimate of its input tokens, cached ones included: they count at admission.
    pub input_estimate: u64,
    /// The output it may produce, as it is sent to the model. Never invented larger than needed: it is held to the end.
    pub max_tokens: u64,
}

impl Reservation {
    /// Tokens, with the estimate corrected by what the model's calls have shown.
    #[must_use]
    pub fn tokens(&self, bias: &Bias) -> f64 {
        amount(self.input_estimate) * bias.factor() + amount(self.max_tokens)
    }
}

/// Tokens that a finished call has taken from the quota: cache reads are free, output counts `burn` times.
///
/// `burn` is data of the model (5 for Claude since 3.7, else 1).
#[must_use]
pub fn settled(usage: &Usage, burn: f64) -> f64 {
    amount(usage.input) + amount(usage.cache_write()) + burn * amount(usage.output)
}

/// Real over estimated input tokens of one model, as a moving average.
///
/// Weighted by tokens: what matters is the error of what is reserved, and short prompts err most and weigh least.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bias {
    real: f64,
    estimated: f64,
}

/// Part of the past that each call leaves: about the last 50 calls count.
const KEPT: f64 = 0.98;
/// Weight of "the estimate is right" at the start, tokens: one odd first call must not double every reservation.
const START_WEIGHT: f64 = 20_000.0;
/// An estimator that errs by more than this is broken, and what it says is no reason to reserve ten times as much.
const FACTOR_MAX: f64 = 4.0;

impl Default for Bias {
    fn default() -> Self {
        Self { real: START_WEIGHT, estimated: START_WEIGHT }
    }
}

impl Bias {
    /// Learns from one finished call. A call without an estimate or without usage teaches nothing.
    pub fn learn(&mut self, input_estimate: u64, usage: &Usage) {
        let real = usage.prompt();
        if input_estimate == 0 || real == 0 {
            return;
        }
        self.real = self.real * KEPT + amount(real);
        self.estimated = self.estimated * KEPT + amount(input_estimate);
    }

    /// By what an estimate is multiplied.
    #[must_use]
    pub fn factor(&self) -> f64 {
        (self.real / self.estimated).clamp(1.0 / FACTOR_MAX, FACTOR_MAX)
    }
}

/// Tokens as a number to compute with. Exact below 2^32; no call has more.
fn amount(tokens: u64) -> f64 {
    f64::from(u32::try_from(tokens).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(tokens: u64) -> Usage {
        Usage { cache_read: tokens, ..Usage::default() }
    }

    #[test]
    fn input_and_the_largest_output_are_reserved() {
        let reservation = Reservation { input_estimate: 60_000, max_tokens: 8_192 };
        assert_eq!(reservation.tokens(&Bias::default()), 68_192.0);
    }

    #[test]
    fn cache_reads_are_free_and_output_burns() {
        let usage = Usage { input: 100, output: 20, cache_read: 60_000, cache_write_5m: 7, cache_write_1h: 3, reasoning: Some(5) };
        assert_eq!(settled(&usage, 5.0), 210.0);
        assert_eq!(settled(&usage, 1.0), 130.0);
    }

    #[test]
    fn the_bias_approaches_the_true_ratio() {
        let mut bias = Bias::default();
        for _ in 0..400 {
            bias.learn(10_000, &prompt(12_500));
        }
        assert!((bias.factor() - 1.25).abs() < 0.01, "{bias:?}");
    }

    #[test]
    fn one_odd_call_moves_the_bias_little_and_nonsense_not_at_all() {
        let mut bias = Bias::default();
        bias.learn(10, &prompt(1_000));
        assert!(bias.factor() < 1.1, "{bias:?}");
        let before = bias;
        bias.learn(0, &prompt(1_000));
        bias.learn(1_000, &Usage::default());
        assert_eq!(bias, before);
    }

    #[test]
    fn a_broken_estimator_is_followed_only_so_far() {
        let mut bias = Bias::default();
        for _ in 0..1_000 {
            bias.learn(1, &prompt(1_000_000));
        }
        assert_eq!(bias.factor(), FACTOR_MAX);
    }
}
