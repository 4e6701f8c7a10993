//! Messages and their blocks, as clients send them.
//!
//! A block is one struct with every member optional, not a tagged enum: a tagged enum would buffer the block (copying
//! images) and lose the path of an error. Which members belong together is the translator's rule. Blocks can be written
//! again, because results of server tools are carried and not understood.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use crate::loose::{ListOr, TextListOr, TextOr, TextOrList};

/// Content of a message or of `system`: text, or blocks.
pub type Content = TextOrList<ContentBlock>;

/// `content` of a block: text, blocks, or (results of server tools) one block.
pub type BlockContent = TextListOr<ContentBlock, Box<ContentBlock>>;

/// `source` of a block: an object, or (search results) a text.
pub type BlockSource = TextOr<SourceObject>;

/// `citations` of a block: those of a text, or the switch of a document.
pub type Citations = ListOr<CitationIn, CitationSwitch>;

/// One message.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct MessageParam {
    /// `user`, `assistant` or `system`.
    pub role: Option<String>,
    /// What is said.
    pub content: Option<Content>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One block of content.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ContentBlock {
    /// `text`, `image`, `document`, `search_result`, `thinking`, `redacted_thinking`, `tool_use`, `tool_result`,
    /// `server_tool_use`, the `*_tool_result` kinds, `container_upload` and others.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `text`: the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// `image`, `document`: where it is; `search_result`: what it is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<BlockSource>,
    /// `document`, `search_result`: its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// `document`: context the model reads along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// `text`: its sources; `document`, `search_result`: whether the answer shall cite it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citations: Option<Citations>,
    /// `tool_result`, `search_result` and results of server tools: what they hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<BlockContent>,
    /// `thinking`: the reasoning; may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// `thinking`: the model's signature over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// `redacted_thinking`: base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// `tool_use`, `server_tool_use`: id that the result refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `tool_use`, `server_tool_use`: the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `tool_use`, `server_tool_use`: a JSON object, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Box<RawValue>>,
    /// Results: the call they answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_use_id: Option<String>,
    /// `tool_result`: the tool failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    /// `tool_reference`: a tool that a search has found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// `container_upload`: id of an uploaded file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    /// Cache mark after this block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<CacheControl>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A cache mark: `{type: ephemeral, ttl}`.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct CacheControl {
    /// `ephemeral`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `5m` or `1h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// Everything else, `scope` among it.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Where an image or document is.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct SourceObject {
    /// `base64`, `url`, `file`, `text` or `content`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `base64`, `text`: what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// `base64`: base64; `text`: the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// `url`: `https:` (and here `http:`, `data:` and `s3:`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `file`: id of an uploaded file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    /// `content`: text, or blocks of text and images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<TextOrList<ContentBlock>>,
    /// Account that owns the bucket of an `s3:` address (Bedrock's member, twelve digits).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket_owner: Option<String>,
}

/// Whether the answer shall cite a document.
#[derive(Clone, Copy, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct CitationSwitch {
    /// On or off.
    pub enabled: Option<bool>,
}

/// A source of a text in the history: `char_location`, `page_location`, `content_block_location`,
/// `search_result_location` or `web_search_result_location`.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct CitationIn {
    /// Which of them.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cited_text: Option<String>,
    /// Which document, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_index: Option<u64>,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_title: Option<String>,
    /// First character.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_char_index: Option<u64>,
    /// After the last character.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_char_index: Option<u64>,
    /// First page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_page_number: Option<u64>,
    /// After the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_page_number: Option<u64>,
    /// First block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_block_index: Option<u64>,
    /// After the last block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_block_index: Option<u64>,
    /// Which search result, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_result_index: Option<u64>,
    /// What the search result is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Title of a search result or web page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Address of a web page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}
