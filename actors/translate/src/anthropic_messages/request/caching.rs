//! Prompt caching: marks in the five places that may have one, and automatic caching.

use outcrop_domain::{
    chat::{CacheMark, CachePolicy, CacheTtl},
    error::GatewayError,
};
use outcrop_protocol::{anthropic::messages::CacheControl, extension::PromptCaching};

use super::faults::{missing, not_one_of};
use crate::dialect::notes::{Notes, label};

/// The mark that a `cache_control` asks for. `path` leads to it.
pub(super) fn mark(
    control: Option<&CacheControl>,
    path: impl FnOnce() -> String,
    notes: &mut Notes,
) -> Result<Option<CacheMark>, GatewayError> {
    let Some(control) = control else { return Ok(None) };
    match control.kind.as_deref() {
        Some("ephemeral") => {}
        None => return Err(missing(format!("{}.type", path()))),
        Some(_) => return Err(not_one_of(format!("{}.type", path()), &["ephemeral"])),
    }
    for name in control.rest.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name) {
        notes.harmless(format!("cache_control.{}", label(name)), "ignored");
    }
    Ok(Some(CacheMark { ttl: control.ttl.as_deref().and_then(|word| ttl(word, "cache_control.ttl", notes)) }))
}

/// Where the gateway shall set marks by itself: as the settings say, as `prompt_caching` says over that, and behind the
/// last turns where the request asks for automatic caching.
pub(super) fn policy(
    automatic: Option<&CacheControl>,
    sections: Option<&PromptCaching>,
    fallback: CachePolicy,
    notes: &mut Notes,
) -> Result<CachePolicy, GatewayError> {
    let mut policy = fallback;
    if let Some(sections) = sections {
        policy.system = sections.system.unwrap_or(policy.system);
        policy.tools = sections.tools.unwrap_or(policy.tools);
        policy.messages = sections.messages.unwrap_or(policy.messages);
        policy.ttl = sections.ttl.as_deref().and_then(|word| ttl(word, "prompt_caching.ttl", notes)).or(policy.ttl);
    }
    if let Some(mark) = mark(automatic, || "cache_control".to_owned(), notes)? {
        policy.messages = true;
        policy.ttl = mark.ttl.or(policy.ttl);
    }
    Ok(policy)
}

/// A lifetime. An unknown word is reported and means the default: a lifetime is never worth a 400.
fn ttl(word: &str, field: &'static str, notes: &mut Notes) -> Option<CacheTtl> {
    match word {
        "5m" => Some(CacheTtl::FiveMinutes),
        "1h" => Some(CacheTtl::OneHour),
        _ => {
            notes.harmless(field, "default");
            None
        }
    }
}
