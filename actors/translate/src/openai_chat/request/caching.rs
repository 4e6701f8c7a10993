//! Prompt caching: marks on parts, messages and tools, and the switches for whole sections.

use outcrop_domain::{
    chat::{CacheMark, CachePolicy, CacheTtl},
    error::GatewayError,
};
use outcrop_protocol::openai::chat::{CacheControl, ChatCompletionRequest};

use super::notes::{Notes, invalid_value};

/// Lifetimes that the request names for all its marks.
#[derive(Default)]
pub(crate) struct Lifetimes {
    ttl: Option<CacheTtl>,
}

impl Lifetimes {
    pub(crate) fn read(wire: &ChatCompletionRequest, notes: &mut Notes) -> Result<Self, GatewayError> {
        let retention = match wire.prompt_cache_retention.as_deref() {
            None | Some("in_memory" | "in-memory") => None,
            Some(word) => Some(ttl(word, "prompt_cache_retention", notes).ok_or_else(|| {
                invalid_value("prompt_cache_retention", "`prompt_cache_retention` must be `in_memory`, `24h`, `1h` or `5m`")
            })?),
        };
        let options = wire.prompt_cache_options.as_ref().and_then(|options| options.ttl.as_deref());
        let options = options.and_then(|word| lenient_ttl(word, "prompt_cache_options.ttl", notes));
        let sections = wire.prompt_caching.as_ref().and_then(|caching| caching.ttl.as_deref());
        let sections = sections.and_then(|word| lenient_ttl(word, "prompt_caching.ttl", notes));
        Ok(Self { ttl: sections.or(options).or(retention) })
    }

    /// The mark that a block's `cache_control` or `prompt_cache_breakpoint` asks for. `place` names the block.
    pub(crate) fn mark(
        &self,
        control: Option<&CacheControl>,
        breakpoint: Option<&CacheControl>,
        place: impl Fn(&str) -> String,
        notes: &mut Notes,
    ) -> Result<Option<CacheMark>, GatewayError> {
        let (mark, field) = match (control, breakpoint) {
            (Some(control), _) => (control, "cache_control"),
            (None, Some(breakpoint)) => (breakpoint, "prompt_cache_breakpoint"),
            (None, None) => return Ok(None),
        };
        if !matches!(mark.kind.as_deref(), None | Some("ephemeral" | "default")) {
            return Err(invalid_value(place(&format!("{field}.type")), format!("`{field}.type` must be `ephemeral`")));
        }
        if !matches!(mark.mode.as_deref(), None | Some("explicit")) {
            return Err(invalid_value(place(&format!("{field}.mode")), format!("`{field}.mode` must be `explicit`")));
        }
        let own = mark.ttl.as_deref().and_then(|word| {
            lenient_ttl(word, if field == "cache_control" { "cache_control.ttl" } else { "prompt_cache_breakpoint.ttl" }, notes)
        });
        Ok(Some(CacheMark { ttl: own.or(self.ttl) }))
    }
}

/// Where the gateway shall set marks by itself.
pub(crate) fn policy(wire: &ChatCompletionRequest, fallback: CachePolicy, lifetimes: &Lifetimes) -> Result<CachePolicy, GatewayError> {
    let mut policy = fallback;
    match wire.prompt_cache_options.as_ref().and_then(|options| options.mode.as_deref()) {
        None => {}
        Some("explicit") => policy = CachePolicy { system: false, tools: false, messages: false, ..policy },
        Some("implicit") => policy.messages = true,
        Some(_) => return Err(invalid_value("prompt_cache_options.mode", "`prompt_cache_options.mode` must be `implicit` or `explicit`")),
    }
    if let Some(sections) = wire.prompt_cache_key.as_deref().and_then(sections_of_key) {
        policy = CachePolicy { ttl: policy.ttl, ..sections };
    }
    if let Some(caching) = &wire.prompt_caching {
        policy.system = caching.system.unwrap_or(policy.system);
        policy.tools = caching.tools.unwrap_or(policy.tools);
        policy.messages = caching.messages.unwrap_or(policy.messages);
    }
    policy.ttl = lifetimes.ttl.or(policy.ttl);
    Ok(policy)
}

/// A key made of nothing but section words (`system.tools`) is a switch; any other key routes caches at OpenAI
/// and means nothing to Bedrock.
fn sections_of_key(key: &str) -> Option<CachePolicy> {
    let mut policy = CachePolicy::default();
    for word in key.split('.') {
        match word {
            "system" => policy.system = true,
            "tools" => policy.tools = true,
            "messages" => policy.messages = true,
            _ => return None,
        }
    }
    Some(policy)
}

/// A lifetime by any client's word, raised or lowered to what Bedrock has.
fn ttl(word: &str, field: &'static str, notes: &mut Notes) -> Option<CacheTtl> {
    match word {
        "5m" => Some(CacheTtl::FiveMinutes),
        "1h" => Some(CacheTtl::OneHour),
        "30m" | "12h" | "24h" => {
            notes.harmless(field, "1h");
            Some(CacheTtl::OneHour)
        }
        _ => None,
    }
}

/// As [`ttl`]; an unknown word is reported and means the default: a lifetime is never worth a 400.
fn lenient_ttl(word: &str, field: &'static str, notes: &mut Notes) -> Option<CacheTtl> {
    let known = ttl(word, field, notes);
    if known.is_none() {
        notes.harmless(field, "default");
    }
    known
}
