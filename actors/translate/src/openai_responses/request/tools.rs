//! Tools and the choice among them.
//!
//! The hub knows functions, by one name each. Custom tools become functions of one text, the tools of a namespace get
//! its name in front of their own; [`ToolForms`] remembers how to write their calls for the client.

mod choice;
mod echo;

use std::collections::{BTreeMap, BTreeSet};

use outcrop_domain::{
    chat::{SystemTool, Tool, ToolChoice},
    error::GatewayError,
};
use outcrop_protocol::openai::{
    body::decode_text,
    loose::TextOr,
    responses::{ContainerObject, ResponsesRequest, ToolParam},
};
use serde_json::value::RawValue;

use super::{MissingTools, Naming, ResponsesOptions, fault};
use crate::{
    dialect::notes::{Notes, label},
    openai_chat::request::{
        caching::Lifetimes,
        tools::{GROUNDING, INTERPRETER, schema},
    },
    openai_responses::{CallKind, Echo, ToolForm, ToolForms},
};

/// Types of tools that OpenAI knows and that neither this gateway nor a model of Bedrock's runs.
const NOT_RUN: [&str; 9] = [
    "apply_patch",
    "computer",
    "computer_use_preview",
    "file_search",
    "image_generation",
    "local_shell",
    "mcp",
    "programmatic_tool_calling",
    "shell",
];

/// Types that this gateway takes.
const TAKEN: [&str; 5] = ["function", "custom", "namespace", "web_search", "code_interpreter"];

/// Tools, read and chosen from.
pub(super) struct ReadTools {
    pub(super) tools: Vec<Tool>,
    pub(super) choice: ToolChoice,
    pub(super) forms: ToolForms,
}

/// Reads `tools`. More may join while the conversation is read; then [`Offer::choose`] ends it.
pub(super) fn read(
    wire: &mut ResponsesRequest,
    echo: &mut Echo,
    options: &ResponsesOptions,
    lifetimes: &Lifetimes,
    notes: &mut Notes,
) -> Result<Offer, GatewayError> {
    let raw = wire.tools.take().unwrap_or_default();
    let mut offer = Offer {
        items: Vec::with_capacity(raw.len()),
        forms: BTreeMap::new(),
        taken: BTreeSet::new(),
        most: options.shared.max_tools,
        system_tools: options.shared.system_tools.clone(),
        missing: options.missing_tools,
    };
    let tools = offer.parse(&raw, "tools")?;
    echo.tools = raw.into_iter().zip(&tools).map(|(raw, tool)| echo::of(raw, tool)).collect();
    offer.read_all(tools, "tools", Some(lifetimes), notes)?;
    Ok(offer)
}

/// The tools on offer, before the choice narrows them.
pub(super) struct Offer {
    items: Vec<Item>,
    /// By the model's name.
    forms: BTreeMap<String, ToolForm>,
    /// The model's names.
    taken: BTreeSet<String>,
    most: usize,
    system_tools: Vec<String>,
    missing: MissingTools,
}

struct Item {
    tool: Tool,
    mark: Option<Tool>,
}

/// Where a tool stands.
struct Site<'p> {
    list: &'p str,
    position: usize,
}

impl Site<'_> {
    fn of(&self, member: &str) -> String {
        format!("{}[{}].{member}", self.list, self.position)
    }
}

impl Naming for Offer {
    fn model_name(&self, namespace: Option<&str>, name: &str) -> String {
        let Some(namespace) = namespace else { return name.to_owned() };
        let is_it = |form: &ToolForm| form.name == name && form.namespace.as_deref() == Some(namespace);
        let known = self.forms.iter().find(|(_, form)| is_it(form));
        known.map_or_else(|| joined(namespace, name), |(model_name, _)| model_name.clone())
    }

    fn add(&mut self, tools: Vec<Box<RawValue>>, place: String, notes: &mut Notes) -> Result<(), GatewayError> {
        let list = format!("{place}.tools");
        let mut tools = self.parse(&tools, &list)?;
        tools.retain(|tool| tool.kind.as_deref() == Some("namespace") || !tool.name.as_ref().is_some_and(|name| self.taken.contains(name)));
        self.read_all(tools, &list, None, notes)
    }
}

impl Offer {
    /// An offer of no model: anything may join it that could join one.
    pub(super) fn of_any() -> Self {
        Self {
            items: Vec::new(),
            forms: BTreeMap::new(),
            taken: BTreeSet::new(),
            most: usize::MAX,
            system_tools: Vec::new(),
            missing: MissingTools::LeftOut,
        }
    }

    fn parse(&self, raw: &[Box<RawValue>], list: &str) -> Result<Vec<ToolParam>, GatewayError> {
        let count = self.items.len().saturating_add(raw.len());
        if count > self.most {
            return Err(fault::invalid(list, &format!("there are {count} tools, and this gateway takes {} at most.", self.most)));
        }
        let read = |(position, tool): (usize, &RawValue)| {
            decode_text(tool.get()).map_err(|error| fault::inside(&format!("{list}[{position}]"), &error))
        };
        raw.iter().map(AsRef::as_ref).enumerate().map(read).collect()
    }

    fn read_all(
        &mut self,
        tools: Vec<ToolParam>,
        list: &str,
        lifetimes: Option<&Lifetimes>,
        notes: &mut Notes,
    ) -> Result<(), GatewayError> {
        // The names that the client gave are theirs; those made for namespaces keep clear of them, wherever they stand.
        self.taken.extend(tools.iter().filter_map(|tool| tool.name.clone()));
        for (position, tool) in tools.into_iter().enumerate() {
            let site = Site { list, position };
            let (control, breakpoint) = (tool.cache_control.as_ref(), tool.prompt_cache_breakpoint.as_ref());
            let mark = match lifetimes {
                Some(lifetimes) => lifetimes.mark(control, breakpoint, |member| site.of(member), notes)?,
                None => None,
            };
            self.tool(tool, &site, notes)?;
            if let Some(last) = self.items.last_mut() {
                last.mark = mark.map(Tool::CachePoint).or(last.mark.take());
            }
        }
        Ok(())
    }

    fn tool(&mut self, tool: ToolParam, site: &Site<'_>, notes: &mut Notes) -> Result<(), GatewayError> {
        match tool.kind.as_deref() {
            Some("function" | "custom") => self.client_tool(tool, None, site, notes),
            Some("namespace") => self.namespace(tool, site, notes),
            Some("code_interpreter") => {
                if tool.container.as_ref().is_some_and(has_own_container) {
                    notes.meaning("tools.container", "ignored")?;
                }
                self.system_tool(INTERPRETER, "code_interpreter", site, notes)
            }
            // OpenAI dates its names, e.g. `web_search_preview_2025_03_11`.
            Some(kind) if kind.starts_with("web_search") => {
                let kind = kind.to_owned();
                note_search_options(&tool, notes)?;
                self.system_tool(GROUNDING, &kind, site, notes)
            }
            Some("tool_search") if tool.execution.as_deref() != Some("client") => {
                // What would be searched for is on offer as it is.
                notes.harmless("tools.tool_search", "all_loaded");
                Ok(())
            }
            Some(kind) if NOT_RUN.contains(&kind) || kind == "tool_search" => self.missing(kind, site, notes),
            Some(kind) => Err(fault::unknown_word(site.of("type"), kind, &TAKEN)),
            None => Err(fault::missing(site.of("type"))),
        }
    }

    /// A tool that the provider runs, if the model has it.
    fn system_tool(&mut self, name: &str, kind: &str, site: &Site<'_>, notes: &mut Notes) -> Result<(), GatewayError> {
        if !self.system_tools.iter().any(|offered| offered == name) {
            return self.missing(kind, site, notes);
        }
        if !self.items.iter().any(|item| matches!(&item.tool, Tool::System(system) if system.name == name)) {
            self.items.push(Item { tool: Tool::System(SystemTool { name: name.to_owned() }), mark: None });
        }
        Ok(())
    }

    fn missing(&self, kind: &str, site: &Site<'_>, notes: &mut Notes) -> Result<(), GatewayError> {
        match self.missing {
            MissingTools::LeftOut => {
                notes.harmless(format!("tools.{}", label(kind)), "dropped");
                Ok(())
            }
            MissingTools::Refused => {
                let message = format!("Hosted tool '{kind}' is not supported with this model.");
                Err(GatewayError::invalid_with_code(site.of("type"), message, "unsupported_value"))
            }
        }
    }

    fn namespace(&mut self, tool: ToolParam, site: &Site<'_>, notes: &mut Notes) -> Result<(), GatewayError> {
        let namespace = tool.name.filter(|name| !name.is_empty()).ok_or_else(|| fault::missing(site.of("name")))?;
        let tools = tool.tools.filter(|tools| !tools.is_empty()).ok_or_else(|| fault::missing(site.of("tools")))?;
        let list = site.of("tools");
        let mut purpose = tool.description.filter(|purpose| !purpose.is_empty());
        for (position, mut tool) in tools.into_iter().enumerate() {
            let site = Site { list: &list, position };
            if self.items.len() >= self.most {
                return Err(fault::invalid(list.as_str(), &format!("this gateway takes {} tools at most.", self.most)));
            }
            if position == 0 {
                tool.description = with_purpose(&namespace, purpose.take(), tool.description);
            }
            match tool.kind.as_deref() {
                Some("function" | "custom") => self.client_tool(tool, Some(&namespace), &site, notes)?,
                Some(kind) => return Err(fault::unknown_word(site.of("type"), kind, &["function", "custom"])),
                None => return Err(fault::missing(site.of("type"))),
            }
        }
        Ok(())
    }

    fn client_tool(&mut self, tool: ToolParam, namespace: Option<&str>, site: &Site<'_>, notes: &mut Notes) -> Result<(), GatewayError> {
        let name = tool.name.clone().filter(|name| !name.is_empty()).ok_or_else(|| fault::missing(site.of("name")))?;
        note_unheeded(&tool, notes);
        let custom = tool.kind.as_deref() == Some("custom");
        let known = |form: &ToolForm| form.name == name && form.namespace.as_deref() == namespace;
        if namespace.is_some() && self.forms.values().any(known) {
            // A tool that was found twice is on offer once.
            return Ok(());
        }
        let model_name = self.free_name(namespace, &name);
        if custom || namespace.is_some() {
            let kind = if custom { CallKind::Custom } else { CallKind::Function };
            self.forms.insert(model_name.clone(), ToolForm { kind, namespace: namespace.map(str::to_owned), name });
        }
        let schema = if custom {
            let grammar = tool.format.as_ref().and_then(schema::grammar);
            if grammar.is_some() {
                notes.meaning("tools.custom.format", "described")?;
            }
            notes.harmless("tools.custom", "function");
            schema::of_custom_tool(grammar.as_ref())?
        } else {
            schema::of_function(tool.parameters, &format!("{}[{}]", site.list, site.position))?
        };
        let strict = if custom { None } else { tool.strict };
        let tool = Tool::Function { name: model_name, description: tool.description, schema, strict };
        self.items.push(Item { tool, mark: None });
        Ok(())
    }

    /// The model's name for a tool: the client's own, or one made of namespace and name that no other tool has.
    fn free_name(&mut self, namespace: Option<&str>, name: &str) -> String {
        let Some(namespace) = namespace else { return name.to_owned() };
        let mut model_name = joined(namespace, name);
        while self.taken.contains(&model_name) {
            model_name.push('_');
        }
        self.taken.insert(model_name.clone());
        model_name
    }
}

/// A namespace and a name as one name. Many namespaces bring their own separator.
fn joined(namespace: &str, name: &str) -> String {
    let separator = if namespace.ends_with("__") { "" } else { "__" };
    format!("{namespace}{separator}{name}")
}

/// What a namespace is for is said once, with its first tool: the hub has no other place for it.
fn with_purpose(namespace: &str, purpose: Option<String>, description: Option<String>) -> Option<String> {
    match (purpose, description) {
        (None, description) => description,
        (Some(purpose), None) => Some(format!("[{namespace}: {purpose}]")),
        (Some(purpose), Some(description)) => Some(format!("{description}\n[{namespace}: {purpose}]")),
    }
}

fn has_own_container(container: &TextOr<ContainerObject>) -> bool {
    match container {
        TextOr::Text(_) => true,
        TextOr::Object(object) => object.file_ids.as_ref().is_some_and(|files| !files.is_empty()),
    }
}

/// Bedrock's search takes no options.
fn note_search_options(tool: &ToolParam, notes: &mut Notes) -> Result<(), GatewayError> {
    if tool.user_location.is_some() {
        notes.meaning("tools.user_location", "ignored")?;
    }
    if tool.filters.is_some() {
        notes.meaning("tools.filters", "ignored")?;
    }
    if tool.external_web_access == Some(false) {
        notes.meaning("tools.external_web_access", "ignored")?;
    }
    if tool.search_context_size.as_deref().is_some_and(|size| size != "medium") {
        notes.harmless("tools.search_context_size", "ignored");
    }
    Ok(())
}

/// Hints without which a call is the same in kind.
fn note_unheeded(tool: &ToolParam, notes: &mut Notes) {
    if tool.defer_loading == Some(true) {
        notes.harmless("tools.defer_loading", "ignored");
    }
    if tool.output_schema.is_some() {
        notes.harmless("tools.output_schema", "ignored");
    }
    if tool.allowed_callers.iter().flatten().any(|caller| caller != "direct") {
        notes.harmless("tools.allowed_callers", "ignored");
    }
}
