//! Base64 as text.

use base64::{
    Engine,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD},
    },
};

/// Characters decoded to tell a format: 768 bytes, beyond every signature. A multiple of four.
const HEAD: usize = 1024;

/// Some encoders leave stray bits in the last character; that must not hide what the file is.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The text as standard base64: line breaks dropped, the URL-safe alphabet and missing padding put right.
/// `None` when it is empty or no base64. Text that is right already is handed back as it is.
pub(super) fn standard(text: String) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    if is_standard(text.as_bytes()) { Some(text) } else { repaired(&text) }
}

/// The first bytes of standard base64 text.
pub(super) fn first_bytes(text: &str) -> Vec<u8> {
    let head = text.get(..text.len().min(HEAD)).unwrap_or_default();
    TOLERANT.decode(head).unwrap_or_default()
}

/// Base64 of the text of a data URL that is percent-encoded instead.
pub(super) fn of_percent_encoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        match (first, after) {
            (b'%', [high, low, tail @ ..]) if let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low)) => {
                bytes.push(high << 4 | low);
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    STANDARD.encode(bytes)
}

fn hex_digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn is_standard(text: &[u8]) -> bool {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = text.get(..text.len() - padding).unwrap_or_default();
    let fit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    padding <= 2 && text.len().is_multiple_of(4) && !body.is_empty() && body.iter().all(fit)
}

fn repaired(text: &str) -> Option<String> {
    let mut clean = String::with_capacity(text.len() + 2);
    let mut padding = 0;
    for character in text.chars() {
        match character {
            ' ' | '\t' | '\r' | '\n' => {}
            '=' => padding += 1,
            _ if padding > 0 => return None,
            '-' => clean.push('+'),
            '_' => clean.push('/'),
            'A'..='Z' | 'a'..='z' | '0'..='9' | '+' | '/' => clean.push(character),
            _ => return None,
        }
    }
    let missing = match clean.len() % 4 {
        0 if !clean.is_empty() => 0,
        2 => 2,
        3 => 1,
        _ => return None,
    };
    clean.extend(std::iter::repeat_n('=', missing));
    (padding <= 2).then_some(clean)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fixed(text: &str) -> Option<String> {
        standard(text.to_owned())
    }

    proptest! {
        #[test]
        fn every_spelling_of_the_same_bytes_becomes_the_standard_one(bytes in proptest::collection::vec(any::<u8>(), 1..400)) {
            use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
            let right = STANDARD.encode(&bytes);
            for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
                prop_assert_eq!(fixed(&engine.encode(&bytes)), Some(right.clone()));
            }
            let lines: Vec<&str> = right.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
            prop_assert_eq!(fixed(&lines.join("\r\n")), Some(right.clone()));
            prop_assert!(bytes.starts_with(&first_bytes(&right)));
        }
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for wrong in ["", "A", "AAAAA", "AA=A", "AAA*", "====", "A===", "hello world!", "\n"] {
            assert_eq!(fixed(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn percent_encoded_text_becomes_its_bytes() {
        assert_eq!(STANDARD.decode(of_percent_encoded("a%20b%C3%A9%zz%4")).unwrap(), "a bé%zz%4".as_bytes());
    }
}
