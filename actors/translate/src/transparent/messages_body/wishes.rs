//! What a body asks of Bedrock and of gateways, beside what it asks of the model.
//!
//! Converse has fields for guardrail, tier, latency and labels; InvokeModel has headers for them, and a model would refuse the
//! fields. So they are read here, go into headers, and are taken out of the body.

use std::collections::BTreeMap;

use outcrop_domain::{
    adjust::{Adjustments, word},
    chat::{CachePolicy, CacheTtl, Guardrail, Latency, ServiceTier},
    error::GatewayError,
    json::JsonObject,
};
use outcrop_protocol::{
    body,
    extension::{GuardrailConfig, PerformanceConfig, PromptCaching},
};
use serde::de::DeserializeOwned;

use super::{Draft, MessagesBody, hoist::PARAMETERS, is_null};
use crate::{
    anthropic_messages::request::tier,
    converse::request::clean_labels,
    dialect::{
        control_fields::is_control,
        guardrail::{self, GuardrailRule},
        labels,
        notes::{Notes, Strictness},
        performance,
    },
    transparent::{
        json::{Kind, Text, Value, members_of},
        native::INVOKE_FIELD,
    },
};

/// Fields that are read here, under every name that clients give them.
const WISHES: [&str; 8] = [
    "guardrail",
    "guardrailConfig",
    "performanceConfig",
    "performance_config",
    "prompt_caching",
    "requestMetadata",
    "request_metadata",
    "service_tier",
];

/// Fields that other gateways have, too, and that mean something to the Messages API.
const OF_THE_API: [&str; 1] = ["fallbacks"];

/// Fields without which a body is none.
const ESSENTIAL: [&str; 3] = ["anthropic_version", "max_tokens", "messages"];

/// What settings and headers say of a request's wishes.
#[derive(Debug, Clone, Copy)]
pub struct WishOptions<'a> {
    /// Who chooses the guardrail.
    pub guardrail: &'a GuardrailRule,
    /// Tier from the request's headers; wins over the body's.
    pub service_tier: Option<ServiceTier>,
    /// Latency from the request's headers; wins over the body's.
    pub latency: Option<Latency>,
    /// Labels where the body has none of the name.
    pub labels: &'a BTreeMap<String, String>,
    /// Prompt caching where the body says nothing.
    pub cache: CachePolicy,
}

/// The wishes of one request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wishes {
    /// The guardrail to apply.
    pub guardrail: Option<Guardrail>,
    /// The tier asked for.
    pub service_tier: Option<ServiceTier>,
    /// The latency asked for.
    pub latency: Option<Latency>,
    /// Labels for invocation logs, fit for Bedrock. Without `metadata.user_id`, which reaches the model in the body itself.
    pub labels: BTreeMap<String, String>,
    /// Where the gateway shall set cache marks when the body sets none.
    pub cache: CachePolicy,
    /// What was changed on the way.
    pub adjustments: Adjustments,
}

impl<B: AsRef<[u8]>> MessagesBody<B> {
    /// Reads the wishes.
    ///
    /// # Errors
    /// [`GatewayError::InvalidRequest`] for a wish that nobody can read, or one that the operator does not leave to requests.
    pub fn wishes(&self, options: &WishOptions<'_>) -> Result<Wishes, GatewayError> {
        if matches!(options.guardrail, GuardrailRule::Fixed(_)) && self.steers_guardrail() {
            return Err(GatewayError::Forbidden {
                message: format!("this gateway applies its own guardrail: a request may not send `{INVOKE_FIELD}`"),
            });
        }
        let mut notes = Notes::new(Strictness::Lenient);
        let guardrail = guardrail::chosen(
            self.field::<GuardrailConfig>(&["guardrail"])?,
            self.field::<GuardrailConfig>(&["guardrailConfig"])?,
            options.guardrail,
        )?;
        let asked_tier = self.field::<String>(&["service_tier"])?;
        let performance = self.field::<PerformanceConfig>(&["performanceConfig", "performance_config"])?;
        let cache = caching(self.field::<PromptCaching>(&["prompt_caching"])?, options.cache, &mut notes);
        let mut metadata = if self.has_labels() { self.field::<JsonObject>(&["metadata"])?.unwrap_or_default() } else { JsonObject::new() };
        metadata.remove("user_id");
        let further = self.field::<JsonObject>(&["requestMetadata", "request_metadata"])?;
        let mut labels = labels::of([metadata].into_iter().chain(further), &mut notes);
        for (key, value) in options.labels {
            labels.entry(key.clone()).or_insert_with(|| value.clone());
        }
        let mut adjustments = notes.into_adjustments();
        Ok(Wishes {
            guardrail,
            service_tier: tier(asked_tier.as_deref(), options.service_tier)?,
            latency: performance::latency(performance.as_ref(), options.latency)?,
            labels: clean_labels(&labels, &mut adjustments),
            cache,
            adjustments,
        })
    }

    /// The body says how its guardrail shall work, itself or among the parameters that it will get.
    fn steers_guardrail(&self) -> bool {
        let text = self.text();
        let steers = |(key, value): &(Text, Value)| key.is(text, INVOKE_FIELD) && !is_null(*value);
        let further = PARAMETERS.iter().filter_map(|name| self.index.member(text, name));
        self.index.members.iter().any(steers) || further.flat_map(|(_, value)| members_of(text, value.span)).any(|member| steers(&member))
    }

    /// `metadata` holds more than Anthropic's own member.
    fn has_labels(&self) -> bool {
        let metadata = self.index.member(self.text(), "metadata").map(|(_, value)| members_of(self.text(), value.span));
        metadata.into_iter().flatten().any(|(key, _)| !key.is(self.text(), "user_id"))
    }

    /// A field under the first of its names that the body has.
    fn field<T: DeserializeOwned>(&self, names: &[&'static str]) -> Result<Option<T>, GatewayError> {
        let text = self.text();
        let found = names.iter().find_map(|name| Some((*name, self.index.member(text, name)?.1)));
        let Some((name, value)) = found.filter(|(_, value)| !is_null(*value)) else { return Ok(None) };
        let read = body::decode(value.span.of(text));
        read.map(Some).map_err(|fault| {
            let param = fault.path.map_or_else(|| name.to_owned(), |path| format!("{name}.{path}"));
            GatewayError::invalid(param.clone(), format!("{param}: {}", fault.reason))
        })
    }
}

fn caching(sections: Option<PromptCaching>, fallback: CachePolicy, notes: &mut Notes) -> CachePolicy {
    let Some(sections) = sections else { return fallback };
    let ttl = match sections.ttl.as_deref() {
        Some("5m") => Some(CacheTtl::FiveMinutes),
        Some("1h") => Some(CacheTtl::OneHour),
        Some(_) => {
            notes.harmless("prompt_caching.ttl", "default");
            None
        }
        None => None,
    };
    CachePolicy {
        system: sections.system.unwrap_or(fallback.system),
        tools: sections.tools.unwrap_or(fallback.tools),
        messages: sections.messages.unwrap_or(fallback.messages),
        ttl: ttl.or(fallback.ttl),
    }
}

/// A field that further model parameters cannot set: it is read before them, or no body can be without it.
pub(super) fn is_settled_elsewhere(name: &str) -> bool {
    WISHES.contains(&name) || ESSENTIAL.contains(&name)
}

/// Takes out of the body what is addressed to gateways or goes into headers, and what the operator keeps from models.
pub(super) fn settle(draft: &mut Draft<'_>, dropped: &[String]) {
    for name in WISHES {
        draft.remove(name);
    }
    for name in names(draft).iter().filter(|name| is_control(name) && !OF_THE_API.contains(&name.as_str())) {
        draft.remove(name);
        draft.notes.note(word(name), "dropped");
    }
    for name in dropped.iter().filter(|name| !ESSENTIAL.contains(&name.as_str())) {
        if draft.remove(name) {
            draft.notes.note(word(name), "dropped");
        }
    }
    labels_go(draft);
}

fn names(draft: &Draft<'_>) -> Vec<String> {
    draft.index.members.iter().filter_map(|(key, _)| key.decode(draft.text)).map(Into::into).collect()
}

/// `metadata` knows one member; the others are labels.
fn labels_go(draft: &mut Draft<'_>) {
    let Some(metadata) = draft.value("metadata").filter(|value| value.kind == Kind::Object) else { return };
    for (key, _) in members_of(draft.text, metadata.span) {
        if let Some(name) = key.decode(draft.text).filter(|name| name.as_ref() != "user_id") {
            draft.notes.note("metadata", "sent_as_labels");
            draft.objects.change(metadata.span).drop.insert(name.into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use outcrop_domain::model::ChatCapabilities;

    use super::*;
    use crate::{
        converse::EffortBudgets,
        transparent::{
            messages_body::{InvokeOptions, Purpose, read},
            tests::claude,
        },
    };

    const OPEN: GuardrailRule = GuardrailRule::Open(None);

    fn body(members: &str) -> MessagesBody<String> {
        read(format!(r#"{{"max_tokens":9,"messages":[{{"role":"user","content":"Hi"}}]{members}}}"#), Purpose::Answer).unwrap()
    }

    fn wishes(members: &str, rule: &GuardrailRule) -> Result<Wishes, GatewayError> {
        let labels = BTreeMap::new();
        let options = WishOptions { guardrail: rule, service_tier: None, latency: None, labels: &labels, cache: CachePolicy::default() };
        body(members).wishes(&options)
    }

    fn sent(members: &str, extra: &[(&str, String)], dropped: &[String]) -> (String, String) {
        let model: &ChatCapabilities = claude("sonnet-4-6");
        let options = InvokeOptions {
            model,
            beta_headers: &[],
            refused_flags: &[],
            max_output_tokens: None,
            cache: CachePolicy::default(),
            budgets: EffortBudgets::default(),
            extra,
            dropped_fields: dropped,
            strictness: Strictness::Lenient,
        };
        let invoke = body(members).invoke(&options).unwrap();
        (String::from_utf8(invoke.bytes).unwrap(), invoke.adjustments.to_string())
    }

    const PLAIN: &str = r#""max_tokens":9,"messages":[{"role":"user","content":"Hi"}]"#;

    #[test]
    fn what_bedrock_has_headers_for_is_read_and_leaves_the_body() {
        let members = r#","guardrailConfig":{"guardrailIdentifier":"g","guardrailVersion":"1"},"service_tier":"flex",
            "performanceConfig":{"latency":"optimized"},"requestMetadata":{"team":"bl|ue"},"metadata":{"user_id":"u","stage":7},
            "prompt_caching":{"system":true,"ttl":"1h"}"#;
        let read = wishes(members, &OPEN).unwrap();
        assert_eq!(read.guardrail.unwrap().identifier, "g");
        assert_eq!((read.service_tier, read.latency), (Some(ServiceTier::Flex), Some(Latency::Optimized)));
        assert_eq!(read.labels, [("stage", "7"), ("team", "bl_ue")].map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        assert_eq!((read.cache.system, read.cache.ttl), (true, Some(CacheTtl::OneHour)));
        assert_eq!(read.adjustments.to_string(), "metadata=stringified,metadata=cleaned");
        let (sent, adjusted) = sent(members, &[], &[]);
        let written = format!(r#"{{"anthropic_version":"bedrock-2023-05-31",{PLAIN},"metadata":{{"user_id":"u"}}}}"#);
        assert_eq!((without_space(&sent), adjusted.as_str()), (written, "metadata=sent_as_labels"));
    }

    fn without_space(text: &str) -> String {
        text.chars().filter(|character| !character.is_whitespace()).collect()
    }

    #[test]
    fn a_fixed_guardrail_cannot_be_replaced_and_nonsense_is_told_by_name() {
        let fixed = Guardrail { identifier: "ours".to_owned(), version: "1".to_owned(), trace: None, stream_mode: None };
        let rule = GuardrailRule::Fixed(fixed);
        assert_eq!(wishes("", &rule).unwrap().guardrail.unwrap().identifier, "ours");
        assert!(wishes(r#","guardrail":{"identifier":"theirs","version":"1"}"#, &rule).is_err());
        for members in [
            r#","amazon-bedrock-guardrailConfig":{"tagSuffix":"x"}"#,
            r#","additionalModelRequestFields":{"amazon-bedrock-guardrailConfig":{"streamProcessingMode":"ASYNCHRONOUS"}}"#,
        ] {
            assert!(matches!(wishes(members, &rule), Err(GatewayError::Forbidden { .. })), "{members}");
            assert!(wishes(members, &OPEN).is_ok(), "{members}");
        }
        for (members, name) in [
            (r#","guardrail":5"#, "guardrail"),
            (r#","requestMetadata":[]"#, "requestMetadata"),
            (r#","performanceConfig":{"latency":7}"#, "performanceConfig.latency"),
            (r#","service_tier":"gold""#, "service_tier"),
        ] {
            let Err(GatewayError::InvalidRequest { param, .. }) = wishes(members, &OPEN) else { panic!("{members}") };
            assert_eq!(param.as_deref(), Some(name));
        }
        assert_eq!(wishes(r#","guardrail":null,"service_tier":null,"metadata":null"#, &OPEN).unwrap(), Wishes::default());
    }

    #[test]
    fn fields_of_gateways_go_and_what_is_meant_for_the_model_comes() {
        let extra = [("top_k", "5".to_owned()), ("max_tokens", "1".to_owned())];
        let dropped = ["diagnose".to_owned(), "messages".to_owned()];
        let members = r#","litellm_metadata":{"a":1},"api_key":"s","diagnose":1,"additionalModelRequestFields":{"min_p":0.1,"model":"x"}"#;
        let (sent, adjusted) = sent(members, &extra, &dropped);
        assert_eq!(sent, format!(r#"{{"anthropic_version":"bedrock-2023-05-31","min_p":0.1,"top_k":5,{PLAIN}}}"#));
        assert_eq!(adjusted, "additionalModelRequestFields=dropped,litellm_metadata=dropped,api_key=dropped,diagnose=dropped");
    }

    #[test]
    fn further_parameters_go_through_every_rule_that_the_body_goes_through() {
        let further = |members: &str| format!(r#","additional_model_request_fields":{{{members}}}"#);
        let version = r#""anthropic_version":"bedrock-2023-05-31""#;
        for (members, extra, dropped, expected, adjusted_as) in [
            // Flags are sorted by the table, and are one list with those of the body.
            (
                format!(r#"{},"anthropic_beta":["compact-2026-01-12"]"#, further(r#""anthropic_beta":["claude-code-20250219","new-one"]"#)),
                None,
                None,
                format!(r#"{{{version},"anthropic_beta":["compact-2026-01-12","new-one"],{PLAIN}}}"#),
                "anthropic_beta=dropped:claude-code-20250219",
            ),
            // Thinking is brought into a form that the model takes.
            (
                further(r#""thinking":{"type":"enabled","budget_tokens":5000}"#),
                None,
                None,
                format!("{{{version},{PLAIN}}}"),
                "thinking=no_room",
            ),
            // What the operator keeps from models does not come this way.
            (further(r#""squeeze":1"#), None, Some("squeeze"), format!("{{{version},{PLAIN}}}"), "squeeze=dropped"),
            // No name is written twice.
            (
                format!(r#"{},"top_k":7"#, further(r#""top_k":5"#)),
                Some(("top_k", "9".to_owned())),
                None,
                format!(r#"{{{version},"top_k":5,{PLAIN}}}"#),
                "",
            ),
            (
                r#","anthropic_beta":["new-one"]"#.to_owned(),
                Some(("anthropic_beta", r#"["other"]"#.to_owned())),
                None,
                format!(r#"{{{version},{PLAIN},"anthropic_beta":["new-one"]}}"#),
                "",
            ),
            (
                String::new(),
                Some(("betas", r#"["other"]"#.to_owned())),
                None,
                format!(r#"{{{version},"anthropic_beta":["other"],{PLAIN}}}"#),
                "",
            ),
            // Nor what belongs into headers, or to nobody.
            (
                further(r#""service_tier":"flex","stream":true,"additionalModelRequestFields":{}"#),
                None,
                None,
                format!("{{{version},{PLAIN}}}"),
                "additional_model_request_fields=dropped",
            ),
        ] {
            let extra: Vec<(&str, String)> = extra.into_iter().collect();
            let dropped: Vec<String> = dropped.into_iter().map(str::to_owned).collect();
            assert_eq!(sent(&members, &extra, &dropped), (expected, adjusted_as.to_owned()), "{members}");
        }
    }

    #[test]
    fn further_parameters_that_name_a_field_twice_are_refused_as_a_body_is() {
        let members = r#","additional_model_request_fields":{"min_p":1,"min_p":2}"#;
        let options = InvokeOptions {
            model: claude("sonnet-4-6"),
            beta_headers: &[],
            refused_flags: &[],
            max_output_tokens: None,
            cache: CachePolicy::default(),
            budgets: EffortBudgets::default(),
            extra: &[],
            dropped_fields: &[],
            strictness: Strictness::Lenient,
        };
        assert!(matches!(body(members).invoke(&options), Err(GatewayError::InvalidRequest { .. })));
    }
}
