//! Tools and the choice among them.

mod choice;
pub(crate) mod schema;

use std::collections::BTreeSet;

use outcrop_domain::{
    chat::{ParallelToolCalls, SystemTool, Tool, ToolChoice},
    error::GatewayError,
};
use outcrop_protocol::openai::{
    chat::{ChatCompletionRequest, FunctionParam, ToolParam},
    loose::TextOr,
};

use super::{
    caching::Lifetimes,
    notes::{Notes, invalid_value, missing, unsupported},
};
use crate::openai_chat::CallShape;

/// Tools, read.
pub(super) struct ReadTools {
    pub(super) tools: Vec<Tool>,
    pub(super) choice: ToolChoice,
    pub(super) parallel: ParallelToolCalls,
    pub(super) custom: BTreeSet<String>,
    pub(super) calls: CallShape,
}

/// Reads `tools`, `tool_choice`, `functions`, `function_call`, `parallel_tool_calls` and `web_search_options`.
pub(super) fn read(
    wire: &mut ChatCompletionRequest,
    most: usize,
    lifetimes: &Lifetimes,
    notes: &mut Notes,
) -> Result<ReadTools, GatewayError> {
    let modern = wire.tools.take().filter(|tools| !tools.is_empty());
    let legacy = wire.functions.take().filter(|functions| !functions.is_empty());
    let calls = if modern.is_none() && legacy.is_some() { CallShape::FunctionCall } else { CallShape::ToolCalls };
    let mut offer = match (modern, legacy) {
        (Some(_), Some(_)) => return Err(invalid_value("functions", "`functions` cannot be combined with `tools`: send `tools` alone")),
        (Some(tools), None) => Offer::of_tools(tools, most, lifetimes, notes)?,
        (None, Some(functions)) => Offer::of_functions(functions, most)?,
        (None, None) => Offer::default(),
    };
    let choice = match (wire.tool_choice.take(), wire.function_call.take()) {
        (Some(_), Some(_)) => {
            return Err(invalid_value("function_call", "`function_call` cannot be combined with `tool_choice`: send `tool_choice` alone"));
        }
        (Some(choice), None) => choice::tool_choice(choice, &mut offer)?,
        (None, Some(TextOr::Text(word))) => choice::word(&word, "function_call", &offer)?,
        (None, Some(TextOr::Object(named))) => choice::named(named.name, "function_call.name", &offer)?,
        (None, None) => ToolChoice::Auto,
    };
    if let Some(search) = &wire.web_search_options {
        if search.user_location.is_some() {
            notes.meaning("web_search_options.user_location", "ignored")?;
        }
        if search.search_context_size.as_deref().is_some_and(|size| size != "medium") {
            notes.harmless("web_search_options.search_context_size", "ignored");
        }
        offer.items.push(Item { tool: system_tool(GROUNDING), mark: None });
    }
    // The legacy answer has room for one call only.
    let one_at_a_time = wire.parallel_tool_calls == Some(false) || calls == CallShape::FunctionCall;
    let parallel = if one_at_a_time { ParallelToolCalls::Forbidden } else { ParallelToolCalls::ModelDecides };
    let custom = std::mem::take(&mut offer.custom);
    Ok(ReadTools { tools: offer.into_tools(), choice, parallel, custom, calls })
}

/// Converse's name of the web search that Bedrock runs.
pub(crate) const GROUNDING: &str = "nova_grounding";
/// Converse's name of the code interpreter that Bedrock runs.
pub(crate) const INTERPRETER: &str = "nova_code_interpreter";

/// The tools on offer, before the choice narrows them.
#[derive(Default)]
struct Offer {
    items: Vec<Item>,
    custom: BTreeSet<String>,
}

struct Item {
    tool: Tool,
    mark: Option<Tool>,
}

impl Offer {
    fn of_tools(tools: Vec<ToolParam>, most: usize, lifetimes: &Lifetimes, notes: &mut Notes) -> Result<Self, GatewayError> {
        check_count(tools.len(), most, "tools")?;
        let mut offer = Self::default();
        for (position, tool) in tools.into_iter().enumerate() {
            let place = |member: &str| format!("tools.{position}.{member}");
            let inner = tool.function.as_ref().and_then(|function| function.cache_control.as_ref());
            let control = tool.cache_control.as_ref().or(inner);
            let mark = lifetimes.mark(control, tool.prompt_cache_breakpoint.as_ref(), place, notes)?.map(Tool::CachePoint);
            let tool = offer.tool(tool, position, notes)?;
            offer.items.push(Item { tool, mark });
        }
        Ok(offer)
    }

    fn of_functions(functions: Vec<FunctionParam>, most: usize) -> Result<Self, GatewayError> {
        check_count(functions.len(), most, "functions")?;
        let read = |(position, function)| Ok(Item { tool: read_function(function, &format!("functions.{position}"))?, mark: None });
        let items = functions.into_iter().enumerate().map(read).collect::<Result<_, GatewayError>>()?;
        Ok(Self { items, custom: BTreeSet::new() })
    }

    fn tool(&mut self, wire: ToolParam, position: usize, notes: &mut Notes) -> Result<Tool, GatewayError> {
        let kind = wire.kind.clone();
        match kind.as_deref() {
            None | Some("function") => match wire.function {
                Some(function) => read_function(function, &format!("tools.{position}.function")),
                None => read_function(flat_function(wire), &format!("tools.{position}")),
            },
            Some("custom") => self.custom_tool(wire, position, notes),
            Some("system_tool") => wire.name.map(|name| system_tool(&name)).ok_or_else(|| missing(format!("tools.{position}.name"))),
            Some("code_interpreter" | INTERPRETER) => Ok(system_tool(INTERPRETER)),
            // OpenAI and Anthropic date their names, e.g. `web_search_preview_2025_03_11`.
            Some(kind) if kind == GROUNDING || kind.starts_with("web_search") => Ok(system_tool(GROUNDING)),
            Some(kind) => {
                let message = format!("tools of type `{kind}` are not available on this endpoint; use `function` or `custom`");
                Err(unsupported(format!("tools.{position}.type"), message))
            }
        }
    }

    fn custom_tool(&mut self, wire: ToolParam, position: usize, notes: &mut Notes) -> Result<Tool, GatewayError> {
        let (name, description, format, place) = match wire.custom {
            Some(custom) => (custom.name, custom.description, custom.format, format!("tools.{position}.custom")),
            None => (wire.name, wire.description, wire.format, format!("tools.{position}")),
        };
        let name = name.filter(|name| !name.is_empty()).ok_or_else(|| missing(format!("{place}.name")))?;
        let grammar = format.as_ref().and_then(schema::grammar);
        if grammar.is_some() {
            notes.meaning("tools.custom.format", "described")?;
        }
        notes.harmless("tools.custom", "function");
        self.custom.insert(name.clone());
        Ok(Tool::Function { name, description, schema: schema::of_custom_tool(grammar.as_ref())?, strict: None })
    }

    fn has(&self, wanted: &str) -> bool {
        self.items.iter().any(|item| is_named(&item.tool, wanted))
    }

    fn into_tools(self) -> Vec<Tool> {
        let mut tools = Vec::with_capacity(self.items.len());
        for item in self.items {
            tools.push(item.tool);
            tools.extend(item.mark);
        }
        tools
    }
}

fn is_named(tool: &Tool, wanted: &str) -> bool {
    match tool {
        Tool::Function { name, .. } => name == wanted,
        Tool::System(system) => system.name == wanted,
        Tool::CachePoint(_) => false,
    }
}

fn check_count(count: usize, most: usize, field: &'static str) -> Result<(), GatewayError> {
    if count > most {
        return Err(invalid_value(field, format!("`{field}` holds {count} entries, and this gateway takes {most} at most")));
    }
    Ok(())
}

fn flat_function(wire: ToolParam) -> FunctionParam {
    FunctionParam {
        name: wire.name,
        description: wire.description,
        parameters: wire.parameters,
        strict: wire.strict,
        cache_control: wire.cache_control,
    }
}

fn read_function(function: FunctionParam, place: &str) -> Result<Tool, GatewayError> {
    let name = function.name.filter(|name| !name.is_empty()).ok_or_else(|| missing(format!("{place}.name")))?;
    let schema = schema::of_function(function.parameters, place)?;
    Ok(Tool::Function { name, description: function.description, schema, strict: function.strict })
}

fn system_tool(name: &str) -> Tool {
    Tool::System(SystemTool { name: name.to_owned() })
}
