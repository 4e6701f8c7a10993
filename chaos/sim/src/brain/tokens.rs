//! Deterministic token counting: about four characters a token, plus structure, images by size and documents by content.

use serde_json::Value;

use crate::validate::dimensions;
use crate::validate::shape::{Block, CachePoint, Document, GuardText, Media, Request, ResultPart, Role, Source, SystemBlock, Tool};

/// Tokens each turn costs beside its content.
const PER_MESSAGE: u64 = 4;
/// Tokens each tool costs beside its text.
const PER_TOOL: u64 = 12;
/// Tokens of an image whose size the header does not tell.
const UNKNOWN_IMAGE: u64 = 1_600;
/// Tokens of a video, audio or S3 medium: its length is unknown here.
const UNKNOWN_MEDIA: u64 = 2_000;

/// A piece of the prompt in the order the cache sees it.
pub(crate) struct Segment<'a> {
    /// Which part of the prompt it belongs to.
    pub(crate) part: &'static str,
    /// The JSON it came from.
    pub(crate) raw: &'a Value,
    /// Its tokens.
    pub(crate) tokens: u64,
    /// Set when the piece is a cache point and nothing else.
    pub(crate) point: Option<CachePoint>,
}

/// Tokens of a text. Other scripts than Latin cost more per character.
pub(crate) fn text(text: &str) -> u64 {
    let (ascii, other) =
        text.chars().fold((0_u64, 0_u64), |(ascii, other), c| if c.is_ascii() { (ascii + 1, other) } else { (ascii, other + 1) });
    // Twelfths of a token: 3 per ASCII character, 8 per other one.
    (ascii * 3 + other * 8).div_ceil(12)
}

/// The longest prefix of `whole` that costs at most `most` tokens.
pub(crate) fn cut(whole: &str, most: u64) -> &str {
    let mut spent = 0_u64;
    let limit = most.saturating_mul(12);
    for (at, c) in whole.char_indices() {
        spent += if c.is_ascii() { 3 } else { 8 };
        if spent > limit {
            return whole.get(..at).unwrap_or_default();
        }
    }
    whole
}

/// Tokens of a whole request.
pub(crate) fn request(request: &Request<'_>) -> u64 {
    segments(request).iter().map(|segment| segment.tokens).sum()
}

/// Tokens of any JSON: its strings, names and punctuation.
pub(crate) fn raw(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(string) => text(string).max(1),
        Value::Array(items) => 1 + items.iter().map(raw).sum::<u64>(),
        Value::Object(map) => 1 + map.iter().map(|(key, value)| text(key) + raw(value)).sum::<u64>(),
    }
}

/// The request cut into pieces: tools, system, messages.
pub(crate) fn segments<'a>(request: &Request<'a>) -> Vec<Segment<'a>> {
    let mut segments = Vec::new();
    for (raw, tool) in request.tools.iter().flat_map(|config| &config.tools) {
        let (tokens, point) = match tool {
            Tool::CachePoint(point) => (0, Some(*point)),
            Tool::System(name) => (PER_TOOL + text(name), None),
            Tool::Defined { kind, name } => (PER_TOOL + text(kind) + text(name), None),
            Tool::Spec { deferred: true, .. } => continue,
            Tool::Spec { name, description, schema, .. } => {
                (PER_TOOL + text(name) + text(description.unwrap_or_default()) + text(&schema.to_string()), None)
            }
        };
        segments.push(Segment { part: "tools", raw, tokens, point });
    }
    for (raw, block) in &request.system {
        let (tokens, point) = match block {
            SystemBlock::CachePoint(point) => (0, Some(*point)),
            SystemBlock::Text(words) => (text(words), None),
            SystemBlock::Guard(guard) => (guarded(guard), None),
        };
        segments.push(Segment { part: "system", raw, tokens, point });
    }
    for message in &request.messages {
        let part = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System => "instruction",
        };
        let mut overhead = PER_MESSAGE;
        for placed in &message.content {
            let (tokens, point) = match &placed.block {
                Block::CachePoint(point) => (0, Some(*point)),
                other => (block(other) + std::mem::take(&mut overhead), None),
            };
            segments.push(Segment { part, raw: placed.raw, tokens, point });
        }
    }
    segments
}

fn block(block: &Block<'_>) -> u64 {
    match block {
        Block::Text(words) => text(words),
        Block::Image(media) => image(media),
        Block::Document(inner) => document(inner),
        Block::Video(_) | Block::Audio(_) => UNKNOWN_MEDIA,
        Block::ToolUse { name, input, .. } => PER_TOOL + text(name) + text(&input.to_string()),
        Block::ToolResult { content, .. } => PER_TOOL + content.iter().map(part).sum::<u64>(),
        Block::Guard(guard) => guarded(guard),
        Block::CachePoint(_) => 0,
        Block::Reasoning { text: words, .. } => text(words),
        Block::Redacted(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX) / 4,
        Block::Citations(texts) => texts.iter().map(|words| text(words)).sum(),
        Block::SearchResult { title, content } => text(title) + content.iter().map(|words| text(words)).sum::<u64>(),
        Block::ToolChange { name } => PER_TOOL + text(name.unwrap_or_default()),
    }
}

fn part(part: &ResultPart<'_>) -> u64 {
    match part {
        ResultPart::Text(words) => text(words),
        ResultPart::Json(value) => text(&value.to_string()),
        ResultPart::Image(media) => image(media),
        ResultPart::Document(inner) => document(inner),
        ResultPart::Video(_) => UNKNOWN_MEDIA,
        ResultPart::SearchResult { title, content } => text(title) + content.iter().map(|words| text(words)).sum::<u64>(),
    }
}

fn guarded(guard: &GuardText<'_>) -> u64 {
    match guard {
        GuardText::Text(words) => text(words),
        GuardText::Image => UNKNOWN_IMAGE,
    }
}

/// Width times height over 750, capped where large images are scaled down.
fn image(media: &Media<'_>) -> u64 {
    let Source::Bytes(bytes) = &media.source else { return UNKNOWN_IMAGE };
    dimensions(bytes).map_or(UNKNOWN_IMAGE, |(width, height)| (u64::from(width) * u64::from(height)).div_ceil(750).clamp(1, UNKNOWN_IMAGE))
}

fn document(document: &Document<'_>) -> u64 {
    let content = match &document.source {
        Source::Text(words) => text(words),
        Source::Content(texts) => texts.iter().map(|words| text(words)).sum(),
        Source::S3 => UNKNOWN_MEDIA,
        // Text formats by their text; binary ones by a share of their size.
        Source::Bytes(bytes) => std::str::from_utf8(bytes).map_or_else(|_| 100 + u64::try_from(bytes.len()).unwrap_or(u64::MAX) / 20, text),
    };
    text(document.name) + content
}
