//! The Anthropic members of `additionalModelRequestFields`.

use serde_json::{Map, Value};

use super::output::quoted;
use super::{Case, Refusal, schema};
use crate::models::{Dialect, ThinkingMode, Traits};

type Fields = Map<String, Value>;

/// Anthropic-defined tools that Bedrock runs on Converse: prefix of `type`, and whether the computer-use beta is needed.
const DEFINED_TOOLS: [(&str, bool); 4] = [("computer_", true), ("bash_", false), ("text_editor_", false), ("memory_", false)];

/// Checks the members. Called without members too: some models insist on thinking rules whatever is sent.
pub(super) fn check(case: &Case<'_, '_>, fields: &Fields) -> Result<(), Refusal> {
    if case.traits.dialect != Dialect::Claude {
        return Ok(());
    }
    let betas = betas(case.traits, fields)?;
    for (key, value) in fields {
        match key.as_str() {
            "anthropic_beta" => {}
            "thinking" => thinking(case, value)?,
            "output_config" => output_config(case.traits, value, &betas)?,
            "tool_choice" => tool_choice(case, value)?,
            "tools" => tools(case.traits, value, &betas)?,
            "top_k" if value.as_i64().is_some_and(|count| count >= 0) => {}
            "top_k" => return Err(Refusal::model("top_k: Input should be a valid integer greater than or equal to 0")),
            "temperature" | "top_p" => fraction(key, value)?,
            "stop_sequences" if value.is_array() => {}
            "metadata" => metadata(value)?,
            _ => return Err(Refusal::model(format!("{key}: Extra inputs are not permitted"))),
        }
    }
    Ok(())
}

/// The beta flags, all of them known for this model.
fn betas<'a>(traits: &Traits, fields: &'a Fields) -> Result<Vec<&'a str>, Refusal> {
    let Some(value) = fields.get("anthropic_beta") else { return Ok(Vec::new()) };
    let Value::Array(flags) = value else { return Err(Refusal::model("anthropic_beta: Input should be a valid list")) };
    let mut known = Vec::with_capacity(flags.len());
    for flag in flags {
        let Some(flag) = flag.as_str() else { return Err(Refusal::model("anthropic_beta: Input should be a valid string")) };
        let special = [&traits.computer_use, &traits.long_context_beta, &traits.effort_beta];
        if !traits.betas.iter().any(|beta| beta == flag) && !special.iter().any(|beta| beta.as_deref() == Some(flag)) {
            return Err(Refusal::model("invalid beta flag"));
        }
        known.push(flag);
    }
    Ok(known)
}

pub(super) fn fraction(key: &str, value: &Value) -> Result<(), Refusal> {
    match value.as_f64() {
        Some(number) if (0.0..=1.0).contains(&number) => Ok(()),
        _ => Err(Refusal::model(format!("{key}: range: 0..1"))),
    }
}

pub(super) fn metadata(value: &Value) -> Result<(), Refusal> {
    let Value::Object(map) = value else { return Err(Refusal::model("metadata: Input should be a valid dictionary")) };
    match map.keys().find(|key| key.as_str() != "user_id") {
        Some(key) => Err(Refusal::model(format!("metadata.{key}: Extra inputs are not permitted"))),
        None => Ok(()),
    }
}

pub(super) fn thinking(case: &Case<'_, '_>, value: &Value) -> Result<(), Refusal> {
    let mode = case.traits.thinking;
    if mode == ThinkingMode::None {
        return Err(Refusal::model("thinking: Extra inputs are not permitted"));
    }
    let Value::Object(config) = value else { return Err(Refusal::model("thinking: Input should be a valid dictionary")) };
    let Some(kind) = config.get("type").and_then(Value::as_str) else { return Err(Refusal::model("thinking.type: Field required")) };
    let unsupported = || Err(Refusal::model(format!("\"thinking.type.{kind}\" is not supported for this model.")));
    let members: &[&str] = match (kind, mode) {
        ("enabled", ThinkingMode::Adaptive | ThinkingMode::AdaptiveAlways) => {
            return Err(Refusal::model(
                "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior.",
            ));
        }
        ("enabled", _) => &["type", "budget_tokens", "display"],
        ("adaptive", ThinkingMode::Budget) => return Err(Refusal::model("adaptive thinking is not supported on this model")),
        ("adaptive", _) => &["type", "display"],
        ("disabled", ThinkingMode::AdaptiveAlways) => return unsupported(),
        ("disabled", _) => &["type"],
        ("between_tools", _) if case.traits.between_tools => &["type", "display"],
        _ => {
            return Err(Refusal::model(format!(
                "thinking: Input tag '{kind}' found using 'type' does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'"
            )));
        }
    };
    if let Some(key) = config.keys().find(|key| !members.contains(&key.as_str())) {
        return Err(Refusal::model(format!("thinking.{kind}.{key}: Extra inputs are not permitted")));
    }
    match config.get("display").map(Value::as_str) {
        None | Some(Some("summarized" | "omitted")) => {}
        Some(_) => return Err(Refusal::model(format!("thinking.{kind}.display: Input should be 'summarized' or 'omitted'"))),
    }
    if kind == "enabled" && config.get("budget_tokens").and_then(Value::as_u64).is_none() {
        return Err(Refusal::model("thinking.enabled.budget_tokens: Field required"));
    }
    if kind == "between_tools" && matches!(effort(case), Some("xhigh" | "max")) {
        return Err(Refusal::model("thinking.type.between_tools cannot be used with output_config.effort 'xhigh' or 'max'"));
    }
    Ok(())
}

fn effort<'a>(case: &'a Case<'_, '_>) -> Option<&'a str> {
    let raw = case.request.additional.and_then(|fields| fields.get("output_config")?.get("effort")?.as_str());
    raw.or(case.request.effort)
}

pub(super) fn output_config(traits: &Traits, value: &Value, betas: &[&str]) -> Result<(), Refusal> {
    let Value::Object(config) = value else { return Err(Refusal::model("output_config: Input should be a valid dictionary")) };
    for (key, value) in config {
        match key.as_str() {
            "effort" if traits.efforts.is_empty() => return Err(Refusal::model("output_config.effort: Extra inputs are not permitted")),
            "effort" if traits.effort_beta.as_deref().is_some_and(|beta| !betas.contains(&beta)) => {
                return Err(Refusal::model("output_config: Extra inputs are not permitted"));
            }
            "effort" if value.as_str().is_some_and(|word| traits.efforts.iter().any(|known| known == word)) => {}
            "effort" => return Err(Refusal::model(format!("output_config.effort: Input should be {}", quoted(&traits.efforts)))),
            "format" if !traits.structured => return Err(Refusal::model("output_config.format: Extra inputs are not permitted")),
            "format" => {
                if value.get("type").and_then(Value::as_str) != Some("json_schema") {
                    return Err(Refusal::model("output_config.format.type: Input should be 'json_schema'"));
                }
                let Some(schema) = value.get("schema").filter(|schema| schema.is_object()) else {
                    return Err(Refusal::model("output_config.format.schema: Input should be a valid dictionary"));
                };
                schema::subset(schema, "output_config.format")?;
            }
            _ => return Err(Refusal::model(format!("output_config.{key}: Extra inputs are not permitted"))),
        }
    }
    Ok(())
}

pub(super) fn tool_choice(case: &Case<'_, '_>, value: &Value) -> Result<(), Refusal> {
    let Value::Object(choice) = value else { return Err(Refusal::model("tool_choice: Input should be a valid dictionary")) };
    if let Some(key) = choice.keys().find(|key| !["type", "name", "disable_parallel_tool_use"].contains(&key.as_str())) {
        return Err(Refusal::model(format!("tool_choice.{key}: Extra inputs are not permitted")));
    }
    if choice.get("disable_parallel_tool_use").is_some_and(|flag| !flag.is_boolean()) {
        return Err(Refusal::model("tool_choice.disable_parallel_tool_use: Input should be a valid boolean"));
    }
    let kind = choice.get("type").and_then(Value::as_str);
    if kind.is_some() && case.request.tools.as_ref().is_some_and(|config| config.choice.is_some()) {
        return Err(Refusal::validation("The additional field tool_choice conflicts with an existing field."));
    }
    match kind {
        Some("any" | "tool") if case.traits.tool_choice.is_empty() => {
            Err(Refusal::model("tool_choice: forced tool use is not supported by this model"))
        }
        None | Some("auto" | "any" | "tool" | "none") => Ok(()),
        Some(other) => Err(Refusal::model(format!(
            "tool_choice: Input tag '{other}' found using 'type' does not match any of the expected tags: 'any', 'auto', 'none', 'tool'"
        ))),
    }
}

fn tools(traits: &Traits, value: &Value, betas: &[&str]) -> Result<(), Refusal> {
    let Value::Array(tools) = value else { return Err(Refusal::model("tools: Input should be a valid list")) };
    for (index, tool) in tools.iter().enumerate() {
        let name = tool.get("name").and_then(Value::as_str);
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or("custom");
        if kind == "custom" {
            if name.is_none() || !tool.get("input_schema").is_some_and(Value::is_object) {
                return Err(Refusal::model(format!("tools.{index}.custom.input_schema: Field required")));
            }
            continue;
        }
        match DEFINED_TOOLS.iter().find(|(prefix, _)| kind.starts_with(prefix)) {
            Some((_, needs_beta)) if *needs_beta && traits.computer_use.as_deref().is_none_or(|beta| !betas.contains(&beta)) => {
                return Err(Refusal::model(format!(
                    "tools.{index}: Input tag '{kind}' found using 'type' requires a computer-use flag of this model in anthropic_beta"
                )));
            }
            Some(_) if name.is_none() => return Err(Refusal::model(format!("tools.{index}.{kind}.name: Field required"))),
            Some(_) => {}
            None => {
                return Err(Refusal::model(format!(
                    "tools.{index}: Input tag '{kind}' found using 'type' does not match any of the expected tags: 'bash_20250124', 'custom', 'memory_20250818', 'text_editor_20250124', 'text_editor_20250429', 'text_editor_20250728'"
                )));
            }
        }
    }
    Ok(())
}
