//! Stored responses: shown again, and ended from outside.

use std::{borrow::Cow, collections::BTreeMap};

use outcrop_domain::{error::GatewayError, json::JsonText};
use outcrop_protocol::openai::responses::{OutputItem, ResponseError, ResponseObject, Status};
use serde_json::value::RawValue;

use super::{Sealing, error_code, sealing};
use crate::{
    errors,
    openai_responses::{Include, json::text_of},
};

/// A stored response as a client gets it that asks for `include`.
///
/// # Errors
/// `Internal` when what is stored is no response.
pub fn shown(stored: &JsonText, include: Include) -> Result<JsonText, GatewayError> {
    text_of(&read_for(stored, sealing(include.encrypted_reasoning))?)
}

/// A stored item as a client gets it that asks for `include`: what is sealed in reasoning is left out unless it was asked for.
///
/// # Errors
/// `Internal` when what is stored is no item.
pub fn shown_item(stored: &JsonText, include: Include) -> Result<JsonText, GatewayError> {
    const SEALED: &str = "encrypted_content";
    // Few items have it, and they are not looked into otherwise.
    if include.encrypted_reasoning || !stored.get().contains(SEALED) {
        return Ok(stored.clone());
    }
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(stored.get())
        .map_err(|error| GatewayError::Internal { message: format!("a stored item cannot be read: {error}") })?;
    if members.get("type").is_none_or(|kind| kind.get() != "\"reasoning\"") {
        return Ok(stored.clone());
    }
    members.remove(SEALED);
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

/// A stored response as an object, with or without what is sealed in it.
pub(in crate::openai_responses) fn read(stored: &JsonText, include: Include) -> Result<ResponseObject<'_>, GatewayError> {
    read_for(stored, sealing(include.encrypted_reasoning))
}

fn read_for(stored: &JsonText, sealing: Sealing) -> Result<ResponseObject<'_>, GatewayError> {
    let mut response: ResponseObject<'_> = serde_json::from_str(stored.get())
        .map_err(|error| GatewayError::Internal { message: format!("a stored response cannot be read: {error}") })?;
    for item in &mut response.output {
        if sealing == Sealing::LeftOut
            && let OutputItem::Reasoning { encrypted_content, .. } = item.to_mut()
        {
            *encrypted_content = None;
        }
    }
    Ok(response)
}

fn end(stored: &JsonText, change: impl FnOnce(&mut ResponseObject<'_>)) -> Result<(JsonText, bool), GatewayError> {
    let mut response = read_for(stored, Sealing::Kept)?;
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
    fn what_is_sealed_in_reasoning_is_shown_to_who_asks_for_it() {
        let item = |text: &str| JsonText::parse(text.to_owned()).unwrap();
        let reasoning = item(r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"sealed"}"#);
        let all = Include { encrypted_reasoning: true, ..Include::default() };
        assert_eq!(shown_item(&reasoning, all).unwrap(), reasoning);
        assert_eq!(shown_item(&reasoning, Include::default()).unwrap().get(), r#"{"id":"rs_1","summary":[],"type":"reasoning"}"#);
        for other in [r#"{"type":"compaction","encrypted_content":"s"}"#, r#"{"role":"user","content":"encrypted_content"}"#] {
            assert_eq!(shown_item(&item(other), Include::default()).unwrap().get(), other);
        }
    }
}
