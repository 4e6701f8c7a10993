//! What bytes are, by their first bytes.

/// The image format of `bytes` in Converse's words.
pub(in super::super) fn image(bytes: &[u8]) -> Option<&'static str> {
    let riff = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    match bytes {
        _ if bytes.starts_with(b"\x89PNG\r\n\x1a\n") => Some("png"),
        _ if bytes.starts_with(b"\xff\xd8\xff") => Some("jpeg"),
        _ if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") => Some("gif"),
        _ if riff => Some("webp"),
        _ => None,
    }
}

/// Whether `bytes` can be a document of this format: magic numbers for binary formats, UTF-8 for text.
pub(in super::super) fn document(format: &str, bytes: &[u8]) -> bool {
    match format {
        "pdf" => bytes.starts_with(b"%PDF-"),
        "docx" | "xlsx" => bytes.starts_with(b"PK\x03\x04"),
        "doc" | "xls" => bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        _ => std::str::from_utf8(bytes).is_ok(),
    }
}

/// Width and height in pixels, where the header tells.
pub(crate) fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    match image(bytes)? {
        "png" => Some((big(bytes, 16, 4)?, big(bytes, 20, 4)?)),
        "gif" => Some((little(bytes, 6, 2)?, little(bytes, 8, 2)?)),
        "jpeg" => jpeg(bytes),
        _ => webp(bytes),
    }
}

fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    while bytes.get(at) == Some(&0xff) {
        let marker = *bytes.get(at + 1)?;
        // Start-of-frame markers, without the tables that share the range.
        if (0xc0..=0xcf).contains(&marker) && ![0xc4, 0xc8, 0xcc].contains(&marker) {
            return Some((big(bytes, at + 7, 2)?, big(bytes, at + 5, 2)?));
        }
        at += 2 + usize::try_from(big(bytes, at + 2, 2)?).ok()?;
    }
    None
}

fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8X" => Some((little(bytes, 24, 3)? + 1, little(bytes, 27, 3)? + 1)),
        b"VP8L" => {
            let packed = little(bytes, 21, 4)?;
            Some(((packed & 0x3fff) + 1, ((packed >> 14) & 0x3fff) + 1))
        }
        b"VP8 " => Some((little(bytes, 26, 2)? & 0x3fff, little(bytes, 28, 2)? & 0x3fff)),
        _ => None,
    }
}

fn big(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(count)?).map(|slice| slice.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte)))
}

fn little(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(count)?).map(|slice| slice.iter().rev().fold(0, |sum, byte| (sum << 8) | u32::from(*byte)))
}
