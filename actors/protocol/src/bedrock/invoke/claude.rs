//! `usage` of Anthropic's Messages API.

use serde::Deserialize;

/// Tokens of a Claude answer; events tell parts of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ClaudeUsage {
    /// Uncached input tokens.
    pub input_tokens: Option<u64>,
    /// Output tokens so far.
    pub output_tokens: Option<u64>,
    /// Input tokens read from the cache.
    pub cache_read_input_tokens: Option<u64>,
    /// Input tokens written to the cache, with any lifetime.
    pub cache_creation_input_tokens: Option<u64>,
    /// The same by lifetime.
    pub cache_creation: Option<CacheCreation>,
    /// Output tokens by use.
    pub output_tokens_details: Option<OutputTokensDetails>,
    /// Steps of an answer that the service makes in several.
    pub iterations: Option<Vec<Iteration>>,
    /// `standard`, `priority` or `batch`.
    pub service_tier: Option<String>,
}

/// Cache writes by lifetime.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CacheCreation {
    /// Five minutes.
    pub ephemeral_5m_input_tokens: Option<u64>,
    /// One hour.
    pub ephemeral_1h_input_tokens: Option<u64>,
}

/// Output tokens by use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct OutputTokensDetails {
    /// Tokens spent on thinking.
    pub thinking_tokens: Option<u64>,
}

/// One step of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Iteration {
    /// `message`, or `compaction`, whose tokens the sums leave out.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Uncached input tokens.
    pub input_tokens: Option<u64>,
    /// Output tokens.
    pub output_tokens: Option<u64>,
    /// Input tokens read from the cache.
    pub cache_read_input_tokens: Option<u64>,
    /// Input tokens written to the cache, with any lifetime.
    pub cache_creation_input_tokens: Option<u64>,
    /// The same by lifetime.
    pub cache_creation: Option<CacheCreation>,
}
