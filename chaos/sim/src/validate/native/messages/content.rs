//! Content blocks.

use serde_json::Value;

use super::super::super::kit::Path;
use super::super::super::shape::{Block, CachePoint, ResultPart, Role};
use super::cache::{Markers, none};
use super::fields::{Fields, complaint, extra, unknown_tag};
use super::{COMPACTION, Gate, Refusal, TOOL_SEARCH, media};

const USER: [&str; 5] = ["document", "image", "search_result", "text", "tool_result"];
const ASSISTANT: [&str; 7] =
    ["compaction", "redacted_thinking", "server_tool_use", "text", "thinking", "tool_search_tool_result", "tool_use"];
const RESULT: [&str; 5] = ["document", "image", "search_result", "text", "tool_reference"];

/// What blocks are read with.
pub(super) struct Reader<'r> {
    pub(super) gate: &'r Gate,
    pub(super) markers: &'r Markers,
}

/// A block and the cache point behind it: of its own marker or of the last one among its parts.
type Read<'a> = (Block<'a>, Option<CachePoint>);

/// Reads one block of a turn of `role`.
pub(super) fn block<'a>(reader: &Reader<'_>, raw: &'a Value, path: Path<'_>, role: Role) -> Result<Read<'a>, Refusal> {
    let kind = Fields::open(raw, path)?.need_text("type")?;
    let gated = match kind {
        "compaction" => Some(COMPACTION),
        "server_tool_use" | "tool_search_tool_result" => Some(TOOL_SEARCH),
        _ => None,
    };
    let known = USER.contains(&kind) || ASSISTANT.contains(&kind);
    if !known || gated.is_some_and(|flag| !reader.gate.has(flag)) {
        let tags = ["document", "image", "redacted_thinking", "search_result", "text", "thinking", "tool_result", "tool_use"];
        return Err(unknown_tag(path, kind, &tags));
    }
    let allowed: &[&str] = match role {
        Role::User => &USER,
        Role::Assistant => &ASSISTANT,
        Role::System => &["text"],
    };
    if !allowed.contains(&kind) {
        let home = if USER.contains(&kind) { "user" } else { "assistant" };
        return Err(complaint(path, &format!("`{kind}` blocks can only be in `{home}` messages")));
    }
    let fields = Fields::open(raw, path.key(kind))?;
    match kind {
        "text" => text(reader, &fields),
        "image" => Ok((Block::Image(media::image(&fields)?), reader.markers.read(&fields)?)),
        "document" => Ok((Block::Document(media::document(&fields)?), reader.markers.read(&fields)?)),
        "search_result" => {
            let (title, content) = search_result(reader, &fields)?;
            Ok((Block::SearchResult { title, content }, reader.markers.read(&fields)?))
        }
        "tool_use" => tool_use(reader, &fields),
        "tool_result" => tool_result(reader, &fields),
        "thinking" | "redacted_thinking" => thinking(&fields, kind).map(|block| (block, None)),
        "compaction" => {
            // Clients send back every member that the block came with.
            let fields = fields.only(&["type", "content", "encrypted_content", "cache_control"])?;
            Ok((Block::Text(fields.need_text("content")?), reader.markers.read(&fields)?))
        }
        _ => searched(reader, &fields, kind),
    }
}

/// Reads a block of the system prompt.
pub(super) fn system<'a>(reader: &Reader<'_>, raw: &'a Value, path: Path<'_>) -> Result<(&'a str, Option<CachePoint>), Refusal> {
    let fields = Fields::open(raw, path)?;
    fields.need_word("type", &["text"])?;
    let (text, point) = words(reader, &fields)?;
    spoken(text, "system")?;
    Ok((text, point))
}

/// Refuses texts that say nothing.
pub(super) fn spoken(text: &str, at: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        return Err(Refusal::validation(format!("{at}: text content blocks must be non-empty")));
    }
    if text.chars().all(char::is_whitespace) {
        return Err(Refusal::validation(format!("{at}: text content blocks must contain non-whitespace text")));
    }
    Ok(())
}

fn text<'a>(reader: &Reader<'_>, fields: &Fields<'a, '_>) -> Result<Read<'a>, Refusal> {
    let (text, point) = words(reader, fields)?;
    spoken(text, "messages")?;
    Ok((Block::Text(text), point))
}

fn words<'a>(reader: &Reader<'_>, fields: &Fields<'a, '_>) -> Result<(&'a str, Option<CachePoint>), Refusal> {
    let fields = fields.only(&["type", "text", "cache_control", "citations"])?;
    fields.list("citations")?;
    let text = fields.need_text("text")?;
    let point = reader.markers.read(&fields)?;
    if text.is_empty() && point.is_some() {
        return Err(complaint(fields.path, "cache_control cannot be set for empty text blocks"));
    }
    Ok((text, point))
}

fn search_result<'a>(reader: &Reader<'_>, fields: &Fields<'a, '_>) -> Result<(&'a str, Vec<&'a str>), Refusal> {
    let fields = fields.only(&["type", "source", "title", "content", "citations", "cache_control"])?;
    fields.need_text("source")?;
    media::citations(&fields)?;
    let title = fields.need_text("title")?;
    let path = fields.path.key("content");
    fields.need("content")?;
    let mut texts = Vec::new();
    for (index, part) in fields.list("content")?.unwrap_or_default().iter().enumerate() {
        let part = Fields::open(part, path.item(index))?;
        part.need_word("type", &["text"])?;
        texts.push(words(reader, &part)?.0);
    }
    Ok((title, texts))
}

fn tool_use<'a>(reader: &Reader<'_>, fields: &Fields<'a, '_>) -> Result<Read<'a>, Refusal> {
    let fields = fields.only(&["type", "id", "name", "input", "cache_control", "caller"])?;
    let id = identifier(&fields, "id", "")?;
    let name = fields.need_text("name")?;
    match name.chars().count() {
        0 => return Err(complaint(fields.path.key("name"), "String should have at least 1 character")),
        1..=200 => {}
        _ => return Err(complaint(fields.path.key("name"), "String should have at most 200 characters")),
    }
    fields.need_object("input")?;
    let point = reader.markers.read(&fields)?;
    Ok((Block::ToolUse { id, name, input: fields.need("input")?, server: false }, point))
}

/// An id: `prefix` and at least one letter.
fn identifier<'a>(fields: &Fields<'a, '_>, key: &str, prefix: &str) -> Result<&'a str, Refusal> {
    let id = fields.need_text(key)?;
    let plain = |rest: &str| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if id.strip_prefix(prefix).is_some_and(plain) {
        return Ok(id);
    }
    Err(complaint(fields.path.key(key), &format!("String should match pattern '^{prefix}[a-zA-Z0-9_-]+$'")))
}

fn tool_result<'a>(reader: &Reader<'_>, fields: &Fields<'a, '_>) -> Result<Read<'a>, Refusal> {
    let fields = fields.only(&["type", "tool_use_id", "content", "is_error", "cache_control"])?;
    let id = identifier(&fields, "tool_use_id", "")?;
    let failed = fields.flag("is_error")?.unwrap_or(false);
    let (mut content, mut point) = (Vec::new(), None);
    match fields.raw("content") {
        None => {}
        Some(Value::String(text)) => content.push(ResultPart::Text(text)),
        Some(Value::Array(parts)) => {
            let path = fields.path.key("content");
            for (index, part) in parts.iter().enumerate() {
                let (part, marked) = result_part(reader, part, path.item(index))?;
                content.push(part);
                point = marked.or(point);
            }
        }
        Some(_) => return Err(complaint(fields.path.key("content"), "Input should be a valid list")),
    }
    let point = reader.markers.read(&fields)?.or(point);
    Ok((Block::ToolResult { id, content, failed }, point))
}

fn result_part<'a>(reader: &Reader<'_>, raw: &'a Value, path: Path<'_>) -> Result<(ResultPart<'a>, Option<CachePoint>), Refusal> {
    let kind = Fields::open(raw, path)?.need_text("type")?;
    if !RESULT.contains(&kind) || (kind == "tool_reference" && !reader.gate.has(TOOL_SEARCH)) {
        return Err(unknown_tag(path, kind, &["document", "image", "search_result", "text"]));
    }
    let fields = Fields::open(raw, path.key(kind))?;
    let part = match kind {
        "text" => {
            let (text, point) = words(reader, &fields)?;
            spoken(text, "messages")?;
            return Ok((ResultPart::Text(text), point));
        }
        "image" => ResultPart::Image(media::image(&fields)?),
        "document" => ResultPart::Document(media::document(&fields)?),
        "search_result" => {
            let (title, content) = search_result(reader, &fields)?;
            ResultPart::SearchResult { title, content }
        }
        _ => ResultPart::Text(fields.only(&["type", "tool_name", "cache_control"])?.need_text("tool_name")?),
    };
    Ok((part, reader.markers.read(&fields)?))
}

fn thinking<'a>(fields: &Fields<'a, '_>, kind: &str) -> Result<Block<'a>, Refusal> {
    none(fields)?;
    if kind == "thinking" {
        let fields = fields.only(&["type", "thinking", "signature"])?;
        let text = fields.need_text("thinking")?;
        return Ok(Block::Reasoning { text, signature: Some(fields.need_text("signature")?) });
    }
    let fields = fields.only(&["type", "data"])?;
    let data = fields.need_text("data")?;
    // What is no base64 was never sealed: the signature check refuses it.
    Ok(Block::Redacted(media::decoded(data).unwrap_or_default()))
}

/// A search among deferred tools and what it found; both stand in the assistant's turn.
fn searched<'a>(reader: &Reader<'_>, fields: &Fields<'a, '_>, kind: &str) -> Result<Read<'a>, Refusal> {
    let point = reader.markers.read(fields)?;
    if kind == "server_tool_use" {
        let fields = fields.only(&["type", "id", "name", "input", "cache_control", "caller"])?;
        let id = identifier(&fields, "id", "srvtoolu_")?;
        let name = fields.need_word("name", &["tool_search_tool_regex", "tool_search_tool_bm25"])?;
        fields.need_object("input")?;
        return Ok((Block::ToolUse { id, name, input: fields.need("input")?, server: true }, point));
    }
    let fields = fields.only(&["type", "tool_use_id", "content", "cache_control"])?;
    let id = fields.need_text("tool_use_id")?;
    let found = Fields::open(fields.need("content")?, fields.path.key("content"))?;
    let path = found.path.key("tool_references");
    let mut content = Vec::new();
    for (index, reference) in found.list("tool_references")?.unwrap_or_default().iter().enumerate() {
        content.push(ResultPart::Text(Fields::open(reference, path.item(index))?.need_text("tool_name")?));
    }
    Ok((Block::ToolResult { id, content, failed: found.raw("error_code").is_some() }, point))
}

/// Refuses the member of a tool without its flag.
pub(super) fn gated(reader: &Reader<'_>, fields: &Fields<'_, '_>, key: &str, flag: &str) -> Result<(), Refusal> {
    if fields.raw(key).is_some() && !reader.gate.has(flag) { Err(extra(fields.path.key(key))) } else { Ok(()) }
}
