//! What a gateway's settings say beside a body, whatever its dialect.

use outcrop_domain::chat::{CachePolicy, Latency, ServiceTier};

use super::{Sniff, guardrail::GuardrailRule, notes::Strictness};

/// What the gateway's settings, the model's data and the request's headers say beside the body.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Whether changes of meaning are made and reported, or refused.
    pub strictness: Strictness,
    /// Tells file types.
    pub sniff: Sniff,
    /// Most answers to one request (OpenAI's `n`, whose limit is 128); every answer is a call of its own.
    pub max_choices: u32,
    /// Most tools on offer. OpenAI's limit is 128; Anthropic and Bedrock name none.
    pub max_tools: usize,
    /// The model's data: Converse's names of the tools that its provider runs.
    pub system_tools: Vec<String>,
    /// Guardrail of the operator or of the request's headers.
    pub guardrail: GuardrailRule,
    /// Tier from the request's headers; wins over the body's.
    pub service_tier: Option<ServiceTier>,
    /// Latency from the request's headers; wins over the body's.
    pub latency: Option<Latency>,
    /// `anthropic-beta` headers, unsplit.
    pub beta_flags: Vec<String>,
    /// Prompt caching where the body says nothing.
    pub cache: CachePolicy,
}

impl ReadOptions {
    /// Most answers to one request unless set otherwise: OpenAI's own limit.
    pub const DEFAULT_MAX_CHOICES: u32 = 128;
    /// Most tools unless set otherwise: beyond any agent seen, and small enough not to be a way to hurt us.
    pub const DEFAULT_MAX_TOOLS: usize = 1024;

    /// The options of a gateway without settings, for a model without tools of its own.
    #[must_use]
    pub fn new(sniff: Sniff) -> Self {
        Self {
            strictness: Strictness::Lenient,
            sniff,
            max_choices: Self::DEFAULT_MAX_CHOICES,
            max_tools: Self::DEFAULT_MAX_TOOLS,
            system_tools: Vec::new(),
            guardrail: GuardrailRule::Open(None),
            service_tier: None,
            latency: None,
            beta_flags: Vec::new(),
            cache: CachePolicy::default(),
        }
    }
}
