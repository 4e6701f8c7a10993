//! Named streams of random numbers.
//!
//! Each purpose and item draws from its own stream, so that adding a draw in one place, or taking a fault away,
//! leaves every other place as it was under the same seed. ChaCha8 keeps its numbers across versions and platforms.

use std::ops::RangeInclusive;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use sha2::{Digest as _, Sha256};

/// One stream. Clones draw the same numbers.
#[derive(Debug, Clone)]
pub(crate) struct Stream(ChaCha8Rng);

/// The stream called `name` for item `number` of a run with `seed`.
pub(crate) fn stream(seed: u64, name: &str, number: u64) -> Stream {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(number.to_be_bytes());
    // The only part of varying length comes last: no two different triples give the same bytes.
    hash.update(name.as_bytes());
    Stream(ChaCha8Rng::from_seed(hash.finalize().into()))
}

impl Stream {
    /// Any number.
    pub(crate) fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `limit`; 0 if that is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // Multiply-shift: uniform but for a bias below limit / 2^64.
        u64::try_from((u128::from(self.u64()) * u128::from(limit)) >> 64).unwrap_or(0)
    }

    /// A number of the range, both ends included.
    pub(crate) fn within(&mut self, range: RangeInclusive<usize>) -> usize {
        let width = range.end().saturating_sub(*range.start()).saturating_add(1);
        range.start() + usize::try_from(self.below(width as u64)).unwrap_or(0)
    }

    /// Heads or tails.
    pub(crate) fn bool(&mut self) -> bool {
        self.u64() & 1 == 1
    }

    /// A number from 0 (included) to 1 (excluded), in steps of 2^-53.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub(crate) fn f64(&mut self) -> f64 {
        (self.u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One standard normal draw (Box-Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        // 1 - f64() lies in (0, 1], so that the logarithm is finite.
        (-2.0 * (1.0 - self.f64()).ln()).sqrt() * (std::f64::consts::TAU * self.f64()).cos()
    }

    /// A log-normal factor around 1 whose 99th percentile is `ratio`.
    pub(crate) fn lognormal(&mut self, ratio: f64) -> f64 {
        let sigma = ratio.max(1.0).ln() / Z99;
        (sigma * self.normal()).exp()
    }
}

/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874_040_841;

/// A request id in the form of a version-4 UUID.
pub(crate) fn request_id(rng: &mut Stream) -> String {
    let high = (rng.u64() & 0xffff_ffff_ffff_0fff) | 0x4000;
    let low = (rng.u64() & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xffff, low >> 48, low & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_under_one_seed_and_differ_by_name_number_and_seed() {
        let first = stream(1, "frames", 1).u64();
        assert_eq!(first, stream(1, "frames", 1).u64());
        for other in [stream(1, "frames", 2), stream(1, "pace", 1), stream(2, "frames", 1)] {
            assert_ne!(first, other.clone().u64());
        }
    }

    #[test]
    fn the_numbers_of_a_stream_are_fixed_for_ever() {
        // Stored seeds mean something only as long as this holds.
        let mut stream = stream(7, "net", 3);
        assert_eq!((stream.u64(), stream.below(1_000), stream.within(5..=9)), (9_904_102_451_479_799_404, 898, 9));
    }

    #[test]
    fn draws_stay_in_their_ranges_and_reach_both_ends() {
        let mut rng = stream(1, "ranges", 0);
        let draws: Vec<usize> = (0..1_000).map(|_| rng.within(2..=4)).collect();
        assert_eq!((draws.iter().min(), draws.iter().max()), (Some(&2), Some(&4)));
        assert_eq!((rng.below(0), rng.below(1), rng.within(6..=6)), (0, 0, 6));
        assert!((0..1_000).map(|_| rng.f64()).all(|draw| (0.0..1.0).contains(&draw)));
        let mean = (0..10_000).map(|_| rng.normal()).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.05, "{mean}");
        let above = (0..10_000).filter(|_| rng.lognormal(3.0) > 3.0).count();
        assert!((60..150).contains(&above), "one in a hundred: {above}");
    }

    #[test]
    fn request_ids_have_the_form_of_a_version_4_uuid() {
        let id = request_id(&mut stream(3, "id", 0));
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }
}
