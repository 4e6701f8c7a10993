//! The operator's guardrail on a Converse body: the one change that native bodies know.

use outcrop_domain::{
    chat::{Guardrail, GuardrailStreamMode, GuardrailTrace},
    error::GatewayError,
};
use outcrop_protocol::bedrock::converse::GuardrailConfig;

use crate::transparent::json::{Edits, Kind, Scanner, Span, Text, Value, members_of};

/// Member that names a guardrail.
const FIELD: &str = "guardrailConfig";

/// Member of an InvokeModel body that says how its guardrail shall work. Source: guardrails page of the Bedrock user guide.
pub const INVOKE_FIELD: &str = "amazon-bedrock-guardrailConfig";

/// Does a Converse body name a guardrail of its own?
#[must_use]
pub fn names_guardrail(body: &[u8]) -> bool {
    members(body).iter().any(|(key, value)| key.is(body, FIELD) && value.kind != Kind::Null)
}

/// Does an InvokeModel body say how its guardrail shall work (how a stream is looked at, which parts of the prompt are)?
#[must_use]
pub fn steers_guardrail(body: &[u8]) -> bool {
    members(body).iter().any(|(key, value)| key.is(body, INVOKE_FIELD) && value.kind != Kind::Null)
}

/// An InvokeModel body that leaves it open, with the way in which a stream is looked at.
///
/// # Errors
/// As [`guarded`].
pub fn guarded_stream(body: &[u8], mode: GuardrailStreamMode) -> Result<Vec<u8>, GatewayError> {
    with(body, INVOKE_FIELD, invoke_field(mode).to_owned())
}

/// The value of [`INVOKE_FIELD`] for this way.
#[must_use]
pub fn invoke_field(mode: GuardrailStreamMode) -> &'static str {
    match mode {
        GuardrailStreamMode::Sync => r#"{"streamProcessingMode":"SYNCHRONOUS"}"#,
        GuardrailStreamMode::Async => r#"{"streamProcessingMode":"ASYNCHRONOUS"}"#,
    }
}

fn members(body: &[u8]) -> Vec<(Text, Value)> {
    members_of(body, Span::new(Scanner::new(body).at(), body.len()))
}

/// A Converse body that names no guardrail, with this one. `streams`: it is one of ConverseStream.
///
/// # Errors
/// [`GatewayError::InvalidRequest`] when it is no JSON object, or has the member more than once: which of them counts is not for
/// the client to say.
pub fn guarded(body: &[u8], guardrail: &Guardrail, streams: bool) -> Result<Vec<u8>, GatewayError> {
    let config = GuardrailConfig {
        guardrail_identifier: &guardrail.identifier,
        guardrail_version: &guardrail.version,
        trace: guardrail.trace.map(trace),
        stream_processing_mode: guardrail.stream_mode.filter(|_| streams).map(|mode| match mode {
            GuardrailStreamMode::Sync => "sync",
            GuardrailStreamMode::Async => "async",
        }),
    };
    with(body, FIELD, serde_json::to_string(&config).unwrap_or_default())
}

/// A body with a member that it has not, or has as `null`.
fn with(body: &[u8], field: &'static str, json: String) -> Result<Vec<u8>, GatewayError> {
    let mut edits = Edits::default();
    let members = members(body);
    let named: Vec<&Value> = members.iter().filter(|(key, _)| key.is(body, field)).map(|(_, value)| value).collect();
    match (named.as_slice(), members.first()) {
        ([value], _) => edits.replace(value.span, json),
        ([], Some((key, _))) => edits.insert(key.span.start, format!("\"{field}\":{json},")),
        ([], None) => {
            let message = "the request body is empty or no JSON object".to_owned();
            return Err(GatewayError::InvalidRequest { message, param: None, code: None });
        }
        _ => return Err(GatewayError::invalid(field, format!("`{field}` is given twice"))),
    }
    edits.apply(body)
}

fn trace(trace: GuardrailTrace) -> &'static str {
    match trace {
        GuardrailTrace::Enabled => "enabled",
        GuardrailTrace::Disabled => "disabled",
        GuardrailTrace::EnabledFull => "enabled_full",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Guardrail {
        Guardrail { identifier: "g".to_owned(), version: "1".to_owned(), trace: None, stream_mode: Some(GuardrailStreamMode::Async) }
    }

    fn guard(body: &str, streams: bool) -> String {
        String::from_utf8(guarded(body.as_bytes(), &ours(), streams).unwrap()).unwrap()
    }

    #[test]
    fn a_body_gets_the_guardrail_and_keeps_every_other_byte() {
        let body = r#" { "messages" : [] , "x":1.0}"#;
        assert_eq!(
            guard(body, false),
            r#" { "guardrailConfig":{"guardrailIdentifier":"g","guardrailVersion":"1"},"messages" : [] , "x":1.0}"#
        );
        assert!(guard(body, true).contains(r#""streamProcessingMode":"async""#));
        assert_eq!(
            guard(r#"{"guardrailConfig":null}"#, false),
            r#"{"guardrailConfig":{"guardrailIdentifier":"g","guardrailVersion":"1"}}"#
        );
        for body in [&b"{}"[..], b"[]", br#"{"guardrailConfig":null,"guardrailConfig":null}"#] {
            assert!(guarded(body, &ours(), false).is_err());
        }
    }

    #[test]
    fn how_a_guardrail_works_is_seen_and_set_in_bodies_of_invoke() {
        let body = br#"{"max_tokens":1}"#;
        assert!(!steers_guardrail(body));
        let set = guarded_stream(body, GuardrailStreamMode::Sync).unwrap();
        assert_eq!(set, br#"{"amazon-bedrock-guardrailConfig":{"streamProcessingMode":"SYNCHRONOUS"},"max_tokens":1}"#);
        assert!(steers_guardrail(&set));
        assert!(steers_guardrail(br#"{"amazon\u002dbedrock-guardrailConfig":{"tagSuffix":"x"}}"#));
        assert!(guarded_stream(b"{}", GuardrailStreamMode::Async).is_err());
    }

    #[test]
    fn a_guardrail_of_its_own_is_seen_wherever_it_stands() {
        assert!(names_guardrail(br#"{"messages":[],"guardrail\u0043onfig":{"guardrailIdentifier":"x"}}"#));
        assert!(names_guardrail(br#"{"guardrailConfig":null,"guardrailConfig":{}}"#));
        for body in [&br#"{"messages":[{"guardrailConfig":{}}]}"#[..], br#"{"guardrailConfig":null}"#, b"[]", b""] {
            assert!(!names_guardrail(body));
        }
    }
}
