//! `tool_choice`.

use outcrop_domain::{
    chat::{ParallelToolCalls, ToolChoice},
    error::GatewayError,
};
use outcrop_protocol::{anthropic::messages::ToolChoice as ChoiceParam, loose::TextOr};

use super::Offer;
use crate::{
    anthropic_messages::request::faults::{fault, missing, not_one_of},
    dialect::notes::Notes,
};

/// Reads the choice. Some clients write a bare word.
pub(super) fn read(
    wire: Option<TextOr<ChoiceParam>>,
    offer: &Offer,
    notes: &mut Notes,
) -> Result<(ToolChoice, ParallelToolCalls), GatewayError> {
    let wire = match wire {
        None => return Ok((ToolChoice::Auto, ParallelToolCalls::ModelDecides)),
        Some(TextOr::Text(word)) => ChoiceParam { kind: Some(word), ..ChoiceParam::default() },
        Some(TextOr::Object(wire)) => wire,
    };
    let parallel = match wire.disable_parallel_tool_use {
        Some(true) => ParallelToolCalls::Forbidden,
        _ => ParallelToolCalls::ModelDecides,
    };
    let choice = match wire.kind.as_deref() {
        Some("auto") => ToolChoice::Auto,
        Some("none") => ToolChoice::None,
        Some("any" | "tool") if offer.is_empty() => {
            return Err(fault("tool_choice", "a tool call is only possible when `tools` are given"));
        }
        Some("any") => ToolChoice::Any,
        Some("tool") => named(wire.name, offer, notes)?,
        None => return Err(missing("tool_choice.type")),
        Some(_) => return Err(not_one_of("tool_choice.type", &["auto", "any", "tool", "none"])),
    };
    Ok((choice, parallel))
}

/// A tool by its name. One that the provider runs cannot be forced: the model decides.
fn named(name: Option<String>, offer: &Offer, notes: &mut Notes) -> Result<ToolChoice, GatewayError> {
    let name = name.filter(|name| !name.is_empty()).ok_or_else(|| missing("tool_choice.tool.name"))?;
    if offer.has_function(&name) {
        return Ok(ToolChoice::Named(name));
    }
    if offer.server_names.contains(&name) {
        notes.meaning("tool_choice", "auto")?;
        return Ok(ToolChoice::Auto);
    }
    Err(fault("tool_choice.tool.name", format_args!("the tool '{name}' is not among `tools`")))
}
