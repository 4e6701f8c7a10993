//! Stored responses: shown again, and ended from outside.

use std::{borrow::Cow, collections::BTreeMap};

use outcrop_domain::{error::GatewayError, json::JsonText};
use outcrop_protocol::openai::responses::{OutputItem, ResponseError, ResponseObject, Status};
use serde_json::value::RawValue;

use super::error_code;
use crate::{
    errors,
    openai_responses::{Include, json::text_of},
};

/// A stored response as a client gets it that asks for `include`.
///
/// # Errors
/// `Internal` when what is stored is no response.
pub fn shown(stored: &JsonText, include: Include) -> Result<JsonText, GatewayError> {
    text_of(&read(stored, include)?)
}

/// A stored item as a client gets it that asks for `include`: what is sealed in reasoning and what programs printed is left
/// out unless it was asked for.
///
/// # Errors
/// `Internal` when what is stored is no item.
pub fn shown_item(stored: &JsonText, include: Include) -> Result<JsonText, GatewayError> {
    const SEALED: &str = "encrypted_content";
    const PROGRAM: &str = "code_interpreter_call";
    let text = stored.get();
    // Few items have it, and they are not looked into otherwise.
    let may_be = (!include.encrypted_reasoning && text.contains(SEALED)) || (!include.code_outputs && text.contains(PROGRAM));
    if !may_be {
        return Ok(stored.clone());
    }
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(stored.get())
        .map_err(|error| GatewayError::Internal { message: format!("a stored item cannot be read: {error}") })?;
    match members.get("type").copied().map(RawValue::get) {
        Some("\"reasoning\"") if !include.encrypted_reasoning => {
            members.remove(SEALED);
        }
        Some("\"code_interpreter_call\"") if !include.code_outputs => {
            members.insert("outputs".to_owned(), RawValue::NULL);
        }
        _ => return Ok(stored.clone()),
    }
    text_of(&members)
}

/// A stored response that was still under way, as given up by its client. One that has ended stays as it is: the flag
/// tells whether it was changed.
///
/// # Errors
/// `Internal` when what is stored is no response.
pub fn cancelled(stored: &JsonText) -> Result<(JsonText, bool), GatewayError> {
    end(stored, |response| response.status = Status::Cancelled)
}

/// A stored response that was still under way when whoever wrote it was lost (a background response after a restart).
/// One that has ended stays as it is.
///
/// # Errors
/// `Internal` when what is stored is no response.
pub fn failed_later(stored: &JsonText, error: &GatewayError) -> Result<(JsonText, bool), GatewayError> {
    let message = errors::openai::reply(error).body.error.message;
    end(stored, |response| {
        response.status = Status::Failed;
        response.error = Some(ResponseError { code: Cow::Borrowed(error_code(error)), message: Cow::Owned(message.into_owned()) });
    })
}

/// A stored response as an object, with no more than `include` asks for.
pub(in crate::openai_responses) fn read(stored: &JsonText, include: Include) -> Result<ResponseObject<'_>, GatewayError> {
    let mut response: ResponseObject<'_> = serde_json::from_str(stored.get())
        .map_err(|error| GatewayError::Internal { message: format!("a stored response cannot be read: {error}") })?;
    for item in &mut response.output {
        match item.to_mut() {
            OutputItem::Reasoning { encrypted_content, .. } if !include.encrypted_reasoning => *encrypted_content = None,
            OutputItem::CodeInterpreterCall { outputs, .. } if !include.code_outputs => *outputs = None,
            _ => {}
        }
    }
    Ok(response)
}

fn end(stored: &JsonText, change: impl FnOnce(&mut ResponseObject<'_>)) -> Result<(JsonText, bool), GatewayError> {
    let mut response = read(stored, Include::ALL)?;
    if response.status.is_final() {
        return Ok((stored.clone(), false));
    }
    change(&mut response);
    Ok((text_of(&response)?, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_in_reasoning_and_what_programs_printed_is_shown_to_who_asks_for_it() {
        let item = |text: &str| JsonText::parse(text.to_owned()).unwrap();
        let reasoning = item(r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"sealed"}"#);
        let all = Include { encrypted_reasoning: true, ..Include::default() };
        assert_eq!(shown_item(&reasoning, all).unwrap(), reasoning);
        assert_eq!(shown_item(&reasoning, Include::default()).unwrap().get(), r#"{"id":"rs_1","summary":[],"type":"reasoning"}"#);
        let program = item(r#"{"type":"code_interpreter_call","id":"ci_1","outputs":[{"type":"logs","logs":"1"}]}"#);
        assert_eq!(shown_item(&program, Include { code_outputs: true, ..Include::default() }).unwrap(), program);
        assert_eq!(
            shown_item(&program, Include::default()).unwrap().get(),
            r#"{"id":"ci_1","outputs":null,"type":"code_interpreter_call"}"#
        );
        for other in [r#"{"type":"compaction","encrypted_content":"s"}"#, r#"{"role":"user","content":"encrypted_content"}"#] {
            assert_eq!(shown_item(&item(other), Include::default()).unwrap().get(), other);
        }
    }
}
