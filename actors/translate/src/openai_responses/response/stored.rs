//! Stored responses: shown again, and ended from outside.

use std::borrow::Cow;

use outcrop_domain::{error::GatewayError, json::JsonText};
use outcrop_protocol::openai::responses::{OutputItem, ResponseError, ResponseObject, Status};

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
