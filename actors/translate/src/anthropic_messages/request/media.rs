//! Images and documents.

use outcrop_domain::{
    chat::{Media, MediaFormat, MediaKind, MediaSource},
    error::GatewayError,
};
use outcrop_protocol::{
    anthropic::messages::{self as wire, BlockContent, BlockSource, ContentBlock, MessageParam, SourceObject},
    loose::TextOrList,
};

use super::{
    blocks::{BlockReader, is_switched_on, kind_of},
    conversation::report_unread,
    faults::{fault, missing, not_one_of, unknown_tag},
    place::Place,
};
use crate::dialect::media::{Expected, MediaUrl, UrlList, Wanted};

/// The web addresses of a conversation, each once, in order.
pub(in crate::anthropic_messages) fn urls(messages: Option<&[MessageParam]>) -> Vec<MediaUrl> {
    let mut urls = UrlList::default();
    for (position, message) in messages.into_iter().flatten().enumerate() {
        let Some(wire::Content::List(blocks)) = &message.content else { continue };
        collect(blocks, &Place::top("messages", position), "content", &mut urls);
    }
    urls.into_urls()
}

fn collect(blocks: &[ContentBlock], parent: &Place<'_>, list: &'static str, urls: &mut UrlList) {
    for (position, block) in blocks.iter().enumerate() {
        let place = parent.inside(list, position);
        if let Some(BlockSource::Object(source)) = &block.source {
            if let (Some("url"), Some(url)) = (source.kind.as_deref(), &source.url) {
                urls.add(url, || place.of("source.url"));
            }
            if let Some(TextOrList::List(inner)) = &source.content {
                collect(inner, &place, "source.content", urls);
            }
        }
        if let Some(BlockContent::List(inner)) = &block.content {
            collect(inner, &place, "content", urls);
        }
    }
}

/// An `image` or `document` block. The images of a document that is given as blocks follow it: Converse's documents hold
/// text alone.
pub(super) fn read(reader: &mut BlockReader<'_>, block: ContentBlock, place: &Place<'_>) -> Result<Vec<Media>, GatewayError> {
    report_unread("messages.content", &block.rest, reader.notes);
    let source = match block.source {
        Some(BlockSource::Object(source)) => source,
        Some(BlockSource::Text(_)) => return Err(fault(place.of("source"), "Input should be an object")),
        None => return Err(missing(place.of("source"))),
    };
    if block.kind.as_deref() == Some("image") {
        return Ok(vec![image(reader, source, place)?]);
    }
    let mut media = document(reader, source, block.title.as_deref(), place)?;
    if let Some(document) = media.first_mut().filter(|first| first.format.kind == MediaKind::Document) {
        document.name = block.title.or(document.name.take());
        document.context = block.context;
        document.citations = is_switched_on(block.citations.as_ref());
    }
    Ok(media)
}

fn image(reader: &mut BlockReader<'_>, source: SourceObject, place: &Place<'_>) -> Result<Media, GatewayError> {
    match source.kind.as_deref() {
        Some("base64" | "url") => by_bytes(reader, source, Expected::Image, None, place),
        Some("file") => Err(no_files(place)),
        None => Err(missing(place.of("source.type"))),
        Some(_) => Err(not_one_of(place.of("source.type"), &["base64", "url", "file"])),
    }
}

fn document(
    reader: &mut BlockReader<'_>,
    source: SourceObject,
    title: Option<&str>,
    place: &Place<'_>,
) -> Result<Vec<Media>, GatewayError> {
    match source.kind.as_deref() {
        Some("base64" | "url") => Ok(vec![by_bytes(reader, source, Expected::Document, title, place)?]),
        Some("text") => {
            let text = source.data.ok_or_else(|| missing(place.of("source.data")))?;
            Ok(vec![text_document(MediaSource::Text(text))])
        }
        Some("content") => match source.content {
            None => Err(missing(place.of("source.content"))),
            Some(TextOrList::Text(text)) => Ok(vec![text_document(MediaSource::TextBlocks(vec![text]))]),
            Some(TextOrList::List(blocks)) => of_blocks(reader, blocks, place),
        },
        Some("file") => Err(no_files(place)),
        None => Err(missing(place.of("source.type"))),
        Some(_) => Err(not_one_of(place.of("source.type"), &["base64", "text", "content", "url", "file"])),
    }
}

/// A document of blocks, and the images among them.
fn of_blocks(reader: &mut BlockReader<'_>, blocks: Vec<ContentBlock>, place: &Place<'_>) -> Result<Vec<Media>, GatewayError> {
    let (mut texts, mut images) = (Vec::with_capacity(blocks.len()), Vec::new());
    for (position, block) in blocks.into_iter().enumerate() {
        let place = place.inside("source.content", position);
        match kind_of(&block, &place)? {
            "text" => texts.push(block.text.ok_or_else(|| missing(place.of("text")))?),
            "image" => images.extend(read(reader, block, &place)?),
            kind => return Err(unknown_tag(place.to_string(), kind, &["text", "image"])),
        }
    }
    if images.is_empty() {
        return Ok(vec![text_document(MediaSource::TextBlocks(texts))]);
    }
    reader.notes.harmless("messages.content.document.images", "moved_beside");
    // A document of images alone is no document at all.
    let document = (!texts.is_empty()).then(|| text_document(MediaSource::TextBlocks(texts)));
    Ok(document.into_iter().chain(images).collect())
}

fn by_bytes(
    reader: &mut BlockReader<'_>,
    source: SourceObject,
    expected: Expected,
    title: Option<&str>,
    place: &Place<'_>,
) -> Result<Media, GatewayError> {
    let wanted = Wanted { expected, content_type: source.media_type, name: title.map(str::to_owned), bucket_owner: source.bucket_owner };
    if source.kind.as_deref() == Some("base64") {
        let data = source.data.ok_or_else(|| missing(place.of("source.data")))?;
        reader.media.base64(data, wanted, &place.of("source"))
    } else {
        let url = source.url.ok_or_else(|| missing(place.of("source.url")))?;
        reader.media.media(url, wanted, &place.of("source.url"))
    }
}

fn text_document(source: MediaSource) -> Media {
    let format = MediaFormat { kind: MediaKind::Document, name: "txt" };
    Media { format, source, name: None, context: None, citations: false }
}

fn no_files(place: &Place<'_>) -> GatewayError {
    fault(place.of("source"), "uploaded files cannot be named here; send the content itself (`base64`) or its address (`url`)")
}
