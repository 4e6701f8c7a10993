//! Request headers that wish something of Bedrock, and the response headers of ours.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use outcrop_domain::{
    chat::{Guardrail, GuardrailStreamMode, GuardrailTrace, Latency, ServiceTier},
    error::GatewayError,
};
use outcrop_gateway::{
    ports::{AnswerFacts, RequestOverrides},
    record::JobReport,
};
use serde::de::{DeserializeOwned, IntoDeserializer, value::Error as WordError};

use super::rate_headers;
use crate::http::ToldHeaders;

/// The changes made to the request: `field=action,...`.
const ADJUSTED: HeaderName = HeaderName::from_static("x-outcrop-adjusted");
/// The region that answers, or that failed last.
const REGION: HeaderName = HeaderName::from_static("x-outcrop-region");
/// Upstream calls made.
const ATTEMPTS: HeaderName = HeaderName::from_static("x-outcrop-attempts");
/// The model that answers, or that should have.
const MODEL: HeaderName = HeaderName::from_static("x-outcrop-model");
/// Says which retired model was replaced by which.
const REPLACED: HeaderName = HeaderName::from_static("x-outcrop-replaced");

/// The stream goes on from another region, should it break.
const RESUME: HeaderName = HeaderName::from_static("x-outcrop-resume");

/// Headers longer than this are cut: proxies refuse heads of more than a few kilobytes.
const MAX_HEADER_BYTES: usize = 2048;

// Names of request headers. As statics: a name that is a string is parsed anew at every look.
static STREAM_MODE: HeaderName = HeaderName::from_static("x-amzn-bedrock-guardrailstreamprocessingmode");
static TRACE: HeaderName = HeaderName::from_static("x-amzn-bedrock-trace");
static GUARDRAIL: HeaderName = HeaderName::from_static("x-amzn-bedrock-guardrailidentifier");
static GUARDRAIL_VERSION: HeaderName = HeaderName::from_static("x-amzn-bedrock-guardrailversion");
static SERVICE_TIER: HeaderName = HeaderName::from_static("x-amzn-bedrock-service-tier");
static LATENCY: HeaderName = HeaderName::from_static("x-amzn-bedrock-performanceconfig-latency");
static BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// Headers that agents and their proxies name a session in, the most particular first.
static SESSIONS: [HeaderName; 6] = [
    HeaderName::from_static("x-outcrop-session"),
    HeaderName::from_static("x-claude-code-session-id"),
    HeaderName::from_static("x-session-id"),
    HeaderName::from_static("x-session-affinity"),
    HeaderName::from_static("session_id"),
    HeaderName::from_static("x-conversation-id"),
];

/// Reads the headers that Bedrock's own API has for the same wishes.
///
/// # Errors
/// A value that Bedrock does not know.
pub(super) fn overrides(headers: &HeaderMap) -> Result<RequestOverrides, GatewayError> {
    let stream_mode = word::<GuardrailStreamMode>(headers, &STREAM_MODE)?;
    let trace = word::<GuardrailTrace>(headers, &TRACE)?;
    let guardrail = match (text(headers, &GUARDRAIL), text(headers, &GUARDRAIL_VERSION)) {
        (None, None) => None,
        (Some(identifier), Some(version)) => {
            Some(Guardrail { identifier: identifier.to_owned(), version: version.to_owned(), trace, stream_mode })
        }
        _ => {
            return Err(GatewayError::invalid(GUARDRAIL.as_str(), "guardrail identifier and guardrail version must be sent together"));
        }
    };
    Ok(RequestOverrides {
        guardrail,
        service_tier: word::<ServiceTier>(headers, &SERVICE_TIER)?,
        latency: word::<Latency>(headers, &LATENCY)?,
        beta_flags: beta_flags(headers),
        session: session(headers),
    })
}

/// The session that a request belongs to, in the client's words.
pub(super) fn session(headers: &HeaderMap) -> Option<String> {
    SESSIONS.iter().find_map(|name| text(headers, name)).map(str::to_owned)
}

/// `anthropic-beta`: comma lists, repeated headers, or both.
fn beta_flags(headers: &HeaderMap) -> Vec<String> {
    let mut flags: Vec<String> = Vec::new();
    let values = headers.get_all(&BETA).iter().filter_map(|value| value.to_str().ok());
    for flag in values.flat_map(|list| list.split(',')).map(str::trim).filter(|flag| !flag.is_empty()) {
        if !flags.iter().any(|known| known == flag) {
            flags.push(flag.to_owned());
        }
    }
    flags
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).filter(|text| !text.is_empty())
}

fn word<T: DeserializeOwned>(headers: &HeaderMap, name: &'static HeaderName) -> Result<Option<T>, GatewayError> {
    let Some(text) = text(headers, name) else { return Ok(None) };
    let lower = text.to_ascii_lowercase();
    T::deserialize(IntoDeserializer::<WordError>::into_deserializer(lower.as_str()))
        .map(Some)
        .map_err(|error| GatewayError::invalid_with_code(name.as_str(), format!("header `{name}`: {error}"), "invalid_value"))
}

/// Tells about an answer.
pub(super) fn describe(headers: &mut HeaderMap, about: &AnswerFacts, told: ToldHeaders) {
    if told.routing {
        set(headers, REGION, about.region.as_str());
        headers.insert(ATTEMPTS, HeaderValue::from(about.attempts));
    }
    // Not where it ran, but what the client reads: a text that another call may finish.
    if about.resumes {
        headers.insert(RESUME, HeaderValue::from_static("on"));
    }
    set(headers, MODEL, about.model.as_str());
    if told.adjustments && !about.adjustments.is_empty() {
        set(headers, ADJUSTED, &about.adjustments.to_string());
    }
    if let Some(limits) = about.limits.as_ref().filter(|_| told.limits) {
        rate_headers::tell(headers, limits, about);
    }
    if let Some(words) = &about.replaced {
        set(headers, REPLACED, words);
    }
}

/// Tells how far a failed request came: the calls made, the region of the failure that is told (else the last that was
/// called), the model.
pub(super) fn describe_failure(headers: &mut HeaderMap, report: &JobReport, error: &GatewayError, told: ToldHeaders) {
    if told.routing {
        headers.insert(ATTEMPTS, HeaderValue::from(report.attempts));
    }
    let failed = match error {
        GatewayError::Upstream(failure) => failure.region.as_ref().filter(|region| report.regions_tried.contains(region)),
        _ => None,
    };
    if let Some(region) = failed.or(report.regions_tried.last()).filter(|_| told.routing) {
        set(headers, REGION, region.as_str());
    }
    if let Some(model) = &report.model {
        set(headers, MODEL, model.as_str());
    }
    if told.adjustments && !report.adjusted.is_empty() {
        set(headers, ADJUSTED, &report.adjusted);
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if text.len() <= MAX_HEADER_BYTES
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && let Ok(value) = HeaderValue::from_str(text)
    {
        headers.insert(name, value);
        return;
    }
    let printable: String = text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(MAX_HEADER_BYTES).collect();
    if let Ok(value) = HeaderValue::from_str(&printable) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn bedrock_headers_become_overrides() {
        let read = overrides(&headers(&[
            ("x-amzn-bedrock-guardrailidentifier", "gr-1"),
            ("x-amzn-bedrock-guardrailversion", "DRAFT"),
            ("x-amzn-bedrock-trace", "ENABLED_FULL"),
            ("x-amzn-bedrock-service-tier", "flex"),
            ("x-amzn-bedrock-performanceconfig-latency", "optimized"),
        ]))
        .expect("valid headers");
        let guardrail = read.guardrail.expect("guardrail");
        assert_eq!((guardrail.identifier.as_str(), guardrail.trace), ("gr-1", Some(GuardrailTrace::EnabledFull)));
        assert_eq!((read.service_tier, read.latency), (Some(ServiceTier::Flex), Some(Latency::Optimized)));
    }

    #[test]
    fn unknown_words_and_half_a_guardrail_are_refused() {
        assert!(overrides(&headers(&[("x-amzn-bedrock-service-tier", "gold")])).is_err());
        assert!(overrides(&headers(&[("x-amzn-bedrock-guardrailidentifier", "gr-1")])).is_err());
    }

    #[test]
    fn pain_01_beta_flags_are_split_on_commas_and_across_headers() {
        let read = overrides(&headers(&[("anthropic-beta", "a, b,,a"), ("anthropic-beta", "c")])).expect("valid headers");
        assert_eq!(read.beta_flags, ["a", "b", "c"]);
    }
}
