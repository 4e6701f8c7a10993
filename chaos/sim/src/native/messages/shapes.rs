//! Blocks, citations and usage of an Anthropic Message.

use serde::Serialize;
use serde_json::Value;

use super::searches;
use crate::brain::{self, Turn};

/// One content block.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Block<'a> {
    Known(Known<'a>),
    Native(&'a Value),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Known<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        citations: Option<&'a [Citation<'a>]>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: &'a Value,
    },
}

/// A block as it stands in a whole message.
pub(super) fn content<'a>(block: &'a brain::Block, citations: &'a Citations<'a>) -> Block<'a> {
    Block::Known(match block {
        brain::Block::Text(text) => Known::Text { text, citations: None },
        brain::Block::Cited { text, .. } => Known::Text { text, citations: Some(&citations.0) },
        brain::Block::Reasoning { text, signature } => Known::Thinking { thinking: text, signature },
        brain::Block::Redacted(data) => Known::RedactedThinking { data },
        brain::Block::ToolUse { id, name, input } => Known::ToolUse { id, name, input },
        // No model with this wire has tools that Bedrock runs.
        brain::Block::SystemToolUse { id, name, input } => Known::ToolUse { id, name, input },
        brain::Block::SystemToolResult { text, .. } => Known::Text { text, citations: None },
        brain::Block::Native(value) => return Block::Native(value),
    })
}

/// The citations of a block, from Converse's words.
pub(super) struct Citations<'a>(pub(super) Vec<Citation<'a>>);

impl<'a> Citations<'a> {
    pub(super) fn of(block: &'a brain::Block) -> Self {
        let list = match block {
            brain::Block::Cited { citations, .. } => citations.as_array(),
            _ => None,
        };
        Self(list.into_iter().flatten().filter_map(Citation::of).collect())
    }
}

#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum Citation<'a> {
    #[serde(rename = "char_location")]
    Char { cited_text: String, document_index: u64, document_title: Option<&'a str>, start_char_index: u64, end_char_index: u64 },
    #[serde(rename = "page_location")]
    Page { cited_text: String, document_index: u64, document_title: Option<&'a str>, start_page_number: u64, end_page_number: u64 },
    #[serde(rename = "content_block_location")]
    ContentBlock { cited_text: String, document_index: u64, document_title: Option<&'a str>, start_block_index: u64, end_block_index: u64 },
    #[serde(rename = "search_result_location")]
    SearchResult {
        cited_text: String,
        search_result_index: u64,
        source: Option<&'a str>,
        title: Option<&'a str>,
        start_block_index: u64,
        end_block_index: u64,
    },
}

impl<'a> Citation<'a> {
    /// `None` for places that only other models cite, such as the web.
    fn of(citation: &'a Value) -> Option<Self> {
        let parts = citation.get("sourceContent").and_then(Value::as_array).into_iter().flatten();
        let cited_text: String = parts.filter_map(|part| part.get("text")?.as_str()).collect();
        let text = |key: &str| citation.get(key).and_then(Value::as_str);
        let (kind, place) = citation.get("location")?.as_object()?.iter().next()?;
        let number = |key: &str| place.get(key).and_then(Value::as_u64).unwrap_or_default();
        let (document_index, document_title) = (number("documentIndex"), text("title"));
        let (start, end) = (number("start"), number("end"));
        Some(match kind.as_str() {
            "documentChar" => Self::Char { cited_text, document_index, document_title, start_char_index: start, end_char_index: end },
            "documentPage" => Self::Page { cited_text, document_index, document_title, start_page_number: start, end_page_number: end },
            "documentChunk" => {
                Self::ContentBlock { cited_text, document_index, document_title, start_block_index: start, end_block_index: end }
            }
            "searchResultLocation" => Self::SearchResult {
                cited_text,
                search_result_index: number("searchResultIndex"),
                source: text("source"),
                title: document_title,
                start_block_index: start,
                end_block_index: end,
            },
            _ => return None,
        })
    }
}

/// Token counts. `input_tokens` excludes cache reads and writes.
#[derive(Serialize, Clone)]
pub(super) struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation: CacheCreation,
    pub(super) output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_tool_use: Option<ServerTools>,
}

#[derive(Serialize, Clone)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Serialize, Clone)]
struct OutputDetails {
    thinking_tokens: u64,
}

#[derive(Serialize, Clone)]
struct ServerTools {
    tool_search_requests: u64,
}

impl Usage {
    pub(super) fn of(turn: &Turn) -> Self {
        let usage = &turn.usage;
        let searches = searches(&turn.blocks);
        Self {
            input_tokens: usage.input,
            cache_creation_input_tokens: usage.cache_write_5m + usage.cache_write_1h,
            cache_read_input_tokens: usage.cache_read,
            cache_creation: CacheCreation {
                ephemeral_5m_input_tokens: usage.cache_write_5m,
                ephemeral_1h_input_tokens: usage.cache_write_1h,
            },
            output_tokens: usage.output,
            output_tokens_details: (usage.thinking > 0).then_some(OutputDetails { thinking_tokens: usage.thinking }),
            server_tool_use: (searches > 0).then_some(ServerTools { tool_search_requests: searches }),
        }
    }

    /// As it is before the first token: some of the output has been counted already.
    pub(super) fn begun(turn: &Turn, output_tokens: u64) -> Self {
        Self { output_tokens, output_tokens_details: None, server_tool_use: None, ..Self::of(turn) }
    }
}
