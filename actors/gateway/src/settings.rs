//! The settings that actors and jobs read while running: one immutable snapshot, replaced as a whole.

use std::{collections::HashMap, sync::Arc, time::Duration};

use outcrop_domain::{
    chat::{CachePolicy, Guardrail, ServiceTier},
    ids::{ModelAlias, ModelId, Region},
    json::JsonObject,
    routing::{BreakerPolicy, quota::Priors, strategy::Strategy},
};
use outcrop_upstream::fetch::FetchLimits;

/// Everything that can change without a restart, except the catalogue's policy and the keys, which their keepers own.
#[derive(Debug, Clone)]
pub struct LiveSettings {
    /// Chat requests.
    pub chat: ChatPolicy,
    /// Routing.
    pub routing: RoutingPolicy,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Limits of URL fetches.
    pub fetch: FetchLimits,
    /// Stored responses and conversations.
    pub responses: ResponsesPolicy,
}

/// How long and how much is stored of responses and conversations.
#[derive(Debug, Clone, Copy)]
pub struct ResponsesPolicy {
    /// How long a response can be asked for.
    pub retention: Duration,
    /// How long a conversation stays that nobody uses.
    pub conversation_retention: Duration,
    /// Most bytes of one response with its input, of a conversation, and of all that a request goes on from.
    pub max_bytes: u64,
    /// Most responses in a chain.
    pub max_chain: u32,
}

impl Default for ResponsesPolicy {
    fn default() -> Self {
        // OpenAI keeps responses for 30 days. A request body may have 64 MiB by default: what was sent can be stored.
        let day = Duration::from_secs(24 * 3600);
        Self { retention: day * 30, conversation_retention: day * 365, max_bytes: 128 * 1024 * 1024, max_chain: 1_000 }
    }
}

/// Deadlines of upstream calls.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until the response head of a streamed call.
    pub first_byte: Duration,
    /// Until the answer of a call that is not streamed.
    pub whole_answer: Duration,
    /// The whole request, all attempts together.
    pub total: Duration,
    /// Silence within a stream.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        // A thinking model may be silent for minutes before its first token; the whole answer may take an hour.
        Self {
            first_byte: Duration::from_secs(120),
            whole_answer: Duration::from_secs(900),
            total: Duration::from_secs(3600),
            idle: Duration::from_secs(300),
        }
    }
}

/// How targets are chosen.
#[derive(Debug, Clone)]
pub struct RoutingPolicy {
    /// How targets are chosen where neither key nor alias says otherwise.
    pub strategy: Strategy,
    /// Some key or alias may choose by quotas though the default does not.
    pub quotas_elsewhere: bool,
    /// Calls of a thousand that may be hedged; 0 = none.
    pub hedge_thousandths: u32,
    /// Plain text streams that break go on in another region.
    pub resume: bool,
    /// Quotas that are known ahead.
    pub quotas: HashMap<Region, RegionQuotas>,
    /// Backoffs.
    pub breaker: BreakerPolicy,
    /// Most upstream calls of one request (of each choice, when `n` is more than 1).
    pub max_attempts: u32,
    /// Longest wait for a closed target to open when no other is left.
    pub max_wait: Duration,
}

impl Default for RoutingPolicy {
    fn default() -> Self {
        Self {
            strategy: Strategy::Ordered,
            quotas_elsewhere: false,
            hedge_thousandths: 0,
            resume: false,
            quotas: HashMap::new(),
            breaker: BreakerPolicy::default(),
            max_attempts: 10,
            max_wait: Duration::from_secs(10),
        }
    }
}

impl RoutingPolicy {
    /// Must every call be counted against its target's quotas, because somebody chooses by them?
    #[must_use]
    pub fn keeps_quotas(&self) -> bool {
        self.quotas_elsewhere || self.strategy.minds_quotas()
    }

    /// What is known ahead of a target's quotas.
    #[must_use]
    pub fn priors(&self, model: &ModelId, region: &Region) -> Priors {
        let Some(quotas) = self.quotas.get(region) else { return Priors::default() };
        quotas.models.get(model).copied().unwrap_or(quotas.each)
    }
}

/// Quotas of one region that are known ahead.
#[derive(Debug, Clone, Default)]
pub struct RegionQuotas {
    /// Of each model.
    pub each: Priors,
    /// Of single models, in place of `each`.
    pub models: HashMap<ModelId, Priors>,
}

/// Defaults and limits of chat requests.
#[derive(Debug, Clone)]
pub struct ChatPolicy {
    /// Adjustments that change the meaning of an answer are errors.
    pub strict: bool,
    /// Sent when the client names no maximum; `None` leaves it to the model.
    pub default_max_tokens: Option<u32>,
    /// Most choices (`n`) of a request.
    pub max_choices: u32,
    /// Most tools of a request.
    pub max_tools: usize,
    /// Hosted tools of a Responses request that the model does not have are left out and reported, not refused.
    pub leave_out_hosted_tools: bool,
    /// Cache marks set for clients that set none.
    pub cache: CachePolicy,
    /// Guardrail on every request.
    pub guardrail: Option<Guardrail>,
    /// A request may name its own guardrail though a global one is set.
    pub guardrail_override: bool,
    /// Thinking budgets by effort, in tokens: minimal, low, medium, high, xhigh, max.
    pub reasoning_budgets: [u32; 6],
    /// Request fields never passed on to models.
    pub dropped_fields: Vec<String>,
    /// What an alias adds to a request, by its name in lower case.
    pub aliases: HashMap<String, AliasOptions>,
    /// URL fetching for media parts is allowed.
    pub fetch_urls: bool,
}

impl Default for ChatPolicy {
    fn default() -> Self {
        Self {
            strict: false,
            default_max_tokens: None,
            max_choices: 16,
            max_tools: 1024,
            leave_out_hosted_tools: false,
            cache: CachePolicy::default(),
            guardrail: None,
            guardrail_override: false,
            reasoning_budgets: [1024, 1024, 2048, 4096, 16_384, 32_768],
            dropped_fields: Vec::new(),
            aliases: HashMap::new(),
            fetch_urls: true,
        }
    }
}

impl ChatPolicy {
    /// What is configured with an alias, by its name in any case.
    #[must_use]
    pub fn alias(&self, name: &ModelAlias) -> Option<&AliasOptions> {
        self.aliases.get(&name.as_str().to_lowercase())
    }
}

/// What an alias adds to a request that does not say otherwise.
#[derive(Debug, Clone, Default)]
pub struct AliasOptions {
    /// Service tier.
    pub service_tier: Option<ServiceTier>,
    /// Guardrail.
    pub guardrail: Option<Guardrail>,
    /// Labels.
    pub metadata: Vec<(String, String)>,
    /// Model parameters.
    pub extra: JsonObject,
    /// How targets are chosen.
    pub strategy: Option<Strategy>,
    /// Models that are asked in this order when no region can serve this one.
    pub fallback: Vec<String>,
}

/// The current snapshot: one atomic load to read.
pub type SettingsCell = Arc<arc_swap::ArcSwap<LiveSettings>>;
