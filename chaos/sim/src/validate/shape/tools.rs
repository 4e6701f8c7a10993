//! `toolConfig`.

use serde_json::Value;

use super::super::Refusal;
use super::super::kit::{Faults, Object, Path, length};
use super::content::{self, CachePoint, NULL, TOOL_NAME};

/// One entry of `tools`.
pub(crate) enum Tool<'a> {
    /// `deferred` tools are no part of the prompt: the model finds them by searching.
    Spec {
        name: &'a str,
        description: Option<&'a str>,
        schema: &'a Value,
        strict: Option<bool>,
        deferred: bool,
    },
    System(&'a str),
    /// A tool whose schema the model knows, by the type it has in the native body.
    Defined {
        kind: &'a str,
        name: &'a str,
    },
    CachePoint(CachePoint),
}

/// `toolChoice`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToolChoice<'a> {
    Auto,
    Any,
    Tool(&'a str),
}

/// `toolConfig`.
pub(crate) struct ToolConfig<'a> {
    pub(crate) tools: Vec<(&'a Value, Tool<'a>)>,
    pub(crate) choice: Option<ToolChoice<'a>>,
}

/// Reads `toolConfig`, if it is there.
pub(super) fn tool_config<'a>(top: &Object<'a, '_>) -> Result<Option<ToolConfig<'a>>, Refusal> {
    let Some(value) = top.raw("toolConfig") else { return Ok(None) };
    let object = Object::open(value, top.path.key("toolConfig"), top.faults, &["tools", "toolChoice"])?;
    let path = object.path.key("tools");
    let mut tools = Vec::new();
    for (index, value) in object.need_list("tools", (1, usize::MAX))?.iter().enumerate() {
        tools.push((value, tool(value, path.item(index), top.faults)?));
    }
    let choice = match object.raw("toolChoice") {
        None => None,
        Some(value) => Some(tool_choice(value, object.path.key("toolChoice"), top.faults)?),
    };
    Ok(Some(ToolConfig { tools, choice }))
}

fn tool<'a>(value: &'a Value, path: Path<'_>, faults: &Faults) -> Result<Tool<'a>, Refusal> {
    let (key, inner) = Object::union(value, path, faults, ("Tool", &["toolSpec", "systemTool", "cachePoint"]))?;
    let at = path.key(key);
    match key {
        "systemTool" => Object::open(inner, at, faults, &["name"])?.need_text("name", &TOOL_NAME).map(Tool::System),
        "cachePoint" => content::cache_point(inner, at, faults).map(Tool::CachePoint),
        _ => spec(inner, at, faults),
    }
}

fn spec<'a>(value: &'a Value, path: Path<'_>, faults: &Faults) -> Result<Tool<'a>, Refusal> {
    let object = Object::open(value, path, faults, &["name", "description", "inputSchema", "strict"])?;
    let name = object.need_text("name", &TOOL_NAME)?;
    let description = object.text("description", &length(1, usize::MAX))?;
    let strict = object.boolean("strict")?;
    let Some(schema) = object.raw("inputSchema") else {
        object.missing("inputSchema");
        return Ok(Tool::Spec { name, description, schema: &NULL, strict, deferred: false });
    };
    let at = object.path.key("inputSchema");
    let (_, schema) = Object::union(schema, at, faults, ("ToolInputSchema", &["json"]))?;
    Ok(Tool::Spec { name, description, schema, strict, deferred: false })
}

fn tool_choice<'a>(value: &'a Value, path: Path<'_>, faults: &Faults) -> Result<ToolChoice<'a>, Refusal> {
    let (key, inner) = Object::union(value, path, faults, ("ToolChoice", &["auto", "any", "tool"]))?;
    let at = path.key(key);
    if key == "tool" {
        return Object::open(inner, at, faults, &["name"])?.need_text("name", &TOOL_NAME).map(ToolChoice::Tool);
    }
    Object::open(inner, at, faults, &[])?;
    Ok(if key == "any" { ToolChoice::Any } else { ToolChoice::Auto })
}
