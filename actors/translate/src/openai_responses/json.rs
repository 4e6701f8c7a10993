//! JSON into a stream of events.

use std::io;

use outcrop_domain::{error::GatewayError, json::JsonText};
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter};

pub(super) use crate::dialect::json::{push_number, push_string};

/// Appends `value` as JSON that holds no character which ends a line by anybody's rules: see [`push_string`].
pub(crate) fn push_value<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let before = out.len();
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, OneLine);
    if value.serialize(&mut serializer).is_err() {
        // Only a map with keys that are not strings has no JSON form, and no event holds one.
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
}

/// `value` as JSON text.
///
/// # Errors
/// A bug: the value has no JSON form.
pub(super) fn text_of<T: Serialize + ?Sized>(value: &T) -> Result<JsonText, GatewayError> {
    JsonText::of(value).map_err(|error| GatewayError::Internal { message: format!("the answer has no JSON form: {error}") })
}

/// Escapes U+0085, U+2028 and U+2029, which JSON allows bare, inside strings and inside raw JSON: there they can only
/// stand in strings.
struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        write_escaped(writer, fragment)
    }

    fn write_raw_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // Raw JSON may be laid out over several lines; between tokens a space does as well.
        let mut rest = fragment;
        while let Some(place) = rest.find(['\n', '\r']) {
            let (line, after) = rest.split_at(place);
            write_escaped(writer, line)?;
            writer.write_all(b" ")?;
            rest = after.get(1..).unwrap_or_default();
        }
        write_escaped(writer, rest)
    }

    fn write_char_escape<W: io::Write + ?Sized>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        serde_json::ser::CompactFormatter.write_char_escape(writer, escape)
    }
}

fn write_escaped<W: io::Write + ?Sized>(writer: &mut W, fragment: &str) -> io::Result<()> {
    let mut rest = fragment;
    while let Some(place) = rest.find(['\u{85}', '\u{2028}', '\u{2029}']) {
        let (plain, after) = rest.split_at(place);
        writer.write_all(plain.as_bytes())?;
        let mut characters = after.chars();
        let escape: &[u8] = match characters.next() {
            Some('\u{85}') => b"\\u0085",
            Some('\u{2028}') => b"\\u2028",
            _ => b"\\u2029",
        };
        writer.write_all(escape)?;
        rest = characters.as_str();
    }
    writer.write_all(rest.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn written<T: Serialize + ?Sized>(value: &T) -> String {
        let mut out = Vec::new();
        push_value(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn any_text_survives_on_one_line(text in any::<String>()) {
            let json = written(&text);
            let broken = json.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
            prop_assert!(!broken, "{}", json);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn raw_json_over_several_lines_becomes_one() {
        let text = "{\"a\":\n\r\n [1,\t\"x\u{2028}\u{85}\\n\"]\n}";
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        let json = written(&raw);
        assert!(!json.contains(['\n', '\r', '\u{85}', '\u{2028}']), "{json}");
        let (before, after): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(text).unwrap(), serde_json::from_str(&json).unwrap());
        assert_eq!(before, after);
    }
}
