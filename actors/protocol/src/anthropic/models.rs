//! `GET /v1/models`. Source: `ModelInfo` and `ModelCapabilities` of the official client.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// One page of models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPage<'a> {
    /// The models, newest first.
    pub data: Vec<ModelInfo<'a>>,
    /// More of them lie beyond the page, in the direction of the cursor.
    pub has_more: bool,
    /// Id of the first one; cursor for `before_id`.
    pub first_id: Option<Cow<'a, str>>,
    /// Id of the last one; cursor for `after_id`.
    pub last_id: Option<Cow<'a, str>>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo<'a> {
    /// Always `model`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// The name to call it by.
    pub id: Cow<'a, str>,
    /// Name for people.
    pub display_name: Cow<'a, str>,
    /// RFC 3339; the epoch when the day is not known.
    pub created_at: Cow<'a, str>,
    /// `active`, `deprecated` or `retired`.
    pub lifecycle: Cow<'a, str>,
    /// RFC 3339. Not known here: null.
    pub deprecated_at: Option<Cow<'a, str>>,
    /// RFC 3339 of the announced end; null without one.
    pub retires_at: Option<Cow<'a, str>>,
    /// Tokens of the context window.
    pub max_input_tokens: Option<u32>,
    /// Most tokens of an answer.
    pub max_tokens: Option<u32>,
    /// What it can do.
    pub capabilities: Option<ModelCapabilities>,
}

/// What a model can do. Every member is always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelCapabilities {
    /// Message batches.
    pub batch: Support,
    /// Citations of documents.
    pub citations: Support,
    /// Tools called from within code execution.
    pub code_execution: Support,
    /// Edits of the context by the server.
    pub context_management: Support,
    /// Effort words.
    pub effort: EffortSupport,
    /// Image blocks.
    pub image_input: Support,
    /// PDF blocks.
    pub pdf_input: Support,
    /// Tools that the server runs.
    pub server_tools: ServerToolSupport,
    /// Answers in JSON by a schema.
    pub structured_outputs: Support,
    /// Thinking.
    pub thinking: ThinkingSupport,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Support {
    /// Yes or no.
    pub supported: bool,
}

/// Effort words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffortSupport {
    /// Any of them.
    pub supported: bool,
    /// `low`.
    pub low: Support,
    /// `medium`.
    pub medium: Support,
    /// `high`.
    pub high: Support,
    /// `xhigh`.
    pub xhigh: Support,
    /// `max`.
    pub max: Support,
}

/// Tools that the server runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerToolSupport {
    /// Any of them.
    pub supported: bool,
    /// Web search.
    pub web_search: Support,
    /// Code execution.
    pub code_execution: Support,
}

/// Thinking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThinkingSupport {
    /// At all.
    pub supported: bool,
    /// Values of `thinking.type` that a request may send.
    pub types: ThinkingTypes,
}

/// Values of `thinking.type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThinkingTypes {
    /// `adaptive`.
    pub adaptive: Support,
    /// `between_tools`.
    pub between_tools: Support,
    /// `disabled`.
    pub disabled: Support,
    /// `enabled`.
    pub enabled: Support,
}
