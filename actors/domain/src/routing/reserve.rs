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
    /// Tokens, with the estimate corrected by `factor`: of its conversation where that is known ([`Drift`]), else of its model
    /// ([`Bias::factor`]).
    #[must_use]
    pub fn tokens(&self, factor: f64) -> f64 {
        amount(self.input_estimate) * factor + amount(self.max_tokens)
    }
}

/// What the size of a call was estimated from, for whoever learns how large it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Input tokens, cached ones included.
    pub input: u64,
    /// Its conversation, if its prompt is kept in a cache.
    pub conversation: Option<u64>,
}

/// Real over estimated input tokens of one conversation.
///
/// The same text always counts the same, and a turn repeats the turns before it: what one turn was off by, the next one will be.
/// One bucket may hold a single turn, and then this error decides whether there is room.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift(f32);

/// Part of a drift that the next turn leaves: one odd turn is forgotten after a few.
const DRIFT_KEPT: f32 = 0.3;

impl Drift {
    /// What a first turn shows. `None` without an estimate or without usage.
    #[must_use]
    pub fn of(input_estimate: u64, usage: &Usage) -> Option<Self> {
        let real = usage.prompt();
        #[allow(clippy::cast_possible_truncation, reason = "a ratio near 1 loses nothing that counts")]
        let ratio = (amount(real) / amount(input_estimate)) as f32;
        (input_estimate > 0 && real > 0).then_some(Self(ratio))
    }

    /// Learns what another turn shows.
    #[must_use]
    pub fn then(self, newer: Self) -> Self {
        Self(self.0 * DRIFT_KEPT + newer.0 * (1.0 - DRIFT_KEPT))
    }

    /// By what an estimate is multiplied.
    #[must_use]
    pub fn factor(self) -> f64 {
        f64::from(self.0).clamp(1.0 / FACTOR_MAX, FACTOR_MAX)
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
        assert_eq!(reservation.tokens(Bias::default().factor()), 68_192.0);
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

    #[test]
    fn what_a_turn_was_off_by_is_known_of_the_next_and_one_odd_turn_is_forgotten() {
        let drift = |estimate, real| Drift::of(estimate, &prompt(real));
        assert_eq!((drift(0, 10), drift(10, 0)), (None, None));
        let first = drift(1_000, 1_200).unwrap();
        assert!((first.factor() - 1.2).abs() < 1e-6);
        let odd = first.then(drift(1_000, 9_000).unwrap());
        assert_eq!(odd.factor(), FACTOR_MAX, "broken estimates multiply nothing by ten");
        let after = (0..4).fold(odd, |drift, _| drift.then(first));
        assert!((after.factor() - 1.2).abs() < 0.1, "{after:?}");
        let reservation = Reservation { input_estimate: 10_000, max_tokens: 100 };
        assert!((reservation.tokens(first.factor()) - 12_100.0).abs() < 0.01);
    }
}
