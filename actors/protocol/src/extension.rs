//! Members that are in no provider's schema and that requests of every client dialect may carry: ours and Converse's.

use serde::Deserialize;

/// `prompt_caching`.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PromptCaching {
    /// Cache the instructions.
    pub system: Option<bool>,
    /// Cache the tools.
    pub tools: Option<bool>,
    /// Cache the conversation.
    pub messages: Option<bool>,
    /// Lifetime.
    pub ttl: Option<String>,
}

/// A guardrail, by our names or Converse's.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardrailConfig {
    /// Id or ARN.
    #[serde(alias = "guardrailIdentifier")]
    pub identifier: Option<String>,
    /// `DRAFT` or a number.
    #[serde(alias = "guardrailVersion")]
    pub version: Option<String>,
    /// `enabled`, `disabled`, `enabled_full`.
    pub trace: Option<String>,
    /// `sync` or `async`.
    #[serde(alias = "streamProcessingMode")]
    pub stream_mode: Option<String>,
}

/// `performanceConfig`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct PerformanceConfig {
    /// `standard` or `optimized`.
    pub latency: Option<String>,
}
