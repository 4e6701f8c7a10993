//! The whole answer, with every member that the official clients insist on.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

/// Answer to a request that does not stream.
#[derive(Clone, Serialize)]
pub struct Message<'a> {
    /// `msg_...`.
    pub id: Cow<'a, str>,
    /// Always `message`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Always `assistant`.
    pub role: &'static str,
    /// The model.
    pub model: Cow<'a, str>,
    /// What the model said.
    pub content: Vec<AnswerBlock<'a>>,
    /// `end_turn`, `max_tokens`, `stop_sequence`, `tool_use`, `pause_turn`, `refusal`, `model_context_window_exceeded`.
    pub stop_reason: &'static str,
    /// The stop sequence that ended it, where told.
    pub stop_sequence: Option<Cow<'a, str>>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_details: Option<StopDetails>,
    /// Tokens.
    pub usage: MessageUsage,
    /// Guardrail and prompt-router traces (not Anthropic's).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<&'a Map<String, Value>>,
}

/// One block of an answer.
#[derive(Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AnswerBlock<'a> {
    /// Text.
    Text {
        /// The text.
        text: Cow<'a, str>,
        /// Its sources.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        citations: Vec<CitationOut<'a>>,
    },
    /// Readable reasoning.
    Thinking {
        /// The text; empty where the model hides it and only signs.
        thinking: Cow<'a, str>,
        /// The model's signature; empty where the model signs nothing.
        signature: Cow<'a, str>,
    },
    /// Encrypted reasoning.
    RedactedThinking {
        /// Base64.
        data: Cow<'a, str>,
    },
    /// A tool call.
    ToolUse {
        /// Id.
        id: Cow<'a, str>,
        /// Name as the client knows it.
        name: Cow<'a, str>,
        /// A JSON object.
        input: Cow<'a, RawValue>,
    },
}

/// A source of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CitationOut<'a> {
    /// Characters of a document.
    CharLocation {
        /// The passage.
        cited_text: Cow<'a, str>,
        /// Which document, from 0.
        document_index: u64,
        /// Its title.
        document_title: Option<Cow<'a, str>>,
        /// Always null: documents are not uploaded files here.
        file_id: Option<()>,
        /// First character.
        start_char_index: u64,
        /// After the last character.
        end_char_index: u64,
    },
    /// Pages of a document.
    PageLocation {
        /// The passage.
        cited_text: Cow<'a, str>,
        /// Which document, from 0.
        document_index: u64,
        /// Its title.
        document_title: Option<Cow<'a, str>>,
        /// As in `CharLocation`.
        file_id: Option<()>,
        /// First page.
        start_page_number: u64,
        /// After the last page.
        end_page_number: u64,
    },
    /// Blocks of a document given as blocks.
    ContentBlockLocation {
        /// The passage.
        cited_text: Cow<'a, str>,
        /// Which document, from 0.
        document_index: u64,
        /// Its title.
        document_title: Option<Cow<'a, str>>,
        /// As in `CharLocation`.
        file_id: Option<()>,
        /// First block.
        start_block_index: u64,
        /// After the last block.
        end_block_index: u64,
    },
    /// Blocks of a search result.
    SearchResultLocation {
        /// The passage.
        cited_text: Cow<'a, str>,
        /// Which search result, from 0.
        search_result_index: u64,
        /// What it is from.
        source: Cow<'a, str>,
        /// Its title.
        title: Option<Cow<'a, str>>,
        /// First block.
        start_block_index: u64,
        /// After the last block.
        end_block_index: u64,
    },
    /// A web page.
    WebSearchResultLocation {
        /// The passage.
        cited_text: Cow<'a, str>,
        /// Address.
        url: Cow<'a, str>,
        /// Title.
        title: Option<Cow<'a, str>>,
        /// Anthropic's reference into its own search; empty, because Bedrock has none.
        encrypted_index: &'static str,
    },
}

/// Why an answer was refused. Source: `RefusalStopDetails`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StopDetails {
    /// Always `refusal`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Anthropic's policy category; always null: Bedrock tells none.
    pub category: Option<()>,
    /// For people.
    pub explanation: &'static str,
}

/// Tokens. Counts exclude each other: `input_tokens` are the uncached ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MessageUsage {
    /// Uncached input.
    pub input_tokens: u64,
    /// Input written to the prompt cache.
    pub cache_creation_input_tokens: u64,
    /// Input read from the prompt cache.
    pub cache_read_input_tokens: u64,
    /// The writes by lifetime.
    pub cache_creation: CacheCreation,
    /// Output, thinking included.
    pub output_tokens: u64,
    /// Parts of the output, where told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens_details: Option<OutputTokensDetails>,
    /// `standard` or `priority`, where told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<&'static str>,
}

/// Cache writes by lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CacheCreation {
    /// Five minutes.
    pub ephemeral_5m_input_tokens: u64,
    /// One hour.
    pub ephemeral_1h_input_tokens: u64,
}

/// Parts of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OutputTokensDetails {
    /// Spent on thinking.
    pub thinking_tokens: u64,
}
