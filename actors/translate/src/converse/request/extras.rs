//! Everything beside the conversation: extra model fields, guardrail, tier, latency, labels.

use std::collections::BTreeMap;

use outcrop_domain::{
    adjust::{Adjustments, word},
    chat::{ChatRequest, GuardrailStreamMode, GuardrailTrace, Latency, ParallelToolCalls, ServiceTier as Tier},
    error::GatewayError,
    json::JsonObject,
    model::TopKField,
};
use outcrop_protocol::bedrock::converse::{GuardrailConfig, PerformanceConfig, ServiceTier};
use serde_json::{Map, Value};

use super::{Mode, Scope, inference, reasoning::ReasoningPlan};

/// Most labels. Source: Converse `RequestMetadata`.
pub(crate) const MAX_LABELS: usize = 16;
/// Longest key or value of a label, in characters. Source: Converse `RequestMetadata`.
const MAX_LABEL_LENGTH: usize = 256;

/// `additionalModelRequestFields`: what other rules derived, and over it what the caller gave.
pub(super) fn request_fields(scope: Scope<'_>, reasoning: &ReasoningPlan, tools: bool, notes: &mut Adjustments) -> JsonObject {
    let mut fields = optional_parameters(scope, notes);
    if let Some(top_k) = inference::top_k(scope, reasoning, notes) {
        put_top_k(scope.model.top_k, top_k, &mut fields);
    }
    if tools && scope.model.parallel_switch && scope.request.parallel_tool_calls == ParallelToolCalls::Forbidden {
        // Without `type`, which would clash with `toolConfig.toolChoice`.
        fields.insert("tool_choice".to_owned(), object("disable_parallel_tool_use", Value::Bool(true)));
    }
    merge(&mut fields, &reasoning.fields);
    let betas = beta_flags(scope, reasoning, notes);
    if !betas.is_empty() {
        fields.insert("anthropic_beta".to_owned(), Value::Array(betas));
    }
    merge(&mut fields, &scope.request.extra);
    fields
}

fn optional_parameters(scope: Scope<'_>, notes: &mut Adjustments) -> JsonObject {
    let mut fields = Map::new();
    for (name, value) in &scope.request.sampling.optional {
        if scope.model.passed_parameters.contains(name) {
            fields.insert(name.clone(), value.clone());
        } else {
            notes.note(word(name), "ignored");
        }
    }
    fields
}

fn put_top_k(field: TopKField, top_k: u32, fields: &mut JsonObject) {
    let (name, value) = match field {
        TopKField::Unsupported => return,
        TopKField::TopK => ("top_k", Value::from(top_k)),
        TopKField::K => ("k", Value::from(top_k)),
        TopKField::InferenceConfig => ("inferenceConfig", object("topK", Value::from(top_k))),
    };
    fields.insert(name.to_owned(), value);
}

fn object(member: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(member.to_owned(), value)]))
}

/// Flags that the model is known to take; one unknown flag would fail the request.
fn beta_flags(scope: Scope<'_>, reasoning: &ReasoningPlan, notes: &mut Adjustments) -> Vec<Value> {
    let choice = scope.model.betas.converse.choose(scope.request.beta_flags.iter().map(String::as_str), &[]);
    for flag in &choice.dropped {
        notes.note("anthropic_beta", format!("dropped:{}", word(flag)));
    }
    let mut flags = choice.sent;
    for flag in &reasoning.betas {
        if !flags.iter().any(|known| known == flag) {
            flags.push((*flag).to_owned());
        }
    }
    flags.into_iter().map(Value::from).collect()
}

/// Merges `over` into `base`: objects member by member, everything else replaced.
fn merge(base: &mut JsonObject, over: &JsonObject) {
    for (name, value) in over {
        match (base.get_mut(name), value) {
            (Some(Value::Object(base)), Value::Object(over)) => merge(base, over),
            _ => {
                base.insert(name.clone(), value.clone());
            }
        }
    }
}

/// What to report of the model's own answer.
pub(super) fn response_paths(scope: Scope<'_>, reasoning: &ReasoningPlan) -> Vec<&'static str> {
    let mut paths = Vec::new();
    if scope.model.reports_thinking_tokens && reasoning.possible {
        paths.push("/usage/output_tokens_details");
    }
    if scope.model.reports_stop_sequence && !scope.request.sampling.stop.is_empty() {
        paths.push("/stop_sequence");
    }
    paths
}

/// `guardrailConfig`.
///
/// # Errors
/// When the model cannot be guarded: an unguarded answer is not what was asked for.
pub(super) fn guardrail<'a>(scope: Scope<'a>, mode: Mode) -> Result<Option<GuardrailConfig<'a>>, GatewayError> {
    let Some(guardrail) = &scope.request.guardrail else { return Ok(None) };
    if !scope.model.guardrails {
        return Err(GatewayError::invalid("guardrail", format!("model `{}` does not support guardrails", scope.options.model)));
    }
    Ok(Some(GuardrailConfig {
        guardrail_identifier: &guardrail.identifier,
        guardrail_version: &guardrail.version,
        trace: guardrail.trace.map(|trace| match trace {
            GuardrailTrace::Enabled => "enabled",
            GuardrailTrace::Disabled => "disabled",
            GuardrailTrace::EnabledFull => "enabled_full",
        }),
        stream_processing_mode: guardrail.stream_mode.filter(|_| mode == Mode::Stream).map(|mode| match mode {
            GuardrailStreamMode::Sync => "sync",
            GuardrailStreamMode::Async => "async",
        }),
    }))
}

/// `performanceConfig`.
pub(super) fn performance(request: &ChatRequest) -> Option<PerformanceConfig> {
    request.latency.map(|latency| PerformanceConfig {
        latency: match latency {
            Latency::Standard => "standard",
            Latency::Optimized => "optimized",
        },
    })
}

/// `serviceTier`; the default one goes without saying.
pub(super) fn service_tier(request: &ChatRequest) -> Option<ServiceTier> {
    request.service_tier.filter(|tier| *tier != Tier::Default).map(|tier| ServiceTier { kind: tier.as_str() })
}

/// `requestMetadata`, in the characters and lengths it takes.
pub(crate) fn clean_labels(given: &BTreeMap<String, String>, notes: &mut Adjustments) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (key, value) in given {
        if labels.len() == MAX_LABELS {
            notes.note("metadata", "truncated");
            break;
        }
        let (clean_key, clean_value) = (label(key), label(value));
        if clean_key != *key || clean_value != *value {
            notes.note("metadata", "cleaned");
        }
        if clean_key.is_empty() || labels.contains_key(&clean_key) {
            notes.note("metadata", "dropped");
            continue;
        }
        labels.insert(clean_key, clean_value);
    }
    labels
}

fn label(text: &str) -> String {
    text.chars().take(MAX_LABEL_LENGTH).map(|character| if is_label_character(character) { character } else { '_' }).collect()
}

/// `[a-zA-Z0-9\s:_@$#=/+,-.]`. Source: Converse `RequestMetadata`.
fn is_label_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, ' ' | ':' | '_' | '@' | '$' | '#' | '=' | '/' | '+' | ',' | '-' | '.')
}
