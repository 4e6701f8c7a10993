//! A stand-in for the file-type sniffer, good enough for the fixtures.

use outcrop_domain::chat::{MediaFormat, MediaKind};

pub(crate) fn sniff(head: &[u8], content_type: Option<&str>, name: Option<&str>) -> Option<MediaFormat> {
    let by_bytes: [(&[u8], MediaKind, &'static str); 4] = [
        (b"\x89PNG", MediaKind::Image, "png"),
        (b"%PDF", MediaKind::Document, "pdf"),
        (b"RIFF", MediaKind::Audio, "wav"),
        (b"\x00\x00\x00\x18ftyp", MediaKind::Video, "mp4"),
    ];
    let by_name = [
        (".png", MediaKind::Image, "png"),
        (".pdf", MediaKind::Document, "pdf"),
        (".txt", MediaKind::Document, "txt"),
        (".mp4", MediaKind::Video, "mp4"),
    ];
    let found = by_bytes.into_iter().find(|(magic, ..)| head.starts_with(magic)).map(|(_, kind, name)| MediaFormat { kind, name });
    let named = || by_name.into_iter().find(|(end, ..)| name.is_some_and(|name| name.ends_with(end)));
    found
        .or_else(|| named().map(|(_, kind, name)| MediaFormat { kind, name }))
        .or_else(|| (content_type == Some("text/plain")).then_some(MediaFormat { kind: MediaKind::Document, name: "txt" }))
}
