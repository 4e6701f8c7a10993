//! Writes JSON straight into a byte buffer: the hot path of streaming has no room for a tree or a `Result`.

/// Appends `text` as a JSON string, quotes included.
///
/// U+0085, U+2028 and U+2029 are escaped too: JSON allows them bare, but client libraries that split a stream
/// into lines by Unicode's rules would cut the event in two there.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    for (position, byte) in bytes.iter().enumerate() {
        let length = match byte {
            0..0x20 | b'"' | b'\\' => 1,
            0xc2 if bytes.get(position + 1) == Some(&0x85) => 2,
            0xe2 if matches!(bytes.get(position + 1..position + 3), Some([0x80, 0xa8 | 0xa9])) => 3,
            _ => continue,
        };
        out.extend_from_slice(bytes.get(done..position).unwrap_or_default());
        done = position + length;
        push_escape(out, bytes.get(position..done).unwrap_or_default());
    }
    out.extend_from_slice(bytes.get(done..).unwrap_or_default());
    out.push(b'"');
}

/// Appends a number.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0_u8; 20];
    let mut rest = number;
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        length += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}

/// Appends `"name":`.
pub(crate) fn push_name(out: &mut Vec<u8>, name: &str) {
    push_string(out, name);
    out.push(b':');
}

/// Writes the escape of one character, given as its UTF-8 bytes.
fn push_escape(out: &mut Vec<u8>, character: &[u8]) {
    let short: &[u8] = match character {
        b"\"" => b"\\\"",
        b"\\" => b"\\\\",
        b"\n" => b"\\n",
        b"\r" => b"\\r",
        b"\t" => b"\\t",
        b"\x08" => b"\\b",
        b"\x0c" => b"\\f",
        [0xc2, ..] => b"\\u0085",
        [0xe2, _, 0xa8] => b"\\u2028",
        [0xe2, ..] => b"\\u2029",
        [control, ..] => return push_control(out, *control),
        [] => return,
    };
    out.extend_from_slice(short);
}

fn push_control(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u00");
    for nibble in [byte >> 4, byte & 15] {
        out.push(HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        push_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn any_text_survives(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&written(&text)).unwrap(), text);
        }

        #[test]
        fn any_number_survives(number in any::<u64>()) {
            let mut out = Vec::new();
            push_number(&mut out, number);
            prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }

    #[test]
    fn every_character_that_ends_a_line_somewhere_is_escaped() {
        let text = "a\u{85}b\u{2028}c\u{2029}d\n\r\u{b}\u{c}\u{1c}\u{1d}\u{1e}\u{2027}\u{c5}\u{a9}";
        let json = written(text);
        assert_eq!(json, "\"a\\u0085b\\u2028c\\u2029d\\n\\r\\u000b\\f\\u001c\\u001d\\u001e\u{2027}\u{c5}\u{a9}\"");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn text_that_ends_inside_a_lead_byte_pair_is_whole() {
        for text in ["\u{80}", "x\u{85}", "\u{2028}", "é", "…", "\u{85}\u{85}"] {
            assert_eq!(serde_json::from_str::<String>(&written(text)).unwrap(), text);
        }
    }

    #[test]
    fn zero_and_the_largest_number_are_written_in_full() {
        let mut out = Vec::new();
        push_number(&mut out, 0);
        push_number(&mut out, u64::MAX);
        assert_eq!(out, b"018446744073709551615");
    }
}
