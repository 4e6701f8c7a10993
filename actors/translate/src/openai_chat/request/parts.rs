//! Parts of a message's content.

use outcrop_domain::{
    chat::{CacheMark, Content, GuardQualifier, Reasoning},
    error::GatewayError,
};
use outcrop_protocol::openai::chat::{ContentPart, FilePart, MessageContent};

use super::{
    caching::Lifetimes,
    media::url_of,
    notes::{Notes, invalid_value, missing, unsupported},
};
use crate::dialect::media::{Expected, MediaReader, Wanted};

/// One block and the cache mark after it. An empty text is no block, but its mark counts.
pub(super) struct Block {
    pub(super) content: Option<Content>,
    pub(super) mark: Option<CacheMark>,
}

/// Reads the content of message `position`.
pub(super) fn read(
    content: MessageContent,
    position: usize,
    media: &MediaReader<'_>,
    lifetimes: &Lifetimes,
    notes: &mut Notes,
) -> Result<Vec<Block>, GatewayError> {
    let parts = match content {
        MessageContent::Text(text) if text.is_empty() => return Ok(Vec::new()),
        MessageContent::Text(text) => return Ok(vec![Block { content: Some(Content::Text(text)), mark: None }]),
        MessageContent::List(parts) => parts,
    };
    let mut blocks: Vec<Block> = Vec::with_capacity(parts.len());
    for (number, part) in parts.into_iter().enumerate() {
        let place = Place { message: position, part: number };
        let mark = lifetimes.mark(part.cache_control.as_ref(), part.prompt_cache_breakpoint.as_ref(), |member| place.of(member), notes)?;
        let content = read_part(part, place, media, notes)?;
        match (content, blocks.last_mut()) {
            // The mark of an empty text belongs to what stands before it.
            (None, Some(last)) => last.mark = last.mark.or(mark),
            (None, None) if mark.is_none() => {}
            (content, _) => blocks.push(Block { content, mark }),
        }
    }
    Ok(blocks)
}

/// Which part of which message.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) message: usize,
    pub(super) part: usize,
}

impl Place {
    /// Path of a member of the part.
    pub(super) fn of(self, member: &str) -> String {
        format!("messages.{}.content.{}.{member}", self.message, self.part)
    }
}

fn read_part(part: ContentPart, place: Place, media: &MediaReader<'_>, notes: &mut Notes) -> Result<Option<Content>, GatewayError> {
    match kind_of(&part) {
        "text" | "input_text" | "output_text" => text_of(part.text, "text", place).map(|text| text.map(Content::Text)),
        "refusal" => text_of(part.refusal, "refusal", place).map(|text| text.map(Content::Text)),
        "image_url" | "input_image" | "image" => image(part, place, media, notes).map(Some),
        "video_url" | "input_video" => by_url(part.video_url, "video_url", Expected::Video, place, media).map(Some),
        "audio_url" => by_url(part.audio_url, "audio_url", Expected::Audio, place, media).map(Some),
        "input_audio" => audio(part, place, media).map(Some),
        "file" | "input_file" => file(part, place, media).map(Some),
        "guarded_text" | "guard_content" => guarded(part, place),
        "thinking" => {
            let text = part.thinking.or(part.text).unwrap_or_default();
            let signature = part.signature.filter(|signature| !signature.is_empty());
            let worth = !text.is_empty() || signature.is_some();
            Ok(worth.then_some(Content::Reasoning(Reasoning::Text { text, signature })))
        }
        "redacted_thinking" => {
            let data = part.data.ok_or_else(|| missing(place.of("data")))?;
            Ok(Some(Content::Reasoning(Reasoning::Redacted(data))))
        }
        "" => Err(missing(place.of("type"))),
        other => {
            let message = format!("`{}`: parts of type `{other}` are not known", place.of("type"));
            Err(invalid_value(place.of("type"), message))
        }
    }
}

/// The part's type; where a client leaves it out, the member that is there tells.
fn kind_of(part: &ContentPart) -> &str {
    match &part.kind {
        Some(kind) => kind,
        None if part.text.is_some() => "text",
        None if part.image_url.is_some() => "image_url",
        None if part.input_audio.is_some() => "input_audio",
        None if part.file.is_some() => "file",
        None => "",
    }
}

fn text_of(text: Option<String>, member: &str, place: Place) -> Result<Option<String>, GatewayError> {
    text.map(|text| (!text.is_empty()).then_some(text)).ok_or_else(|| missing(place.of(member)))
}

fn guarded(part: ContentPart, place: Place) -> Result<Option<Content>, GatewayError> {
    let qualifiers = part.qualifiers.unwrap_or_default();
    let qualifiers = qualifiers.iter().map(|word| match word.as_str() {
        "grounding_source" => Ok(GuardQualifier::GroundingSource),
        "query" => Ok(GuardQualifier::Query),
        "guard_content" => Ok(GuardQualifier::GuardContent),
        _ => Err(invalid_value(place.of("qualifiers"), "`qualifiers` may hold `grounding_source`, `query` and `guard_content`")),
    });
    let qualifiers = qualifiers.collect::<Result<Vec<_>, _>>()?;
    Ok(text_of(part.text, "text", place)?.map(|text| Content::Guarded { text, qualifiers }))
}

fn image(part: ContentPart, place: Place, media: &MediaReader<'_>, notes: &mut Notes) -> Result<Content, GatewayError> {
    let Some(reference) = part.image_url else {
        return Err(if part.file_id.is_some() { no_file_ids(place.of("file_id")) } else { missing(place.of("image_url")) });
    };
    let (url, detail, bucket_owner) = url_of(reference);
    if detail.is_some_and(|detail| detail != "auto") {
        notes.harmless("messages.content.image_url.detail", "ignored");
    }
    let url = url.ok_or_else(|| missing(place.of("image_url.url")))?;
    media.read(url, Wanted { expected: Expected::Image, content_type: None, name: None, bucket_owner }, &place.of("image_url"))
}

fn by_url(
    reference: Option<outcrop_protocol::openai::chat::MediaReference>,
    member: &str,
    expected: Expected,
    place: Place,
    media: &MediaReader<'_>,
) -> Result<Content, GatewayError> {
    let (url, _, bucket_owner) = url_of(reference.ok_or_else(|| missing(place.of(member)))?);
    let url = url.ok_or_else(|| missing(format!("{}.url", place.of(member))))?;
    media.read(url, Wanted { expected, content_type: None, name: None, bucket_owner }, &place.of(member))
}

fn audio(part: ContentPart, place: Place, media: &MediaReader<'_>) -> Result<Content, GatewayError> {
    let audio = part.input_audio.ok_or_else(|| missing(place.of("input_audio")))?;
    let content_type = audio.format.map(|format| format!("audio/{format}"));
    let wanted = Wanted { expected: Expected::Audio, content_type, name: None, bucket_owner: None };
    media.read(audio.data, wanted, &place.of("input_audio"))
}

/// A file: nested as Chat has it, or flat as Responses has it.
fn file(part: ContentPart, place: Place, media: &MediaReader<'_>) -> Result<Content, GatewayError> {
    let (file, prefix) = match part.file {
        Some(file) => (file, "file."),
        None => {
            let flat = FilePart { file_data: part.file_data, file_id: part.file_id, file_url: part.file_url, filename: part.filename };
            (flat, "")
        }
    };
    let member = |name: &str| place.of(&format!("{prefix}{name}"));
    let (reference, param) = match (file.file_data, file.file_url) {
        (Some(data), _) => (data, member("file_data")),
        (None, Some(url)) => (url, member("file_url")),
        (None, None) if file.file_id.is_some() => return Err(no_file_ids(member("file_id"))),
        (None, None) => return Err(missing(member("file_data"))),
    };
    media.read(reference, Wanted { expected: Expected::Any, content_type: None, name: file.filename, bucket_owner: None }, &param)
}

fn no_file_ids(param: String) -> GatewayError {
    let message = format!("`{param}`: file ids are not supported on this endpoint; send the file itself (`file_data`) or its address");
    unsupported(param, message)
}
