//! The request body.

use std::fmt;

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{Map, Value, value::RawValue};

use super::{ChatMessage, FunctionChoice, FunctionParam, ToolChoiceParam, ToolParam};
use crate::{
    extension::{GuardrailConfig, PerformanceConfig, PromptCaching},
    openai::loose::{TextOrList, Whole},
};

/// Body of `POST /v1/chat/completions`: every published property, the widely used ones beside them, and the
/// rest in `extra`. Nothing is required here: the translator says what is missing, by OpenAI's code for it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ChatCompletionRequest {
    /// The conversation.
    pub messages: Option<Vec<ChatMessage>>,
    /// The model, by any name the caller knows.
    pub model: Option<String>,
    /// Voice and format of a spoken answer.
    pub audio: Option<IgnoredAny>,
    /// -2..2.
    pub frequency_penalty: Option<f64>,
    /// Legacy choice among `functions`.
    pub function_call: Option<FunctionChoice>,
    /// Legacy tools.
    pub functions: Option<Vec<FunctionParam>>,
    /// Token id to bias.
    pub logit_bias: Option<Map<String, Value>>,
    /// Log probabilities of the answer's tokens.
    pub logprobs: Option<bool>,
    /// Most tokens to produce; wins over `max_tokens`.
    pub max_completion_tokens: Option<Whole>,
    /// Most tokens to produce, the older name.
    pub max_tokens: Option<Whole>,
    /// Labels. Published as text to text; clients send more.
    pub metadata: Option<Map<String, Value>>,
    /// `text`, `audio`.
    pub modalities: Option<Vec<String>>,
    /// Moderation of input and output.
    pub moderation: Option<IgnoredAny>,
    /// Number of answers.
    pub n: Option<Whole>,
    /// Several tool calls at once.
    pub parallel_tool_calls: Option<bool>,
    /// Text the answer will resemble.
    pub prediction: Option<IgnoredAny>,
    /// -2..2.
    pub presence_penalty: Option<f64>,
    /// Cache routing key; words of sections switch caching on.
    pub prompt_cache_key: Option<String>,
    /// Cache mode and lifetime.
    pub prompt_cache_options: Option<PromptCacheOptions>,
    /// `in_memory` or `24h`; `5m` and `1h` with some clients.
    pub prompt_cache_retention: Option<String>,
    /// `none` to `max`.
    pub reasoning_effort: Option<String>,
    /// Shape of the answer.
    pub response_format: Option<ResponseFormatParam>,
    /// Hashed end user.
    pub safety_identifier: Option<String>,
    /// Sampling seed.
    pub seed: Option<Whole>,
    /// `auto`, `default`, `flex`, `scale`, `priority`, `fast`.
    pub service_tier: Option<String>,
    /// Texts that end the answer.
    pub stop: Option<TextOrList<String>>,
    /// Keep the answer for later retrieval.
    pub store: Option<bool>,
    /// Answer bit by bit.
    pub stream: Option<bool>,
    /// How to stream.
    pub stream_options: Option<StreamOptions>,
    /// 0..2.
    pub temperature: Option<f64>,
    /// Choice among `tools`.
    pub tool_choice: Option<ToolChoiceParam>,
    /// Tools on offer.
    pub tools: Option<Vec<ToolParam>>,
    /// 0..20.
    pub top_logprobs: Option<Whole>,
    /// 0..1.
    pub top_p: Option<f64>,
    /// End user.
    pub user: Option<String>,
    /// `low`, `medium`, `high`.
    pub verbosity: Option<String>,
    /// Web search.
    pub web_search_options: Option<WebSearchOptions>,

    /// Most likely tokens to choose from (not OpenAI's; most other providers').
    pub top_k: Option<Whole>,
    /// Anthropic's way to ask for reasoning.
    pub thinking: Option<ThinkingOptions>,
    /// Qwen's way.
    pub enable_thinking: Option<bool>,
    /// Qwen's budget, tokens.
    pub thinking_budget: Option<Whole>,
    /// OpenRouter's way.
    pub reasoning: Option<ReasoningOptions>,
    /// OpenRouter's older switch for showing it.
    pub include_reasoning: Option<bool>,
    /// Sections to cache.
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
    /// Beta flags.
    pub anthropic_beta: Option<TextOrList<String>>,
    /// Further model parameters, Converse's name.
    #[serde(alias = "additionalModelRequestFields")]
    pub additional_model_request_fields: Option<Map<String, Value>>,
    /// Further model parameters, when a client sends the SDK's argument itself.
    pub extra_body: Option<Map<String, Value>>,
    /// What the Responses API has in place of `messages`, as it was written (a null too, for it tells which API is meant):
    /// some clients post it here.
    #[serde(deserialize_with = "present")]
    pub input: Option<Box<RawValue>>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Whatever stands there, null included.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

impl fmt::Debug for ChatCompletionRequest {
    /// Shapes only: the caller's content stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatCompletionRequest")
            .field("model", &self.model)
            .field("messages", &self.messages.as_ref().map(Vec::len))
            .field("tools", &self.tools.as_ref().map(Vec::len))
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// `stream_options`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct StreamOptions {
    /// One more chunk with the tokens used.
    pub include_usage: Option<bool>,
    /// Padding against traffic analysis.
    pub include_obfuscation: Option<bool>,
}

/// `response_format`. The members of `json_schema` may also stand flat beside `type`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ResponseFormatParam {
    /// `text`, `json_object`, `json_schema`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The schema.
    pub json_schema: Option<SchemaFormat>,
    /// Flat: name.
    pub name: Option<String>,
    /// Flat: description.
    pub description: Option<String>,
    /// Flat: schema.
    pub schema: Option<Box<RawValue>>,
    /// Flat: strictness.
    pub strict: Option<bool>,
}

/// `response_format.json_schema`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct SchemaFormat {
    /// Name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// JSON Schema, as the client wrote it.
    pub schema: Option<Box<RawValue>>,
    /// Keep to it exactly.
    pub strict: Option<bool>,
}

/// `thinking`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ThinkingOptions {
    /// `enabled`, `adaptive`, `auto`, `disabled`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Most tokens to think.
    pub budget_tokens: Option<Whole>,
    /// `summarized` or `omitted`.
    pub display: Option<String>,
}

/// `reasoning`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ReasoningOptions {
    /// `none` to `max`.
    pub effort: Option<String>,
    /// Most tokens to think.
    pub max_tokens: Option<Whole>,
    /// On or off.
    pub enabled: Option<bool>,
    /// Leave it out of the answer.
    pub exclude: Option<bool>,
}

/// `prompt_cache_options`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct PromptCacheOptions {
    /// `implicit` or `explicit`.
    pub mode: Option<String>,
    /// `30m`; others with some clients.
    pub ttl: Option<String>,
}

/// `web_search_options`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct WebSearchOptions {
    /// Where the user is.
    pub user_location: Option<IgnoredAny>,
    /// `low`, `medium`, `high`.
    pub search_context_size: Option<String>,
}
