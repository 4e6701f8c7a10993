//! Schemas of tool arguments: the caller's own text, repaired only where no model would take it.

use outcrop_domain::{error::GatewayError, json::JsonText};
use outcrop_protocol::openai::chat::CustomFormat;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::openai_chat::request::notes::{invalid_type, invalid_value};

/// A grammar that a custom tool's text shall keep to.
pub(crate) struct Grammar {
    syntax: String,
    definition: String,
}

/// The schema of a function: the caller's bytes. Without one the function takes nothing; `"type": "object"` is
/// put in front where it is missing, because every surface insists on it.
pub(crate) fn of_function(parameters: Option<Box<RawValue>>, place: &str) -> Result<JsonText, GatewayError> {
    #[derive(Deserialize)]
    struct Root<'a> {
        #[serde(rename = "type", borrow)]
        kind: Option<&'a RawValue>,
    }
    let Some(raw) = parameters.filter(|raw| raw.get() != "null") else { return no_arguments() };
    let inside = raw.get().trim_start().strip_prefix('{').map(str::trim_start);
    let Some(inside) = inside else {
        return Err(invalid_type(format!("{place}.parameters"), format!("`{place}.parameters` must be an object (a JSON Schema)")));
    };
    if inside == "}" {
        return no_arguments();
    }
    let root: Root<'_> = serde_json::from_str(raw.get())
        .map_err(|error| invalid_value(format!("{place}.parameters"), format!("`{place}.parameters`: {error}")))?;
    match root.kind.map(RawValue::get) {
        None => parse(format!("{{\"type\":\"object\",{inside}")),
        Some(kind) if kind.starts_with('"') && kind != "\"object\"" => {
            let message = format!("`{place}.parameters` must be a schema of type \"object\", got {kind}");
            Err(GatewayError::invalid_with_code(format!("{place}.parameters"), message, "invalid_function_parameters"))
        }
        Some(_) => Ok(JsonText::from(raw)),
    }
}

/// The grammar in a custom tool's format, nested or flat; none for plain text.
pub(crate) fn grammar(format: &CustomFormat) -> Option<Grammar> {
    let (syntax, definition) = match &format.grammar {
        Some(grammar) => (&grammar.syntax, &grammar.definition),
        None => (&format.syntax, &format.definition),
    };
    let definition = definition.clone()?;
    Some(Grammar { syntax: syntax.clone().unwrap_or_else(|| "lark".to_owned()), definition })
}

/// The schema that stands for a custom tool: one text. The model reads the grammar; nothing holds it to it.
pub(crate) fn of_custom_tool(grammar: Option<&Grammar>) -> Result<JsonText, GatewayError> {
    #[derive(Serialize)]
    struct Schema {
        #[serde(rename = "type")]
        kind: &'static str,
        properties: Properties,
        required: [&'static str; 1],
        #[serde(rename = "additionalProperties")]
        additional: bool,
    }
    #[derive(Serialize)]
    struct Properties {
        input: Text,
    }
    #[derive(Serialize)]
    struct Text {
        #[serde(rename = "type")]
        kind: &'static str,
        description: String,
    }
    let description = match grammar {
        None => "The tool's whole input, as free text.".to_owned(),
        Some(Grammar { syntax, definition }) => {
            format!("The tool's whole input, as text that matches this {syntax} grammar exactly:\n{definition}")
        }
    };
    let properties = Properties { input: Text { kind: "string", description } };
    let schema = Schema { kind: "object", properties, required: [crate::openai_chat::shape::CUSTOM_INPUT], additional: false };
    JsonText::of(&schema).map_err(unwritable)
}

fn no_arguments() -> Result<JsonText, GatewayError> {
    parse("{\"type\":\"object\",\"properties\":{}}".to_owned())
}

fn parse(text: String) -> Result<JsonText, GatewayError> {
    JsonText::parse(text).map_err(unwritable)
}

fn unwritable(error: serde_json::Error) -> GatewayError {
    GatewayError::Internal { message: format!("a tool schema could not be written: {error}") }
}
