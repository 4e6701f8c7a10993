//! Numbers and words: limits, sampling, tier, labels.

use std::collections::BTreeMap;

use outcrop_domain::{
    chat::{Sampling, ServiceTier},
    error::GatewayError,
    json::JsonObject,
};
use outcrop_protocol::anthropic::messages::MessagesRequest;

use super::faults::{fault, missing, not_one_of};
use crate::dialect::{
    labels,
    notes::Notes,
    numbers::{self, Beyond},
};

/// `max_tokens`, which this API requires.
pub(super) fn max_tokens(wire: &MessagesRequest) -> Result<u32, GatewayError> {
    numbers::count(wire.max_tokens, 1, |_| fault("max_tokens", "Input should be greater than or equal to 1"))?
        .ok_or_else(|| missing("max_tokens"))
}

/// Sampling parameters, ranges checked.
pub(super) fn sampling(wire: &mut MessagesRequest, notes: &mut Notes) -> Result<Sampling, GatewayError> {
    let top_k = numbers::count(wire.top_k, 0, |_| fault("top_k", "Input should be greater than or equal to 0"))?;
    Ok(Sampling {
        temperature: unit_range(wire.temperature, "temperature")?,
        top_p: unit_range(wire.top_p, "top_p")?,
        // "Of none" means no limit.
        top_k: top_k.filter(|count| *count > 0),
        stop: numbers::stop_texts(wire.stop_sequences.take(), "stop_sequences", notes),
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
    numbers::within(value, 0.0..=1.0, |_, beyond| match beyond {
        Beyond::Least => fault(field, "Input should be greater than or equal to 0"),
        Beyond::Most => fault(field, "Input should be less than or equal to 1"),
    })
}
