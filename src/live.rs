//! From the user's settings to the values that the gateway's keepers publish; used at start and at every reload.

use outcrop_domain::{
    clock::Ports,
    ids::{ModelAlias, ModelId, Region},
    model::{AliasTarget, CataloguePolicy, ConfiguredProfile, ProfileUse},
    routing::{quota::Priors, strategy::Strategy},
};
use outcrop_gateway::{
    admission::{KeyEntry, KeySnapshot},
    ports::Reload,
    settings::{AliasOptions, ChatPolicy, LiveSettings, RegionQuotas, ResponsesPolicy, RoutingPolicy, Timeouts},
};
use outcrop_upstream::fetch::FetchLimits;

use crate::{
    http::{EdgeLimits, NativeRoutes, Prefixes, ToldHeaders},
    settings::Settings,
};

/// Everything that a reload replaces behind the edge.
#[must_use]
pub fn reload(settings: &Settings, world: &Ports) -> Reload {
    Reload {
        settings: self::settings(settings),
        keys: keys(settings, world),
        book: std::sync::Arc::clone(&settings.models.book),
        policy: policy(settings),
    }
}

/// The limits of the edge.
#[must_use]
pub fn edge_limits(settings: &Settings) -> EdgeLimits {
    EdgeLimits {
        body_bytes: usize::try_from(settings.server.body_limit).unwrap_or(usize::MAX),
        body_timeout: settings.server.body_timeout,
        body_idle: settings.server.body_idle_timeout,
        body_memory: usize::try_from(settings.server.body_memory).unwrap_or(usize::MAX),
        keep_alive: settings.server.keep_alive_interval,
        open_stream_after: settings.chat.open_stream_after,
        told: ToldHeaders {
            adjustments: settings.chat.report_adjustments,
            routing: settings.routing.report,
            limits: settings.routing.report_limits,
        },
    }
}

/// Where the dialects have their routes. Read once, when the router is put together.
#[must_use]
pub fn prefixes(settings: &Settings) -> Prefixes<'_> {
    let server = &settings.server;
    let native = if server.native_routes { NativeRoutes::Served } else { NativeRoutes::Absent };
    Prefixes { openai: &server.openai_prefix, anthropic: &server.anthropic_prefix, native }
}

/// What jobs read.
#[must_use]
pub fn settings(settings: &Settings) -> LiveSettings {
    let chat = &settings.chat;
    LiveSettings {
        chat: ChatPolicy {
            strict: chat.strict,
            default_max_tokens: chat.default_max_tokens,
            max_choices: chat.max_choices,
            max_tools: chat.max_tools as usize,
            leave_out_hosted_tools: chat.leave_out_hosted_tools,
            cache: chat.prompt_caching,
            guardrail: chat.guardrail.clone(),
            guardrail_override: chat.guardrail_override,
            reasoning_budgets: chat.reasoning_budgets.0,
            dropped_fields: chat.drop_params.clone(),
            aliases: settings.models.aliases.iter().map(|(name, alias)| (name.to_lowercase(), alias_options(alias))).collect(),
            fetch_urls: settings.fetch.enabled,
        },
        routing: RoutingPolicy {
            strategy: settings.routing.strategy,
            quotas_elsewhere: quotas_elsewhere(settings),
            hedge_thousandths: settings.routing.hedge_percent * 10,
            resume: settings.routing.resume,
            quotas: settings.routing.quotas.iter().map(|(region, quotas)| (Region::from(region.as_str()), region_quotas(quotas))).collect(),
            breaker: settings.routing.backoff,
            max_attempts: settings.routing.max_attempts,
            max_wait: settings.routing.max_wait,
        },
        timeouts: Timeouts {
            first_byte: settings.timeouts.first_byte,
            whole_answer: settings.timeouts.whole_answer,
            total: settings.timeouts.total,
            idle: settings.timeouts.stream_idle,
        },
        fetch: FetchLimits { max_bytes: usize::try_from(settings.fetch.max_bytes).unwrap_or(usize::MAX), total: settings.fetch.timeout },
        responses: ResponsesPolicy {
            retention: settings.responses.retention,
            conversation_retention: settings.responses.conversation_retention,
            max_bytes: settings.responses.max_bytes,
            max_chain: settings.responses.max_chain,
        },
    }
}

fn alias_options(alias: &crate::settings::Alias) -> AliasOptions {
    AliasOptions {
        service_tier: alias.service_tier,
        guardrail: alias.guardrail.clone(),
        metadata: alias.metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        extra: alias.extra_params.clone(),
        strategy: alias.strategy,
        fallback: alias.fallback.clone(),
    }
}

/// Does some alias or key choose by quotas?
fn quotas_elsewhere(settings: &Settings) -> bool {
    let aliases = settings.models.aliases.values().map(|alias| alias.strategy);
    aliases.chain(settings.keys.list.iter().map(|key| key.strategy)).flatten().any(Strategy::minds_quotas)
}

fn region_quotas(quotas: &crate::settings::RegionQuotas) -> RegionQuotas {
    let models = quotas.models.iter().map(|(model, quotas)| (ModelId::from(model.as_str()), priors(quotas))).collect();
    RegionQuotas { each: priors(&quotas.each), models }
}

fn priors(quotas: &crate::settings::Quotas) -> Priors {
    // Exact below 2^53, which no quota reaches.
    let amount = |told: Option<i64>| told.map(|told| told as f64);
    Priors {
        requests_per_minute: amount(quotas.requests_per_minute),
        tokens_per_minute: amount(quotas.tokens_per_minute),
        tokens_per_day: amount(quotas.tokens_per_day),
    }
}

/// Who may ask.
#[must_use]
pub fn keys(settings: &Settings, world: &Ports) -> KeySnapshot {
    let entries: Vec<KeyEntry> = settings
        .keys
        .list
        .iter()
        .map(|key| KeyEntry { id: key.id.clone(), secret: key.secret.clone(), models: key.models.clone(), strategy: key.strategy })
        .collect();
    KeySnapshot::new(&entries, settings.keys.required, world.entropy.as_ref())
}

/// What the catalogue is built by.
#[must_use]
pub fn policy(settings: &Settings) -> CataloguePolicy {
    let models = &settings.models;
    CataloguePolicy {
        regions: settings.aws.regions.clone(),
        prefer: models.prefer,
        allow_global: models.allow_global_profiles,
        residency: models.residency.clone(),
        allow_models: models.allow.clone(),
        deny_models: models.deny.clone(),
        legacy: models.legacy,
        prefixed_names: models.prefixed_names,
        profiles: models
            .inference_profiles
            .iter()
            .map(|(arn, model)| ConfiguredProfile { arn: arn.as_str().into(), model: model.clone(), serves: ProfileUse::default() })
            .collect(),
        aliases: models
            .aliases
            .iter()
            .map(|(name, alias)| AliasTarget { name: ModelAlias::from(name.as_str()), model: alias.model.clone() })
            .collect(),
        retired_fallback: models.retired_fallback,
    }
}
