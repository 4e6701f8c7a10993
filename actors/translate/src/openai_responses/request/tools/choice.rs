//! `tool_choice`.

use outcrop_domain::{
    chat::{Tool, ToolChoice},
    error::GatewayError,
    json::JsonText,
};
use outcrop_protocol::openai::{
    body::decode_text,
    loose::TextOr,
    responses::{AllowedTool, ToolChoiceObject, ToolChoiceParam},
};
use serde_json::value::RawValue;

use super::{Item, Naming as _, Offer, ReadTools};
use crate::{
    dialect::notes::Notes,
    openai_chat::request::tools::{GROUNDING, INTERPRETER},
    openai_responses::{Echo, ToolForms, request::fault},
};

const WORDS: [&str; 3] = ["none", "auto", "required"];
const FORMS: [&str; 3] = ["function", "custom", "allowed_tools"];

impl Offer {
    /// Reads the choice, and ends the offer: `allowed_tools` takes the other tools off it.
    pub(in crate::openai_responses::request) fn choose(
        mut self,
        wire: Option<Box<RawValue>>,
        echo: &mut Echo,
        notes: &mut Notes,
    ) -> Result<ReadTools, GatewayError> {
        let choice = match wire {
            None => ToolChoice::Auto,
            Some(raw) => {
                let choice = self.choice(&raw, notes)?;
                echo.tool_choice = JsonText::from(raw);
                choice
            }
        };
        let mut tools = Vec::with_capacity(self.items.len());
        for Item { tool, mark } in self.items {
            tools.push(tool);
            tools.extend(mark);
        }
        Ok(ReadTools { tools, choice, forms: ToolForms(self.forms) })
    }

    fn choice(&mut self, raw: &RawValue, notes: &mut Notes) -> Result<ToolChoice, GatewayError> {
        let wire: ToolChoiceParam = decode_text(raw.get()).map_err(|error| fault::inside("tool_choice", &error))?;
        let object = match wire {
            TextOr::Text(word) => return self.word(&word),
            TextOr::Object(object) => object,
        };
        match object.kind.as_deref() {
            None => Err(fault::missing("tool_choice.type")),
            Some("allowed_tools") => self.allowed(object),
            Some("function" | "custom") => {
                let name = object.name.filter(|name| !name.is_empty()).ok_or_else(|| fault::missing("tool_choice.name"))?;
                self.named(object.namespace.as_deref(), &name, "tool_choice").map(ToolChoice::Named)
            }
            Some(kind) => match provider_tool(kind) {
                Some(name) if self.has(name) => {
                    // Bedrock's own tools cannot be forced.
                    notes.meaning("tool_choice", "auto")?;
                    Ok(ToolChoice::Auto)
                }
                Some(_) => Err(not_found(kind, "tool_choice")),
                None => Err(fault::unknown_word("tool_choice.type", kind, &FORMS)),
            },
        }
    }

    fn word(&self, word: &str) -> Result<ToolChoice, GatewayError> {
        match word {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            // Other providers' word for it.
            "required" | "any" if self.items.is_empty() => {
                Err(fault::invalid("tool_choice", "a tool call is required, but 'tools' is empty."))
            }
            "required" | "any" => Ok(ToolChoice::Any),
            _ => Err(fault::unknown_word("tool_choice", word, &WORDS)),
        }
    }

    /// The model's name of a tool that must be on offer.
    fn named(&self, namespace: Option<&str>, name: &str, place: &str) -> Result<String, GatewayError> {
        let model_name = self.model_name(namespace, name);
        if self.has(&model_name) { Ok(model_name) } else { Err(not_found(name, place)) }
    }

    fn allowed(&mut self, object: ToolChoiceObject) -> Result<ToolChoice, GatewayError> {
        let tools = object.tools.filter(|tools| !tools.is_empty()).ok_or_else(|| fault::missing("tool_choice.tools"))?;
        let mut allowed = Vec::with_capacity(tools.len());
        for (position, tool) in tools.into_iter().enumerate() {
            self.allow(tool, &format!("tool_choice.tools[{position}]"), &mut allowed)?;
        }
        self.items.retain(|item| name_of(&item.tool).is_some_and(|name| allowed.iter().any(|allowed| allowed == name)));
        self.forms.retain(|name, _| allowed.contains(name));
        match object.mode.as_deref() {
            None | Some("auto") => Ok(ToolChoice::Auto),
            Some("required") => Ok(ToolChoice::Any),
            Some(word) => Err(fault::unknown_word("tool_choice.mode", word, &["auto", "required"])),
        }
    }

    /// Adds the model's names of what an entry allows: one tool, or all of a namespace.
    fn allow(&self, tool: AllowedTool, place: &str, allowed: &mut Vec<String>) -> Result<(), GatewayError> {
        let kind = tool.kind.as_deref().ok_or_else(|| fault::missing(format!("{place}.type")))?;
        let name = tool.name.filter(|name| !name.is_empty());
        match (kind, name) {
            ("function" | "custom", Some(name)) => allowed.push(self.named(tool.namespace.as_deref(), &name, place)?),
            ("namespace", Some(name)) => {
                let inside = self.forms.iter().filter(|(_, form)| form.namespace.as_deref() == Some(&name));
                let before = allowed.len();
                allowed.extend(inside.map(|(model_name, _)| model_name.clone()));
                if allowed.len() == before {
                    return Err(not_found(&name, place));
                }
            }
            ("function" | "custom" | "namespace", None) => return Err(fault::missing(format!("{place}.name"))),
            (kind, _) => match provider_tool(kind).filter(|name| self.has(name)) {
                Some(name) => allowed.push(name.to_owned()),
                None => return Err(not_found(kind, place)),
            },
        }
        Ok(())
    }

    fn has(&self, model_name: &str) -> bool {
        self.items.iter().any(|item| name_of(&item.tool) == Some(model_name))
    }
}

fn name_of(tool: &Tool) -> Option<&str> {
    match tool {
        Tool::Function { name, .. } => Some(name),
        Tool::System(system) => Some(&system.name),
        Tool::CachePoint(_) => None,
    }
}

/// The tool of Bedrock's behind a type.
fn provider_tool(kind: &str) -> Option<&'static str> {
    match kind {
        "code_interpreter" => Some(INTERPRETER),
        _ if kind.starts_with("web_search") => Some(GROUNDING),
        _ => None,
    }
}

fn not_found(name: &str, place: &str) -> GatewayError {
    let message = format!("Tool choice '{name}' not found in 'tools' parameter.");
    GatewayError::invalid_with_code(place, message, "invalid_value")
}
