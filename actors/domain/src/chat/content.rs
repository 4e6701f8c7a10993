//! Blocks of a message.

use serde::{Deserialize, Serialize};

use crate::json::JsonText;

/// How long a cached prefix lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CacheTtl {
    /// Five minutes: what Bedrock does when no ttl is given.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// One hour.
    #[serde(rename = "1h")]
    OneHour,
}

/// "Cache everything up to and including this block."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheMark {
    /// Lifetime, or the surface's default.
    pub ttl: Option<CacheTtl>,
}

/// One block of content. A cache mark is a block of its own ([`Content::CachePoint`]) after what it covers.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Image, video, audio or document.
    Media(Media),
    /// Something the client's own search has found.
    SearchResult(SearchResult),
    /// The model asks for a tool.
    ToolUse {
        /// Id that the result refers to.
        id: String,
        /// Tool name as the client knows it.
        name: String,
        /// Arguments: a JSON object.
        input: JsonText,
        /// Whose tool it is.
        origin: super::ToolOrigin,
    },
    /// What a tool answered.
    ToolResult {
        /// The id of the call it answers.
        id: String,
        /// The answer.
        parts: Vec<ToolResultPart>,
        /// Whether it worked.
        status: ToolResultStatus,
    },
    /// The model's reasoning.
    Reasoning(Reasoning),
    /// Text for the guardrail to assess (Converse `guardContent`).
    Guarded {
        /// The text.
        text: String,
        /// What the text is to the guardrail.
        qualifiers: Vec<GuardQualifier>,
    },
    /// Text with its sources.
    Cited {
        /// The text.
        text: String,
        /// Where it came from.
        citations: Vec<Citation>,
    },
    /// End of a cacheable prefix.
    CachePoint(CacheMark),
}

/// A part of a tool's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolResultPart {
    /// Text.
    Text(String),
    /// A JSON object.
    Json(JsonText),
    /// An image, document or video.
    Media(Media),
    /// Something that a search has found.
    SearchResult(SearchResult),
}

/// A passage with its source, for the model to read and, where `citations` says so, to cite. Source: the Converse
/// `SearchResultBlock` and Anthropic's `search_result` block, which say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchResult {
    /// Where it is from: an address, or whatever the client calls it.
    pub source: String,
    /// Its title.
    pub title: String,
    /// Its text, in the blocks that citations count by.
    pub blocks: Vec<String>,
    /// Whether the answer shall cite it.
    pub citations: bool,
}

/// Whether a tool worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolResultStatus {
    /// The client did not say.
    Unstated,
    /// It worked.
    Success,
    /// It failed; the text says how.
    Error,
}

/// Reasoning as models hand it out and want it back: byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reasoning {
    /// Readable reasoning. `signature` proves the model wrote it; Claude refuses to see it again without.
    Text {
        /// The reasoning; may be empty when the model hides it and only signs.
        text: String,
        /// The model's signature, opaque.
        signature: Option<String>,
    },
    /// Encrypted reasoning: base64, opaque.
    Redacted(String),
}

/// What guarded text is to the guardrail. Source: GuardrailConverseContentQualifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardQualifier {
    /// Facts to check grounding against.
    GroundingSource,
    /// The user's question.
    Query,
    /// Text to filter.
    GuardContent,
}

/// Kind of a media block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Image.
    Image,
    /// PDF, office file, text file.
    Document,
    /// Video.
    Video,
    /// Audio.
    Audio,
}

/// A media format by the name Converse gives it, with its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MediaFormat {
    /// What it is.
    pub kind: MediaKind,
    /// Converse's word, e.g. `png`, `pdf`, `three_gp`.
    pub name: &'static str,
}

/// An image, document, video or audio clip.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    /// Kind and format.
    pub format: MediaFormat,
    /// Where the bytes are.
    pub source: MediaSource,
    /// Documents: the name the client gave, not yet made fit for Converse.
    pub name: Option<String>,
    /// Documents: context the model reads along.
    pub context: Option<String>,
    /// Documents: whether the answer shall cite it.
    pub citations: bool,
}

/// Where the bytes of a media block are. URLs are fetched before translation, never by the translator.
#[derive(Clone, PartialEq)]
pub enum MediaSource {
    /// Standard base64, no line breaks: what the wire wants.
    Base64(String),
    /// `s3://bucket/key`, with the owning account when the client named it.
    S3 {
        /// The object.
        uri: String,
        /// Twelve digits.
        bucket_owner: Option<String>,
    },
    /// A document given as plain text.
    Text(String),
    /// A document given as blocks of text, which citations count by.
    TextBlocks(Vec<String>),
}

impl std::fmt::Debug for MediaSource {
    /// Callers' content never reaches logs: only kind and size are shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Base64(data) => write!(f, "Base64({} characters)", data.len()),
            Self::S3 { uri, .. } => write!(f, "S3({uri})"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::TextBlocks(blocks) => write!(f, "TextBlocks({} blocks)", blocks.len()),
        }
    }
}

/// What a document block may be made from, for dialects that name it.
pub type DocumentSource = MediaSource;

/// One source of a cited text. Source: the Converse `Citation` shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation {
    /// Title of the source.
    pub title: Option<String>,
    /// The source as the model names it.
    pub source: Option<String>,
    /// The passage that was cited.
    pub quoted: Option<String>,
    /// Where in the source.
    pub place: Option<CitationPlace>,
}

/// Where a citation points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CitationPlace {
    /// A web page.
    Web {
        /// Address.
        url: String,
        /// Its domain.
        domain: Option<String>,
    },
    /// Characters of a document.
    DocumentCharacters {
        /// Which document, from 0.
        document: u64,
        /// First character.
        start: u64,
        /// After the last character.
        end: u64,
    },
    /// Pages of a document.
    DocumentPages {
        /// Which document, from 0.
        document: u64,
        /// First page.
        start: u64,
        /// Last page.
        end: u64,
    },
    /// Chunks of a document.
    DocumentChunks {
        /// Which document, from 0.
        document: u64,
        /// First chunk.
        start: u64,
        /// Last chunk.
        end: u64,
    },
    /// Blocks of a search result.
    SearchResult {
        /// Which result, from 0.
        result: u64,
        /// First block.
        start: u64,
        /// Last block.
        end: u64,
    },
}
