//! `tool_choice` and `function_call`.

use outcrop_domain::{chat::ToolChoice, error::GatewayError};
use outcrop_protocol::openai::{
    chat::{AllowedTools, ToolChoiceObject, ToolChoiceParam},
    loose::TextOr,
};

use super::{GROUNDING, INTERPRETER, Offer, is_named};
use crate::openai_chat::request::notes::{invalid_value, missing};

/// Reads `tool_choice`; `allowed_tools` takes the other tools off the offer.
pub(super) fn tool_choice(wire: ToolChoiceParam, offer: &mut Offer) -> Result<ToolChoice, GatewayError> {
    let object = match wire {
        TextOr::Text(text) => return word(&text, "tool_choice", offer),
        TextOr::Object(object) => object,
    };
    match object.kind.as_deref() {
        Some("allowed_tools") => allowed_tools(object, offer),
        Some(text @ ("auto" | "none" | "any" | "required")) => word(text, "tool_choice.type", offer),
        // `tool` is Anthropic's word for a named one.
        None | Some("function" | "custom" | "tool") => {
            let place = place_of_name(&object, "tool_choice");
            named(name_of(object), &place, offer)
        }
        Some(_) => Err(invalid_value("tool_choice.type", "`tool_choice.type` must be `function`, `custom` or `allowed_tools`")),
    }
}

/// A choice by word. `any` is other providers' word for `required`.
pub(super) fn word(text: &str, field: &'static str, offer: &Offer) -> Result<ToolChoice, GatewayError> {
    match text {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" | "any" if offer.items.is_empty() => {
            Err(invalid_value(field, format!("`{field}` requires a tool call, but there are no tools")))
        }
        "required" | "any" => Ok(ToolChoice::Any),
        _ => Err(invalid_value(field, format!("`{field}` must be `auto`, `none`, `required` or an object that names a tool"))),
    }
}

/// A choice by name; the tool must be on offer.
pub(super) fn named(name: Option<String>, place: &str, offer: &Offer) -> Result<ToolChoice, GatewayError> {
    let name = name.filter(|name| !name.is_empty()).ok_or_else(|| missing(place))?;
    if offer.has(&name) {
        Ok(ToolChoice::Named(name))
    } else {
        Err(invalid_value(place, format!("`{place}` names the tool `{name}`, which is not among the tools of this request")))
    }
}

fn allowed_tools(object: ToolChoiceObject, offer: &mut Offer) -> Result<ToolChoice, GatewayError> {
    let AllowedTools { mode, tools } = object.allowed_tools.unwrap_or(AllowedTools { mode: object.mode, tools: object.tools });
    let tools = tools.filter(|tools| !tools.is_empty()).ok_or_else(|| missing("tool_choice.allowed_tools.tools"))?;
    let mut allowed = Vec::with_capacity(tools.len());
    for (position, tool) in tools.into_iter().enumerate() {
        let place = place_of_name(&tool, &format!("tool_choice.allowed_tools.tools.{position}"));
        let name = name_of(tool).ok_or_else(|| missing(&place))?;
        named(Some(name.clone()), &place, offer)?;
        allowed.push(name);
    }
    offer.items.retain(|item| allowed.iter().any(|name| is_named(&item.tool, name)));
    offer.custom.retain(|name| allowed.contains(name));
    match mode.as_deref() {
        None | Some("auto") => Ok(ToolChoice::Auto),
        Some("required") => Ok(ToolChoice::Any),
        Some(_) => Err(invalid_value("tool_choice.allowed_tools.mode", "`tool_choice.allowed_tools.mode` must be `auto` or `required`")),
    }
}

fn name_of(object: ToolChoiceObject) -> Option<String> {
    let ToolChoiceObject { kind, function, custom, name, .. } = object;
    let nested = function.or(custom).and_then(|reference| reference.name);
    nested.or(name).or_else(|| kind.as_deref().and_then(provider_tool))
}

/// The tool behind a type that needs no name.
fn provider_tool(kind: &str) -> Option<String> {
    match kind {
        "code_interpreter" | INTERPRETER => Some(INTERPRETER.to_owned()),
        _ if kind == GROUNDING || kind.starts_with("web_search") => Some(GROUNDING.to_owned()),
        _ => None,
    }
}

fn place_of_name(object: &ToolChoiceObject, place: &str) -> String {
    if object.custom.is_some() {
        format!("{place}.custom.name")
    } else if object.name.is_some() {
        format!("{place}.name")
    } else {
        format!("{place}.function.name")
    }
}
