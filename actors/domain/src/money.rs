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

/// A price: 10^-12 US dollars per token (= micro-dollars per million tokens, exactly).
///
/// `$3 per million tokens` is `3_000_000`; the cheapest row today, $0.0088 per million, is `8_800`.
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

/// A price of one unit that is not a token (an image, a query, a second): 10^-12 dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PicoUsd(pub u64);

/// Why a price or factor could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Something other than digits and at most one point between digits.
    #[error("`{text}` is not a decimal number such as \"0.25\"")]
    Malformed {
        /// What was read.
        text: String,
    },
    /// More digits behind the point than the unit can hold.
    #[error("`{text}` has more than {places} digits behind the point")]
    TooPrecise {
        /// What was read.
        text: String,
        /// The most digits behind the point.
        places: u32,
    },
    /// Too large.
    #[error("`{text}` is too large")]
    TooLarge {
        /// What was read.
        text: String,
    },
}

/// Reads a non-negative decimal text exactly as an integer of 10^-`places` units.
///
/// # Errors
/// When the text is no plain decimal number, or does not fit the unit without rounding.
pub fn parse_decimal(text: &str, places: u32) -> Result<u64, DecimalError> {
    let malformed = || DecimalError::Malformed { text: text.to_owned() };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(malformed());
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = u32::try_from(fraction.len()).ok().and_then(|length| places.checked_sub(length));
    let Some(missing) = missing else {
        return Err(DecimalError::TooPrecise { text: text.to_owned(), places });
    };
    let value = format!("{whole}{fraction}").parse::<u64>().ok().and_then(|digits| digits.checked_mul(10u64.checked_pow(missing)?));
    value.ok_or_else(|| DecimalError::TooLarge { text: text.to_owned() })
}

impl PicoUsdPerToken {
    /// Reads dollars per million tokens, e.g. `"0.0088"`, exactly.
    ///
    /// # Errors
    /// When the text is no decimal number, or needs more than pico precision.
    pub fn from_usd_per_million(text: &str) -> Result<Self, DecimalError> {
        parse_decimal(text, 6).map(Self)
    }
}

impl PicoUsd {
    /// Reads dollars, e.g. `"0.00006"`, exactly.
    ///
    /// # Errors
    /// When the text is no decimal number, or needs more than pico precision.
    pub fn from_usd(text: &str) -> Result<Self, DecimalError> {
        parse_decimal(text, 12).map(Self)
    }
}

/// Rounds pico-dollars to micro-dollars, half up.
#[must_use]
pub fn to_micro_usd(pico: u128) -> MicroUsd {
    let micro = pico.saturating_add(500_000) / 1_000_000;
    MicroUsd(i64::try_from(micro).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly() {
        assert_eq!(PicoUsdPerToken::from_usd_per_million("0.0088"), Ok(PicoUsdPerToken(8_800)));
        assert_eq!(PicoUsdPerToken::from_usd_per_million("15"), Ok(PicoUsdPerToken(15_000_000)));
        assert_eq!(PicoUsdPerToken::from_usd_per_million("3.30"), Ok(PicoUsdPerToken(3_300_000)));
        assert_eq!(PicoUsd::from_usd("0.00006"), Ok(PicoUsd(60_000_000)));
        assert_eq!(parse_decimal("1.1", 4), Ok(11_000));
    }

    #[test]
    fn anything_but_a_plain_decimal_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "1.2.3", "NaN"] {
            assert!(matches!(parse_decimal(text, 6), Err(DecimalError::Malformed { .. })), "{text}");
        }
        assert!(matches!(parse_decimal("0.1234567", 6), Err(DecimalError::TooPrecise { .. })));
        assert!(matches!(parse_decimal("99999999999999999999", 6), Err(DecimalError::TooLarge { .. })));
    }

    #[test]
    fn money_prints_with_six_places() {
        assert_eq!(MicroUsd(12_345).to_string(), "$0.012345");
        assert_eq!(MicroUsd(-2_000_001).to_string(), "-$2.000001");
        assert_eq!(to_micro_usd(499_999), MicroUsd(0));
        assert_eq!(to_micro_usd(500_000), MicroUsd(1));
    }
}
