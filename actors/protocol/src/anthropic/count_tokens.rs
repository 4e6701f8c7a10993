//! `POST /v1/messages/count_tokens`.

use std::fmt;

use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Map, Value};

use super::messages::{CacheControl, Content, ContextManagement, MessageParam, OutputConfig, ThinkingConfig, ToolChoice, ToolParam};
use crate::loose::{TextOr, TextOrList};

/// The request body: what of a Messages request takes room in the prompt.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct CountTokensRequest {
    /// The conversation.
    pub messages: Option<Vec<MessageParam>>,
    /// The model, by any name the caller knows.
    pub model: Option<String>,
    /// Instructions.
    pub system: Option<Content>,
    /// Tools on offer.
    pub tools: Option<Vec<ToolParam>>,
    /// Choice among `tools`.
    pub tool_choice: Option<TextOr<ToolChoice>>,
    /// Reasoning.
    pub thinking: Option<ThinkingConfig>,
    /// Effort and shape of the answer.
    pub output_config: Option<OutputConfig>,
    /// Automatic caching.
    pub cache_control: Option<CacheControl>,
    /// Beta: edits that the server makes to the context.
    pub context_management: Option<ContextManagement>,
    /// Beta: MCP servers that the server calls.
    pub mcp_servers: Option<Vec<IgnoredAny>>,
    /// Beta flags in the body.
    #[serde(alias = "betas")]
    pub anthropic_beta: Option<TextOrList<String>>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl fmt::Debug for CountTokensRequest {
    /// Shapes only: the caller's content stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountTokensRequest")
            .field("model", &self.model)
            .field("messages", &self.messages.as_ref().map(Vec::len))
            .field("tools", &self.tools.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountTokensAnswer {
    /// Tokens of messages, system and tools together.
    pub input_tokens: u64,
}
