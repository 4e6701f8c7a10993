//! Named streams of random numbers.
//!
//! Every purpose and item has its own stream, keyed by (seed, name, number): taking one fault or one draw away leaves
//! all others as they were, so that a failing run can be shrunk.

use std::time::Duration;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore as _, SeedableRng as _},
};

/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874_040_841;

/// A stream of random numbers. ChaCha8: the same on every version and platform by contract.
#[derive(Debug, Clone)]
pub struct Draw(ChaCha8Rng);

impl Draw {
    /// The stream called `name` for item `number` of a run with `seed`.
    #[must_use]
    pub fn stream(seed: u64, name: &str, number: u64) -> Self {
        // FNV-1a over the name, then splitmix64 spreads 64 bits over the key.
        let hashed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut state = mix(mix(hashed ^ seed) ^ number);
        let mut key = [0_u8; 32];
        for part in key.chunks_exact_mut(8) {
            state = mix(state);
            part.copy_from_slice(&state.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Any number.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Evenly in [0, 1).
    pub fn unit(&mut self) -> f64 {
        // 53 bits are all that a double holds.
        let high = u32::try_from(self.bits() >> 43).unwrap_or(0);
        let low = u32::try_from(self.bits() >> 32).unwrap_or(0);
        (f64::from(high) + f64::from(low) / 4_294_967_296.0) / 2_097_152.0
    }

    /// Evenly in [0, `bound`); 0 when the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.bits() % bound }
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Time to the next event of a Poisson process with this mean distance.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        // 1 - unit lies in (0, 1], so that the logarithm is finite.
        Duration::try_from_secs_f64(-mean.as_secs_f64() * (1.0 - self.unit()).ln()).unwrap_or(mean)
    }

    /// A log-normal draw given by its median and 99th percentile.
    pub fn log_normal(&mut self, p50: f64, p99: f64) -> f64 {
        if p50 <= 0.0 {
            return 0.0;
        }
        let sigma = (p99 / p50).max(1.0).ln() / Z99;
        let normal = (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos();
        p50 * (sigma * normal).exp()
    }

    /// The index of one of `weights`, each as likely as its weight.
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let total: f64 = weights.iter().sum();
        let mut left = self.unit() * total;
        for (index, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return index;
            }
        }
        weights.len().saturating_sub(1)
    }
}

fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_under_one_seed_and_differ_by_name_number_and_seed() {
        let first = Draw::stream(1, "net", 1).bits();
        assert_eq!(first, Draw::stream(1, "net", 1).bits());
        for (seed, name, number) in [(1, "net", 2), (1, "client", 1), (2, "net", 1)] {
            assert_ne!(first, Draw::stream(seed, name, number).bits());
        }
    }

    #[test]
    fn draws_meet_their_distributions() {
        let mut draw = Draw::stream(3, "test", 0);
        let mean = (0..20_000).map(|_| draw.unit()).sum::<f64>() / 20_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        let waits = (0..20_000).map(|_| draw.exponential(Duration::from_secs(2)).as_secs_f64()).sum::<f64>() / 20_000.0;
        assert!((waits - 2.0).abs() < 0.06, "{waits}");
        let mut sizes: Vec<f64> = (0..20_000).map(|_| draw.log_normal(180.0, 1500.0)).collect();
        sizes.sort_by(f64::total_cmp);
        assert!((sizes[10_000] / 180.0 - 1.0).abs() < 0.05, "{}", sizes[10_000]);
        assert!((sizes[19_800] / 1500.0 - 1.0).abs() < 0.15, "{}", sizes[19_800]);
        let picked = (0..20_000).filter(|_| draw.weighted(&[1.0, 3.0]) == 1).count();
        assert!((14_500..15_500).contains(&picked), "{picked}");
    }
}
