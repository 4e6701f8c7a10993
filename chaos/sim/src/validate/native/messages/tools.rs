//! Tools: custom ones and those Anthropic defines and Bedrock runs.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::super::super::kit::Path;
use super::super::super::shape::Tool;
use super::super::super::{Case, schema};
use super::content::{Reader, gated};
use super::fields::{Fields, complaint, extra, unknown_tag};
use super::{CONTEXT_MANAGEMENT, FINE_GRAINED, Refusal, TOOL_SEARCH};

/// Longest name. Source: reports of tool names that Bedrock refused.
const LONGEST_NAME: usize = 64;

/// What a defined tool needs beside its own type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    ComputerUse,
    Flag(&'static str),
}

/// A tool Anthropic defines: its type, its only name, what it needs, and its own members.
struct Defined {
    kind: &'static str,
    name: &'static str,
    needs: Needs,
    members: &'static [&'static str],
}

const DISPLAY: &[&str] = &["display_width_px", "display_height_px", "display_number", "enable_zoom"];
const fn defined(kind: &'static str, name: &'static str, needs: Needs, members: &'static [&'static str]) -> Defined {
    Defined { kind, name, needs, members }
}

/// Every one that exists on Bedrock. Server tools (web search, web fetch, code execution) do not.
const DEFINED: [Defined; 9] = [
    defined("bash_20250124", "bash", Needs::Nothing, &[]),
    defined("computer_20250124", "computer", Needs::ComputerUse, DISPLAY),
    defined("computer_20251124", "computer", Needs::ComputerUse, DISPLAY),
    defined("memory_20250818", "memory", Needs::Flag(CONTEXT_MANAGEMENT), &[]),
    defined("text_editor_20250124", "str_replace_editor", Needs::Nothing, &[]),
    defined("text_editor_20250429", "str_replace_based_edit_tool", Needs::Nothing, &[]),
    defined("text_editor_20250728", "str_replace_based_edit_tool", Needs::Nothing, &["max_characters"]),
    defined("tool_search_tool_bm25_20251119", "tool_search_tool_bm25", Needs::Flag(TOOL_SEARCH), &[]),
    defined("tool_search_tool_regex_20251119", "tool_search_tool_regex", Needs::Flag(TOOL_SEARCH), &[]),
];

const CUSTOM: [&str; 8] =
    ["type", "name", "description", "input_schema", "cache_control", "strict", "defer_loading", "eager_input_streaming"];

/// Reads `tools`; `None` where there are none.
pub(super) fn read<'a>(reader: &Reader<'_>, tools: &'a Value) -> Result<Option<Vec<(&'a Value, Tool<'a>)>>, Refusal> {
    let path = Path::Root.key("tools");
    let list = match tools {
        Value::Null => return Ok(None),
        Value::Array(list) => list,
        _ => return Err(complaint(path, "Input should be a valid list")),
    };
    let mut read = Vec::with_capacity(list.len());
    for (index, raw) in list.iter().enumerate() {
        let at = path.item(index);
        let kind = Fields::open(raw, at)?.text("type")?.unwrap_or("custom");
        let fields = Fields::open(raw, at.key(kind))?;
        let tool = if kind == "custom" { custom(reader, &fields)? } else { known(reader, at, &fields, kind)? };
        let point = reader.markers.read(&fields)?;
        if let (Tool::Spec { name, deferred: true, .. }, Some(_)) = (&tool, point) {
            return Err(Refusal::validation(format!(
                "Tool '{name}' cannot have both defer_loading=true and cache_control set. Tools with defer_loading cannot use prompt caching."
            )));
        }
        read.push((raw, tool));
        read.extend(point.map(|point| (raw, Tool::CachePoint(point))));
    }
    Ok((!read.is_empty()).then_some(read))
}

fn custom<'a>(reader: &Reader<'_>, fields: &Fields<'a, '_>) -> Result<Tool<'a>, Refusal> {
    gated(reader, fields, "defer_loading", TOOL_SEARCH)?;
    gated(reader, fields, "eager_input_streaming", FINE_GRAINED)?;
    let fields = fields.only(&CUSTOM)?;
    fields.flag("eager_input_streaming")?;
    let name = name(&fields)?;
    let description = fields.text("description")?;
    let path = fields.path.key("input_schema");
    let object = fields.need_object("input_schema")?;
    well_formed(object, path)?;
    let schema = fields.need("input_schema")?;
    let strict = fields.flag("strict")?;
    if strict.is_some() && !reader.gate.strict_tools {
        return Err(extra(fields.path.key("strict")));
    }
    if strict == Some(true) {
        schema::subset(schema, &fields.path.dotted()).map_err(Refusal::plain)?;
    }
    let deferred = fields.flag("defer_loading")?.unwrap_or(false);
    Ok(Tool::Spec { name, description, schema, strict, deferred })
}

fn name<'a>(fields: &Fields<'a, '_>) -> Result<&'a str, Refusal> {
    let (name, path) = (fields.need_text("name")?, fields.path.key("name"));
    match name.chars().count() {
        0 => return Err(complaint(path, "String should have at least 1 character")),
        1..=LONGEST_NAME => {}
        _ => return Err(complaint(path, &format!("String should have at most {LONGEST_NAME} characters"))),
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        return Err(complaint(path, &format!("String should match pattern '^[a-zA-Z0-9_-]{{1,{LONGEST_NAME}}}$'")));
    }
    Ok(name)
}

/// An argument schema as far as the API checks it.
fn well_formed(schema: &Map<String, Value>, path: Path<'_>) -> Result<(), Refusal> {
    match schema.get("type") {
        None => return Err(complaint(path.key("type"), "Field required")),
        Some(Value::String(kind)) if kind == "object" => {}
        Some(_) => return Err(complaint(path.key("type"), "Input should be 'object'")),
    }
    if ["oneOf", "allOf", "anyOf"].iter().any(|keyword| schema.contains_key(*keyword)) {
        return Err(complaint(path, "input_schema does not support oneOf, allOf, or anyOf at the top level"));
    }
    if !valid(schema) {
        return Err(complaint(
            path,
            "JSON schema is invalid. It must match JSON Schema draft 2020-12 (https://json-schema.org/draft/2020-12).",
        ));
    }
    Ok(())
}

/// Whether the keywords of a schema have the types of draft 2020-12.
fn valid(schema: &Map<String, Value>) -> bool {
    const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];
    let known = |value: &Value| value.as_str().is_some_and(|word| TYPES.contains(&word));
    let inner = |value: &Value| match value {
        Value::Object(schema) => valid(schema),
        other => other.is_boolean(),
    };
    schema.iter().all(|(keyword, value)| match keyword.as_str() {
        "type" => known(value) || value.as_array().is_some_and(|types| types.iter().all(known)),
        "properties" | "$defs" | "definitions" | "patternProperties" => value.as_object().is_some_and(|map| map.values().all(inner)),
        "required" => value.as_array().is_some_and(|names| names.iter().all(Value::is_string)),
        "enum" => value.is_array(),
        "anyOf" | "oneOf" | "allOf" => value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(inner)),
        "items" | "additionalProperties" | "not" | "if" | "then" | "else" => inner(value),
        "pattern" => value.as_str().is_some_and(|pattern| regex_syntax::parse(pattern).is_ok() || pattern.contains("(?")),
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => value.is_number(),
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => value.as_u64().is_some(),
        "title" | "description" | "format" | "$ref" => value.is_string(),
        _ => true,
    })
}

fn known<'a>(reader: &Reader<'_>, at: Path<'_>, fields: &Fields<'a, '_>, kind: &'a str) -> Result<Tool<'a>, Refusal> {
    let may = |tool: &&Defined| match tool.needs {
        Needs::Nothing => true,
        Needs::ComputerUse => reader.gate.computer_use,
        Needs::Flag(flag) => reader.gate.has(flag),
    };
    let Some(tool) = DEFINED.iter().filter(may).find(|tool| tool.kind == kind) else {
        let mut tags: Vec<&str> = DEFINED.iter().filter(may).map(|tool| tool.kind).chain(["custom"]).collect();
        tags.sort_unstable();
        return Err(unknown_tag(at, kind, &tags));
    };
    let members: Vec<&str> = ["type", "name", "cache_control"].iter().chain(tool.members).copied().collect();
    let fields = fields.only(&members)?;
    let name = fields.need_word("name", &[tool.name])?;
    if tool.needs == Needs::ComputerUse {
        for size in ["display_width_px", "display_height_px"] {
            if fields.need(size)?.as_u64().is_none_or(|pixels| pixels == 0) {
                return Err(complaint(fields.path.key(size), "Input should be greater than or equal to 1"));
            }
        }
    }
    Ok(Tool::Defined { kind, name })
}

/// Judges the tools together: names, deferral, the forced choice.
pub(super) fn judge(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let tools = || case.request.tools.iter().flat_map(|config| config.tools.iter().map(|(_, tool)| tool));
    let mut names = HashSet::new();
    let (mut deferred, mut loaded) = (false, false);
    for tool in tools() {
        let name = match tool {
            Tool::Spec { name, deferred: later, .. } => {
                deferred |= later;
                loaded |= !later;
                *name
            }
            Tool::Defined { name, .. } => {
                loaded = true;
                *name
            }
            Tool::System(_) | Tool::CachePoint(_) => continue,
        };
        if !names.insert(name) {
            return Err(Refusal::validation("tools: Tool names must be unique."));
        }
    }
    if deferred && !loaded {
        return Err(Refusal::validation("All tools have defer_loading set. At least one tool must be non-deferred."));
    }
    choice(case, &names)
}

fn choice(case: &Case<'_, '_>, names: &HashSet<&str>) -> Result<(), Refusal> {
    let Some(choice) = case.request.additional.and_then(|fields| fields.get("tool_choice")?.as_object()) else { return Ok(()) };
    if names.is_empty() && choice.get("type").and_then(Value::as_str) != Some("none") {
        return Err(Refusal::validation("tool_choice: may only be specified while providing tools"));
    }
    match (choice.get("type").and_then(Value::as_str), choice.get("name").and_then(Value::as_str)) {
        (None, _) => Err(Refusal::validation("tool_choice.type: Field required")),
        (Some("tool"), None) => Err(Refusal::validation("tool_choice.tool.name: Field required")),
        (Some("tool"), Some(name)) if !names.contains(name) => {
            Err(Refusal::validation(format!("tool_choice: Tool '{name}' not found in provided tools")))
        }
        _ => Ok(()),
    }
}
