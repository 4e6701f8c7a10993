//! Refusals in OpenAI's words, with its codes: agents and people know them.

use outcrop_domain::error::GatewayError;
use outcrop_protocol::openai::body::{BodyError, BodyFault};

use crate::errors;

/// A body that could not be decoded, as the error it is. The place is written as OpenAI writes places: `input[3].role`.
#[must_use]
pub fn malformed_body(fault: &BodyError) -> GatewayError {
    match (fault.fault, &fault.path) {
        (BodyFault::Type, Some(path)) => of_type(&with_brackets("", path), &fault.reason),
        _ => errors::openai::malformed_body(fault),
    }
}

/// Something inside `place` has the wrong type.
pub(in crate::openai_responses) fn inside(place: &str, fault: &BodyError) -> GatewayError {
    match (fault.fault, &fault.path) {
        (BodyFault::Type, path) => of_type(&with_brackets(place, path.as_deref().unwrap_or_default()), &fault.reason),
        (BodyFault::Syntax, _) => {
            GatewayError::invalid_with_code(place, format!("Invalid value for '{place}': {}", fault.reason), "invalid_value")
        }
    }
}

pub(super) fn missing(param: impl Into<String>) -> GatewayError {
    let param = param.into();
    let message = format!("Missing required parameter: '{param}'.");
    GatewayError::invalid_with_code(param, message, "missing_required_parameter")
}

/// A word that is none of those known.
pub(super) fn unknown_word(param: impl Into<String>, word: &str, known: &[&str]) -> GatewayError {
    let message = format!("Invalid value: '{word}'. Supported values are: {}.", listed(known));
    GatewayError::invalid_with_code(param, message, "invalid_value")
}

/// A value that breaks a rule; `rule` says which.
pub(super) fn invalid(param: impl Into<String>, rule: &str) -> GatewayError {
    let param = param.into();
    let message = format!("Invalid '{param}': {rule}");
    GatewayError::invalid_with_code(param, message, "invalid_value")
}

/// A number below its least.
pub(super) fn too_small(param: &'static str, least: i64, got: i64) -> GatewayError {
    let message = format!("Invalid '{param}': integer below minimum value. Expected a value >= {least}, but got {got} instead.");
    GatewayError::invalid_with_code(param, message, "integer_below_min_value")
}

/// A parameter that this endpoint has by another name.
pub(super) fn moved(param: &'static str, to: &'static str) -> GatewayError {
    let message = format!("Unsupported parameter: '{param}'. In the Responses API, this parameter has moved to '{to}'.");
    GatewayError::invalid_with_code(param, message, "unsupported_parameter")
}

/// A parameter that cannot be honoured; `why` is a sentence, or empty.
pub(super) fn unsupported(param: impl Into<String>, why: &str) -> GatewayError {
    let param = param.into();
    let gap = if why.is_empty() { "" } else { " " };
    let message = format!("Unsupported parameter: '{param}' is not supported by this gateway.{gap}{why}");
    GatewayError::invalid_with_code(param, message, "unsupported_parameter")
}

fn of_type(place: &str, reason: &str) -> GatewayError {
    let words = reason.strip_prefix("invalid type: ").and_then(|words| words.split_once(", expected "));
    let message = match words {
        Some((got, expected)) => {
            format!("Invalid type for '{place}': expected {}, but got {} instead.", expected_of(expected), got_of(got))
        }
        None => format!("Invalid value for '{place}': {reason}."),
    };
    GatewayError::invalid_with_code(place, message, "invalid_type")
}

/// The parser's word for what it wanted, in JSON's terms.
fn expected_of(words: &str) -> String {
    match words {
        "a sequence" => "an array".to_owned(),
        "a map" => "an object".to_owned(),
        "f64" | "f32" => "a number".to_owned(),
        words => words.to_owned(),
    }
}

/// The parser's word for what it found, in JSON's terms and without the value.
fn got_of(words: &str) -> &str {
    match words.split([' ', ':']).next().unwrap_or_default() {
        "integer" => "an integer",
        "floating" => "a decimal",
        "boolean" => "a boolean",
        "string" => "a string",
        "sequence" => "an array",
        "map" => "an object",
        "null" | "unit" => "null",
        _ => words,
    }
}

/// `a.3.b` below `input[1]` as `input[1].a[3].b`.
fn with_brackets(place: &str, path: &str) -> String {
    let mut text = place.to_owned();
    for segment in path.split('.').filter(|segment| !segment.is_empty()) {
        if segment.bytes().all(|byte| byte.is_ascii_digit()) {
            text.push_str(&format!("[{segment}]"));
        } else {
            let dot = if text.is_empty() { "" } else { "." };
            text.push_str(&format!("{dot}{segment}"));
        }
    }
    text
}

fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first, second] => format!("{first} and {second}"),
        [most @ .., last] => format!("{}, and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use outcrop_protocol::openai::{
        body::decode,
        responses::{InputItem, ResponsesRequest},
    };

    use super::*;

    fn words(error: &GatewayError) -> (String, String) {
        let GatewayError::InvalidRequest { message, param, .. } = error else { panic!("{error}") };
        (param.clone().unwrap_or_default(), message.clone())
    }

    #[test]
    fn a_wrong_type_is_told_in_the_terms_of_json() {
        let fault = decode::<InputItem>(br#"{"role":"user","content":[{"type":"input_text","text":5}]}"#).err().unwrap();
        let (param, message) = words(&inside("input[3]", &fault));
        assert_eq!(param, "input[3].content[0].text");
        assert_eq!(message, "Invalid type for 'input[3].content[0].text': expected a string, but got an integer instead.");
        let fault = decode::<InputItem>(br#""secret words""#).err().unwrap();
        assert_eq!(words(&inside("input[0]", &fault)).1, "Invalid type for 'input[0]': expected an object, but got a string instead.");
        let fault = decode::<InputItem>(br#"{"summary":{}}"#).err().unwrap();
        assert_eq!(
            words(&inside("input[0]", &fault)).1,
            "Invalid type for 'input[0].summary': expected an array, but got an object instead."
        );
    }

    #[test]
    fn a_wrong_body_names_its_place_with_brackets() {
        let fault = decode::<ResponsesRequest>(br#"{"input":"x","include":["a",true]}"#).err().unwrap();
        assert_eq!(words(&malformed_body(&fault)).0, "include[1]");
        let fault = decode::<ResponsesRequest>(br#"{"temperature":"warm"}"#).err().unwrap();
        let (param, message) = words(&malformed_body(&fault));
        assert_eq!(param, "temperature");
        assert_eq!(message, "Invalid type for 'temperature': expected a number, but got a string instead.");
    }

    #[test]
    fn lists_of_words_read_as_sentences() {
        assert_eq!(listed(&["a"]), "'a'");
        assert_eq!(listed(&["a", "b"]), "'a' and 'b'");
        assert_eq!(listed(&["a", "b", "c"]), "'a', 'b', and 'c'");
    }
}
