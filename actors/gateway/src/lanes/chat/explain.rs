//! What a request would become, without sending it.

use outcrop_domain::{
    chat::ChatRequest,
    error::GatewayError,
    json::JsonText,
    model::{ProfileClass, Target},
    routing::Gate,
};

use super::{ChatContext, heavy, prepare::Prepared};
use crate::{
    ports::{Disclosure, ExplainedChange, ExplainedTarget, Explanation},
    settings::{AliasOptions, ChatPolicy},
    targets::Sight,
};

/// Stands for a name that only the operator may see.
const CONFIGURED: &str = "(configured)";

/// Explains a prepared request.
pub(super) async fn explain(context: &ChatContext, prepared: Prepared, disclosure: Disclosure) -> Result<Explanation, GatewayError> {
    let (operation, verb) = (prepared.ask.wire.operation.as_str(), prepared.ask.wire.operation.verb());
    let now = context.ports.clock.now();
    let model = &prepared.resolution.model.id;
    let targets = prepared
        .resolution
        .targets
        .iter()
        .map(|target| ExplainedTarget {
            region: target.region.clone(),
            request: format!("POST /model/{}/{verb}", shown_id(target, prepared.resolution.asked.as_str(), disclosure)),
            health: match context.board.cell(model, &target.region).gate(Sight::Health, now) {
                Gate::Closed => "healthy",
                Gate::Open { .. } => "closed to traffic",
                Gate::HalfOpen => "half-open",
            },
        })
        .collect();
    let adjusted = prepared
        .adjustments
        .iter()
        .map(|change| ExplainedChange { field: change.field.clone().into_owned(), action: change.action.clone().into_owned() })
        .collect();
    let (model, replaced) = (model.clone(), prepared.replaced_words());
    let (bytes, held) = (prepared.ask.bytes, prepared.held);
    let body = heavy::by_size(context.ports.blocking.as_ref(), bytes.len(), move || {
        let _held = held;
        // No copy: nobody else has these bytes, since nothing is sent.
        String::from_utf8(bytes.into()).ok().and_then(|text| JsonText::parse(text).ok())
    });
    let body = body.await?.ok_or_else(|| GatewayError::Internal { message: "the translated body is not JSON".to_owned() })?;
    Ok(Explanation { model, replaced, operation, targets, body, adjusted })
}

/// The id that is called. The account's own profiles are the operator's business, unless the caller named them.
fn shown_id<'t>(target: &'t Target, asked: &str, disclosure: Disclosure) -> &'t str {
    let own = matches!(target.class, ProfileClass::Application(_) | ProfileClass::Provisioned);
    let id = target.invoke_id.as_str();
    if disclosure == Disclosure::Caller && own && !asked.contains(id) { CONFIGURED } else { id }
}

/// Takes the name off a guardrail that the operator set; one that the caller named stays.
pub(super) fn hide_guardrail<'a>(request: &mut ChatRequest, policy: &'a ChatPolicy, aliases: impl Iterator<Item = &'a AliasOptions>) {
    let mut configured = policy.guardrail.iter().chain(aliases.filter_map(|alias| alias.guardrail.as_ref()));
    if let Some(guardrail) = &mut request.guardrail
        && configured.any(|ours| ours.identifier == guardrail.identifier)
    {
        CONFIGURED.clone_into(&mut guardrail.identifier);
    }
}

#[cfg(test)]
mod tests {
    use outcrop_domain::chat::Guardrail;

    use super::*;

    const ARN: &str = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc";

    fn guardrail(identifier: &str) -> Option<Guardrail> {
        Some(Guardrail { identifier: identifier.to_owned(), version: "1".to_owned(), trace: None, stream_mode: None })
    }

    fn shown(named: &str, policy: &ChatPolicy, alias: Option<&AliasOptions>) -> String {
        let mut request = ChatRequest { guardrail: guardrail(named), ..ChatRequest::default() };
        hide_guardrail(&mut request, policy, alias.into_iter());
        request.guardrail.unwrap().identifier
    }

    #[test]
    fn guardrails_of_the_operator_lose_their_name_and_the_callers_own_keep_it() {
        let policy = ChatPolicy { guardrail: guardrail("ours"), ..ChatPolicy::default() };
        let alias = AliasOptions { guardrail: guardrail("the aliases"), ..AliasOptions::default() };
        assert_eq!(shown("ours", &policy, None), CONFIGURED);
        assert_eq!(shown("the aliases", &policy, Some(&alias)), CONFIGURED);
        assert_eq!(shown("theirs", &policy, Some(&alias)), "theirs");
    }

    #[test]
    fn profiles_of_the_account_are_shown_to_operators_and_to_those_who_named_them() {
        let own = Target { region: "us-east-1".into(), invoke_id: ARN.into(), class: ProfileClass::Application(None) };
        assert_eq!(shown_id(&own, "my-alias", Disclosure::Caller), CONFIGURED);
        assert_eq!(shown_id(&own, "my-alias", Disclosure::Operator), ARN);
        assert_eq!(shown_id(&own, &format!("bedrock/{ARN}"), Disclosure::Caller), ARN);
        let public = Target { invoke_id: "us.amazon.nova-lite-v1:0".into(), class: ProfileClass::Geography("us".into()), ..own };
        assert_eq!(shown_id(&public, "nova", Disclosure::Caller), "us.amazon.nova-lite-v1:0");
    }
}
