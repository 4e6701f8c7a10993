//! The tools of a chat body.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::shapes::{Choice, Schema, Spec, Tool, ToolConfig, any_object};
use super::{Refusal, malformed, member, wrong};
use crate::models::Traits;

/// Reads `tools` and `tool_choice`. `none` has no word in Converse: it goes to the model, as the mock model reads it. Tools that only
/// the history knows need no definition here.
pub(super) fn read(
    body: &Map<String, Value>,
    traits: &Traits,
    used: &[String],
    additional: &mut Map<String, Value>,
) -> Result<Option<ToolConfig>, Refusal> {
    let mut tools = Vec::new();
    match member(body, "tools") {
        None => {}
        Some(Value::Array(list)) => {
            for (index, tool) in list.iter().enumerate() {
                tools.push(Tool { tool_spec: spec(tool, traits, &format!("#/tools/{index}"))? });
            }
        }
        Some(other) => return Err(wrong("#/tools", "JSONArray", other)),
    }
    let offered = !tools.is_empty();
    let choice = member(body, "tool_choice").map(|choice| read_choice(choice, offered)).transpose()?;
    let refused = choice == Some(Wanted::None) || !offered;
    if tools.is_empty() {
        let names: BTreeSet<&String> = used.iter().collect();
        tools.extend(names.into_iter().map(|name| Tool {
            tool_spec: Spec { name: name.clone(), description: None, input_schema: Schema { json: any_object() }, strict: None },
        }));
    }
    if tools.is_empty() {
        return Ok(None);
    }
    if refused {
        let none = Map::from_iter([("type".to_owned(), Value::String("none".to_owned()))]);
        additional.insert("tool_choice".to_owned(), Value::Object(none));
    }
    let tool_choice = match choice {
        Some(Wanted::Auto) if offered => Some(Choice::Auto {}),
        Some(Wanted::Required) => Some(Choice::Any {}),
        Some(Wanted::Tool(name)) => Some(Choice::Tool { name }),
        _ => None,
    };
    Ok(Some(ToolConfig { tools, tool_choice }))
}

fn spec(tool: &Value, traits: &Traits, at: &str) -> Result<Spec, Refusal> {
    if tool.get("type").and_then(Value::as_str) != Some("function") {
        return Err(malformed(&format!("{at}/type: the value is not one of function")));
    }
    let Some(function) = tool.get("function").and_then(Value::as_object) else {
        return Err(malformed(&format!("{at}: required key [function] not found")));
    };
    let Some(name) = function.get("name").and_then(Value::as_str) else {
        return Err(malformed(&format!("{at}/function: required key [name] not found")));
    };
    let description = function.get("description").and_then(Value::as_str).filter(|text| !text.is_empty());
    let json = match member(function, "parameters") {
        None => any_object(),
        Some(schema @ Value::Object(_)) => schema.clone(),
        Some(other) => return Err(wrong(&format!("{at}/function/parameters"), "JSONObject", other)),
    };
    // Open-weight servers ignore it where they do not know it.
    let strict = member(function, "strict").and_then(Value::as_bool).filter(|_| traits.strict_tools);
    Ok(Spec { name: name.to_owned(), description: description.map(str::to_owned), input_schema: Schema { json }, strict })
}

#[derive(PartialEq, Eq)]
enum Wanted {
    None,
    Auto,
    Required,
    Tool(String),
}

fn read_choice(choice: &Value, offered: bool) -> Result<Wanted, Refusal> {
    let wanted = match choice {
        Value::String(word) => match word.as_str() {
            "none" => Wanted::None,
            "auto" => Wanted::Auto,
            "required" => Wanted::Required,
            _ => return Err(malformed("#/tool_choice: the value is not one of none, auto, required")),
        },
        other => match other.pointer("/function/name").and_then(Value::as_str) {
            Some(name) => Wanted::Tool(name.to_owned()),
            None => return Err(malformed("#/tool_choice: required key [function] not found")),
        },
    };
    if !offered && matches!(wanted, Wanted::Required | Wanted::Tool(_)) {
        return Err(malformed("#/tool_choice: tools must be given with it"));
    }
    Ok(wanted)
}
