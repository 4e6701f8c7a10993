//! Numbers and words: limits, sampling, tier, latency, labels.

use std::collections::BTreeMap;

use outcrop_domain::{
    chat::{Latency, Sampling, ServiceTier},
    error::GatewayError,
    json::JsonObject,
};
use outcrop_protocol::openai::{chat::ChatCompletionRequest, loose::Whole};
use serde_json::Value;

use super::notes::{Notes, invalid_value};
use crate::dialect::{labels, numbers, performance};

/// `n`.
pub(crate) fn choices(wire: &ChatCompletionRequest, most: u32) -> Result<u32, GatewayError> {
    let Some(Whole(n)) = wire.n else { return Ok(1) };
    match u32::try_from(n) {
        Ok(n) if (1..=most).contains(&n) => Ok(n),
        _ => Err(invalid_value("n", format!("`n` must be between 1 and {most}, got {n}"))),
    }
}

/// `max_completion_tokens`, else `max_tokens`. Nothing is invented: large defaults reserve quota.
pub(crate) fn max_tokens(wire: &ChatCompletionRequest, notes: &mut Notes) -> Result<Option<u32>, GatewayError> {
    let newer = positive(wire.max_completion_tokens, "max_completion_tokens")?;
    let older = positive(wire.max_tokens, "max_tokens")?;
    if newer.is_some() && older.is_some() && newer != older {
        notes.harmless("max_tokens", "ignored");
    }
    Ok(newer.or(older))
}

/// Sampling parameters, ranges checked.
pub(crate) fn sampling(wire: &mut ChatCompletionRequest, notes: &mut Notes) -> Result<Sampling, GatewayError> {
    Ok(Sampling {
        temperature: within(wire.temperature, "temperature", 0.0, 2.0)?,
        top_p: within(wire.top_p, "top_p", 0.0, 1.0)?,
        top_k: positive(wire.top_k, "top_k")?,
        stop: numbers::stop_texts(wire.stop.take(), "stop", notes),
        optional: optional(wire)?,
    })
}

/// `service_tier`; `header` wins.
pub(crate) fn service_tier(
    wire: &ChatCompletionRequest,
    header: Option<ServiceTier>,
    notes: &mut Notes,
) -> Result<Option<ServiceTier>, GatewayError> {
    let body = match wire.service_tier.as_deref() {
        None | Some("auto") => None,
        Some("default") => Some(ServiceTier::Default),
        Some("flex") => Some(ServiceTier::Flex),
        Some("priority") => Some(ServiceTier::Priority),
        Some("reserved") => Some(ServiceTier::Reserved),
        Some("fast") => {
            notes.harmless("service_tier", "priority");
            Some(ServiceTier::Priority)
        }
        Some("scale") => {
            // Prepaid throughput at OpenAI. Not `priority`: nobody asked to pay more.
            notes.harmless("service_tier", "default");
            Some(ServiceTier::Default)
        }
        Some(_) => {
            return Err(invalid_value(
                "service_tier",
                "`service_tier` must be one of auto, default, flex, priority, reserved, scale, fast",
            ));
        }
    };
    Ok(header.or(body))
}

/// `performanceConfig.latency`; `header` wins.
pub(crate) fn latency(wire: &ChatCompletionRequest, header: Option<Latency>) -> Result<Option<Latency>, GatewayError> {
    performance::latency(wire.performance_config.as_ref(), header)
}

/// `metadata`, `requestMetadata`, `user` and `safety_identifier`, as labels.
pub(crate) fn metadata(wire: &mut ChatCompletionRequest, notes: &mut Notes) -> BTreeMap<String, String> {
    let mut labels = labels::of(wire.metadata.take().into_iter().chain(wire.request_metadata.take()), notes);
    for (name, value) in [("user", wire.user.take()), ("safety_identifier", wire.safety_identifier.take())] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            labels.entry(name.to_owned()).or_insert(value);
        }
    }
    labels
}

/// Parameters that only some models take. A penalty of zero is no penalty: it is not passed on, so that clients
/// that always send it do not get a report each time.
fn optional(wire: &mut ChatCompletionRequest) -> Result<JsonObject, GatewayError> {
    let mut optional = JsonObject::new();
    for (name, value) in [("frequency_penalty", wire.frequency_penalty), ("presence_penalty", wire.presence_penalty)] {
        if let Some(penalty) = within(value, name, -2.0, 2.0)?.filter(|penalty| *penalty != 0.0) {
            optional.insert(name.to_owned(), Value::from(penalty));
        }
    }
    if let Some(Whole(seed)) = wire.seed {
        optional.insert("seed".to_owned(), Value::from(seed));
    }
    if let Some(bias) = wire.logit_bias.take().filter(|bias| !bias.is_empty()) {
        optional.insert("logit_bias".to_owned(), Value::Object(bias));
    }
    match wire.top_logprobs {
        None | Some(Whole(0)) => {}
        Some(Whole(count @ 1..=20)) => {
            optional.insert("top_logprobs".to_owned(), Value::from(count));
        }
        Some(_) => return Err(invalid_value("top_logprobs", "`top_logprobs` must be between 0 and 20")),
    }
    Ok(optional)
}

fn within(value: Option<f64>, field: &'static str, least: f64, most: f64) -> Result<Option<f64>, GatewayError> {
    numbers::within(value, least..=most, |number, _| {
        invalid_value(field, format!("`{field}` must be between {least} and {most}, got {number}"))
    })
}

fn positive(value: Option<Whole>, field: &'static str) -> Result<Option<u32>, GatewayError> {
    numbers::count(value, 1, |number| invalid_value(field, format!("`{field}` must be at least 1, got {number}")))
}
