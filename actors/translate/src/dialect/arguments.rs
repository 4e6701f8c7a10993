//! Arguments of tool calls in the history.

use outcrop_domain::{error::GatewayError, json::JsonText};
use serde::Serialize;
use serde_json::value::RawValue;

use super::notes::Notes;

/// Arguments as an object: nothing becomes `{}`; what is no object is wrapped, so that a model's slip does not
/// end the session for good.
pub(crate) fn object(text: String, field: &'static str, notes: &mut Notes) -> Result<JsonText, GatewayError> {
    #[derive(Serialize)]
    struct Malformed<'a> {
        _malformed_arguments: &'a str,
    }
    if matches!(text.trim(), "" | "null") {
        return Ok(JsonText::empty_object());
    }
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(raw) if raw.get().starts_with('{') => Ok(JsonText::from(raw.to_owned())),
        Ok(_) | Err(_) => {
            notes.harmless(field, "wrapped");
            JsonText::of(&Malformed { _malformed_arguments: &text }).map_err(|error| unwritable(&error))
        }
    }
}

/// Arguments that have no JSON form: a fault of ours.
pub(crate) fn unwritable(error: &serde_json::Error) -> GatewayError {
    GatewayError::Internal { message: format!("tool arguments could not be written: {error}") }
}
