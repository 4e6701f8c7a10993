//! What a client asks of a chat model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CacheMark, CacheTtl, Content, GuardQualifier, ParallelToolCalls, Tool, ToolChoice};
use crate::json::{JsonObject, JsonText};

/// One chat request, in no dialect.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatRequest {
    /// Instructions that stand before the conversation.
    pub system: Vec<SystemBlock>,
    /// The conversation, as the client ordered it (not yet alternating).
    pub messages: Vec<Message>,
    /// Tools on offer.
    pub tools: Vec<Tool>,
    /// Which tool to call.
    pub tool_choice: ToolChoice,
    /// Several calls at once or not.
    pub parallel_tool_calls: ParallelToolCalls,
    /// Most tokens to produce. `None`: the client did not say, and nothing is invented.
    pub max_tokens: Option<u32>,
    /// Sampling parameters.
    pub sampling: Sampling,
    /// Reasoning wishes.
    pub reasoning: ReasoningRequest,
    /// Shape of the answer.
    pub format: ResponseFormat,
    /// Prompt caching wishes beyond explicit marks.
    pub cache: CachePolicy,
    /// Guardrail to apply.
    pub guardrail: Option<Guardrail>,
    /// Service tier.
    pub service_tier: Option<ServiceTier>,
    /// Latency-optimised inference.
    pub latency: Option<Latency>,
    /// Labels for invocation logs: Converse `requestMetadata`, not yet made fit for it.
    pub metadata: BTreeMap<String, String>,
    /// Further model parameters, for `additionalModelRequestFields`. They win over what we derive.
    pub extra: JsonObject,
    /// Anthropic beta flags the client asked for, unfiltered.
    pub beta_flags: Vec<String>,
}

/// A block of instructions.
#[derive(Debug, Clone, PartialEq)]
pub enum SystemBlock {
    /// Text.
    Text(String),
    /// Text for the guardrail to assess.
    Guarded {
        /// The text.
        text: String,
        /// What it is to the guardrail.
        qualifiers: Vec<GuardQualifier>,
    },
    /// End of a cacheable prefix.
    CachePoint(CacheMark),
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The user (tool results included).
    User,
    /// The model.
    Assistant,
    /// Instructions in mid-conversation.
    System,
}

/// One turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: Vec<Content>,
}

/// Sampling parameters. `None` everywhere means: the model's default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    /// 0..2 as OpenAI counts; surfaces clamp to their own range and say so.
    pub temperature: Option<f64>,
    /// 0..1.
    pub top_p: Option<f64>,
    /// Most likely tokens to choose from.
    pub top_k: Option<u32>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Parameters that only some models take, by OpenAI name: `seed`, `frequency_penalty`,
    /// `presence_penalty`, `logit_bias`, `top_logprobs`. Passed to models whose data says so, else reported.
    pub optional: JsonObject,
}

/// How hard to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// Normally.
    Medium,
    /// Hard.
    High,
    /// Harder.
    Xhigh,
    /// As hard as the model can.
    Max,
}

/// What the client wants of the model's reasoning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReasoningRequest {
    /// On, off, or as the model does by itself.
    pub mode: ReasoningMode,
    /// Effort, where the client named one.
    pub effort: Option<Effort>,
    /// Most tokens to think, where the client named a number.
    pub budget_tokens: Option<u32>,
    /// Whether the client wants to read it.
    pub visibility: ReasoningVisibility,
}

/// Whether to reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReasoningMode {
    /// The client did not say.
    #[default]
    ModelDecides,
    /// Reason.
    On,
    /// Do not.
    Off,
}

/// Whether reasoning text is shown to the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReasoningVisibility {
    /// Shown.
    #[default]
    Shown,
    /// Left out of the answer (billed all the same).
    Hidden,
}

/// Shape of the answer's text.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum ResponseFormat {
    /// Free text.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that keeps to a schema.
    JsonSchema {
        /// Name of the schema: `[a-zA-Z0-9_-]{1,64}` at OpenAI.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// The schema.
        schema: JsonText,
        /// Exactly, or as a hint.
        strict: Option<bool>,
    },
}

/// Where the gateway shall set cache marks by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CachePolicy {
    /// After the last system block.
    pub system: bool,
    /// After the last tool.
    pub tools: bool,
    /// After the last user turns.
    pub messages: bool,
    /// Lifetime of the marks set by us.
    pub ttl: Option<CacheTtl>,
}

/// Converse `guardrailConfig`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guardrail {
    /// Id or ARN.
    pub identifier: String,
    /// `DRAFT` or a number.
    pub version: String,
    /// What to report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<GuardrailTrace>,
    /// How to treat streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_mode: Option<GuardrailStreamMode>,
}

/// How much the guardrail reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardrailTrace {
    /// Interventions.
    Enabled,
    /// Nothing.
    Disabled,
    /// All assessments.
    EnabledFull,
}

/// How a guardrail treats streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardrailStreamMode {
    /// Text waits for its assessment.
    Sync,
    /// Text flows, an intervention may come late.
    Async,
}

/// Bedrock service tier. Source: `serviceTier.type` of the Converse API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceTier {
    /// Paid up, served first.
    Priority,
    /// Standard.
    Default,
    /// Cheap, may wait.
    Flex,
    /// Reserved capacity.
    Reserved,
}

impl ServiceTier {
    /// Bedrock's word, which is also OpenAI's for the tiers both have.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Default => "default",
            Self::Flex => "flex",
            Self::Reserved => "reserved",
        }
    }
}

/// Converse `performanceConfig.latency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Latency {
    /// Usual hardware.
    Standard,
    /// Latency-optimised hardware.
    Optimized,
}
