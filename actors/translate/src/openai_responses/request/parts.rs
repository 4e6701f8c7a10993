//! Parts of a message's content, and of a tool's output.

use outcrop_domain::{
    chat::{CacheMark, Content, GuardQualifier},
    error::GatewayError,
};
use outcrop_protocol::openai::{chat::ContentPart, loose::TextOrList};

use super::{
    fault,
    place::{PartPlace, Place},
};
use crate::{
    dialect::{
        media::{Expected, MediaReader, Wanted},
        notes::Notes,
    },
    openai_chat::request::{caching::Lifetimes, media::url_of},
};

/// The types that OpenAI knows.
const TYPES: [&str; 6] = ["input_text", "input_image", "input_file", "output_text", "refusal", "summary_text"];

/// One block and the cache mark after it. An empty text is no block, but its mark counts.
pub(super) struct Block {
    pub(super) content: Option<Content>,
    pub(super) mark: Option<CacheMark>,
}

/// The blocks as content, marks in their places.
pub(super) fn flatten(blocks: Vec<Block>) -> Vec<Content> {
    blocks.into_iter().flat_map(|block| block.content.into_iter().chain(block.mark.map(Content::CachePoint))).collect()
}

/// Reads parts.
pub(super) struct PartReader<'r, 'a> {
    pub(super) media: &'r MediaReader<'a>,
    pub(super) lifetimes: &'r Lifetimes,
    pub(super) notes: &'r mut Notes,
}

impl PartReader<'_, '_> {
    /// Reads the member `list` of an item.
    pub(super) fn read(&mut self, content: TextOrList<ContentPart>, place: Place, list: &'static str) -> Result<Vec<Block>, GatewayError> {
        let parts = match content {
            TextOrList::Text(text) if text.is_empty() => return Ok(Vec::new()),
            TextOrList::Text(text) => return Ok(vec![Block { content: Some(Content::Text(text)), mark: None }]),
            TextOrList::List(parts) => parts,
        };
        let mut blocks: Vec<Block> = Vec::with_capacity(parts.len());
        for (number, part) in parts.into_iter().enumerate() {
            let place = place.part(list, number);
            let mark = self.lifetimes.mark(
                part.cache_control.as_ref(),
                part.prompt_cache_breakpoint.as_ref(),
                |member| place.of(member),
                self.notes,
            )?;
            let content = self.part(part, place)?;
            match (content, blocks.last_mut()) {
                // The mark of an empty text belongs to what stands before it.
                (None, Some(last)) => last.mark = last.mark.or(mark),
                (None, None) if mark.is_none() => {}
                (content, _) => blocks.push(Block { content, mark }),
            }
        }
        Ok(blocks)
    }

    fn part(&mut self, part: ContentPart, place: PartPlace) -> Result<Option<Content>, GatewayError> {
        match part.kind.as_deref() {
            Some("input_text" | "output_text" | "summary_text" | "reasoning_text" | "text") => text(part.text, "text", place),
            Some("refusal") => text(part.refusal, "refusal", place),
            Some("input_image" | "computer_screenshot" | "image_url") => self.image(part, place).map(Some),
            Some("input_file") => self.file(part, place).map(Some),
            Some("input_audio") => self.audio(part, place).map(Some),
            Some("guarded_text" | "guard_content") => guarded(part, place),
            Some(other) => Err(fault::unknown_word(place.of("type"), other, &TYPES)),
            None if part.text.is_some() => text(part.text, "text", place),
            None => Err(fault::missing(place.of("type"))),
        }
    }

    fn image(&mut self, part: ContentPart, place: PartPlace) -> Result<Content, GatewayError> {
        self.note_detail(part.detail.as_deref());
        let Some(reference) = part.image_url else {
            return Err(if part.file_id.is_some() { no_file_ids(place) } else { fault::missing(place.of("image_url")) });
        };
        let (url, detail, bucket_owner) = url_of(reference);
        self.note_detail(detail.as_deref());
        let url = url.ok_or_else(|| fault::missing(place.of("image_url")))?;
        let wanted = Wanted { expected: Expected::Image, content_type: None, name: None, bucket_owner };
        self.media.read(url, wanted, &place.of("image_url"))
    }

    fn file(&mut self, part: ContentPart, place: PartPlace) -> Result<Content, GatewayError> {
        self.note_detail(part.detail.as_deref());
        let (reference, member) = match (part.file_data, part.file_url) {
            (Some(data), _) => (data, "file_data"),
            (None, Some(url)) => (url, "file_url"),
            (None, None) if part.file_id.is_some() => return Err(no_file_ids(place)),
            (None, None) => return Err(fault::missing(place.of("file_data"))),
        };
        let wanted = Wanted { expected: Expected::Any, content_type: None, name: part.filename, bucket_owner: None };
        self.media.read(reference, wanted, &place.of(member))
    }

    fn audio(&mut self, part: ContentPart, place: PartPlace) -> Result<Content, GatewayError> {
        let audio = part.input_audio.ok_or_else(|| fault::missing(place.of("input_audio")))?;
        let content_type = audio.format.map(|format| format!("audio/{format}"));
        let wanted = Wanted { expected: Expected::Audio, content_type, name: None, bucket_owner: None };
        self.media.read(audio.data, wanted, &place.of("input_audio"))
    }

    fn note_detail(&mut self, detail: Option<&str>) {
        if detail.is_some_and(|detail| detail != "auto") {
            self.notes.harmless("input.content.detail", "ignored");
        }
    }
}

fn text(text: Option<String>, member: &str, place: PartPlace) -> Result<Option<Content>, GatewayError> {
    let text = text.ok_or_else(|| fault::missing(place.of(member)))?;
    Ok((!text.is_empty()).then_some(Content::Text(text)))
}

/// Text for the guardrail (not OpenAI's).
fn guarded(part: ContentPart, place: PartPlace) -> Result<Option<Content>, GatewayError> {
    let qualifiers = part.qualifiers.unwrap_or_default();
    let qualifiers = qualifiers.iter().map(|word| match word.as_str() {
        "grounding_source" => Ok(GuardQualifier::GroundingSource),
        "query" => Ok(GuardQualifier::Query),
        "guard_content" => Ok(GuardQualifier::GuardContent),
        _ => Err(fault::unknown_word(place.of("qualifiers"), word, &["grounding_source", "query", "guard_content"])),
    });
    let qualifiers = qualifiers.collect::<Result<Vec<_>, _>>()?;
    let text = part.text.ok_or_else(|| fault::missing(place.of("text")))?;
    Ok((!text.is_empty()).then_some(Content::Guarded { text, qualifiers }))
}

fn no_file_ids(place: PartPlace) -> GatewayError {
    fault::unsupported(place.of("file_id"), "Send the file itself ('file_data', 'image_url') or its address ('file_url').")
}
