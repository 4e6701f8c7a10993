//! Numbers and words: limits, sampling, tier, labels.

use std::collections::BTreeMap;

use outcrop_domain::{
    chat::{Sampling, ServiceTier},
    error::GatewayError,
    json::JsonObject,
};
use outcrop_protocol::{
    anthropic::messages::MessagesRequest,
    loose::{TextOrList, Whole},
};

use super::faults::{fault, missing, not_one_of};
use crate::dialect::{labels, notes::Notes};

/// `max_tokens`, which this API requires.
pub(super) fn max_tokens(wire: &MessagesRequest) -> Result<u32, GatewayError> {
    match wire.max_tokens {
        None => Err(missing("max_tokens")),
        Some(Whole(tokens)) if tokens < 1 => Err(fault("max_tokens", "Input should be greater than or equal to 1")),
        // Beyond any model's limit anyway; surfaces cap it to the model's.
        Some(Whole(tokens)) => Ok(u32::try_from(tokens).unwrap_or(u32::MAX)),
    }
}

/// Sampling parameters, ranges checked.
pub(super) fn sampling(wire: &mut MessagesRequest, notes: &mut Notes) -> Result<Sampling, GatewayError> {
    let top_k = match wire.top_k {
        None => None,
        Some(Whole(count)) if count < 0 => return Err(fault("top_k", "Input should be greater than or equal to 0")),
        // "Of none" means no limit.
        Some(Whole(0)) => None,
        Some(Whole(count)) => Some(u32::try_from(count).unwrap_or(u32::MAX)),
    };
    Ok(Sampling {
        temperature: unit_range(wire.temperature, "temperature")?,
        top_p: unit_range(wire.top_p, "top_p")?,
        top_k,
        stop: stop_sequences(wire.stop_sequences.take(), notes),
        optional: JsonObject::new(),
    })
}

/// `service_tier`; `header` wins. Beside Anthropic's words Bedrock's are taken.
pub(crate) fn tier(word: Option<&str>, header: Option<ServiceTier>) -> Result<Option<ServiceTier>, GatewayError> {
    let body = match word {
        None | Some("auto") => None,
        Some("standard_only" | "default") => Some(ServiceTier::Default),
        Some("flex") => Some(ServiceTier::Flex),
        Some("priority") => Some(ServiceTier::Priority),
        Some("reserved") => Some(ServiceTier::Reserved),
        Some(_) => return Err(not_one_of("service_tier", &["auto", "standard_only"])),
    };
    Ok(header.or(body))
}

/// `metadata` and `requestMetadata`, as labels.
pub(super) fn metadata(wire: &mut MessagesRequest, notes: &mut Notes) -> BTreeMap<String, String> {
    labels::of(wire.metadata.take().into_iter().chain(wire.request_metadata.take()), notes)
}

fn unit_range(value: Option<f64>, field: &'static str) -> Result<Option<f64>, GatewayError> {
    match value {
        Some(number) if number < 0.0 => Err(fault(field, "Input should be greater than or equal to 0")),
        Some(number) if number > 1.0 => Err(fault(field, "Input should be less than or equal to 1")),
        other => Ok(other),
    }
}

fn stop_sequences(wire: Option<TextOrList<String>>, notes: &mut Notes) -> Vec<String> {
    let mut texts = match wire {
        None => Vec::new(),
        Some(TextOrList::Text(text)) => vec![text],
        Some(TextOrList::List(texts)) => texts,
    };
    let given = texts.len();
    texts.retain(|text| !text.is_empty());
    if texts.len() < given {
        notes.harmless("stop_sequences", "empty_dropped");
    }
    texts
}
