//! `toolConfig`: the tools on offer and which to call.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use outcrop_domain::{
    adjust::Adjustments,
    chat::{ParallelToolCalls, SystemTool, Tool, ToolChoice as Wish},
    error::GatewayError,
    json::JsonText,
    model::{ForcedTools, ToolSupport},
};
use outcrop_protocol::bedrock::converse::{ContentBlock, Empty, InputSchema, NamedTool, ToolChoice, ToolEntry, ToolSpec};

use super::{
    Scope,
    names::ToolNames,
    schema::{self, InputSchemaForm},
    turns::{Mark, Marked, Turn},
};
use crate::converse::context::ToolCalls;

/// Description of a tool that is known only from the history.
const HISTORY_DESCRIPTION: &str = "A tool used earlier in this conversation. It is not available now.";
/// Member that holds arguments of a tool whose schema is no object schema.
const WRAPPED_MEMBER: &str = "value";

/// Tools of a request.
pub(super) struct ToolPlan<'a> {
    /// None at all: no `toolConfig`.
    pub(super) entries: Vec<Marked<ToolEntry<'a>>>,
    /// `None`: the model decides.
    pub(super) choice: Option<ToolChoice<'a>>,
    /// Whether calls may reach the client.
    pub(super) calls: ToolCalls,
}

/// Writes tools and choice.
///
/// # Errors
/// When the model has no tools, or not the one of Bedrock's that is asked for; when two tools share a name; when the
/// choice names a tool that is not on offer.
pub(super) fn plan<'a>(
    scope: Scope<'a>,
    names: &ToolNames,
    turns: &[Turn<'a>],
    format: Option<&ToolSpec<'a>>,
    reasoning: bool,
    notes: &mut Adjustments,
) -> Result<ToolPlan<'a>, GatewayError> {
    check_choice(scope)?;
    if scope.model.tools == ToolSupport::None {
        return without_tools(scope, notes);
    }
    let used = used_names(turns);
    let banned = scope.request.tool_choice == Wish::None;
    let mut entries = if banned && used.is_empty() { Vec::new() } else { offered(scope, names, notes)? };
    let mut calls = ToolCalls::Passed;
    if banned {
        calls = ToolCalls::Withheld;
        if !used.is_empty() {
            notes.note("tool_choice", "approximated");
        }
    }
    if !used.is_empty() && !entries.iter().any(|entry| matches!(entry.value, ToolEntry::ToolSpec(_))) {
        notes.note("tools", "added_from_history");
        calls = ToolCalls::Withheld;
        entries.extend(used.into_iter().map(from_history));
    }
    if scope.request.parallel_tool_calls == ParallelToolCalls::Forbidden && !entries.is_empty() && !scope.model.parallel_switch {
        notes.note("parallel_tool_calls", "ignored");
    }
    let choice = choose(scope, names, &entries, format, reasoning, notes);
    entries.extend(format.map(|spec| Marked::plain(ToolEntry::ToolSpec(spec.clone()))));
    Ok(ToolPlan { entries, choice, calls })
}

fn check_choice(scope: Scope<'_>) -> Result<(), GatewayError> {
    let mut functions = scope.request.tools.iter().filter(|tool| !matches!(tool, Tool::CachePoint(_))).peekable();
    match &scope.request.tool_choice {
        Wish::Auto | Wish::None => Ok(()),
        Wish::Any | Wish::Named(_) if functions.peek().is_none() => {
            Err(GatewayError::invalid("tool_choice", "tool_choice is only allowed when tools are given"))
        }
        Wish::Any => Ok(()),
        Wish::Named(wanted) => {
            let offered = functions.any(|tool| matches!(tool, Tool::Function { name, .. } if name == wanted));
            if offered {
                Ok(())
            } else {
                Err(GatewayError::invalid("tool_choice", format!("tool_choice names `{wanted}`, which is not among the tools")))
            }
        }
    }
}

fn without_tools<'a>(scope: Scope<'a>, notes: &mut Adjustments) -> Result<ToolPlan<'a>, GatewayError> {
    if scope.request.tools.iter().any(|tool| !matches!(tool, Tool::CachePoint(_))) {
        if scope.request.tool_choice != Wish::None {
            return Err(GatewayError::invalid("tools", format!("model `{}` does not support tools", scope.options.model)));
        }
        notes.note("tools", "dropped");
    }
    Ok(ToolPlan { entries: Vec::new(), choice: None, calls: ToolCalls::Passed })
}

/// Names of the client's tools in the history, each once, in order of appearance.
fn used_names<'a>(turns: &[Turn<'a>]) -> Vec<Cow<'a, str>> {
    let mut seen = HashSet::new();
    turns
        .iter()
        .flat_map(|turn| &turn.pieces)
        .filter_map(|piece| match &piece.value {
            ContentBlock::ToolUse(call) if call.kind.is_none() => Some(&call.name),
            _ => None,
        })
        .filter(|name| seen.insert(name.as_ref().to_owned()))
        .cloned()
        .collect()
}

fn from_history(name: Cow<'_, str>) -> Marked<ToolEntry<'_>> {
    Marked::plain(ToolEntry::ToolSpec(ToolSpec {
        name,
        description: Some(Cow::Borrowed(HISTORY_DESCRIPTION)),
        input_schema: InputSchema { json: Cow::Owned(schema::open_object()) },
        strict: None,
    }))
}

fn offered<'a>(scope: Scope<'a>, names: &ToolNames, notes: &mut Adjustments) -> Result<Vec<Marked<ToolEntry<'a>>>, GatewayError> {
    let mut entries: Vec<Marked<ToolEntry<'a>>> = Vec::with_capacity(scope.request.tools.len());
    let mut seen: HashMap<&str, &Tool> = HashMap::new();
    for tool in &scope.request.tools {
        let name = match tool {
            Tool::Function { name, .. } | Tool::System(SystemTool { name }) => name,
            Tool::CachePoint(mark) => {
                match entries.last_mut() {
                    Some(last) => Mark::attach(&mut last.mark, Mark::explicit(*mark)),
                    None => notes.note("cache_control", "dropped"),
                }
                continue;
            }
        };
        match seen.insert(name, tool) {
            Some(earlier) if earlier == tool => {
                notes.note("tools", "duplicate_dropped");
                continue;
            }
            Some(_) => return Err(GatewayError::invalid("tools", format!("two different tools are named `{name}`"))),
            None => {}
        }
        entries.push(Marked::plain(match tool {
            Tool::Function { description, schema, strict, .. } => {
                let strict = strict_wish(*strict, scope, notes);
                ToolEntry::ToolSpec(spec(names.wire(name), description.as_deref(), schema, strict, notes))
            }
            _ => ToolEntry::SystemTool(system_tool(name, scope)?),
        }));
    }
    Ok(entries)
}

fn spec<'a>(
    name: Cow<'a, str>,
    description: Option<&'a str>,
    schema: &'a JsonText,
    strict: Option<bool>,
    notes: &mut Adjustments,
) -> ToolSpec<'a> {
    let (json, form) = schema::object_schema(schema, WRAPPED_MEMBER);
    match form {
        InputSchemaForm::Kept => {}
        InputSchemaForm::Typed => notes.note("tools.parameters", "object_type_added"),
        InputSchemaForm::Wrapped => notes.note("tools.parameters", "wrapped"),
    }
    let kept = description.filter(|text| !text.trim().is_empty());
    if description.is_some() && kept.is_none() {
        notes.note("tools.description", "blank_removed");
    }
    ToolSpec { name, description: kept.map(Cow::Borrowed), input_schema: InputSchema { json }, strict }
}

/// `strict: false` is everybody's default and never sent.
fn strict_wish(strict: Option<bool>, scope: Scope<'_>, notes: &mut Adjustments) -> Option<bool> {
    let wished = strict.filter(|strict| *strict);
    if wished.is_some() && !scope.model.strict_tools {
        notes.note("tools.strict", "dropped");
        return None;
    }
    wished
}

/// What clients call the tools that Bedrock runs.
const KNOWN_AS: [(&str, &str); 2] = [("nova_grounding", "web search"), ("nova_code_interpreter", "code interpreter")];

fn system_tool<'a>(name: &'a str, scope: Scope<'a>) -> Result<NamedTool<'a>, GatewayError> {
    if scope.model.system_tools.iter().any(|offered| offered == name) {
        return Ok(NamedTool { name: Cow::Borrowed(name) });
    }
    let known = KNOWN_AS.iter().find(|(own, _)| *own == name).map(|(_, known)| format!(" ({known})")).unwrap_or_default();
    Err(GatewayError::invalid("tools", format!("model `{}` has no built-in tool `{name}`{known}", scope.options.model)))
}

fn choose<'a>(
    scope: Scope<'a>,
    names: &ToolNames,
    entries: &[Marked<ToolEntry<'a>>],
    format: Option<&ToolSpec<'a>>,
    reasoning: bool,
    notes: &mut Adjustments,
) -> Option<ToolChoice<'a>> {
    let mut specs = entries.iter().filter_map(|entry| match &entry.value {
        ToolEntry::ToolSpec(spec) => Some(&spec.name),
        _ => None,
    });
    let (first, second) = (specs.next(), specs.next());
    let only = match (first, second, format) {
        (Some(name), None, None) => Some(name),
        (None, _, Some(format)) => Some(&format.name),
        _ => None,
    };
    let allowed = match scope.model.forced_tools {
        ForcedTools::Always => true,
        ForcedTools::NotWithReasoning => !reasoning,
    };
    let any = || (allowed && scope.model.tool_choice_any).then_some(ToolChoice::Any(Empty {}));
    let named = |name: Cow<'a, str>| (allowed && scope.model.tool_choice_named).then_some(ToolChoice::Tool(NamedTool { name }));
    // With an answer tool among the client's, some tool must be called: theirs, or the one that answers.
    let (choice, asked) = match (&scope.request.tool_choice, format) {
        (Wish::Auto | Wish::None, None) => (None, false),
        (Wish::None, Some(format)) => (named(format.name.clone()), false),
        (Wish::Auto, Some(format)) if only.is_some() => (named(format.name.clone()).or_else(any), false),
        (Wish::Auto, Some(_)) => (any(), false),
        // Bedrock's own tools cannot be forced.
        (Wish::Any, None) if first.is_none() => (None, true),
        (Wish::Any, _) => (any().or_else(|| only.and_then(|name| named(name.clone()))), true),
        (Wish::Named(name), _) => (named(names.wire(name)).or_else(|| only.and_then(|_| any())), true),
    };
    if asked && choice.is_none() {
        notes.note("tool_choice", "auto");
    }
    choice
}
