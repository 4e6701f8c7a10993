//! `output_config.format`.

use outcrop_domain::{chat::ResponseFormat, error::GatewayError, json::JsonText};
use outcrop_protocol::anthropic::messages::OutputFormat;

use super::faults::{fault, missing, not_one_of};

/// Reads the shape of the answer. `place` is where it stands.
pub(super) fn read(wire: Option<OutputFormat>, place: &str) -> Result<ResponseFormat, GatewayError> {
    let Some(wire) = wire else { return Ok(ResponseFormat::Text) };
    match wire.kind.as_deref() {
        Some("json_schema") => {}
        None => return Err(missing(format!("{place}.type"))),
        Some(_) => return Err(not_one_of(format!("{place}.type"), &["json_schema"])),
    }
    let schema = JsonText::from(wire.schema.ok_or_else(|| missing(format!("{place}.schema")))?);
    if !schema.is_object() {
        return Err(fault(format!("{place}.schema"), "Input should be an object"));
    }
    // Anthropic's schemas have no name.
    Ok(ResponseFormat::JsonSchema { name: String::new(), description: None, schema, strict: Some(true) })
}
