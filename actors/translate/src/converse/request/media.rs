//! Images, documents, video and audio: what the model takes, within Converse's sizes.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use outcrop_domain::{
    adjust::Adjustments,
    chat::{Media, MediaKind, MediaSource},
    error::GatewayError,
};
use outcrop_protocol::bedrock::converse::{
    Audio, CitationsSwitch, ContentBlock, Document, DocumentSource, Image, S3Location, Source, TextBlock, Video,
};

use super::{Scope, documents::DocumentNames, search_results, turns::Place};

const MIB: usize = 1024 * 1024;
/// Largest image, 3.75 MB. Source: Converse `Message.content`.
const MAX_IMAGE_BYTES: usize = MIB * 15 / 4;
/// Largest document, 4.5 MB. Source: Converse `Message.content`.
const MAX_DOCUMENT_BYTES: usize = MIB * 9 / 2;
/// Largest video inside a request, 25 MB. Source: Converse `VideoSource`.
const MAX_VIDEO_BYTES: usize = MIB * 25;

/// A media block.
///
/// # Errors
/// When the model does not take its kind or source, or when it is empty or too large.
pub(super) fn block<'a>(
    media: &'a Media,
    scope: Scope<'a>,
    place: Place,
    documents: &mut DocumentNames,
    notes: &mut Adjustments,
) -> Result<ContentBlock<'a>, GatewayError> {
    let format = media.format.name;
    let (taken, kind) = match media.format.kind {
        MediaKind::Image => (scope.model.images, "images"),
        MediaKind::Document => (scope.model.documents, "documents"),
        MediaKind::Video => (scope.model.video, "video"),
        MediaKind::Audio => (scope.model.audio, "audio"),
    };
    if !taken {
        return Err(GatewayError::invalid(place.param(), format!("model `{}` does not accept {kind}", scope.options.model)));
    }
    Ok(match media.format.kind {
        MediaKind::Image => ContentBlock::Image(Image { format, source: source(media, scope, place)? }),
        MediaKind::Video => ContentBlock::Video(Video { format, source: source(media, scope, place)? }),
        MediaKind::Audio => ContentBlock::Audio(Audio { format, source: source(media, scope, place)? }),
        MediaKind::Document => ContentBlock::Document(document(media, scope, place, documents, notes)?),
    })
}

fn document<'a>(
    media: &'a Media,
    scope: Scope<'a>,
    place: Place,
    documents: &mut DocumentNames,
    notes: &mut Adjustments,
) -> Result<Document<'a>, GatewayError> {
    let name = documents.assign(media.name.as_deref());
    if media.name.as_deref().is_some_and(|given| given != name) {
        notes.note("document.name", "renamed");
    }
    let cited = search_results::citations(media.citations, "document.citations", scope.model, notes);
    let source = match &media.source {
        MediaSource::Base64(data) => {
            check_size(media, decoded_length(data), place)?;
            DocumentSource::Bytes(Cow::Borrowed(data))
        }
        MediaSource::S3 { uri, bucket_owner } => DocumentSource::S3Location(s3(uri, bucket_owner.as_deref(), scope, place)?),
        MediaSource::Text(text) => {
            check_size(media, text.len(), place)?;
            // Character citations need the text form; everything else every model can read as a file.
            if cited { DocumentSource::Text(Cow::Borrowed(text)) } else { DocumentSource::Bytes(Cow::Owned(STANDARD.encode(text))) }
        }
        MediaSource::TextBlocks(blocks) => {
            let blocks: Vec<&str> = blocks.iter().map(String::as_str).filter(|text| !text.trim().is_empty()).collect();
            check_size(media, blocks.iter().map(|text| text.len()).sum(), place)?;
            // As with plain text: the blocks matter to citations alone.
            if cited {
                DocumentSource::Content(blocks.into_iter().map(|text| TextBlock { text: Cow::Borrowed(text) }).collect())
            } else {
                DocumentSource::Bytes(Cow::Owned(STANDARD.encode(blocks.join("\n\n"))))
            }
        }
    };
    Ok(Document {
        name,
        format: media.format.name,
        source,
        context: media.context.as_deref().filter(|context| !context.trim().is_empty()).map(Cow::Borrowed),
        citations: cited.then_some(CitationsSwitch { enabled: true }),
    })
}

fn source<'a>(media: &'a Media, scope: Scope<'a>, place: Place) -> Result<Source<'a>, GatewayError> {
    match &media.source {
        MediaSource::Base64(data) => {
            check_size(media, decoded_length(data), place)?;
            Ok(Source::Bytes(Cow::Borrowed(data)))
        }
        MediaSource::S3 { uri, bucket_owner } => Ok(Source::S3Location(s3(uri, bucket_owner.as_deref(), scope, place)?)),
        MediaSource::Text(_) | MediaSource::TextBlocks(_) => {
            Err(GatewayError::invalid(place.param(), format!("{} cannot be given as text", kind_name(media.format.kind))))
        }
    }
}

fn s3<'a>(uri: &'a str, owner: Option<&'a str>, scope: Scope<'a>, place: Place) -> Result<S3Location<'a>, GatewayError> {
    if !scope.model.s3_sources {
        let message = format!("model `{}` does not accept s3:// sources; send the bytes instead", scope.options.model);
        return Err(GatewayError::invalid(place.param(), message));
    }
    Ok(S3Location { uri: Cow::Borrowed(uri), bucket_owner: owner.map(Cow::Borrowed) })
}

fn check_size(media: &Media, bytes: usize, place: Place) -> Result<(), GatewayError> {
    let kind = kind_name(media.format.kind);
    if bytes == 0 {
        return Err(GatewayError::invalid(place.param(), format!("{kind} is empty")));
    }
    let (limit, words) = match media.format.kind {
        MediaKind::Image => (MAX_IMAGE_BYTES, "3.75 MB"),
        MediaKind::Document => (MAX_DOCUMENT_BYTES, "4.5 MB"),
        MediaKind::Video => (MAX_VIDEO_BYTES, "25 MB"),
        MediaKind::Audio => return Ok(()),
    };
    if bytes > limit {
        return Err(GatewayError::invalid(place.param(), format!("{kind} is {bytes} bytes; Bedrock takes at most {words}")));
    }
    Ok(())
}

fn kind_name(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Document => "document",
        MediaKind::Video => "video",
        MediaKind::Audio => "audio clip",
    }
}

/// Bytes that standard base64 stands for.
fn decoded_length(data: &str) -> usize {
    let padding = data.bytes().rev().take(2).filter(|byte| *byte == b'=').count();
    (data.len() / 4 * 3 + (data.len() % 4) * 3 / 4).saturating_sub(padding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoded_length_matches_the_decoder() {
        for length in 0..40 {
            let data = STANDARD.encode(vec![7_u8; length]);
            assert_eq!(decoded_length(&data), length);
        }
    }
}
