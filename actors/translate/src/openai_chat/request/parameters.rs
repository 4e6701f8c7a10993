//! Numbers and words: limits, sampling, tier, latency, labels.

use std::collections::BTreeMap;

use outcrop_domain::{
    chat::{Latency, Sampling, ServiceTier},
    error::GatewayError,
    json::JsonObject,
};
use outcrop_protocol::openai::{
    chat::ChatCompletionRequest,
    loose::{TextOrList, Whole},
};
use serde_json::Value;

use super::notes::{Notes, invalid_value};

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
        stop: stop(wire.stop.take(), notes),
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
    let body = match wire.performance_config.as_ref().and_then(|config| config.latency.as_deref()) {
        None => None,
        Some("standard") => Some(Latency::Standard),
        Some("optimized") => Some(Latency::Optimized),
        Some(_) => {
            return Err(invalid_value("performanceConfig.latency", "`performanceConfig.latency` must be `standard` or `optimized`"));
        }
    };
    Ok(header.or(body))
}

/// `metadata`, `requestMetadata`, `user` and `safety_identifier`, as labels.
pub(crate) fn metadata(wire: &mut ChatCompletionRequest, notes: &mut Notes) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let given = wire.metadata.take().into_iter().chain(wire.request_metadata.take()).flatten();
    for (key, value) in given {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            other => {
                notes.harmless("metadata", "stringified");
                other.to_string()
            }
        };
        labels.insert(key, text);
    }
    for (name, value) in [("user", wire.user.take()), ("safety_identifier", wire.safety_identifier.take())] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            labels.entry(name.to_owned()).or_insert(value);
        }
    }
    labels
}

fn stop(wire: Option<TextOrList<String>>, notes: &mut Notes) -> Vec<String> {
    let mut texts = match wire {
        None => Vec::new(),
        Some(TextOrList::Text(text)) => vec![text],
        Some(TextOrList::List(texts)) => texts,
    };
    let given = texts.len();
    texts.retain(|text| !text.is_empty());
    if texts.len() < given {
        notes.harmless("stop", "empty_dropped");
    }
    texts
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
    match value {
        Some(number) if !(least..=most).contains(&number) => {
            Err(invalid_value(field, format!("`{field}` must be between {least} and {most}, got {number}")))
        }
        other => Ok(other),
    }
}

fn positive(value: Option<Whole>, field: &'static str) -> Result<Option<u32>, GatewayError> {
    match value {
        None => Ok(None),
        Some(Whole(number)) if number < 1 => Err(invalid_value(field, format!("`{field}` must be at least 1, got {number}"))),
        // Beyond any model's limit anyway; surfaces cap it to the model's.
        Some(Whole(number)) => Ok(Some(u32::try_from(number).unwrap_or(u32::MAX))),
    }
}
