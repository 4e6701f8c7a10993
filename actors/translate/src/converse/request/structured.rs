//! Answers in JSON: natively where the model can, else by a tool whose call is the answer, else by asking.

use std::borrow::Cow;

use outcrop_domain::{
    adjust::Adjustments,
    chat::ResponseFormat,
    error::GatewayError,
    json::JsonText,
    model::{Structured, ToolSupport},
};
use outcrop_protocol::bedrock::converse::{InputSchema, JsonSchema, OutputConfig, SystemBlock, TextFormat, TextFormatStructure, ToolSpec};

use super::{
    Scope,
    names::ToolNames,
    schema::{self, InputSchemaForm},
    turns::Marked,
};
use crate::converse::context::FormatTool;

/// Name of the tool that takes an answer.
const TOOL_NAME: &str = "json_output";
/// What it is for, when the client does not say.
const TOOL_DESCRIPTION: &str = "Takes the final answer to the user. Its arguments are the answer.";
/// Asks for JSON of any shape.
const ANY_OBJECT: &str = "Answer with one valid JSON object and nothing else: no text around it and no code fence.";
/// Asks for JSON of a shape that follows.
const BY_SCHEMA: &str =
    "Answer with valid JSON that keeps to the JSON Schema below, and nothing else: no text around it and no code fence.";
/// Longest name of a schema.
const MAX_SCHEMA_NAME: usize = 64;

/// How the wished format is brought about.
pub(super) enum Format<'a> {
    /// No wish.
    Text,
    /// By `outputConfig`.
    Native(OutputConfig<'a>),
    /// By a tool.
    Tool(ToolSpec<'a>, FormatTool),
    /// By asking for it.
    Asked(Cow<'static, str>),
}

impl<'a> Format<'a> {
    pub(super) fn tool(&self) -> Option<&ToolSpec<'a>> {
        match self {
            Self::Tool(spec, _) => Some(spec),
            _ => None,
        }
    }

    pub(super) fn into_parts(self) -> (Option<OutputConfig<'a>>, Option<FormatTool>) {
        match self {
            Self::Native(config) => (Some(config), None),
            Self::Tool(_, tool) => (None, Some(tool)),
            Self::Text | Self::Asked(_) => (None, None),
        }
    }
}

/// Chooses the way.
///
/// # Errors
/// When the schema nests too deep to be made fit.
pub(super) fn plan<'a>(scope: Scope<'a>, names: &mut ToolNames, notes: &mut Adjustments) -> Result<Format<'a>, GatewayError> {
    let (name, description, schema) = match &scope.request.format {
        ResponseFormat::Text => return Ok(Format::Text),
        ResponseFormat::JsonObject => return Ok(Format::Asked(Cow::Borrowed(ANY_OBJECT))),
        ResponseFormat::JsonSchema { name, description, schema, .. } => (name, description.as_deref(), schema),
    };
    let description = description.filter(|text| !text.trim().is_empty());
    match (scope.model.structured, scope.model.tools) {
        (Structured::Native, _) => native(name, description, schema, notes).map(Format::Native),
        (Structured::ForcedTool, ToolSupport::None) => {
            notes.note("response_format", "asked_in_text");
            let text = format!("{BY_SCHEMA}\n{}", schema.get());
            Ok(Format::Asked(Cow::Owned(text)))
        }
        (Structured::ForcedTool, _) => Ok(by_tool(description, schema, names)),
    }
}

fn native<'a>(
    name: &'a str,
    description: Option<&'a str>,
    schema: &'a JsonText,
    notes: &mut Adjustments,
) -> Result<OutputConfig<'a>, GatewayError> {
    let schema = match schema::fitted(schema)? {
        Some(fitted) => {
            if fitted.closed {
                notes.note("response_format.schema", "closed");
            }
            if fitted.relaxed {
                notes.note("response_format.schema", "constraints_described");
            }
            Cow::Owned(fitted.text)
        }
        None => Cow::Borrowed(schema.get()),
    };
    let json_schema = JsonSchema { schema, name: schema_name(name), description: description.map(Cow::Borrowed) };
    Ok(OutputConfig { text_format: TextFormat { kind: "json_schema", structure: TextFormatStructure { json_schema } } })
}

/// The name in the characters of a tool name, or none.
fn schema_name(name: &str) -> Option<Cow<'_, str>> {
    let fits = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    if name.is_empty() {
        None
    } else if name.len() <= MAX_SCHEMA_NAME && name.chars().all(fits) {
        Some(Cow::Borrowed(name))
    } else {
        Some(Cow::Owned(name.chars().take(MAX_SCHEMA_NAME).map(|character| if fits(character) { character } else { '_' }).collect()))
    }
}

fn by_tool<'a>(description: Option<&'a str>, schema: &'a JsonText, names: &mut ToolNames) -> Format<'a> {
    let name = names.reserve(TOOL_NAME);
    let (json, form) = schema::object_schema(schema, FormatTool::MEMBER);
    let spec = ToolSpec {
        name: Cow::Owned(name.clone()),
        description: Some(Cow::Borrowed(description.unwrap_or(TOOL_DESCRIPTION))),
        input_schema: InputSchema { json },
        strict: None,
    };
    Format::Tool(spec, FormatTool { name, wrapped: matches!(form, InputSchemaForm::Wrapped) })
}

/// The instruction that goes with a format: always when asking is all there is, and when the tool cannot be forced.
pub(super) fn instruction<'a>(format: &Format<'a>, forced: bool) -> Option<Marked<SystemBlock<'a>>> {
    let text = match format {
        Format::Asked(text) => text.clone(),
        Format::Tool(spec, _) if !forced => {
            Cow::Owned(format!("Give your final answer by calling the tool `{}`; do not give it as plain text.", spec.name))
        }
        _ => return None,
    };
    Some(Marked::plain(SystemBlock::Text(text)))
}
