//! Weighted rendezvous hashing: where a conversation lives before it has lived anywhere.
//!
//! Every target draws a score from (conversation, target); the highest wins. A target that comes or goes moves only the
//! conversations it wins or loses, and replicas that know the same targets agree without talking.

/// Weights are rounded to powers of this: replicas whose estimates differ by a tenth still agree most of the time.
const WEIGHT_STEP: f64 = 1.25;

/// The weight of a target that refills at `rate` (units per second), rounded to a power of 1.25.
#[must_use]
pub fn weight(rate: f64) -> f64 {
    let step = WEIGHT_STEP.log2();
    ((rate.max(f64::MIN_POSITIVE).log2() / step).round() * step).exp2()
}

/// The score of a target for a conversation. Above 0; proportional weights win proportionally often.
#[must_use]
pub fn score(conversation: u64, target: u64, weight: f64) -> f64 {
    // -weight / ln(u) for a u in (0, 1): the usual exponential race.
    -weight / unit(mix(conversation, target)).ln()
}

/// A fixed finaliser over both numbers (multiplications and shifts as in SplitMix64): part of the agreement between replicas.
fn mix(conversation: u64, target: u64) -> u64 {
    let mut word = conversation.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ target.rotate_left(32).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The upper 32 bits as a number strictly between 0 and 1.
fn unit(word: u64) -> f64 {
    let upper = u32::try_from(word >> 32).unwrap_or(u32::MAX);
    (f64::from(upper) + 0.5) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn winner(conversation: u64, targets: &[(u64, f64)]) -> u64 {
        let scored = targets.iter().map(|(target, weight)| (score(conversation, *target, *weight), *target));
        scored.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap().1
    }

    #[test]
    fn conversations_are_shared_by_weight() {
        let targets = [(11, 1.0), (22, 2.0), (33, 5.0)];
        let mut won = [0u32; 3];
        for conversation in 0..8_000 {
            let place = targets.iter().position(|(target, _)| *target == winner(conversation, &targets)).unwrap();
            won[place] += 1;
        }
        for (won, (_, weight)) in won.iter().zip(targets) {
            assert!((f64::from(*won) / 1_000.0 - weight).abs() < 0.15, "{won} for weight {weight}");
        }
    }

    #[test]
    fn a_target_that_leaves_moves_only_its_own_conversations() {
        let all = [(11, 1.0), (22, 1.0), (33, 1.0)];
        for conversation in 0..1_000 {
            let before = winner(conversation, &all);
            if before != 33 {
                assert_eq!(winner(conversation, &all[..2]), before);
            }
        }
    }

    #[test]
    fn weights_are_rounded_so_that_close_estimates_agree() {
        assert_eq!(weight(1_000.0), weight(1_040.0));
        assert!(weight(1_300.0) > weight(1_000.0));
        assert!((weight(1_000.0) / 1_000.0 - 1.0).abs() < 0.13);
        assert!(weight(0.0) > 0.0 && weight(0.0).is_finite());
    }

    #[test]
    fn scores_are_positive_and_finite_for_all_numbers() {
        for (conversation, target) in [(0, 0), (u64::MAX, u64::MAX), (0, u64::MAX), (1, 2)] {
            let score = score(conversation, target, 1.0);
            assert!(score.is_finite() && score > 0.0);
        }
    }
}
