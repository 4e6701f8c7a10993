//! Tools and the choice among them.
//!
//! Three sorts: functions of the client's, tools that Anthropic has defined and the client runs, and tools that the
//! provider runs. Of the last, Bedrock has some under names of its own; which model has which is data.

mod choice;
mod defined;

use outcrop_domain::{
    chat::{ParallelToolCalls, SystemTool, Tool, ToolChoice},
    error::GatewayError,
    json::JsonText,
};
use outcrop_protocol::{
    anthropic::messages::{ToolChoice as ChoiceParam, ToolParam},
    loose::TextOr,
};

use super::{
    caching,
    conversation::report_unread,
    faults::{fault, missing},
    place::Place,
};
use crate::dialect::notes::{Notes, label};

/// Tools, read.
pub(super) struct ReadTools {
    pub(super) tools: Vec<Tool>,
    pub(super) choice: ToolChoice,
    pub(super) parallel: ParallelToolCalls,
}

/// What limits the offer.
#[derive(Clone, Copy)]
pub(super) struct Limits<'a> {
    /// Most tools.
    pub(super) most: usize,
    /// Converse's names of the tools that the model's provider runs.
    pub(super) system_tools: &'a [String],
}

/// Reads `tools` and `tool_choice`.
pub(super) fn read(
    tools: Option<Vec<ToolParam>>,
    choice: Option<TextOr<ChoiceParam>>,
    limits: Limits<'_>,
    notes: &mut Notes,
) -> Result<ReadTools, GatewayError> {
    let tools = tools.unwrap_or_default();
    if tools.len() > limits.most {
        return Err(fault("tools", format_args!("List should have at most {} items, not {}", limits.most, tools.len())));
    }
    let mut offer = Offer::default();
    for (position, tool) in tools.into_iter().enumerate() {
        offer.add(tool, &Place::top("tools", position), limits, notes)?;
    }
    let (choice, parallel) = choice::read(choice, &offer, notes)?;
    Ok(ReadTools { tools: offer.tools, choice, parallel })
}

/// Bedrock's tools that stand for Anthropic's: beginning of the type, Converse's name. Anthropic's versions differ in
/// what may be set, which Bedrock's cannot be anyway.
const SERVER_TOOLS: [(&str, &str); 2] = [("web_search_", "nova_grounding"), ("code_execution_", "nova_code_interpreter")];

/// Beginning of the types that let a model find tools which are left out of the prompt.
const TOOL_SEARCH: &str = "tool_search_tool_";

/// Parameters of server tools that only tune; any other restricts what the tool may do.
const TUNING: [&str; 3] = ["max_uses", "max_characters", "max_content_tokens"];

/// The tools on offer.
#[derive(Default)]
struct Offer {
    tools: Vec<Tool>,
    /// Names by which the client knows the tools that the provider runs.
    server_names: Vec<String>,
}

impl Offer {
    fn add(&mut self, tool: ToolParam, place: &Place<'_>, limits: Limits<'_>, notes: &mut Notes) -> Result<(), GatewayError> {
        let mark = caching::mark(tool.cache_control.as_ref(), || place.of("cache_control"), notes)?;
        report_hints(&tool, notes)?;
        match tool.kind.as_deref() {
            None | Some("custom") => self.tools.push(function(tool, place, notes)?),
            Some(kind) if kind.starts_with(TOOL_SEARCH) => {
                // With every tool in the prompt there is nothing to be searched for.
                notes.meaning("tools.tool_search", "all_tools_loaded")?;
            }
            Some(kind) => match defined::schema(kind, tool.name.as_deref()) {
                Some(defined) => {
                    notes.harmless(format!("tools.{}", label(kind)), "described");
                    report_unread("tools", &tool.rest, notes);
                    let schema = JsonText::parse(defined.schema.to_owned()).map_err(|error| unwritable(&error))?;
                    let name = tool.name.unwrap_or_else(|| defined.name.to_owned());
                    self.tools.push(Tool::Function {
                        name,
                        description: Some(defined.description.to_owned()),
                        schema,
                        strict: tool.strict,
                    });
                }
                None => {
                    let name = server_tool(kind, limits.system_tools).ok_or_else(|| unavailable(kind, place))?;
                    report_restrictions(&tool, notes)?;
                    self.tools.push(Tool::System(SystemTool { name: name.to_owned() }));
                    self.server_names.extend(tool.name);
                }
            },
        }
        // A mark behind a tool that is left out belongs to the one before.
        self.tools.extend(mark.map(Tool::CachePoint));
        Ok(())
    }

    fn has_function(&self, wanted: &str) -> bool {
        self.tools.iter().any(|tool| matches!(tool, Tool::Function { name, .. } if name == wanted))
    }

    fn is_empty(&self) -> bool {
        self.tools.iter().all(|tool| matches!(tool, Tool::CachePoint(_)))
    }
}

fn function(tool: ToolParam, place: &Place<'_>, notes: &mut Notes) -> Result<Tool, GatewayError> {
    report_unread("tools", &tool.rest, notes);
    let name = tool.name.filter(|name| !name.is_empty()).ok_or_else(|| missing(place.of("custom.name")))?;
    let schema = tool.input_schema.filter(|raw| raw.get() != "null").ok_or_else(|| missing(place.of("custom.input_schema")))?;
    let schema = JsonText::from(schema);
    if !schema.is_object() {
        return Err(fault(place.of("custom.input_schema"), "Input should be an object"));
    }
    Ok(Tool::Function { name, description: tool.description, schema, strict: tool.strict })
}

/// Hints without which a tool is the same in kind, and who may call it.
fn report_hints(tool: &ToolParam, notes: &mut Notes) -> Result<(), GatewayError> {
    if tool.defer_loading == Some(true) {
        notes.harmless("tools.defer_loading", "loaded");
    }
    if tool.eager_input_streaming.is_some() {
        notes.harmless("tools.eager_input_streaming", "ignored");
    }
    if tool.input_examples.as_ref().is_some_and(|examples| !examples.is_empty()) {
        notes.harmless("tools.input_examples", "ignored");
    }
    // Only the model itself calls tools here.
    if tool.allowed_callers.as_ref().is_some_and(|callers| !callers.iter().any(|caller| caller == "direct")) {
        notes.meaning("tools.allowed_callers", "ignored")?;
    }
    Ok(())
}

fn report_restrictions(tool: &ToolParam, notes: &mut Notes) -> Result<(), GatewayError> {
    for name in tool.rest.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name) {
        let field = format!("tools.{}", label(name));
        if TUNING.contains(&name.as_str()) {
            notes.harmless(field, "ignored");
        } else {
            notes.meaning(field, "ignored")?;
        }
    }
    Ok(())
}

/// Converse's name of the tool that stands for one of Anthropic's, where the model has it.
fn server_tool<'a>(kind: &str, offered: &'a [String]) -> Option<&'a str> {
    let (_, name) = SERVER_TOOLS.iter().find(|(beginning, _)| kind.starts_with(beginning))?;
    offered.iter().map(String::as_str).find(|own| own == name)
}

fn unavailable(kind: &str, place: &Place<'_>) -> GatewayError {
    let words = format!("tools of type '{kind}' are not available with this model; offer a tool of type 'custom' instead");
    let path = place.of("type");
    GatewayError::invalid_with_code(path.clone(), format!("{path}: {words}"), "unsupported_parameter")
}

fn unwritable(error: &serde_json::Error) -> GatewayError {
    GatewayError::Internal { message: format!("a tool schema could not be written: {error}") }
}
