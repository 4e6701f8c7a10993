//! The simulator's clock: one epoch plus the runtime's own time, so that a paused runtime pauses it too.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Wall-clock time as the simulated AWS sees it.
///
/// It starts at an epoch and advances with tokio's clock. Under a paused runtime a signature therefore expires
/// exactly when the test advances time far enough.
#[derive(Debug, Clone, Copy)]
pub struct SimClock {
    epoch: SystemTime,
    origin: Instant,
}

impl SimClock {
    /// A clock that shows the machine's present time. It counts from the last whole minute, so that quotas that fill by the
    /// minute do so with the minutes of the wall, as everybody sees them.
    #[must_use]
    pub fn system() -> Self {
        const MINUTE: u128 = Duration::from_secs(60).as_nanos();
        let (wall, now) = (SystemTime::now(), Instant::now());
        let nanos = wall.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() % MINUTE);
        let into = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
        // A machine that has not run for a minute yet has no such moment.
        match now.checked_sub(into) {
            Some(origin) => Self { epoch: wall - into, origin },
            None => Self { epoch: wall, origin: now },
        }
    }

    /// A clock whose first reading is `epoch`.
    #[must_use]
    pub fn starting_at(epoch: SystemTime) -> Self {
        Self { epoch, origin: Instant::now() }
    }

    /// A clock that has not begun for a day: for tests that bring their own times.
    #[cfg(test)]
    pub(crate) fn not_begun() -> Self {
        Self { epoch: UNIX_EPOCH, origin: Instant::now() + Duration::from_secs(86_400) }
    }

    /// Time since the clock was made; every time in the journal counts from here.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// The runtime's instant at which [`SimClock::elapsed`] is `at`.
    pub(crate) fn instant(&self, at: Duration) -> Instant {
        self.origin + at
    }

    /// The present wall-clock time.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        self.epoch + self.elapsed()
    }
}

/// Writes seconds since 1970 as `20261120T141709Z`, the form used in signatures.
pub(crate) fn write_basic(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400);
    let of_day = seconds.rem_euclid(86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// Reads `20261120T141709Z` as seconds since 1970.
pub(crate) fn read_basic(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes.get(8) != Some(&b'T') || bytes.get(15) != Some(&b'Z') {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        if part.bytes().all(|byte| byte.is_ascii_digit()) { part.parse().ok() } else { None }
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Whole seconds since 1970, negative before.
pub(crate) fn seconds_of(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    }
}

/// Days from 1970-01-01 to the given date of the Gregorian calendar (years counted from March).
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let of_era = shifted_year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days_before`].
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_of_the_system_counts_from_a_whole_minute() {
        let clock = SimClock::system();
        let begin = clock.epoch.duration_since(UNIX_EPOCH).unwrap();
        assert!(begin.as_nanos().is_multiple_of(60_000_000_000) && clock.elapsed() < Duration::from_secs(61));
        let off = SystemTime::now().duration_since(clock.wall()).unwrap_or_else(|ahead| ahead.duration());
        assert!(off < Duration::from_secs(1), "it shows the machine's time: {off:?}");
    }

    #[test]
    fn basic_times_of_known_instants_are_written_and_read() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (1_795_184_229, "20261120T141709Z"),
            (4_102_444_799, "20991231T235959Z"),
        ] {
            assert_eq!(write_basic(seconds), text);
            assert_eq!(read_basic(text), Some(seconds));
        }
    }

    #[test]
    fn malformed_times_are_not_read() {
        for text in ["", "20261120", "20261120T141709", "20261320T141709Z", "2026112xT141709Z", "20261120 141709Z", "+0261120T141709Z"] {
            assert_eq!(read_basic(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_second_of_four_centuries_survives_a_round_trip(seconds in 0_i64..12_600_000_000) {
            proptest::prop_assert_eq!(read_basic(&write_basic(seconds)), Some(seconds));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_follows_the_runtime() {
        let clock = SimClock::starting_at(UNIX_EPOCH);
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(clock.elapsed(), Duration::from_secs(300));
        assert_eq!(seconds_of(clock.wall()), 300);
    }
}
