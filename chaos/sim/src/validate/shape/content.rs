//! Content blocks of messages and tool results.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::Refusal;
use super::super::kit::{ANY, Faults, Object, Path, TextRule, length, one_of, shaped, wrong_type};

/// Stands in for a required document that is missing; the fault is already noted.
pub(super) static NULL: Value = Value::Null;

/// One content block of a message.
pub(crate) enum Block<'a> {
    Text(&'a str),
    Image(Media<'a>),
    Document(Document<'a>),
    Video(Media<'a>),
    Audio(Media<'a>),
    ToolUse { id: &'a str, name: &'a str, input: &'a Value, server: bool },
    ToolResult { id: &'a str, content: Vec<ResultPart<'a>>, failed: bool },
    Guard(GuardText<'a>),
    CachePoint(CachePoint),
    Reasoning { text: &'a str, signature: Option<&'a str> },
    Redacted(Vec<u8>),
    Citations(Vec<&'a str>),
    SearchResult { title: &'a str, content: Vec<&'a str> },
    ToolChange { name: Option<&'a str> },
}

/// One part of a tool result.
pub(crate) enum ResultPart<'a> {
    Text(&'a str),
    Json(&'a Value),
    Image(Media<'a>),
    Document(Document<'a>),
    Video(Media<'a>),
    SearchResult { title: &'a str, content: Vec<&'a str> },
}

/// An image, video or audio block.
pub(crate) struct Media<'a> {
    pub(crate) format: &'a str,
    pub(crate) source: Source<'a>,
}

/// A document block.
pub(crate) struct Document<'a> {
    pub(crate) name: &'a str,
    pub(crate) format: Option<&'a str>,
    pub(crate) source: Source<'a>,
}

/// Where media comes from; bytes are decoded.
pub(crate) enum Source<'a> {
    Bytes(Vec<u8>),
    S3,
    Text(&'a str),
    Content(Vec<&'a str>),
}

/// Guarded text or image.
pub(crate) enum GuardText<'a> {
    Text(&'a str),
    Image,
}

/// Life of a cache point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ttl {
    FiveMinutes,
    OneHour,
}

/// A cache point; `explicit_ttl` tells a written `5m` from a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CachePoint {
    pub(crate) ttl: Ttl,
    pub(crate) explicit_ttl: bool,
}

const MEMBERS: [&str; 14] = [
    "text",
    "image",
    "document",
    "video",
    "audio",
    "toolUse",
    "toolResult",
    "guardContent",
    "cachePoint",
    "reasoningContent",
    "citationsContent",
    "searchResult",
    "toolAddition",
    "toolRemoval",
];

const IMAGE: TextRule = one_of(&["png", "jpeg", "gif", "webp"]);
const DOCUMENT: TextRule = one_of(&["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"]);
const VIDEO: TextRule = one_of(&["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"]);
const AUDIO: TextRule =
    one_of(&["mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm"]);
const STATUS: TextRule = one_of(&["success", "error"]);
const SERVER: TextRule = one_of(&["server_tool_use"]);
const POINT: TextRule = one_of(&["default"]);
const TTL: TextRule = one_of(&["5m", "1h"]);
const QUALIFIER: TextRule = one_of(&["grounding_source", "query", "guard_content"]);
pub(super) const TOOL_ID: TextRule = shaped(1, 64, "[a-zA-Z0-9_.:-]+", |text| word(text, "_.:-"));
pub(super) const TOOL_NAME: TextRule = shaped(1, 64, "[a-zA-Z0-9_-]+", |text| word(text, "_-"));
const S3_URI: TextRule = shaped(1, 1024, "s3://[a-z0-9][\\.\\-a-z0-9]{1,61}[a-z0-9](/.*)?", s3_uri);
const OWNER: TextRule = shaped(12, 12, "[0-9]{12}", |text| text.chars().all(|c| c.is_ascii_digit()));

/// Reads one block of a message.
pub(super) fn block<'a>(value: &'a Value, path: Path<'_>, faults: &Faults) -> Result<Block<'a>, Refusal> {
    let (key, inner) = Object::union(value, path, faults, ("ContentBlock", &MEMBERS))?;
    let at = path.key(key);
    Ok(match key {
        "text" => Block::Text(string(inner, at, faults, &ANY)?),
        "image" => Block::Image(media(inner, at, faults, &IMAGE)?),
        "video" => Block::Video(media(inner, at, faults, &VIDEO)?),
        "audio" => Block::Audio(media(inner, at, faults, &AUDIO)?),
        "document" => Block::Document(document(inner, at, faults)?),
        "toolUse" => tool_use(inner, at, faults)?,
        "toolResult" => tool_result(inner, at, faults)?,
        "guardContent" => Block::Guard(guard(inner, at, faults)?),
        "cachePoint" => Block::CachePoint(cache_point(inner, at, faults)?),
        "reasoningContent" => reasoning(inner, at, faults)?,
        "citationsContent" => citations(inner, at, faults)?,
        "searchResult" => {
            let (title, content) = search_result(inner, at, faults)?;
            Block::SearchResult { title, content }
        }
        _ => tool_change(inner, at, faults)?,
    })
}

/// A bare string that follows a rule.
pub(super) fn string<'a>(value: &'a Value, path: Path<'_>, faults: &Faults, rule: &TextRule) -> Result<&'a str, Refusal> {
    let Value::String(text) = value else { return Err(wrong_type(value, "String", path)) };
    rule.check(text, path, faults);
    Ok(text)
}

/// Reads a cache point.
pub(super) fn cache_point(value: &Value, path: Path<'_>, faults: &Faults) -> Result<CachePoint, Refusal> {
    let object = Object::open(value, path, faults, &["type", "ttl"])?;
    object.need_text("type", &POINT)?;
    let ttl = object.text("ttl", &TTL)?;
    Ok(CachePoint { ttl: if ttl == Some("1h") { Ttl::OneHour } else { Ttl::FiveMinutes }, explicit_ttl: ttl.is_some() })
}

/// Reads guarded content.
pub(super) fn guard<'a>(value: &'a Value, path: Path<'_>, faults: &Faults) -> Result<GuardText<'a>, Refusal> {
    let (key, inner) = Object::union(value, path, faults, ("GuardrailConverseContentBlock", &["text", "image"]))?;
    let at = path.key(key);
    if key == "image" {
        media(inner, at, faults, &one_of(&["png", "jpeg"]))?;
        return Ok(GuardText::Image);
    }
    let object = Object::open(inner, at, faults, &["text", "qualifiers"])?;
    let place = object.path.key("qualifiers");
    for (index, value) in object.list("qualifiers", (0, usize::MAX))?.unwrap_or_default().iter().enumerate() {
        string(value, place.item(index), faults, &QUALIFIER)?;
    }
    Ok(GuardText::Text(object.need_text("text", &ANY)?))
}

fn media<'a>(value: &'a Value, path: Path<'_>, faults: &Faults, formats: &TextRule) -> Result<Media<'a>, Refusal> {
    // `error` is an output member of images; the service model accepts it on the way in.
    let object = Object::open(value, path, faults, &["format", "source", "error"])?;
    let format = object.need_text("format", formats)?;
    Ok(Media { format, source: source(&object, &["bytes", "s3Location"])? })
}

fn document<'a>(value: &'a Value, path: Path<'_>, faults: &Faults) -> Result<Document<'a>, Refusal> {
    let object = Object::open(value, path, faults, &["name", "format", "source", "context", "citations"])?;
    object.text("context", &ANY)?;
    citations_config(&object)?;
    let name = object.need_text("name", &length(1, 200))?;
    let format = object.text("format", &DOCUMENT)?;
    Ok(Document { name, format, source: source(&object, &["bytes", "s3Location", "text", "content"])? })
}

fn citations_config(object: &Object<'_, '_>) -> Result<(), Refusal> {
    let Some(value) = object.raw("citations") else { return Ok(()) };
    let inner = Object::open(value, object.path.key("citations"), object.faults, &["enabled"])?;
    if inner.boolean("enabled")?.is_none() {
        inner.missing("enabled");
    }
    Ok(())
}

fn source<'a>(object: &Object<'a, '_>, known: &[&str]) -> Result<Source<'a>, Refusal> {
    let Some(value) = object.raw("source") else {
        object.missing("source");
        return Ok(Source::Text(""));
    };
    let path = object.path.key("source");
    let (key, inner) = Object::union(value, path, object.faults, ("Source", known))?;
    let at = path.key(key);
    match key {
        "bytes" => bytes(inner, at, object.faults).map(Source::Bytes),
        "s3Location" => {
            let location = Object::open(inner, at, object.faults, &["uri", "bucketOwner"])?;
            location.need_text("uri", &S3_URI)?;
            location.text("bucketOwner", &OWNER)?;
            Ok(Source::S3)
        }
        "content" => texts(inner, at, object.faults).map(Source::Content),
        _ => string(inner, at, object.faults, &length(1, usize::MAX)).map(Source::Text),
    }
}

/// Decodes a base64 blob of at least one byte.
fn bytes(value: &Value, path: Path<'_>, faults: &Faults) -> Result<Vec<u8>, Refusal> {
    let Value::String(text) = value else { return Err(wrong_type(value, "Blob", path)) };
    let decoded = STANDARD
        .decode(text)
        .map_err(|_| Refusal::serialization(format!("Unable to deserialize blob: invalid base64 (at '{}')", path.dotted())))?;
    if decoded.is_empty() {
        faults.add(path, None, "Member must have length greater than or equal to 1");
    }
    Ok(decoded)
}

/// A list of `{"text": ...}` objects.
fn texts<'a>(value: &'a Value, path: Path<'_>, faults: &Faults) -> Result<Vec<&'a str>, Refusal> {
    let Value::Array(items) = value else { return Err(wrong_type(value, "List", path)) };
    let mut texts = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let object = Object::open(item, path.item(index), faults, &["text"])?;
        texts.push(object.need_text("text", &ANY)?);
    }
    Ok(texts)
}

fn tool_use<'a>(value: &'a Value, path: Path<'_>, faults: &Faults) -> Result<Block<'a>, Refusal> {
    let object = Object::open(value, path, faults, &["toolUseId", "name", "input", "type"])?;
    let id = object.need_text("toolUseId", &TOOL_ID)?;
    let name = object.need_text("name", &TOOL_NAME)?;
    let server = object.text("type", &SERVER)?.is_some();
    let Some(input) = object.raw("input") else {
        object.missing("input");
        return Ok(Block::ToolUse { id, name, input: &NULL, server });
    };
    if !input.is_object() {
        return Err(not_an_object(object.path.key("input")));
    }
    Ok(Block::ToolUse { id, name, input, server })
}

fn tool_result<'a>(value: &'a Value, path: Path<'_>, faults: &Faults) -> Result<Block<'a>, Refusal> {
    let object = Object::open(value, path, faults, &["toolUseId", "content", "status", "type"])?;
    let id = object.need_text("toolUseId", &TOOL_ID)?;
    object.text("type", &ANY)?;
    let failed = object.text("status", &STATUS)? == Some("error");
    let place = object.path.key("content");
    let mut content = Vec::new();
    for (index, part) in object.need_list("content", (0, usize::MAX))?.iter().enumerate() {
        content.push(result_part(part, place.item(index), faults)?);
    }
    Ok(Block::ToolResult { id, content, failed })
}

fn result_part<'a>(value: &'a Value, path: Path<'_>, faults: &Faults) -> Result<ResultPart<'a>, Refusal> {
    let known = ["text", "json", "image", "document", "video", "searchResult"];
    let (key, inner) = Object::union(value, path, faults, ("ToolResultContentBlock", &known))?;
    let at = path.key(key);
    Ok(match key {
        "json" if !inner.is_object() => return Err(not_an_object(at)),
        "json" => ResultPart::Json(inner),
        "image" => ResultPart::Image(media(inner, at, faults, &IMAGE)?),
        "video" => ResultPart::Video(media(inner, at, faults, &VIDEO)?),
        "document" => ResultPart::Document(document(inner, at, faults)?),
        "searchResult" => {
            let (title, content) = search_result(inner, at, faults)?;
            ResultPart::SearchResult { title, content }
        }
        _ => ResultPart::Text(string(inner, at, faults, &ANY)?),
    })
}

fn search_result<'a>(value: &'a Value, path: Path<'_>, faults: &Faults) -> Result<(&'a str, Vec<&'a str>), Refusal> {
    let object = Object::open(value, path, faults, &["source", "title", "content", "citations"])?;
    object.need_text("source", &ANY)?;
    citations_config(&object)?;
    let title = object.need_text("title", &ANY)?;
    let Some(content) = object.raw("content") else {
        object.missing("content");
        return Ok((title, Vec::new()));
    };
    Ok((title, texts(content, object.path.key("content"), faults)?))
}

fn reasoning<'a>(value: &'a Value, path: Path<'_>, faults: &Faults) -> Result<Block<'a>, Refusal> {
    let (key, inner) = Object::union(value, path, faults, ("ReasoningContentBlock", &["reasoningText", "redactedContent"]))?;
    let at = path.key(key);
    if key == "redactedContent" {
        return bytes(inner, at, faults).map(Block::Redacted);
    }
    let object = Object::open(inner, at, faults, &["text", "signature"])?;
    Ok(Block::Reasoning { text: object.need_text("text", &ANY)?, signature: object.text("signature", &ANY)? })
}

fn citations<'a>(value: &'a Value, path: Path<'_>, faults: &Faults) -> Result<Block<'a>, Refusal> {
    let object = Object::open(value, path, faults, &["content", "citations"])?;
    let place = object.path.key("citations");
    for (index, citation) in object.list("citations", (0, usize::MAX))?.unwrap_or_default().iter().enumerate() {
        let citation = Object::open(citation, place.item(index), faults, &["title", "source", "sourceContent", "location"])?;
        citation.text("title", &ANY)?;
        citation.text("source", &ANY)?;
        if let Some(content) = citation.raw("sourceContent") {
            texts(content, citation.path.key("sourceContent"), faults)?;
        }
    }
    let content = object.raw("content").map_or_else(|| Ok(Vec::new()), |content| texts(content, object.path.key("content"), faults))?;
    Ok(Block::Citations(content))
}

fn tool_change<'a>(value: &'a Value, path: Path<'_>, faults: &Faults) -> Result<Block<'a>, Refusal> {
    let object = Object::open(value, path, faults, &["tool"])?;
    let Some(tool) = object.raw("tool") else {
        object.missing("tool");
        return Ok(Block::ToolChange { name: None });
    };
    let tool = Object::open(tool, object.path.key("tool"), faults, &["type", "name", "serverName"])?;
    tool.text("type", &length(1, 64))?;
    tool.text("serverName", &length(1, 128))?;
    Ok(Block::ToolChange { name: tool.text("name", &length(1, 128))? })
}

fn not_an_object(path: Path<'_>) -> Refusal {
    Refusal::validation(format!(
        "The format of the value at {} is invalid. Provide a json object for the field and try again.",
        path.dotted()
    ))
}

fn word(text: &str, extra: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
}

fn s3_uri(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("s3://") else { return false };
    let bucket = rest.split('/').next().unwrap_or_default();
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    (3..=63).contains(&bucket.len())
        && edge(bucket.chars().next())
        && edge(bucket.chars().last())
        && bucket.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-')
}
