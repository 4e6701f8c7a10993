//! What bytes are, by what they begin with; the declared type only where bytes do not say.
//!
//! Names are Converse's own words. Pure, so that URLs, data URLs and uploads are judged alike.

use outcrop_domain::chat::{MediaFormat, MediaKind};

/// How far signatures of containers are looked for. Names inside office archives and directories lie at either end.
const SEARCHED_BYTES: usize = 64 * 1024;
/// How far a document type may lie behind a text's beginning.
const TEXT_HEAD: usize = 1024;

/// Recognises a format. `content_type` is a header's value, `file_name` may be a path; both are hints only.
///
/// `None` when nothing fits, also when the bytes contradict a declared image, video or audio type.
#[must_use]
pub fn sniff(bytes: &[u8], content_type: Option<&str>, file_name: Option<&str>) -> Option<MediaFormat> {
    let hints = Hints::new(content_type, file_name);
    by_magic(bytes, &hints).or_else(|| text(bytes, &hints)).or_else(|| without_magic(bytes, &hints))
}

/// The format that a declared type or a file name's ending stands for, without a look at any bytes (S3 sources).
#[must_use]
pub fn declared(content_type: Option<&str>, file_name: Option<&str>) -> Option<MediaFormat> {
    let hints = Hints::new(content_type, file_name);
    TYPES
        .iter()
        .find(|(essence, _)| *essence == hints.essence)
        .or_else(|| TYPES_BY_ENDING.iter().find(|(ending, _)| *ending == hints.ending))
        .map(|(_, format)| *format)
}

const fn image(name: &'static str) -> MediaFormat {
    MediaFormat { kind: MediaKind::Image, name }
}

const fn document(name: &'static str) -> MediaFormat {
    MediaFormat { kind: MediaKind::Document, name }
}

const fn video(name: &'static str) -> MediaFormat {
    MediaFormat { kind: MediaKind::Video, name }
}

const fn audio(name: &'static str) -> MediaFormat {
    MediaFormat { kind: MediaKind::Audio, name }
}

/// Signatures at the very beginning that need no second look.
const SIGNATURES: &[(&[u8], MediaFormat)] = &[
    (b"\x89PNG\r\n\x1a\n", image("png")),
    (b"\xff\xd8\xff", image("jpeg")),
    (b"GIF87a", image("gif")),
    (b"GIF89a", image("gif")),
    (b"%PDF-", document("pdf")),
    (b"fLaC", audio("flac")),
    (b"OggS", audio("ogg")),
    (b"ID3", audio("mp3")),
    (b"\xff\xfb", audio("mp3")),
    (b"\xff\xf3", audio("mp3")),
    (b"\xff\xf2", audio("mp3")),
    (b"\xff\xf1", audio("aac")),
    (b"\xff\xf9", audio("aac")),
    (b"FLV\x01", video("flv")),
    (b"\x00\x00\x01\xba", video("mpeg")),
    (b"\x00\x00\x01\xb3", video("mpeg")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", video("wmv")),
];

/// Declared types. Source: Converse content blocks, IANA media types.
const TYPES: &[(&str, MediaFormat)] = &[
    ("image/png", image("png")),
    ("image/jpeg", image("jpeg")),
    ("image/jpg", image("jpeg")),
    ("image/gif", image("gif")),
    ("image/webp", image("webp")),
    ("application/pdf", document("pdf")),
    ("text/csv", document("csv")),
    ("text/html", document("html")),
    ("application/xhtml+xml", document("html")),
    ("text/markdown", document("md")),
    ("text/x-markdown", document("md")),
    ("text/plain", document("txt")),
    ("application/msword", document("doc")),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", document("docx")),
    ("application/vnd.ms-excel", document("xls")),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", document("xlsx")),
    ("video/mp4", video("mp4")),
    ("video/quicktime", video("mov")),
    ("video/x-matroska", video("mkv")),
    ("video/webm", video("webm")),
    ("video/x-flv", video("flv")),
    ("video/mpeg", video("mpeg")),
    ("video/x-ms-wmv", video("wmv")),
    ("video/3gpp", video("three_gp")),
    ("audio/mpeg", audio("mp3")),
    ("audio/mp3", audio("mp3")),
    ("audio/wav", audio("wav")),
    ("audio/x-wav", audio("wav")),
    ("audio/wave", audio("wav")),
    ("audio/flac", audio("flac")),
    ("audio/x-flac", audio("flac")),
    ("audio/ogg", audio("ogg")),
    ("audio/opus", audio("opus")),
    ("audio/aac", audio("aac")),
    ("audio/x-aac", audio("x-aac")),
    ("audio/mp4", audio("m4a")),
    ("audio/x-m4a", audio("m4a")),
    ("audio/webm", audio("webm")),
    ("audio/x-matroska", audio("mka")),
    ("audio/pcm", audio("pcm")),
    ("audio/l16", audio("pcm")),
];

/// Endings of file names.
const TYPES_BY_ENDING: &[(&str, MediaFormat)] = &[
    ("png", image("png")),
    ("jpg", image("jpeg")),
    ("jpeg", image("jpeg")),
    ("gif", image("gif")),
    ("webp", image("webp")),
    ("pdf", document("pdf")),
    ("csv", document("csv")),
    ("html", document("html")),
    ("htm", document("html")),
    ("md", document("md")),
    ("markdown", document("md")),
    ("txt", document("txt")),
    ("doc", document("doc")),
    ("docx", document("docx")),
    ("xls", document("xls")),
    ("xlsx", document("xlsx")),
    ("mp4", video("mp4")),
    ("mov", video("mov")),
    ("mkv", video("mkv")),
    ("webm", video("webm")),
    ("flv", video("flv")),
    ("mpeg", video("mpeg")),
    ("mpg", video("mpg")),
    ("wmv", video("wmv")),
    ("3gp", video("three_gp")),
    ("mp3", audio("mp3")),
    ("wav", audio("wav")),
    ("flac", audio("flac")),
    ("ogg", audio("ogg")),
    ("opus", audio("opus")),
    ("aac", audio("aac")),
    ("m4a", audio("m4a")),
    ("mka", audio("mka")),
    ("pcm", audio("pcm")),
];

/// What was declared, in lower case.
struct Hints {
    /// Media type without parameters.
    essence: String,
    /// Ending of the file name.
    ending: String,
}

impl Hints {
    fn new(content_type: Option<&str>, file_name: Option<&str>) -> Self {
        let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
        let ending = file_name.and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        Self { essence, ending }
    }

    fn says_audio(&self) -> bool {
        self.essence.starts_with("audio/")
    }

    fn says(&self, name: &str) -> bool {
        let matches = |entry: Option<&(&str, MediaFormat)>| entry.is_some_and(|(_, format)| format.name == name);
        matches(TYPES.iter().find(|(essence, _)| *essence == self.essence))
            || matches(TYPES_BY_ENDING.iter().find(|(ending, _)| *ending == self.ending))
    }
}

fn by_magic(bytes: &[u8], hints: &Hints) -> Option<MediaFormat> {
    if let Some((_, format)) = SIGNATURES.iter().find(|(signature, _)| bytes.starts_with(signature)) {
        return Some(*format);
    }
    match (bytes.get(..4), bytes.get(4..8), bytes.get(8..12)) {
        (Some(b"RIFF"), _, Some(b"WEBP")) => Some(image("webp")),
        (Some(b"RIFF"), _, Some(b"WAVE")) => Some(audio("wav")),
        (Some(_), Some(b"ftyp"), Some(brand)) => iso_media(brand, hints),
        (Some(b"\x1a\x45\xdf\xa3"), ..) => Some(matroska(bytes, hints)),
        (Some(b"PK\x03\x04"), ..) => office_archive(bytes, hints),
        (Some(b"\xd0\xcf\x11\xe0"), ..) => Some(compound_file(bytes, hints)),
        _ => None,
    }
}

/// MP4 and its relatives, by their major brand.
fn iso_media(brand: &[u8], hints: &Hints) -> Option<MediaFormat> {
    match brand {
        b"qt  " => Some(video("mov")),
        b"M4A " | b"M4B " => Some(audio("m4a")),
        // HEIC and AVIF are images that no model takes.
        b"heic" | b"heix" | b"mif1" | b"msf1" | b"avif" | b"avis" => None,
        _ if brand.starts_with(b"3g") => Some(video("three_gp")),
        _ if hints.says_audio() => Some(audio("mp4")),
        _ => Some(video("mp4")),
    }
}

fn matroska(bytes: &[u8], hints: &Hints) -> MediaFormat {
    let head = bytes.get(..bytes.len().min(256)).unwrap_or_default();
    match (contains(head, b"webm"), hints.says_audio()) {
        (true, true) => audio("webm"),
        (true, false) => video("webm"),
        (false, true) => audio("mka"),
        (false, false) if hints.ending == "mka" => audio("mka"),
        (false, false) => video("mkv"),
    }
}

/// Word and Excel files are zip archives; other archives are not for models.
fn office_archive(bytes: &[u8], hints: &Hints) -> Option<MediaFormat> {
    if at_either_end(bytes, b"word/document") {
        Some(document("docx"))
    } else if at_either_end(bytes, b"xl/workbook") {
        Some(document("xlsx"))
    } else if hints.says("docx") {
        Some(document("docx"))
    } else if hints.says("xlsx") {
        Some(document("xlsx"))
    } else {
        None
    }
}

/// The older binary office files: the directory names its main stream in UTF-16.
fn compound_file(bytes: &[u8], hints: &Hints) -> MediaFormat {
    let excel = if hints.says("doc") { false } else { hints.says("xls") || at_either_end(bytes, b"W\0o\0r\0k\0b\0o\0o\0k\0") };
    document(if excel { "xls" } else { "doc" })
}

/// Text is told apart by what it is declared as; only HTML shows itself.
fn text(bytes: &[u8], hints: &Hints) -> Option<MediaFormat> {
    let declared_media = ["image/", "video/", "audio/"].iter().any(|kind| hints.essence.starts_with(kind));
    if bytes.is_empty() || declared_media || bytes.contains(&0) {
        return None;
    }
    let words = std::str::from_utf8(bytes).ok()?;
    for name in ["md", "csv", "html"] {
        if hints.says(name) {
            return Some(document(name));
        }
    }
    let head = words.get(..words.floor_char_boundary(TEXT_HEAD)).unwrap_or(words);
    let head = head.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    let html = head.starts_with("<!doctype html") || head.starts_with("<html");
    Some(document(if html { "html" } else { "txt" }))
}

/// Formats whose bytes have no signature, or not always at the beginning: the declaration is all there is.
fn without_magic(bytes: &[u8], hints: &Hints) -> Option<MediaFormat> {
    if bytes.is_empty() || std::str::from_utf8(bytes).is_ok() {
        return None;
    }
    [audio("pcm"), audio("mp3"), audio("aac"), video("mpeg"), video("mpg")].into_iter().find(|format| hints.says(format.name))
}

fn at_either_end(bytes: &[u8], wanted: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(SEARCHED_BYTES)).unwrap_or_default();
    let tail = bytes.get(bytes.len().saturating_sub(SEARCHED_BYTES)..).unwrap_or_default();
    contains(head, wanted) || contains(tail, wanted)
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(bytes: &[u8], content_type: Option<&str>, file_name: Option<&str>) -> Option<(MediaKind, &'static str)> {
        sniff(bytes, content_type, file_name).map(|format| (format.kind, format.name))
    }

    fn container(head: &[u8], inside: &[u8]) -> Vec<u8> {
        let mut bytes = head.to_vec();
        bytes.extend_from_slice(&[0; 600]);
        bytes.extend_from_slice(inside);
        bytes
    }

    #[test]
    fn signatures_win_over_declarations() {
        let cases: [(&[u8], MediaKind, &str); 12] = [
            (b"\x89PNG\r\n\x1a\nxxxx", MediaKind::Image, "png"),
            (b"\xff\xd8\xff\xe0", MediaKind::Image, "jpeg"),
            (b"GIF89a..", MediaKind::Image, "gif"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", MediaKind::Image, "webp"),
            (b"RIFF\x10\0\0\0WAVEfmt ", MediaKind::Audio, "wav"),
            (b"%PDF-1.7\n", MediaKind::Document, "pdf"),
            (b"\0\0\0\x18ftypisom", MediaKind::Video, "mp4"),
            (b"\0\0\0\x14ftypqt  ", MediaKind::Video, "mov"),
            (b"\0\0\0\x14ftyp3gp5", MediaKind::Video, "three_gp"),
            (b"ID3\x04\0", MediaKind::Audio, "mp3"),
            (b"fLaC\0", MediaKind::Audio, "flac"),
            (b"OggS\0\x02", MediaKind::Audio, "ogg"),
        ];
        for (bytes, kind, format) in cases {
            assert_eq!(name(bytes, Some("application/octet-stream"), Some("x.txt")), Some((kind, format)), "{format}");
        }
    }

    #[test]
    fn containers_are_looked_into() {
        let webm = container(b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", b"");
        let matroska = container(b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska", b"");
        assert_eq!(name(&webm, None, None), Some((MediaKind::Video, "webm")));
        assert_eq!(name(&webm, Some("audio/webm; codecs=opus"), None), Some((MediaKind::Audio, "webm")));
        assert_eq!(name(&matroska, None, None), Some((MediaKind::Video, "mkv")));
        assert_eq!(name(&matroska, None, Some("a.mka")), Some((MediaKind::Audio, "mka")));
        assert_eq!(name(&container(b"PK\x03\x04", b"word/document.xml"), None, None), Some((MediaKind::Document, "docx")));
        assert_eq!(name(&container(b"PK\x03\x04", b"xl/workbook.xml"), None, None), Some((MediaKind::Document, "xlsx")));
        assert_eq!(name(&container(b"PK\x03\x04", b"src/main.rs"), None, Some("a.zip")), None);
        let excel: Vec<u8> = "Workbook".bytes().flat_map(|byte| [byte, 0]).collect();
        assert_eq!(name(&container(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", &excel), None, None), Some((MediaKind::Document, "xls")));
        assert_eq!(name(&container(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b""), None, None), Some((MediaKind::Document, "doc")));
    }

    #[test]
    fn audio_in_an_mp4_is_told_by_its_declaration() {
        assert_eq!(name(b"\0\0\0\x18ftypisom", Some("audio/mp4"), None), Some((MediaKind::Audio, "mp4")));
        assert_eq!(name(b"\0\0\0\x18ftypM4A ", None, None), Some((MediaKind::Audio, "m4a")));
        assert_eq!(name(b"\0\0\0\x18ftypheic", Some("image/heic"), None), None);
    }

    #[test]
    fn text_goes_by_its_declaration_and_html_shows_itself() {
        assert_eq!(name(b"a,b\n1,2\n", Some("text/csv; charset=utf-8"), None), Some((MediaKind::Document, "csv")));
        assert_eq!(name(b"# Title\n", Some("application/octet-stream"), Some("README.MD")), Some((MediaKind::Document, "md")));
        assert_eq!(name(b"\xef\xbb\xbf <!DOCTYPE html><p>", Some("text/plain"), None), Some((MediaKind::Document, "html")));
        assert_eq!(name("grüß dich".as_bytes(), None, None), Some((MediaKind::Document, "txt")));
        assert_eq!(name(b"{\"a\":1}", Some("application/json"), None), Some((MediaKind::Document, "txt")));
    }

    #[test]
    fn text_under_a_media_type_and_binary_under_none_are_not_guessed() {
        assert_eq!(name(b"<html>not found</html>", Some("image/png"), Some("a.png")), None);
        assert_eq!(name(b"\0\x01\x02\xfe", None, None), None);
        assert_eq!(name(b"\xc3\x28\xa0", Some("text/plain"), None), None);
        assert_eq!(name(b"", Some("text/plain"), None), None);
    }

    #[test]
    fn formats_without_a_signature_are_taken_at_their_word() {
        assert_eq!(name(b"\x00\x01\xfe\xff", Some("audio/pcm"), None), Some((MediaKind::Audio, "pcm")));
        assert_eq!(name(b"\x00\x00\xfe\xff", Some("audio/mpeg"), None), Some((MediaKind::Audio, "mp3")));
        assert_eq!(name(b"hello", Some("audio/pcm"), None), None);
    }

    #[test]
    fn a_declaration_alone_names_a_format() {
        assert_eq!(declared(Some("image/PNG"), None), Some(image("png")));
        assert_eq!(declared(None, Some("s3://bucket/dir/Film.MOV")), Some(video("mov")));
        assert_eq!(declared(Some("application/octet-stream"), Some("noending")), None);
    }
}
