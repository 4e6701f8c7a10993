//! Money as integers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Millionths of a US dollar. Never a float.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroUsd(pub i64);

impl MicroUsd {
    /// Sum, saturating.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for MicroUsd {
    /// `$0.012345`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        write!(f, "{sign}${}.{:06}", magnitude / 1_000_000, magnitude % 1_000_000)
    }
}

/// A price: billionths of a US dollar per token (= micro-dollars per thousand tokens, exactly).
///
/// `$3 per million tokens` is `3_000` nano-dollars per token; the cheapest row today, $0.0088 per million,
/// needs pico precision, so the unit is 10^-12 dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PicoUsdPerToken(pub u64);

impl PicoUsdPerToken {
    /// Cost of `tokens` in pico-dollars (10^-12).
    #[must_use]
    pub fn times(self, tokens: u64) -> u128 {
        u128::from(self.0) * u128::from(tokens)
    }
}

/// Rounds pico-dollars to micro-dollars, half up.
#[must_use]
pub fn to_micro_usd(pico: u128) -> MicroUsd {
    let micro = (pico + 500_000) / 1_000_000;
    MicroUsd(i64::try_from(micro).unwrap_or(i64::MAX))
}
