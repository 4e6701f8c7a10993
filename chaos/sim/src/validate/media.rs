//! Images, documents, video and audio: support, numbers, sizes, names, and whether the bytes are what they claim to be.

use std::collections::HashSet;

use super::shape::{Block, Document, Media, Message, ResultPart, Source};
use super::{Case, Refusal};
use crate::models::Dialect;

pub(super) mod sniff;

pub(crate) use sniff::dimensions;

pub(super) const MAX_IMAGES: usize = 20;
const MAX_DOCUMENTS: usize = 5;
/// 3.75 MB.
const MAX_IMAGE_BYTES: usize = 3_932_160;
/// 4.5 MB.
const MAX_DOCUMENT_BYTES: usize = 4_718_592;
/// 25 MB inline.
const MAX_VIDEO_BYTES: usize = 26_214_400;
pub(super) const MAX_PIXELS: u32 = 8000;
/// Claude's limit once a request holds more than [`MAX_IMAGES`] images.
pub(super) const MAX_PIXELS_OF_MANY: u32 = 2000;

/// One medium and where it stands.
enum Found<'c, 'a> {
    Image(&'c Media<'a>, bool),
    Document(&'c Document<'a>),
    Video(&'c Media<'a>),
    Audio(&'c Media<'a>),
    Search,
}

/// Checks every medium of the request.
pub(super) fn check(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let mut names = HashSet::new();
    let mut total = 0_usize;
    for (index, message) in case.request.messages.iter().enumerate() {
        let found = collect(message, index);
        let images = found.iter().filter(|(_, item)| matches!(item, Found::Image(..))).count();
        let documents = found.iter().filter(|(_, item)| matches!(item, Found::Document(_))).count();
        total += images;
        if images > MAX_IMAGES {
            return Err(Refusal::validation(format!(
                "The number of images in messages.{index} is {images}, which exceeds the limit of {MAX_IMAGES} images per message."
            )));
        }
        if documents > MAX_DOCUMENTS {
            return Err(Refusal::validation(format!(
                "The number of documents in messages.{index} is {documents}, which exceeds the limit of {MAX_DOCUMENTS} documents per message."
            )));
        }
        let direct = message.content.iter().any(|placed| matches!(placed.block, Block::Document(_)));
        let text = message.content.iter().any(|placed| matches!(placed.block, Block::Text(_) | Block::Guard(_)));
        if direct && !text {
            return Err(Refusal::validation("A text block must be included when using documents. Add a text block and try again."));
        }
        for (at, item) in &found {
            one(case, at, item, &mut names)?;
        }
    }
    if case.traits.dialect == Dialect::Claude && total > MAX_IMAGES {
        return many(case);
    }
    Ok(())
}

fn collect<'c, 'a>(message: &'c Message<'a>, index: usize) -> Vec<(String, Found<'c, 'a>)> {
    let mut found = Vec::new();
    for (place, placed) in message.content.iter().enumerate() {
        let at = format!("messages.{index}.content.{place}");
        match &placed.block {
            Block::Image(media) => found.push((at, Found::Image(media, false))),
            Block::Document(document) => found.push((at, Found::Document(document))),
            Block::Video(media) => found.push((at, Found::Video(media))),
            Block::Audio(media) => found.push((at, Found::Audio(media))),
            Block::SearchResult { .. } => found.push((at, Found::Search)),
            Block::ToolResult { content, .. } => {
                for (part, item) in content.iter().enumerate() {
                    let at = format!("{at}.toolResult.content.{part}");
                    match item {
                        ResultPart::Image(media) => found.push((at, Found::Image(media, true))),
                        ResultPart::Document(document) => found.push((at, Found::Document(document))),
                        ResultPart::Video(media) => found.push((at, Found::Video(media))),
                        ResultPart::SearchResult { .. } => found.push((at, Found::Search)),
                        ResultPart::Text(_) | ResultPart::Json(_) => {}
                    }
                }
            }
            _ => {}
        }
    }
    found
}

fn one<'c>(case: &Case<'_, '_>, at: &str, item: &Found<'c, '_>, names: &mut HashSet<&'c str>) -> Result<(), Refusal> {
    match item {
        Found::Image(media, in_result) => image(case, at, media, *in_result),
        Found::Document(document) => {
            self::document(case, at, document)?;
            if names.insert(document.name) { Ok(()) } else { Err(Refusal::validation("Messages can not contain duplicate document names")) }
        }
        Found::Video(media) => {
            supported(case.model.takes("VIDEO"), "video")?;
            s3(case, &media.source)?;
            match &media.source {
                Source::Bytes(bytes) if bytes.len() > MAX_VIDEO_BYTES => Err(Refusal::validation(format!(
                    "The video at {at} exceeds the maximum size of 25 MB. Use an s3Location source and try again."
                ))),
                _ => Ok(()),
            }
        }
        Found::Audio(media) => {
            supported(case.model.takes("SPEECH") || case.model.takes("AUDIO"), "audio")?;
            s3(case, &media.source)
        }
        Found::Search => supported(case.traits.dialect == Dialect::Claude, "searchResult"),
    }
}

fn image(case: &Case<'_, '_>, at: &str, media: &Media<'_>, in_result: bool) -> Result<(), Refusal> {
    supported(case.model.takes("IMAGE"), "image")?;
    if in_result && !case.traits.tool_result_images {
        return Err(Refusal::unsupported_field("toolResult.content.image"));
    }
    s3(case, &media.source)?;
    let Source::Bytes(bytes) = &media.source else { return Ok(()) };
    if bytes.len() > MAX_IMAGE_BYTES {
        return Err(Refusal::model(format!(
            "{at}.image.source.base64: image exceeds 3.75 MB maximum: {} bytes > {MAX_IMAGE_BYTES} bytes",
            bytes.len()
        )));
    }
    let declared = media.format;
    match sniff::image(bytes) {
        None => return Err(Refusal::model(format!("{at}.image.source.base64.data: Could not process image"))),
        Some(actual) if actual != declared => {
            return Err(Refusal::model(format!(
                "{at}.image.source.base64: The image was specified using the image/{declared} media type, but the image appears to be a image/{actual} image"
            )));
        }
        Some(_) => {}
    }
    pixels(at, bytes, MAX_PIXELS, "max allowed size")
}

fn pixels(at: &str, bytes: &[u8], most: u32, what: &str) -> Result<(), Refusal> {
    match dimensions(bytes) {
        Some((width, height)) if width > most || height > most => {
            Err(Refusal::model(format!("{at}.image.source.base64.data: At least one of the image dimensions exceed {what}: {most} pixels")))
        }
        _ => Ok(()),
    }
}

/// More than twenty images over the whole request: each must be smaller.
fn many(case: &Case<'_, '_>) -> Result<(), Refusal> {
    for (index, message) in case.request.messages.iter().enumerate() {
        for (at, item) in collect(message, index) {
            if let Found::Image(Media { source: Source::Bytes(bytes), .. }, _) = item {
                pixels(&at, bytes, MAX_PIXELS_OF_MANY, "max allowed size for many-image requests")?;
            }
        }
    }
    Ok(())
}

fn document(case: &Case<'_, '_>, at: &str, document: &Document<'_>) -> Result<(), Refusal> {
    if !case.traits.documents {
        return Err(Refusal::validation("This model doesn't support documents. Remove the document and try again."));
    }
    s3(case, &document.source)?;
    if !name_is_plain(document.name) {
        return Err(Refusal::validation(
            "The document file name contains invalid characters. The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, and square brackets. The name can't contain more than one consecutive whitespace character.",
        ));
    }
    let Source::Bytes(bytes) = &document.source else { return Ok(()) };
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(Refusal::validation(format!(
            "The document at {at} exceeds the maximum size of 4.5 MB. Provide a smaller document and try again."
        )));
    }
    match document.format {
        Some(format) if !sniff::document(format, bytes) => {
            Err(Refusal::model(format!("{at}.document.source: The {} specified was not valid.", format.to_uppercase())))
        }
        _ => Ok(()),
    }
}

fn name_is_plain(name: &str) -> bool {
    let known = name.chars().all(|c| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "-()[]".contains(c));
    let mut before = false;
    let runs = name.chars().any(|c| {
        let space = c.is_ascii_whitespace();
        let run = space && before;
        before = space;
        run
    });
    known && !runs
}

fn supported(yes: bool, field: &str) -> Result<(), Refusal> {
    if yes { Ok(()) } else { Err(Refusal::unsupported_field(field)) }
}

fn s3(case: &Case<'_, '_>, source: &Source<'_>) -> Result<(), Refusal> {
    match source {
        Source::S3 if !case.traits.s3_sources => Err(Refusal::unsupported_field("s3Location")),
        _ => Ok(()),
    }
}
