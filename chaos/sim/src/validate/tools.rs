//! `toolConfig` against the model: support, names, schemas, forced choices, strictness.

use std::collections::HashSet;

use serde_json::Value;

use super::shape::{Tool, ToolChoice, ToolConfig};
use super::{Case, Refusal, schema};
use crate::models::{Dialect, ToolSupport};

const LOOKAROUND: [&str; 4] = ["(?=", "(?!", "(?<=", "(?<!"];

/// Checks the tool configuration, if there is one.
pub(super) fn check(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let Some(config) = &case.request.tools else { return Ok(()) };
    match case.traits.tools {
        ToolSupport::None => return Err(Refusal::validation("This model doesn't support tool use.")),
        ToolSupport::Blocking if case.streaming => {
            return Err(Refusal::validation("This model doesn't support tool use in streaming mode."));
        }
        ToolSupport::Blocking | ToolSupport::Streaming => {}
    }
    let mut names = HashSet::new();
    for (index, (_, tool)) in config.tools.iter().enumerate() {
        let name = match tool {
            Tool::Spec { name, schema, strict, .. } => {
                spec(case, index, schema, *strict)?;
                *name
            }
            Tool::System(name) => {
                system_tool(case, index, name)?;
                *name
            }
            Tool::Defined { name, .. } => *name,
            Tool::CachePoint(_) => continue,
        };
        if !names.insert(name) {
            return Err(Refusal::model("tools: Tool names must be unique."));
        }
    }
    if names.is_empty() {
        return Err(Refusal::validation(
            "The toolConfig.tools field must hold at least one toolSpec or systemTool. Add a tool and try again.",
        ));
    }
    choice(case, config, &names)
}

fn spec(case: &Case<'_, '_>, index: usize, schema: &Value, strict: Option<bool>) -> Result<(), Refusal> {
    let at = format!("toolConfig.tools.{index}.toolSpec");
    let Value::Object(map) = schema else {
        return Err(Refusal::validation(format!(
            "The format of the value at {at}.inputSchema.json is invalid. Provide a json object for the field and try again."
        )));
    };
    if map.get("type").and_then(Value::as_str) != Some("object") {
        return Err(Refusal::validation(format!("The value at {at}.inputSchema.json.type must be one of the following: object.")));
    }
    if strict.is_some() && !case.traits.strict_tools {
        return Err(match case.traits.dialect {
            Dialect::Claude => Refusal::model(format!("tools.{index}.custom.strict: Extra inputs are not permitted")),
            _ => Refusal::unsupported_field(&format!("{at}.strict")),
        });
    }
    if strict == Some(true) && case.traits.dialect == Dialect::Claude {
        schema::subset(schema, &format!("tools.{index}.custom"))?;
    }
    if !case.traits.lookaround && patterns(schema).any(|pattern| LOOKAROUND.iter().any(|mark| pattern.contains(mark))) {
        return Err(Refusal::model(format!("tools.{index}: Invalid schema: regex lookaround is not supported in pattern")));
    }
    Ok(())
}

/// Every `pattern` keyword of a schema.
fn patterns(schema: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match schema {
        Value::Object(map) => Box::new(map.get("pattern").and_then(Value::as_str).into_iter().chain(map.values().flat_map(patterns))),
        Value::Array(items) => Box::new(items.iter().flat_map(patterns)),
        _ => Box::new(std::iter::empty()),
    }
}

fn system_tool(case: &Case<'_, '_>, index: usize, name: &str) -> Result<(), Refusal> {
    if case.traits.system_tools.is_empty() {
        return Err(Refusal::unsupported_field(&format!("toolConfig.tools.{index}.systemTool")));
    }
    if !case.traits.system_tools.iter().any(|known| known == name) {
        return Err(Refusal::validation(format!("The system tool {name} at toolConfig.tools.{index} is not supported by this model.")));
    }
    Ok(())
}

fn choice(case: &Case<'_, '_>, config: &ToolConfig<'_>, names: &HashSet<&str>) -> Result<(), Refusal> {
    let (word, named) = match config.choice {
        None | Some(ToolChoice::Auto) => return Ok(()),
        Some(ToolChoice::Any) => ("any", None),
        Some(ToolChoice::Tool(name)) => ("tool", Some(name)),
    };
    if !case.traits.tool_choice.iter().any(|known| known == word) {
        return Err(Refusal::unsupported_field(&format!("toolConfig.toolChoice.{word}")));
    }
    let has_spec = config.tools.iter().any(|(_, tool)| matches!(tool, Tool::Spec { .. }));
    if !has_spec {
        return Err(Refusal::validation(format!(
            "toolConfig.toolChoice.{word} cannot be used when toolConfig.tools only holds system tools."
        )));
    }
    match named {
        Some(name) if !names.contains(name) => Err(Refusal::model(format!("tool_choice: Tool '{name}' not found in provided tools"))),
        _ => Ok(()),
    }
}
