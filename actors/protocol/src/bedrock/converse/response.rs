//! Answer of Converse, and the parts it shares with stream events.

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

/// A whole answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConverseResponse {
    /// The message.
    pub output: AnswerOutput,
    /// Why it ended: Converse's word.
    pub stop_reason: String,
    /// Tokens used.
    #[serde(default)]
    pub usage: Option<TokenUsage>,
    /// Members of the model's own answer that were asked for.
    #[serde(default)]
    pub additional_model_response_fields: Option<ResponseFields>,
    /// Guardrail and router traces.
    #[serde(default)]
    pub trace: Option<Map<String, Value>>,
    /// Tier that served it.
    #[serde(default)]
    pub service_tier: Option<AnswerTier>,
}

/// Holder of the message.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AnswerOutput {
    /// The message.
    pub message: Option<AnswerMessage>,
}

/// The model's turn.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AnswerMessage {
    /// Its blocks.
    pub content: Vec<AnswerBlock>,
}

/// One block: exactly one member is set, or none when its kind is newer than this list.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnswerBlock {
    /// Text.
    pub text: Option<String>,
    /// A tool call.
    pub tool_use: Option<AnswerToolUse>,
    /// A result of a tool that Bedrock ran.
    pub tool_result: Option<AnswerToolResult>,
    /// Reasoning.
    pub reasoning_content: Option<AnswerReasoning>,
    /// Text with sources.
    pub citations_content: Option<CitationsContent>,
    /// An image.
    pub image: Option<AnswerImage>,
}

/// A tool call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerToolUse {
    /// Its id.
    pub tool_use_id: String,
    /// The tool.
    pub name: String,
    /// The arguments; absent in a stream, where they come as deltas.
    #[serde(default)]
    pub input: Option<Box<RawValue>>,
    /// `server_tool_use` for tools that Bedrock runs.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

/// A result of a tool that Bedrock ran.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerToolResult {
    /// The call it answers.
    pub tool_use_id: String,
    /// The answer.
    #[serde(default)]
    pub content: Vec<AnswerToolResultContent>,
    /// `success` or `error`.
    #[serde(default)]
    pub status: Option<String>,
}

/// A part of such a result.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AnswerToolResultContent {
    /// Text.
    pub text: Option<String>,
    /// JSON.
    pub json: Option<Box<RawValue>>,
}

/// Reasoning.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnswerReasoning {
    /// Readable.
    pub reasoning_text: Option<AnswerReasoningText>,
    /// Encrypted, base64.
    pub redacted_content: Option<String>,
}

/// Readable reasoning.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AnswerReasoningText {
    /// The reasoning.
    pub text: String,
    /// The signature over it.
    pub signature: Option<String>,
}

/// Text with sources.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct CitationsContent {
    /// The text, in pieces.
    pub content: Vec<AnswerText>,
    /// Its sources.
    pub citations: Vec<AnswerCitation>,
}

/// A piece of text.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AnswerText {
    /// The text.
    pub text: Option<String>,
}

/// A source.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnswerCitation {
    /// Its title.
    pub title: Option<String>,
    /// The source as the model names it.
    pub source: Option<String>,
    /// The cited passage, in pieces.
    pub source_content: Vec<AnswerText>,
    /// Where.
    pub location: Option<CitationLocation>,
}

/// Where a source is; one member is set.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CitationLocation {
    /// A web page.
    pub web: Option<WebLocation>,
    /// Characters of a document.
    pub document_char: Option<AnswerLocation>,
    /// Pages of a document.
    pub document_page: Option<AnswerLocation>,
    /// Chunks of a document.
    pub document_chunk: Option<AnswerLocation>,
    /// Blocks of a search result.
    pub search_result_location: Option<AnswerLocation>,
}

/// A web page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct WebLocation {
    /// Address.
    pub url: Option<String>,
    /// Its domain.
    pub domain: Option<String>,
}

/// A span of a document or search result.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnswerLocation {
    /// Which document, from 0.
    pub document_index: u64,
    /// Which search result, from 0.
    pub search_result_index: u64,
    /// First element.
    pub start: u64,
    /// After the last element (pages: the last one).
    pub end: u64,
}

/// An image.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AnswerImage {
    /// E.g. `png`.
    pub format: String,
    /// Its bytes.
    pub source: AnswerImageSource,
}

/// Bytes of an image.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AnswerImageSource {
    /// Base64.
    pub bytes: Option<String>,
}

/// Tokens used. Counts exclude each other: `input_tokens` are the uncached ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TokenUsage {
    /// Uncached input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Input tokens read from the cache.
    pub cache_read_input_tokens: Option<u64>,
    /// Input tokens written to the cache.
    pub cache_write_input_tokens: Option<u64>,
    /// Older name of `cache_read_input_tokens`; both may come at once.
    pub cache_read_input_token_count: Option<u64>,
    /// Older name of `cache_write_input_tokens`; both may come at once.
    pub cache_write_input_token_count: Option<u64>,
    /// Writes by lifetime.
    pub cache_details: Vec<CacheDetail>,
}

/// Cache writes of one lifetime.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CacheDetail {
    /// `5m` or `1h`.
    pub ttl: String,
    /// Tokens written.
    pub input_tokens: u64,
}

/// The members of the model's own answer that we ask for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ResponseFields {
    /// `/stop_sequence`.
    pub stop_sequence: Option<String>,
    /// `/usage/output_tokens_details`.
    pub usage: Option<ResponseFieldsUsage>,
}

/// `/usage` of the model's own answer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ResponseFieldsUsage {
    /// Details.
    pub output_tokens_details: Option<OutputTokensDetails>,
}

/// `/usage/output_tokens_details` of the model's own answer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct OutputTokensDetails {
    /// Tokens spent on thinking.
    pub thinking_tokens: Option<u64>,
}

/// Tier that served an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AnswerTier {
    /// `priority`, `default`, `flex` or `reserved`.
    #[serde(rename = "type")]
    pub kind: String,
}
