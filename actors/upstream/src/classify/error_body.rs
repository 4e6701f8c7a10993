//! The JSON body of an error, in all spellings AWS uses.

use std::borrow::Cow;

use outcrop_domain::error::ModelError;
use serde::Deserialize;

/// What an error body says. Missing fields stay empty: a load balancer answers with HTML or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// `__type` or `code`, trimmed to the bare type.
    pub code: Option<String>,
    /// `message`, `Message` or `errorMessage`; without any, the body itself as text.
    pub message: String,
    /// The members of model errors, where it has any.
    pub model_error: Option<Box<ModelError>>,
}

/// Longest message that is kept, in bytes. Agents read messages of up to some kilobytes; HTML pages may be longer.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default, rename = "message")]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "Message")]
    upper_message: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "errorMessage")]
    error_message: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "__type")]
    type_name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
    #[serde(default, rename = "originalStatusCode")]
    original_status: Option<u16>,
    #[serde(borrow, default, rename = "originalMessage")]
    original_message: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "resourceName")]
    resource_name: Option<Cow<'a, str>>,
}

impl ErrorBody {
    /// Reads a body; one that is no JSON object becomes the message as it is.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        match serde_json::from_slice::<Wire<'_>>(body) {
            Ok(wire) => {
                let model_error = ModelError {
                    original_status: wire.original_status,
                    original_message: wire.original_message.map(|message| capped(&message)),
                    resource_name: wire.resource_name.map(|name| capped(&name)),
                };
                let message = wire.message.or(wire.upper_message).or(wire.error_message);
                Self {
                    code: wire.type_name.or(wire.code).map(|code| super::bare_code(&code).to_owned()),
                    message: message.map_or_else(|| raw_text(body), |message| capped(&message)),
                    model_error: (model_error != ModelError::default()).then(|| Box::new(model_error)),
                }
            }
            Err(_) => Self { message: raw_text(body), ..Self::default() },
        }
    }

    /// What the model's own server answered.
    #[must_use]
    pub fn original_status(&self) -> Option<u16> {
        self.model_error.as_ref()?.original_status
    }
}

fn raw_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    // `{}` says nothing; its absence is told apart by the caller.
    if text == "{}" { String::new() } else { capped(text) }
}

fn capped(message: &str) -> String {
    message.get(..message.floor_char_boundary(MAX_MESSAGE_BYTES)).unwrap_or(message).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_the_message_is_found() {
        for body in [r#"{"message":"slow down"}"#, r#"{"Message":"slow down"}"#, r#"{"errorMessage":"slow down"}"#] {
            assert_eq!(ErrorBody::parse(body.as_bytes()).message, "slow down", "{body}");
        }
    }

    #[test]
    fn the_type_is_trimmed_of_namespace_and_address() {
        let body = ErrorBody::parse(br#"{"__type":"com.amazon.bedrock#ValidationException:http://x/","originalStatusCode":418}"#);
        assert_eq!(body.code.as_deref(), Some("ValidationException"));
        assert_eq!(body.original_status(), Some(418));
        assert_eq!(ErrorBody::parse(br#"{"message":"m"}"#).model_error, None);
    }

    #[test]
    fn a_body_that_is_no_json_object_is_the_message() {
        assert_eq!(ErrorBody::parse(b"<html>503</html>\n").message, "<html>503</html>");
        assert_eq!(ErrorBody::parse(b"\"text\"").message, "\"text\"");
        assert_eq!(ErrorBody::parse(b"").message, "");
        assert_eq!(ErrorBody::parse(b"{}").message, "");
    }

    #[test]
    fn a_long_page_is_cut_at_a_character() {
        let page = "ü".repeat(MAX_MESSAGE_BYTES);
        let message = ErrorBody::parse(page.as_bytes()).message;
        assert!(message.len() <= MAX_MESSAGE_BYTES && message.chars().all(|character| character == 'ü'));
    }
}
