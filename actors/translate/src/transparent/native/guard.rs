//! The operator's guardrail on a Converse body: the one change that native bodies know.

use outcrop_domain::{
    chat::{Guardrail, GuardrailStreamMode, GuardrailTrace},
    error::GatewayError,
};
use outcrop_protocol::bedrock::converse::GuardrailConfig;

use crate::transparent::json::{Edits, Kind, Scanner, Span, Text, Value, members_of};

/// Member that names a guardrail.
const FIELD: &str = "guardrailConfig";

/// Does a Converse body name a guardrail of its own?
#[must_use]
pub fn names_guardrail(body: &[u8]) -> bool {
    members(body).iter().any(|(key, value)| key.is(body, FIELD) && value.kind != Kind::Null)
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
    let json = serde_json::to_string(&config).unwrap_or_default();
    let mut edits = Edits::default();
    let members = members(body);
    let named: Vec<&Value> = members.iter().filter(|(key, _)| key.is(body, FIELD)).map(|(_, value)| value).collect();
    match (named.as_slice(), members.first()) {
        ([value], _) => edits.replace(value.span, json),
        ([], Some((key, _))) => edits.insert(key.span.start, format!("\"{FIELD}\":{json},")),
        ([], None) => {
            let message = "the request body is empty or no JSON object".to_owned();
            return Err(GatewayError::InvalidRequest { message, param: None, code: None });
        }
        _ => return Err(GatewayError::invalid(FIELD, format!("`{FIELD}` is given twice"))),
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

    fn with(body: &str, streams: bool) -> String {
        String::from_utf8(guarded(body.as_bytes(), &ours(), streams).unwrap()).unwrap()
    }

    #[test]
    fn a_body_gets_the_guardrail_and_keeps_every_other_byte() {
        let body = r#" { "messages" : [] , "x":1.0}"#;
        assert_eq!(
            with(body, false),
            r#" { "guardrailConfig":{"guardrailIdentifier":"g","guardrailVersion":"1"},"messages" : [] , "x":1.0}"#
        );
        assert!(with(body, true).contains(r#""streamProcessingMode":"async""#));
        assert_eq!(with(r#"{"guardrailConfig":null}"#, false), r#"{"guardrailConfig":{"guardrailIdentifier":"g","guardrailVersion":"1"}}"#);
        for body in [&b"{}"[..], b"[]", br#"{"guardrailConfig":null,"guardrailConfig":null}"#] {
            assert!(guarded(body, &ours(), false).is_err());
        }
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
