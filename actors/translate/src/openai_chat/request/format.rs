//! `response_format`.

use outcrop_domain::{chat::ResponseFormat, error::GatewayError, json::JsonText};
use outcrop_protocol::openai::chat::{ResponseFormatParam, SchemaFormat};

use super::notes::{invalid_type, invalid_value, missing};

/// Longest schema name. Source: OpenAI, `ResponseFormatJsonSchema.json_schema.name`.
const LONGEST_NAME: usize = 64;

/// Reads the shape of the answer. A `json_object` that brings a schema (other providers' form) is a schema.
pub(super) fn read(wire: Option<ResponseFormatParam>) -> Result<ResponseFormat, GatewayError> {
    let Some(wire) = wire else { return Ok(ResponseFormat::Text) };
    let flat = SchemaFormat { name: wire.name, description: wire.description, schema: wire.schema, strict: wire.strict };
    match wire.kind.as_deref() {
        None => Err(missing("response_format.type")),
        Some("text") => Ok(ResponseFormat::Text),
        Some("json_object") if flat.schema.is_some() => {
            let name = flat.name.clone().unwrap_or_else(|| "response".to_owned());
            schema(SchemaFormat { name: Some(name), ..flat }, "response_format")
        }
        Some("json_object") => Ok(ResponseFormat::JsonObject),
        Some("json_schema") => match wire.json_schema {
            Some(nested) => schema(nested, "response_format.json_schema"),
            None if flat.schema.is_some() => schema(flat, "response_format"),
            None => Err(missing("response_format.json_schema")),
        },
        Some(_) => Err(invalid_value("response_format.type", "`response_format.type` must be `text`, `json_object` or `json_schema`")),
    }
}

pub(crate) fn schema(wire: SchemaFormat, place: &str) -> Result<ResponseFormat, GatewayError> {
    let name = wire.name.ok_or_else(|| missing(format!("{place}.name")))?;
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(fit) {
        let message = format!("`{place}.name` must be 1 to {LONGEST_NAME} letters, digits, underscores and dashes");
        return Err(invalid_value(format!("{place}.name"), message));
    }
    let schema = JsonText::from(wire.schema.ok_or_else(|| missing(format!("{place}.schema")))?);
    if !schema.is_object() {
        return Err(invalid_type(format!("{place}.schema"), format!("`{place}.schema` must be an object")));
    }
    Ok(ResponseFormat::JsonSchema { name, description: wire.description, schema, strict: wire.strict })
}
