//! Strings: formats, patterns, lengths, and words from the text.

use serde_json::{Map, Value};

use super::super::hints::Hints;
use super::{Place, pattern};

/// Longest string padding or a pattern may grow to.
const LONGEST: usize = 4096;

/// A string for the schema.
pub(super) fn string(schema: &Map<String, Value>, hints: &Hints, place: Place<'_>) -> String {
    let size = |key: &str| schema.get(key).and_then(Value::as_f64).filter(|size| *size >= 0.0).map(|size| size as usize);
    let least = size("minLength").unwrap_or(0).min(LONGEST);
    let most = size("maxLength").unwrap_or(usize::MAX);
    let spoken = hints.string(place.name, place.variant);
    if let Some(source) = schema.get("pattern").and_then(Value::as_str) {
        let fits = pattern::matches(source, &spoken) == Some(true) && (least..=most).contains(&spoken.chars().count());
        if fits && place.variant == 0 {
            return spoken;
        }
        if let Some(made) = pattern::generate(source, (least, most), place.variant) {
            return made;
        }
    }
    if let Some(made) = schema.get("format").and_then(Value::as_str).and_then(|format| formatted(format, hints, place.variant)) {
        return made;
    }
    sized(&spoken, least, most, place.variant)
}

/// The text cut or padded to its bounds; a variant keeps its number when it is cut.
fn sized(text: &str, least: usize, most: usize, variant: usize) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    if chars.len() > most {
        chars.truncate(most);
        if variant > 0 {
            let mark: Vec<char> = variant.to_string().chars().collect();
            let keep = most.saturating_sub(mark.len());
            chars.truncate(keep);
            chars.extend(mark.iter().skip(mark.len().saturating_sub(most)));
        }
    }
    // A single letter is too short to hold a number: the alphabet is the variant.
    if variant > 0 && most == 1 {
        let letter = u8::try_from(variant % 26).map_or('a', |offset| char::from(b'a' + offset));
        return letter.to_string();
    }
    while chars.len() < least {
        chars.push('x');
    }
    chars.into_iter().collect()
}

/// A sample of a standard format, from the text where it holds one.
fn formatted(format: &str, hints: &Hints, variant: usize) -> Option<String> {
    if variant == 0
        && let Some(spoken) = hints.formatted(format)
    {
        return Some(spoken);
    }
    let two = |base: usize, span: usize| format!("{:02}", base + variant % span);
    let number = variant + 1;
    Some(match format {
        "date" => format!("2026-01-{}", two(1, 28)),
        "date-time" => format!("2026-01-15T{}:00:00Z", two(0, 24)),
        "time" => format!("{}:00:00Z", two(0, 24)),
        "duration" => format!("P{number}D"),
        "email" | "idn-email" if variant == 0 => "user@example.com".to_owned(),
        "email" | "idn-email" => format!("user{number}@example.com"),
        "hostname" | "idn-hostname" => format!("host{number}.example.com"),
        "ipv4" => format!("192.0.2.{}", 1 + variant % 254),
        "ipv6" => format!("2001:db8::{number:x}"),
        "uri" | "iri" | "url" if variant == 0 => "https://example.com/".to_owned(),
        "uri" | "iri" | "url" => format!("https://example.com/{number}"),
        "uri-reference" | "iri-reference" => format!("/item/{number}"),
        "uri-template" => format!("/item{number}/{{id}}"),
        "uuid" => format!("123e4567-e89b-42d3-a456-{:012x}", 0x4266_1417_4000_u64 + u64::try_from(variant).unwrap_or(0)),
        "json-pointer" => format!("/item/{number}"),
        "relative-json-pointer" => number.to_string(),
        "regex" => format!("^item{number}$"),
        "byte" | "base64" => "aGVsbG8=".to_owned(),
        _ => return None,
    })
}
