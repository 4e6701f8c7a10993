//! What other families' answers and events say of tokens. Source: model pages of the Bedrock user guide.

use serde::Deserialize;

/// `amazon-bedrock-invocationMetrics` of the last event of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InvocationMetrics {
    /// Uncached input tokens.
    pub input_token_count: Option<u64>,
    /// Output tokens.
    pub output_token_count: Option<u64>,
    /// Input tokens read from the cache.
    pub cache_read_input_token_count: Option<u64>,
    /// Input tokens written to the cache.
    pub cache_write_input_token_count: Option<u64>,
}

/// An answer, or one event, of any family: at most a few members are set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct OtherAnswer {
    /// Of models that speak OpenAI's chat, and of Nova (whose names differ).
    pub usage: Option<OpenAiUsage>,
    /// Nova's last event.
    pub metadata: Option<OtherMetadata>,
    /// Llama.
    pub prompt_token_count: Option<u64>,
    /// Llama.
    pub generation_token_count: Option<u64>,
    /// Titan, text and vectors.
    #[serde(rename = "inputTextTokenCount")]
    pub input_text_token_count: Option<u64>,
    /// Titan, text.
    pub results: Option<Vec<TitanResult>>,
    /// Cohere.
    pub meta: Option<OtherMeta>,
    /// Bedrock's own numbers.
    #[serde(rename = "amazon-bedrock-invocationMetrics")]
    pub metrics: Option<InvocationMetrics>,
}

/// `usage` in OpenAI's names and in Nova's.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct OpenAiUsage {
    /// All input tokens.
    pub prompt_tokens: Option<u64>,
    /// Output tokens.
    pub completion_tokens: Option<u64>,
    /// Input tokens by use.
    pub prompt_tokens_details: Option<TokenDetails>,
    /// Output tokens by use.
    pub completion_tokens_details: Option<TokenDetails>,
    /// Nova's names.
    #[serde(flatten)]
    pub nova: NovaUsage,
}

/// Tokens by use.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct TokenDetails {
    /// Read from the cache.
    pub cached_tokens: Option<u64>,
    /// Spent on reasoning.
    pub reasoning_tokens: Option<u64>,
}

/// `usage` in Nova's names.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NovaUsage {
    /// Uncached input tokens.
    pub input_tokens: Option<u64>,
    /// Output tokens.
    pub output_tokens: Option<u64>,
    /// Read from the cache.
    pub cache_read_input_token_count: Option<u64>,
    /// Written to the cache.
    pub cache_write_input_token_count: Option<u64>,
}

/// Nova's last event.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct OtherMetadata {
    /// Tokens.
    pub usage: Option<NovaUsage>,
}

/// One of Titan's texts.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TitanResult {
    /// Its tokens.
    pub token_count: Option<u64>,
}

/// Cohere's `meta`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct OtherMeta {
    /// Tokens.
    pub billed_units: Option<BilledUnits>,
}

/// What Cohere bills.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct BilledUnits {
    /// Input tokens. A float in their answers.
    pub input_tokens: Option<f64>,
    /// Output tokens.
    pub output_tokens: Option<f64>,
}
