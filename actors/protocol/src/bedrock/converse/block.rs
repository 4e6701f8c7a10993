//! Content blocks of a request. Each union is an enum, written as an object with one member.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

/// One block of a message.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ContentBlock<'a> {
    /// Text, never blank.
    Text(Cow<'a, str>),
    /// An image.
    Image(Image<'a>),
    /// A document.
    Document(Document<'a>),
    /// A video.
    Video(Video<'a>),
    /// An audio clip.
    Audio(Audio<'a>),
    /// Something that a search has found.
    SearchResult(SearchResult<'a>),
    /// A tool call of the model's.
    ToolUse(ToolUse<'a>),
    /// What a tool answered.
    ToolResult(ToolResult<'a>),
    /// Text for the guardrail.
    GuardContent(GuardContent<'a>),
    /// End of a cacheable prefix.
    CachePoint(CachePoint),
    /// The model's reasoning.
    ReasoningContent(ReasoningContent<'a>),
}

/// Where an image, video or audio clip comes from.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source<'a> {
    /// Base64.
    Bytes(Cow<'a, str>),
    /// An object in S3.
    S3Location(S3Location<'a>),
}

/// An object in S3.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Location<'a> {
    /// `s3://bucket/key`.
    pub uri: Cow<'a, str>,
    /// The owning account, twelve digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket_owner: Option<Cow<'a, str>>,
}

/// An image.
#[derive(Clone, Serialize)]
pub struct Image<'a> {
    /// `png`, `jpeg`, `gif` or `webp`.
    pub format: &'a str,
    /// Its bytes.
    pub source: Source<'a>,
}

/// A video.
#[derive(Clone, Serialize)]
pub struct Video<'a> {
    /// E.g. `mp4`.
    pub format: &'a str,
    /// Its bytes.
    pub source: Source<'a>,
}

/// An audio clip.
#[derive(Clone, Serialize)]
pub struct Audio<'a> {
    /// E.g. `mp3`.
    pub format: &'a str,
    /// Its bytes.
    pub source: Source<'a>,
}

/// A document.
#[derive(Clone, Serialize)]
pub struct Document<'a> {
    /// 1..200 characters of letters, digits, single spaces and `-()[]`; unique in the request.
    pub name: Cow<'a, str>,
    /// E.g. `pdf`.
    pub format: &'a str,
    /// Its content.
    pub source: DocumentSource<'a>,
    /// Context the model reads along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Cow<'a, str>>,
    /// Whether the answer shall cite it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citations: Option<CitationsSwitch>,
}

/// Where a document comes from.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DocumentSource<'a> {
    /// Base64.
    Bytes(Cow<'a, str>),
    /// An object in S3.
    S3Location(S3Location<'a>),
    /// Plain text.
    Text(Cow<'a, str>),
    /// Blocks of text, none blank.
    Content(Vec<TextBlock<'a>>),
}

/// A block that is text and nothing else.
#[derive(Clone, Serialize)]
pub struct TextBlock<'a> {
    /// The text.
    pub text: Cow<'a, str>,
}

/// Citation switch of a document or search result.
#[derive(Clone, Copy, Serialize)]
pub struct CitationsSwitch {
    /// On or off.
    pub enabled: bool,
}

/// Something that a search has found.
#[derive(Clone, Serialize)]
pub struct SearchResult<'a> {
    /// Where it is from.
    pub source: Cow<'a, str>,
    /// Its title.
    pub title: Cow<'a, str>,
    /// Its text: at least one block, none blank.
    pub content: Vec<TextBlock<'a>>,
    /// Whether the answer shall cite it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citations: Option<CitationsSwitch>,
}

/// A tool call.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolUse<'a> {
    /// 1..64 of `[a-zA-Z0-9_.:-]`.
    pub tool_use_id: Cow<'a, str>,
    /// 1..64 of `[a-zA-Z0-9_-]`.
    pub name: Cow<'a, str>,
    /// The arguments, a JSON object, byte for byte.
    pub input: Cow<'a, RawValue>,
    /// `server_tool_use` for tools that Bedrock runs.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'a str>,
}

/// What a tool answered.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolResult<'a> {
    /// The call it answers.
    pub tool_use_id: Cow<'a, str>,
    /// The answer.
    pub content: Vec<ToolResultContent<'a>>,
    /// `success` or `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'a str>,
}

/// A part of a tool's answer.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ToolResultContent<'a> {
    /// A JSON object, byte for byte.
    Json(Cow<'a, RawValue>),
    /// Text.
    Text(Cow<'a, str>),
    /// An image.
    Image(Image<'a>),
    /// A document.
    Document(Document<'a>),
    /// A video.
    Video(Video<'a>),
    /// Something that a search has found.
    SearchResult(SearchResult<'a>),
}

/// Content for the guardrail.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum GuardContent<'a> {
    /// Text.
    Text(GuardText<'a>),
}

/// Text for the guardrail.
#[derive(Clone, Serialize)]
pub struct GuardText<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// `grounding_source`, `query`, `guard_content`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub qualifiers: Vec<&'static str>,
}

/// End of a cacheable prefix.
#[derive(Clone, Copy, Serialize)]
pub struct CachePoint {
    /// Always `default`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `5m` or `1h`; the model's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<&'static str>,
}

/// Reasoning, sent back as it came.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ReasoningContent<'a> {
    /// Readable.
    ReasoningText(ReasoningText<'a>),
    /// Encrypted, base64.
    RedactedContent(Cow<'a, str>),
}

/// Readable reasoning.
#[derive(Clone, Serialize)]
pub struct ReasoningText<'a> {
    /// The reasoning; may be empty.
    pub text: Cow<'a, str>,
    /// The model's signature over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Cow<'a, str>>,
}
