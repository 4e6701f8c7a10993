//! `additionalModelRequestFields`, by dialect of the native body.

use serde_json::{Map, Value};

use super::output::quoted;
use super::{Case, Refusal, claude_fields};
use crate::models::{Dialect, Traits};

type Fields = Map<String, Value>;

/// Checks the fields, if there are any.
pub(super) fn check(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let Some(fields) = case.request.additional else { return claude_fields::check(case, &Map::new()) };
    conflicts(case, fields)?;
    match case.traits.dialect {
        Dialect::Claude => claude_fields::check(case, fields),
        Dialect::Nova => nova(case.traits, fields),
        Dialect::Gpt => {
            listed(case.traits, fields)?;
            gpt(case.traits, fields)
        }
        Dialect::Closed => listed(case.traits, fields),
        Dialect::Grok | Dialect::Open => open(case.traits, fields),
    }
}

/// Converse writes these itself; a second value is refused.
fn conflicts(case: &Case<'_, '_>, fields: &Fields) -> Result<(), Refusal> {
    let request = case.request;
    let reserved = [
        ("messages", true),
        ("system", true),
        ("max_tokens", true),
        ("model", case.traits.dialect != Dialect::Closed),
        ("stream", true),
        ("temperature", request.inference.temperature.is_some()),
        ("top_p", request.inference.top_p.is_some()),
        ("stop_sequences", !request.inference.stop_sequences.is_empty()),
    ];
    match reserved.iter().find(|(name, taken)| *taken && fields.contains_key(*name)) {
        Some((name, _)) => Err(Refusal::validation(format!("The additional field {name} conflicts with an existing field."))),
        None => Ok(()),
    }
}

fn listed(traits: &Traits, fields: &Fields) -> Result<(), Refusal> {
    match fields.keys().find(|key| !traits.extra_fields.contains(key)) {
        Some(key) => Err(extraneous("#", key)),
        None => Ok(()),
    }
}

fn nova(traits: &Traits, fields: &Fields) -> Result<(), Refusal> {
    for (key, value) in fields {
        match key.as_str() {
            "inferenceConfig" => nova_inference(value)?,
            "reasoningConfig" => nova_reasoning(traits, value)?,
            _ => return Err(extraneous("#", key)),
        }
    }
    Ok(())
}

fn nova_inference(value: &Value) -> Result<(), Refusal> {
    let Value::Object(config) = value else { return Err(malformed("#/inferenceConfig", "expected type: JSONObject")) };
    for (key, value) in config {
        if key != "topK" {
            return Err(extraneous("#/inferenceConfig", key));
        }
        match value.as_u64() {
            Some(0..=128) => {}
            Some(_) => return Err(malformed("#/inferenceConfig/topK", "value is not less or equal to 128")),
            None => return Err(malformed("#/inferenceConfig/topK", "expected type: Integer")),
        }
    }
    Ok(())
}

fn nova_reasoning(traits: &Traits, value: &Value) -> Result<(), Refusal> {
    let invalid = || Refusal::validation("The provided reasoning config value is invalid. Update the reasoning config and try again.");
    if traits.thinking == crate::models::ThinkingMode::None {
        return Err(Refusal::validation("the provided reasoning config value is invalid"));
    }
    let Value::Object(config) = value else { return Err(invalid()) };
    for (key, value) in config {
        let allowed: &[&str] = match key.as_str() {
            "type" => &["enabled", "disabled"],
            "maxReasoningEffort" => &["low", "medium", "high"],
            _ => return Err(extraneous("#/reasoningConfig", key)),
        };
        if !value.as_str().is_some_and(|word| allowed.contains(&word)) {
            return Err(invalid());
        }
    }
    if config.contains_key("type") { Ok(()) } else { Err(invalid()) }
}

fn gpt(traits: &Traits, fields: &Fields) -> Result<(), Refusal> {
    let Some(reasoning) = fields.get("reasoning") else { return Ok(()) };
    let Value::Object(config) = reasoning else {
        return Err(Refusal::model("Invalid type for 'reasoning': expected an object."));
    };
    for (key, value) in config {
        match key.as_str() {
            "effort" => effort_word(traits, value, "reasoning.effort")?,
            "summary" if matches!(value.as_str(), Some("auto" | "concise" | "detailed")) => {}
            "summary" => return Err(Refusal::model("Invalid value for 'reasoning.summary'.")),
            _ => return Err(Refusal::model(format!("Unknown parameter: 'reasoning.{key}'."))),
        }
    }
    Ok(())
}

fn open(traits: &Traits, fields: &Fields) -> Result<(), Refusal> {
    if let Some(name) = traits.refused_fields.iter().find(|name| fields.contains_key(*name)) {
        return Err(if traits.dialect == Dialect::Grok {
            // Grok answers its penalties with an outage instead of a complaint.
            Refusal {
                status: 503,
                error_type: "ServiceUnavailableException",
                message: "Bedrock is unable to process your request.".to_owned(),
            }
        } else {
            Refusal::model(format!("{name} is not supported for this model"))
        });
    }
    match fields.get("reasoning_effort") {
        Some(effort) if !traits.efforts.is_empty() => effort_word(traits, effort, "reasoning_effort"),
        _ => Ok(()),
    }
}

fn effort_word(traits: &Traits, value: &Value, name: &str) -> Result<(), Refusal> {
    let known = value.as_str().is_some_and(|word| traits.efforts.iter().any(|known| known == word));
    if known {
        return Ok(());
    }
    let shown = value.as_str().map_or_else(|| value.to_string(), |word| format!("'{word}'"));
    Err(Refusal::model(format!("Invalid value for '{name}': {shown}. Supported values are: {}.", quoted(&traits.efforts))))
}

fn extraneous(at: &str, key: &str) -> Refusal {
    Refusal::validation(format!(
        "Malformed input request: {at}: extraneous key [{key}] is not permitted, please reformat your input and try again."
    ))
}

fn malformed(at: &str, what: &str) -> Refusal {
    Refusal::validation(format!("Malformed input request: {at}: {what}, please reformat your input and try again."))
}
