//! The request body.

use std::fmt;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value, value::RawValue};

use super::{CacheControl, Content, MessageParam, ToolChoice, ToolParam};
use crate::{
    extension::{GuardrailConfig, PerformanceConfig, PromptCaching},
    loose::{TextOr, TextOrList, Whole},
};

/// Body of `POST /v1/messages`: every published property, those of the betas, those that older clients send, ours, and
/// the rest in `rest`. Nothing is required here: the translator says what is missing, in Anthropic's words.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct MessagesRequest {
    /// The model, by any name the caller knows.
    pub model: Option<String>,
    /// The conversation.
    pub messages: Option<Vec<MessageParam>>,
    /// Most tokens to produce.
    pub max_tokens: Option<Whole>,
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
    /// Shape of the answer, the older place.
    pub output_format: Option<OutputFormat>,
    /// `user_id`, and whatever else clients put there.
    pub metadata: Option<Map<String, Value>>,
    /// Texts that end the answer.
    pub stop_sequences: Option<TextOrList<String>>,
    /// Answer bit by bit.
    pub stream: Option<bool>,
    /// 0..1. No longer in the client's types; older clients send it.
    pub temperature: Option<f64>,
    /// 0..1, as `temperature`.
    pub top_p: Option<f64>,
    /// Most likely tokens to choose from, as `temperature`.
    pub top_k: Option<Whole>,
    /// `auto` or `standard_only`.
    pub service_tier: Option<String>,
    /// Automatic caching.
    pub cache_control: Option<CacheControl>,
    /// `standard` or `fast`.
    pub speed: Option<String>,
    /// Where inference may run.
    pub inference_geo: Option<String>,
    /// Container of code execution, to be used again.
    pub container: Option<IgnoredAny>,
    /// Asks why a prompt cache was missed.
    pub diagnostics: Option<IgnoredAny>,
    /// Whom Anthropic shall take for the end user.
    pub user_profile_id: Option<IgnoredAny>,
    /// Anthropic workspace.
    pub workspace_id: Option<IgnoredAny>,
    /// API version, as Bedrock's InvokeModel wants it in the body.
    pub anthropic_version: Option<IgnoredAny>,

    /// Beta flags in the body.
    #[serde(alias = "betas")]
    pub anthropic_beta: Option<TextOrList<String>>,
    /// Beta: edits that the server makes to the context.
    pub context_management: Option<ContextManagement>,
    /// Beta: MCP servers that the server calls. They hold secrets and are not read.
    pub mcp_servers: Option<Vec<IgnoredAny>>,
    /// Beta: the answer is a summary of the conversation.
    pub compaction: Option<IgnoredAny>,
    /// Beta: the conversation goes on that the server keeps.
    pub thread: Option<IgnoredAny>,
    /// Beta: models that answer when this one refuses.
    pub fallbacks: Option<IgnoredAny>,
    /// Beta: credit of an earlier fallback.
    pub fallback_credit_token: Option<IgnoredAny>,
    /// Beta: who pays.
    pub billing_policy: Option<IgnoredAny>,

    /// Sections to cache (not Anthropic's).
    pub prompt_caching: Option<PromptCaching>,
    /// Guardrail, our form.
    pub guardrail: Option<GuardrailConfig>,
    /// Guardrail, Converse's form.
    #[serde(rename = "guardrailConfig")]
    pub guardrail_config: Option<GuardrailConfig>,
    /// Latency, Converse's form.
    #[serde(rename = "performanceConfig", alias = "performance_config")]
    pub performance_config: Option<PerformanceConfig>,
    /// Labels, Converse's form.
    #[serde(rename = "requestMetadata", alias = "request_metadata")]
    pub request_metadata: Option<Map<String, Value>>,
    /// Further model parameters, Converse's name.
    #[serde(alias = "additionalModelRequestFields")]
    pub additional_model_request_fields: Option<Map<String, Value>>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl fmt::Debug for MessagesRequest {
    /// Shapes only: the caller's content stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessagesRequest")
            .field("model", &self.model)
            .field("messages", &self.messages.as_ref().map(Vec::len))
            .field("tools", &self.tools.as_ref().map(Vec::len))
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// Edits that the server makes to the context before the model sees it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ContextManagement {
    /// In the order in which they are made.
    pub edits: Option<Vec<ContextEdit>>,
}

impl ContextManagement {
    /// Does one of them rewrite the conversation? The others only clear what is old out of the model's sight.
    #[must_use]
    pub fn rewrites(&self) -> bool {
        self.edits.iter().flatten().filter_map(|edit| edit.kind.as_deref()).any(ContextEdit::rewrites)
    }
}

/// One edit.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ContextEdit {
    /// `clear_tool_uses_20250919`, `clear_thinking_20251015`, `compact_20260112`, ...
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

impl ContextEdit {
    /// Is it a kind that puts a summary in the place of turns, for the client to keep?
    #[must_use]
    pub fn rewrites(kind: &str) -> bool {
        kind.starts_with("compact")
    }
}

/// `thinking`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ThinkingConfig {
    /// `enabled`, `adaptive`, `disabled` or `between_tools`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Most tokens to think, at least 1,024; with `enabled`.
    pub budget_tokens: Option<Whole>,
    /// `summarized` or `omitted`.
    pub display: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// `output_config`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct OutputConfig {
    /// `low`, `medium`, `high`, `xhigh` or `max`.
    pub effort: Option<String>,
    /// Shape of the answer.
    pub format: Option<OutputFormat>,
    /// Everything else, `task_budget` among it.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Shape of the answer.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct OutputFormat {
    /// `json_schema`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// JSON Schema, as the client wrote it.
    pub schema: Option<Box<RawValue>>,
}
