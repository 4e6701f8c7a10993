//! What the headers of InvokeModel ask for: guardrail, trace, latency, service tier, labels.

use std::collections::BTreeMap;

use http::HeaderMap;

use super::super::kit::{Faults, Path, TextRule, one_of};
use super::super::shape::{Guardrail, Request};
use super::super::{Case, output};
use super::Refusal;
use crate::models::SimModel;

const TRACE: TextRule = one_of(&["ENABLED", "DISABLED", "ENABLED_FULL"]);
const LATENCY: TextRule = one_of(&["standard", "optimized"]);
const TIER: TextRule = one_of(&["priority", "default", "flex", "reserved"]);

/// Longest header of labels. Source: service model `bedrock-runtime/2023-09-30`.
const MAX_METADATA: usize = 8500;

/// The wishes of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// Identifier and version.
    guardrail: Option<(String, String)>,
    trace: bool,
    pub(crate) latency: Option<String>,
    pub(crate) tier: Option<String>,
}

impl Wishes {
    /// Reads them. Source of the names: service model `bedrock-runtime/2023-09-30`.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let faults = Faults::default();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let word = |name: &str, member: &str, rule: &TextRule| {
            let value = text(name)?;
            rule.check(&value, Path::Root.key(member), &faults);
            Some(value)
        };
        let trace = word("x-amzn-bedrock-trace", "trace", &TRACE);
        let latency = word("x-amzn-bedrock-performanceconfig-latency", "performanceConfigLatency", &LATENCY);
        let tier = word("x-amzn-bedrock-service-tier", "serviceTier", &TIER);
        faults.verdict()?;
        if text("x-amzn-bedrock-request-metadata").is_some_and(|json| !is_labels(&json)) {
            return Err(Refusal::validation("The requestMetadata field must be a JSON map of strings."));
        }
        let guardrail = match (text("x-amzn-bedrock-guardrailidentifier"), text("x-amzn-bedrock-guardrailversion")) {
            (Some(identifier), Some(version)) => Some((identifier, version)),
            (None, None) => None,
            _ => {
                return Err(Refusal::validation(
                    "The guardrailIdentifier and guardrailVersion fields must both be provided. Add the missing field and try again.",
                ));
            }
        };
        let trace = matches!(trace.as_deref(), Some("ENABLED" | "ENABLED_FULL"));
        Ok(Self { guardrail, trace, latency, tier })
    }

    /// Whether a guardrail watches the call.
    pub(crate) fn guarded(&self) -> bool {
        self.guardrail.is_some()
    }

    /// Puts them into a request.
    pub(crate) fn apply<'a>(&'a self, model: &SimModel, request: &mut Request<'a>) -> Result<(), Refusal> {
        if let Some((identifier, version)) = &self.guardrail {
            request.guardrail = Some(Guardrail { identifier, version, trace: self.trace });
        }
        request.latency = self.latency.as_deref();
        request.service_tier = self.tier.as_deref();
        output::latency(&Case { model, traits: model.chat()?, request, streaming: false })
    }
}

fn is_labels(json: &str) -> bool {
    json.len() <= MAX_METADATA && serde_json::from_str::<BTreeMap<String, String>>(json).is_ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn labels_are_a_map_of_strings() {
        let read = |json: &'static str| {
            let name = HeaderName::from_static("x-amzn-bedrock-request-metadata");
            Wishes::of(&HeaderMap::from_iter([(name, HeaderValue::from_static(json))])).is_ok()
        };
        assert!(read(r#"{"team":"blue","empty":""}"#));
        for json in ["", "team", r#"{"team":5}"#, r#"["team"]"#] {
            assert!(!read(json), "{json}");
        }
        assert!(!is_labels(&format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_METADATA))));
    }
}
