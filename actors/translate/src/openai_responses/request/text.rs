//! `text`: the shape of the answer, and how wordy it is.

use outcrop_domain::{chat::ResponseFormat, error::GatewayError, json::JsonText};
use outcrop_protocol::openai::{
    body::decode_text,
    chat::SchemaFormat,
    responses::{ResponsesRequest, TextParam},
};

use super::fault;
use crate::{dialect::notes::Notes, openai_chat::request::format, openai_responses::Echo};

/// Reads the shape of the answer.
pub(super) fn read(wire: &mut ResponsesRequest, echo: &mut Echo, notes: &mut Notes) -> Result<ResponseFormat, GatewayError> {
    let Some(raw) = wire.text.take() else { return Ok(ResponseFormat::Text) };
    let text: TextParam = decode_text(raw.get()).map_err(|error| fault::inside("text", &error))?;
    match text.verbosity.as_deref() {
        None => {}
        Some("medium") => notes.harmless("text.verbosity", "ignored"),
        Some("low" | "high") => notes.meaning("text.verbosity", "ignored")?,
        Some(word) => return Err(fault::unknown_word("text.verbosity", word, &["low", "medium", "high"])),
    }
    let has_format = text.format.is_some();
    let format = of_format(text)?;
    if has_format {
        echo.text = JsonText::from(raw);
    }
    Ok(format)
}

fn of_format(text: TextParam) -> Result<ResponseFormat, GatewayError> {
    let Some(wire) = text.format else { return Ok(ResponseFormat::Text) };
    let flat = SchemaFormat { name: wire.name, description: wire.description, schema: wire.schema, strict: wire.strict };
    match wire.kind.as_deref() {
        None => Err(fault::missing("text.format.type")),
        Some("text") => Ok(ResponseFormat::Text),
        Some("json_object") => Ok(ResponseFormat::JsonObject),
        Some("json_schema") => match wire.json_schema {
            // Chat's nesting, which some clients keep.
            Some(nested) => format::schema(nested, "text.format.json_schema"),
            None if flat.name.is_none() => Err(fault::missing("text.format.name")),
            None if flat.schema.is_none() => Err(fault::missing("text.format.schema")),
            None => format::schema(flat, "text.format"),
        },
        Some(word) => Err(fault::unknown_word("text.format.type", word, &["text", "json_object", "json_schema"])),
    }
}
