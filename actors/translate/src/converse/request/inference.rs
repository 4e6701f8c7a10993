//! `inferenceConfig`: limits and sampling.

use outcrop_domain::{
    adjust::Adjustments,
    chat::ChatRequest,
    json::JsonObject,
    model::{SamplingRule, TopKField},
};
use outcrop_protocol::bedrock::converse::InferenceConfig;
use serde_json::Value;

use super::{
    Scope,
    reasoning::{ReasoningPlan, SamplingLimits},
};

/// Least `top_p` while Claude thinks.
const MIN_THINKING_TOP_P: f64 = 0.95;

/// The client's limit of output tokens, within what the model takes. Nothing is invented: Bedrock reserves the
/// number against the quota at admission.
pub(super) fn max_tokens(scope: Scope<'_>, notes: &mut Adjustments) -> Option<u32> {
    let wished = scope.request.max_tokens?;
    let mut tokens = wished;
    if let Some(ceiling) = scope.options.max_output_tokens.filter(|ceiling| tokens > *ceiling) {
        notes.note("max_tokens", "lowered");
        tokens = ceiling;
    }
    let floor = scope.model.min_max_tokens.max(1);
    if tokens < floor {
        notes.note("max_tokens", "raised");
        tokens = floor;
    }
    Some(tokens)
}

/// The whole of it, or nothing when nothing is set.
pub(super) fn config<'a>(scope: Scope<'a>, reasoning: &ReasoningPlan, notes: &mut Adjustments) -> Option<InferenceConfig<'a>> {
    let (temperature, top_p) = sampling(scope, reasoning, notes);
    let config = InferenceConfig { max_tokens: reasoning.max_tokens, temperature, top_p, stop_sequences: stop_sequences(scope, notes) };
    (config != InferenceConfig::default()).then_some(config)
}

/// True when no sampling parameter may be set at all.
fn refused(scope: Scope<'_>, reasoning: &ReasoningPlan) -> bool {
    if reasoning.active && !scope.model.sampling_while_reasoning {
        return true;
    }
    match scope.model.sampling {
        SamplingRule::Refused => true,
        SamplingRule::NotWithReasoning => reasoning.possible,
        SamplingRule::Both | SamplingRule::OneOf => reasoning.sampling == SamplingLimits::Forbidden,
    }
}

fn sampling(scope: Scope<'_>, reasoning: &ReasoningPlan, notes: &mut Adjustments) -> (Option<f64>, Option<f64>) {
    let narrow = reasoning.sampling == SamplingLimits::Narrow;
    let none = refused(scope, reasoning);
    let wish = &scope.request.sampling;
    let mut temperature = keep(wish.temperature, "temperature", |value| !none && (!narrow || value == 1.0), notes);
    let mut top_p = keep(wish.top_p, "top_p", |value| !none && (!narrow || value >= MIN_THINKING_TOP_P), notes);
    for (parameter, name) in [(&mut temperature, "temperature"), (&mut top_p, "top_p")] {
        if let Some(value) = parameter.filter(|value| !(0.0..=1.0).contains(value)) {
            notes.note(name, "clamped");
            *parameter = Some(value.clamp(0.0, 1.0));
        }
    }
    if scope.model.sampling == SamplingRule::OneOf && temperature.is_some() {
        top_p = keep(top_p, "top_p", |_| false, notes);
    }
    (temperature, top_p)
}

/// `top_k`, where the model takes it and nothing forbids it.
pub(super) fn top_k(scope: Scope<'_>, reasoning: &ReasoningPlan, notes: &mut Adjustments) -> Option<u32> {
    let taken = scope.model.top_k != TopKField::Unsupported && !refused(scope, reasoning) && reasoning.sampling == SamplingLimits::Free;
    keep(scope.request.sampling.top_k, "top_k", |_| taken, notes)
}

fn keep<T: Copy>(value: Option<T>, name: &'static str, fits: impl Fn(T) -> bool, notes: &mut Adjustments) -> Option<T> {
    let kept = value.filter(|value| fits(*value));
    if value.is_some() && kept.is_none() {
        notes.note(name, "dropped");
    }
    kept
}

fn stop_sequences<'a>(scope: Scope<'a>, notes: &mut Adjustments) -> Vec<&'a str> {
    let wished = &scope.request.sampling.stop;
    let mut kept: Vec<&str> = wished.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    if kept.len() < wished.len() {
        notes.note("stop", "empty_removed");
    }
    let limit = usize::try_from(scope.model.max_stop_sequences).unwrap_or(usize::MAX);
    if kept.len() > limit {
        notes.note("stop", if limit == 0 { "ignored" } else { "truncated" });
        kept.truncate(limit);
    }
    kept
}

/// The text that ends the answer, when there is no other. A stop in the caller's own fields could be another.
pub(super) fn only_stop_text(config: Option<&InferenceConfig<'_>>, request: &ChatRequest) -> Option<String> {
    match config?.stop_sequences.as_slice() {
        [text] if !names_stops(&request.extra) => Some((*text).to_owned()),
        _ => None,
    }
}

/// True when a member at any depth may be a list of stop texts: families call it `stop`, `stop_sequences` or `stopSequences`.
fn names_stops(fields: &JsonObject) -> bool {
    fields.iter().any(|(name, value)| name.starts_with("stop") || matches!(value, Value::Object(inner) if names_stops(inner)))
}
