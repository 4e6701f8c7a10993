//! Quantities as scenario files write them. Every one has a unit.

use std::{fmt, time::Duration};

use outcrop_sim::Span;

/// Reads `350ms`, `1.5s`, `6m`, `1h30m`.
///
/// # Errors
/// A text without a unit, or that is no duration.
pub fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<Span>().map(Duration::from).map_err(|error| error.to_string())
}

/// A time that is fixed or drawn: `800ms`, `exp 800ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Always the same.
    Fixed(Duration),
    /// Exponentially distributed with this mean.
    Exponential(Duration),
}

impl Pause {
    /// Reads one.
    ///
    /// # Errors
    /// As [`duration`].
    pub fn read(text: &str) -> Result<Self, String> {
        match text.strip_prefix("exp ") {
            Some(mean) => duration(mean).map(Self::Exponential),
            None => duration(text).map(Self::Fixed),
        }
    }

    /// One draw.
    pub fn draw(self, draw: &mut crate::draw::Draw) -> Duration {
        match self {
            Self::Fixed(length) => length,
            Self::Exponential(mean) => draw.exponential(mean),
        }
    }
}

/// How often something is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// So many a second.
    PerSecond(f64),
    /// This share of the quota that binds.
    OfQuota(f64),
}

impl Rate {
    /// Reads `40/s`, `90/min` or `95% of quota`.
    ///
    /// # Errors
    /// Anything else.
    pub fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no rate: write `40/s`, `90/min` or `95% of quota`");
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0).ok_or_else(wrong);
        if let Some(percent) = text.strip_suffix("% of quota") {
            number(percent).map(|percent| Self::OfQuota(percent / 100.0))
        } else if let Some(rate) = text.strip_suffix("/s") {
            number(rate).map(Self::PerSecond)
        } else if let Some(rate) = text.strip_suffix("/min") {
            number(rate).map(|rate| Self::PerSecond(rate / 60.0))
        } else {
            Err(wrong())
        }
    }
}

/// What a measured number must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// How it is compared.
    pub relation: Relation,
    /// With what; shares as 0 to 1, times in seconds.
    pub value: f64,
    /// How it was written.
    pub unit: Unit,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `<=`.
    AtMost,
    /// `>=`.
    AtLeast,
    /// `=`: a bare number.
    Exactly,
}

/// Unit of a measured number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A count or ratio.
    Plain,
    /// A share, written in percent.
    Percent,
    /// A time in seconds.
    Seconds,
}

impl Bound {
    /// Reads `<= 2%`, `>= 97%`, `<= 1.1`, `<= 5s`, `0`.
    ///
    /// # Errors
    /// Anything else.
    pub fn read(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let (relation, rest) = if let Some(rest) = trimmed.strip_prefix("<=") {
            (Relation::AtMost, rest)
        } else if let Some(rest) = trimmed.strip_prefix(">=") {
            (Relation::AtLeast, rest)
        } else {
            (Relation::Exactly, trimmed)
        };
        let rest = rest.trim();
        let wrong = || format!("`{text}` is no bound: write `<= 2%`, `>= 97%`, `<= 1.1`, `<= 5s` or a number");
        if let Some(percent) = rest.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
            return Ok(Self { relation, value: percent / 100.0, unit: Unit::Percent });
        }
        if let Ok(value) = rest.parse::<f64>() {
            return if value.is_finite() { Ok(Self { relation, value, unit: Unit::Plain }) } else { Err(wrong()) };
        }
        let length = duration(rest).map_err(|_| wrong())?;
        Ok(Self { relation, value: length.as_secs_f64(), unit: Unit::Seconds })
    }

    /// A number as read from a file.
    #[must_use]
    pub fn exactly(value: f64) -> Self {
        Self { relation: Relation::Exactly, value, unit: Unit::Plain }
    }

    /// A measured number keeps it.
    #[must_use]
    pub fn holds(&self, measured: f64) -> bool {
        /// Sums of shares are not exact to the last bit.
        const EQUAL: f64 = 1e-9;
        match self.relation {
            Relation::AtMost => measured <= self.value + EQUAL,
            Relation::AtLeast => measured >= self.value - EQUAL,
            Relation::Exactly => (measured - self.value).abs() <= EQUAL,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.relation {
            Relation::AtMost => "<= ",
            Relation::AtLeast => ">= ",
            Relation::Exactly => "= ",
        })?;
        f.write_str(&shown(self.value, self.unit))
    }
}

/// A number in its unit: `2.5%`, `0.35 s`, `12`.
#[must_use]
pub fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Percent => format!("{}%", trimmed(value * 100.0, 3)),
        Unit::Seconds => format!("{} s", trimmed(value, 3)),
        Unit::Plain => trimmed(value, 3),
    }
}

fn trimmed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_need_units() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(duration("15").is_err());
        assert_eq!(Pause::read("exp 800ms"), Ok(Pause::Exponential(Duration::from_millis(800))));
        assert_eq!(Rate::read("95% of quota"), Ok(Rate::OfQuota(0.95)));
        assert_eq!(Rate::read("90/min"), Ok(Rate::PerSecond(1.5)));
        for bad in ["40", "fast", "-1/s", "95%"] {
            assert!(Rate::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bounds_are_read_compared_and_shown() {
        let bound = Bound::read("<= 2%").unwrap();
        assert!(bound.holds(0.02) && !bound.holds(0.021));
        assert_eq!(bound.to_string(), "<= 2%");
        assert!(Bound::read(">= 97%").unwrap().holds(0.98));
        assert!(Bound::read("<= 1500ms").unwrap().holds(1.5));
        assert!(Bound::exactly(0.0).holds(0.0) && !Bound::exactly(0.0).holds(1.0));
        for bad in ["", "~ 3", "<= many", "nan"] {
            assert!(Bound::read(bad).is_err(), "{bad}");
        }
    }
}
