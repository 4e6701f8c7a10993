//! Durations and sizes with units.

use std::time::Duration;

/// Units of durations in milliseconds, largest first.
const DURATION_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of sizes in bytes: binary ones largest first (used to show), then decimal ones.
const SIZE_UNITS: [(&str, u64); 7] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];

/// Reads `500ms`, `30s`, `2m`, `1h30m`, `1d`. Every number needs its unit.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let after = after.trim_start();
        let unit_length = after.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_length)?;
        let (_, milliseconds) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(*milliseconds)?)?;
        rest = after.trim_start();
    }
    Some(Duration::from_millis(total))
}

/// Writes a duration in the largest unit that divides it.
pub(crate) fn show_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    DURATION_UNITS
        .iter()
        .find(|(_, unit)| milliseconds.is_multiple_of(*unit))
        .map_or_else(String::new, |(name, unit)| format!("{}{name}", milliseconds / unit))
}

/// Reads `64 MiB`, `10MB`, `512 B`. The unit is needed; its case does not matter.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text.trim())?;
    let unit = unit.trim_start();
    let (_, bytes) = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*bytes)
}

/// Writes a size in the largest binary unit that divides it.
pub(crate) fn show_size(bytes: u64) -> String {
    if bytes == 0 {
        return "0 B".to_owned();
    }
    SIZE_UNITS
        .iter()
        .find(|(_, unit)| bytes.is_multiple_of(*unit))
        .map_or_else(String::new, |(name, unit)| format!("{} {name}", bytes / unit))
}

/// The digits at the start, and what follows them.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let length = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(length)?;
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, milliseconds) in
            [("500ms", 500), ("30s", 30_000), ("2m", 120_000), ("1h30m", 5_400_000), (" 1d ", 86_400_000), ("5 s", 5_000)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn durations_without_or_with_wrong_units_are_refused() {
        for text in ["", " ", "30", "s", "30x", "-1s", "1.5s", "30S", "1h30", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in
            [("64 MiB", 64 << 20), ("64mib", 64 << 20), ("10MB", 10_000_000), ("512 B", 512), ("1 kB", 1_000), ("2 GiB", 2 << 30)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "64", "MiB", "64 MiBs", "-1 B", "1.5 MiB", "18446744073709551615 KiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_shown_duration_reads_back_as_itself(milliseconds in 0u64..=10_000_000_000_000) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }

        #[test]
        fn a_shown_size_reads_back_as_itself(bytes in any::<u64>()) {
            prop_assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
        }

        #[test]
        fn a_compound_duration_is_the_sum_of_its_parts(hours in 0u64..1000, minutes in 0u64..1000, seconds in 0u64..1000, rest in 0u64..1000) {
            let text = format!("{hours}h{minutes}m {seconds}s{rest}ms");
            let sum = Duration::from_secs(hours * 3600 + minutes * 60 + seconds) + Duration::from_millis(rest);
            prop_assert_eq!(parse_duration(&text), Some(sum));
        }

        #[test]
        fn no_text_makes_the_unit_readers_panic(text in "\\PC{0,24}") {
            let duration = parse_duration(&text);
            let size = parse_size(&text);
            // Whatever is taken began with a digit.
            let digit_first = text.trim().starts_with(|letter: char| letter.is_ascii_digit());
            prop_assert!(digit_first || (duration.is_none() && size.is_none()));
        }
    }
}
