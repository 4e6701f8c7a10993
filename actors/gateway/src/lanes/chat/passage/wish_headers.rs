//! Wishes in headers: the InvokeModel family has no other place for them.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use outcrop_domain::{
    adjust::Adjustments,
    chat::{Guardrail, GuardrailTrace, Latency, ServiceTier},
    error::GatewayError,
};
use outcrop_translate::transparent::{messages_body::Wishes, native};

/// Beginning of the names of headers that wish something of Bedrock.
pub(super) const OF_BEDROCK: &str = "x-amzn-bedrock-";

// Source: service model `bedrock-runtime/2023-09-30`.
pub(super) static GUARDRAIL: HeaderName = HeaderName::from_static("x-amzn-bedrock-guardrailidentifier");
pub(super) static GUARDRAIL_VERSION: HeaderName = HeaderName::from_static("x-amzn-bedrock-guardrailversion");
pub(super) static TRACE: HeaderName = HeaderName::from_static("x-amzn-bedrock-trace");
pub(super) static LATENCY: HeaderName = HeaderName::from_static("x-amzn-bedrock-performanceconfig-latency");
pub(super) static SERVICE_TIER: HeaderName = HeaderName::from_static("x-amzn-bedrock-service-tier");
static METADATA: HeaderName = HeaderName::from_static("x-amzn-bedrock-request-metadata");
/// Ours alone: Converse has a member for it, and InvokeModel a member of its body.
pub(super) static STREAM_MODE: HeaderName = HeaderName::from_static("x-amzn-bedrock-guardrailstreamprocessingmode");

/// The headers of a body whose wishes were taken out of it.
pub(super) fn of(wishes: &Wishes) -> Result<HeaderMap, GatewayError> {
    let mut headers = HeaderMap::new();
    if let Some(guardrail) = &wishes.guardrail {
        put_guardrail(&mut headers, guardrail)?;
    }
    fall_back_to_tier(&mut headers, wishes.service_tier);
    if let Some(latency) = wishes.latency {
        let word = match latency {
            Latency::Standard => "standard",
            Latency::Optimized => "optimized",
        };
        headers.insert(LATENCY.clone(), HeaderValue::from_static(word));
    }
    if !wishes.labels.is_empty() {
        let json = serde_json::to_string(&wishes.labels).unwrap_or_default();
        headers.insert(METADATA.clone(), header(&json, "metadata")?);
    }
    Ok(headers)
}

pub(super) fn put_guardrail(headers: &mut HeaderMap, guardrail: &Guardrail) -> Result<(), GatewayError> {
    headers.insert(GUARDRAIL.clone(), header(&guardrail.identifier, "guardrail.identifier")?);
    headers.insert(GUARDRAIL_VERSION.clone(), header(&guardrail.version, "guardrail.version")?);
    if let Some(trace) = guardrail.trace {
        let word = match trace {
            GuardrailTrace::Enabled => "ENABLED",
            GuardrailTrace::Disabled => "DISABLED",
            GuardrailTrace::EnabledFull => "ENABLED_FULL",
        };
        headers.insert(TRACE.clone(), HeaderValue::from_static(word));
    }
    Ok(())
}

/// Asks for a tier where none is asked for. The default one goes without saying.
pub(super) fn fall_back_to_tier(headers: &mut HeaderMap, tier: Option<ServiceTier>) {
    if let Some(tier) = tier.filter(|tier| *tier != ServiceTier::Default)
        && !headers.contains_key(&SERVICE_TIER)
    {
        headers.insert(SERVICE_TIER.clone(), HeaderValue::from_static(tier.as_str()));
    }
}

/// The tier that is asked for; `None` also for a word that nobody knows.
pub(super) fn tier(headers: &HeaderMap) -> Option<ServiceTier> {
    let word = headers.get(&SERVICE_TIER)?.to_str().ok()?.trim();
    [ServiceTier::Priority, ServiceTier::Default, ServiceTier::Flex, ServiceTier::Reserved]
        .into_iter()
        .find(|tier| tier.as_str().eq_ignore_ascii_case(word))
}

/// Adds labels to those that there are, where they have none of the name.
pub(super) fn label(headers: &mut HeaderMap, labels: &BTreeMap<String, String>, notes: &mut Adjustments) -> Result<(), GatewayError> {
    let mut theirs = headers.get_all(&METADATA).iter();
    let labelled = match (theirs.next(), theirs.next()) {
        (None, _) => native::labelled(b"{}", labels, notes),
        (Some(theirs), None) => native::labelled(theirs.as_bytes(), labels, notes),
        // Which of them counts is for AWS to say.
        (Some(_), Some(_)) => None,
    };
    if let Some(json) = labelled {
        let value = HeaderValue::from_maybe_shared(bytes::Bytes::from(json)).map_err(|_| unfit("metadata"))?;
        headers.insert(METADATA.clone(), value);
    }
    Ok(())
}

fn header(text: &str, param: &'static str) -> Result<HeaderValue, GatewayError> {
    HeaderValue::from_str(text).map_err(|_| unfit(param))
}

fn unfit(param: &'static str) -> GatewayError {
    GatewayError::invalid(param, format!("`{param}` has characters that no header may carry"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> BTreeMap<String, String> {
        [("cost", "42"), ("team", "house")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn labelled(theirs: &[&'static str]) -> Vec<String> {
        let mut headers: HeaderMap = HeaderMap::new();
        for value in theirs {
            headers.append(METADATA.clone(), HeaderValue::from_static(value));
        }
        label(&mut headers, &labels(), &mut Adjustments::default()).unwrap();
        headers.get_all(&METADATA).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn labels_are_added_to_one_header_that_can_be_read() {
        assert_eq!(labelled(&[]), [r#"{"cost":"42","team":"house"}"#]);
        assert_eq!(labelled(&[r#"{"team":"a"}"#]), [r#"{"cost":"42","team":"a"}"#]);
        assert_eq!(labelled(&["team=a"]), ["team=a"], "AWS says what is wrong");
        assert_eq!(labelled(&["{}", "{}"]), ["{}", "{}"]);
    }

    #[test]
    fn a_tier_is_asked_for_where_none_is() {
        let asked = |theirs: Option<&'static str>, ours| {
            let mut headers = HeaderMap::new();
            headers.extend(theirs.map(|word| (SERVICE_TIER.clone(), HeaderValue::from_static(word))));
            fall_back_to_tier(&mut headers, ours);
            tier(&headers)
        };
        assert_eq!(asked(None, Some(ServiceTier::Flex)), Some(ServiceTier::Flex));
        assert_eq!(asked(None, Some(ServiceTier::Default)), None);
        assert_eq!(asked(Some("default"), Some(ServiceTier::Flex)), Some(ServiceTier::Default));
        assert_eq!(asked(Some("gold"), Some(ServiceTier::Flex)), None, "AWS's to refuse");
    }
}
