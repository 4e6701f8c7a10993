//! Images and documents: sources that Bedrock takes, sizes, and whether the bytes are what they claim to be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::super::Case;
use super::super::super::kit::Path;
use super::super::super::media::{MAX_IMAGES, MAX_PIXELS, MAX_PIXELS_OF_MANY, dimensions, sniff};
use super::super::super::shape::{Block, Document, Media, ResultPart, Source};
use super::Refusal;
use super::fields::{Fields, complaint, unknown_tag};

/// 5 MB.
const MAX_IMAGE_BYTES: usize = 5_242_880;
/// 32 MB.
const MAX_PDF_BYTES: usize = 33_554_432;
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Reads an image block.
pub(super) fn image<'a>(fields: &Fields<'a, '_>) -> Result<Media<'a>, Refusal> {
    let fields = fields.only(&["type", "source", "cache_control"])?;
    let (path, kind, source) = source(&fields, &["base64"])?;
    let at = path.key(kind);
    let source = Fields::open(source, at)?.only(&["type", "media_type", "data"])?;
    let declared = source.need_word("media_type", &IMAGES)?;
    let bytes = data(&source)?;
    if bytes.len() > MAX_IMAGE_BYTES {
        return Err(complaint(at, &format!("image exceeds 5 MB maximum: {} bytes > {MAX_IMAGE_BYTES} bytes", bytes.len())));
    }
    let format = declared.trim_start_matches("image/");
    match sniff::image(&bytes) {
        None => return Err(complaint(at.key("data"), "Could not process image")),
        Some(actual) if actual != format => {
            return Err(complaint(
                at,
                &format!("The image was specified using the {declared} media type, but the image appears to be a image/{actual} image"),
            ));
        }
        Some(_) => {}
    }
    if too_large(&bytes, MAX_PIXELS) {
        return Err(complaint(
            at.key("data"),
            &format!("At least one of the image dimensions exceed max allowed size: {MAX_PIXELS} pixels"),
        ));
    }
    Ok(Media { format, source: Source::Bytes(bytes) })
}

/// Reads a document block.
pub(super) fn document<'a>(fields: &Fields<'a, '_>) -> Result<Document<'a>, Refusal> {
    let fields = fields.only(&["type", "source", "title", "context", "citations", "cache_control"])?;
    citations(&fields)?;
    fields.text("context")?;
    let name = fields.text("title")?.unwrap_or_default();
    let (path, kind, source) = source(&fields, &["base64", "content", "text"])?;
    let at = path.key(kind);
    let source = Fields::open(source, at)?;
    let (format, source) = match kind {
        "base64" => {
            let source = source.only(&["type", "media_type", "data"])?;
            source.need_word("media_type", &["application/pdf"])?;
            let bytes = data(&source)?;
            if !sniff::document("pdf", &bytes) {
                return Err(complaint(at.key("data"), "The PDF specified was not valid."));
            }
            if bytes.len() > MAX_PDF_BYTES {
                return Err(complaint(at, &format!("PDF exceeds 32 MB maximum: {} bytes > {MAX_PDF_BYTES} bytes", bytes.len())));
            }
            ("pdf", Source::Bytes(bytes))
        }
        "text" => {
            let source = source.only(&["type", "media_type", "data"])?;
            source.need_word("media_type", &["text/plain"])?;
            ("txt", Source::Text(source.need_text("data")?))
        }
        _ => ("txt", Source::Content(parts(&source)?)),
    };
    Ok(Document { name, format: Some(format), source })
}

/// The texts of a document made of parts.
fn parts<'a>(source: &Fields<'a, '_>) -> Result<Vec<&'a str>, Refusal> {
    let source = source.only(&["type", "content"])?;
    if let Value::String(text) = source.need("content")? {
        return Ok(vec![text]);
    }
    let path = source.path.key("content");
    let mut texts = Vec::new();
    for (index, raw) in source.list("content")?.unwrap_or_default().iter().enumerate() {
        let at = path.item(index);
        let part = Fields::open(raw, at)?;
        match part.need_text("type")? {
            "text" => texts.push(part.need_text("text")?),
            "image" => {
                image(&Fields::open(raw, at.key("image"))?)?;
            }
            other => return Err(unknown_tag(at, other, &["image", "text"])),
        }
    }
    Ok(texts)
}

/// Checks `citations`.
pub(super) fn citations(fields: &Fields<'_, '_>) -> Result<(), Refusal> {
    let Some(value) = fields.raw("citations") else { return Ok(()) };
    Fields::open(value, fields.path.key("citations"))?.only(&["enabled"])?.flag("enabled").map(|_| ())
}

/// More than twenty images over the whole request: each must be smaller.
pub(super) fn judge(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let mut images = Vec::new();
    for placed in case.request.messages.iter().flat_map(|message| &message.content) {
        match &placed.block {
            Block::Image(media) => images.push((placed.at.to_string(), media)),
            Block::ToolResult { content, .. } => images.extend(content.iter().enumerate().filter_map(|(index, part)| match part {
                ResultPart::Image(media) => Some((format!("{}.tool_result.content.{index}", placed.at), media)),
                _ => None,
            })),
            _ => {}
        }
    }
    if images.len() <= MAX_IMAGES {
        return Ok(());
    }
    let large = images.iter().find(|(_, media)| matches!(&media.source, Source::Bytes(bytes) if too_large(bytes, MAX_PIXELS_OF_MANY)));
    match large {
        Some((at, _)) => Err(Refusal::validation(format!(
            "{at}.image.source.base64.data: At least one of the image dimensions exceed max allowed size for many-image requests: {MAX_PIXELS_OF_MANY} pixels"
        ))),
        None => Ok(()),
    }
}

/// Bytes of base64.
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The source of a block: its path, its type, its value.
fn source<'a, 'f>(fields: &'f Fields<'a, 'f>, known: &[&str]) -> Result<(Path<'f>, &'a str, &'a Value), Refusal> {
    let path = fields.path.key("source");
    let value = fields.need("source")?;
    let kind = Fields::open(value, path)?.need_text("type")?;
    if known.contains(&kind) { Ok((path, kind, value)) } else { Err(unknown_tag(path, kind, known)) }
}

fn data(source: &Fields<'_, '_>) -> Result<Vec<u8>, Refusal> {
    decoded(source.need_text("data")?).ok_or_else(|| complaint(source.path.key("data"), "Invalid base64 data"))
}

fn too_large(bytes: &[u8], most: u32) -> bool {
    dimensions(bytes).is_some_and(|(width, height)| width > most || height > most)
}
