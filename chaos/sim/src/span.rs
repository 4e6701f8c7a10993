//! Times as scenario files and journals write them: durations with units, instants in nanoseconds.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Units and their lengths in nanoseconds, longest first.
const UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// A duration that is written with its unit: `350ms`, `1.5s`, `6m`, `1h30m`. A number without a unit is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub Duration);

/// A [`Span`] with a sign: `-7m`, `+250ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignedSpan {
    /// How long.
    pub length: Duration,
    /// True for a minus sign.
    pub negative: bool,
}

/// An instant of a journal: nanoseconds since the start of the simulator. JSON: an integer (exact up to 104 days).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub u64);

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no duration: write a number and a unit, as `350ms`, `1.5s`, `6m` or `1h30m`")]
pub struct SpanError {
    /// What was written.
    pub text: String,
}

impl Span {
    /// So many milliseconds.
    #[must_use]
    pub const fn millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// So many seconds.
    #[must_use]
    pub const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl Nanos {
    /// As a duration since the start of the simulator.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

impl From<Duration> for Nanos {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let wrong = || SpanError { text: text.to_owned() };
        let (mut rest, mut total, mut parts) = (text.trim(), 0_u128, 0);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
            let (number, after) = rest.split_at(digits);
            let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, after) = after.split_at(letters);
            let length = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, length)| *length).ok_or_else(wrong)?;
            total = decimal(number, length).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
            (rest, parts) = (after.trim_start(), parts + 1);
        }
        if parts == 0 {
            return Err(wrong());
        }
        u64::try_from(total).map(|nanos| Self(Duration::from_nanos(nanos))).map_err(|_| wrong())
    }
}

/// `number` (digits with at most one dot) times `length`, rounded down.
fn decimal(number: &str, length: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = fraction.len();
    // Nine decimals reach a nanosecond of a second; more than that is a typing error.
    if whole.is_empty() || digits == 0 || digits > 9 {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let fraction: u128 = fraction.parse().ok()?;
    let scale = 10_u128.checked_pow(u32::try_from(digits).ok()?)?;
    whole.checked_mul(length)?.checked_add(fraction * length / scale)
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_nanos();
        if left == 0 {
            return formatter.write_str("0s");
        }
        for (unit, length) in UNITS {
            if left >= length {
                write!(formatter, "{}{unit}", left / length)?;
                left %= length;
            }
        }
        Ok(())
    }
}

impl FromStr for SignedSpan {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let trimmed = text.trim();
        let (negative, rest) = match trimmed.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
        };
        let Span(length) = rest.parse().map_err(|_| SpanError { text: text.to_owned() })?;
        Ok(Self { length, negative })
    }
}

impl fmt::Display for SignedSpan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", if self.negative { "-" } else { "" }, Span(self.length))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for SignedSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SignedSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// For fields that are plain durations in Rust and spans in files.
pub(crate) mod text {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer, Span};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        Span(*duration).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Span::deserialize(deserializer).map(Duration::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units_only() {
        for (text, nanos) in [
            ("350ms", 350_000_000),
            ("1.5s", 1_500_000_000),
            ("6m", 360_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("0s", 0),
            ("2us", 2_000),
            ("1d", 86_400_000_000_000),
            ("1m 30s", 90_000_000_000),
        ] {
            assert_eq!(text.parse::<Span>().map(|span| span.0), Ok(Duration::from_nanos(nanos)), "{text}");
        }
        for text in ["", "5", "s", "-5s", "1.s", "1..5s", ".5s", "5 parsecs", "1h30", "999999999999d", "5S"] {
            assert_eq!(text.parse::<Span>(), Err(SpanError { text: text.to_owned() }), "{text}");
        }
    }

    #[test]
    fn signs_are_kept() {
        let behind: SignedSpan = "-7m".parse().unwrap();
        assert_eq!((behind.length, behind.negative, behind.to_string().as_str()), (Duration::from_secs(420), true, "-7m"));
        assert!(!"+250ms".parse::<SignedSpan>().unwrap().negative);
        assert!("--7m".parse::<SignedSpan>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn every_duration_survives_a_round_trip(nanos in 0_u64..=u64::MAX) {
            let span = Span(Duration::from_nanos(nanos));
            proptest::prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
        }
    }
}
