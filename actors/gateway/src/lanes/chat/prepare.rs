//! From the client's body to the exact upstream body: everything that happens before the first call.

use bytes::Bytes;
use outcrop_domain::{
    adjust::Adjustments,
    chat::ChatRequest,
    error::GatewayError,
    model::{Resolution, ResolveError, Surface},
};
use outcrop_protocol::openai::chat::ChatCompletionRequest;
use outcrop_translate::{
    converse::{self, ConverseBody, EffortBudgets, Mode, WriteOptions},
    openai_chat::request::{self as openai_chat, Delivery, FetchedMedia, GuardrailRule, ReadChat, ReadOptions, Strictness},
};

use super::{ChatContext, profile};
use crate::{
    admission::Principal,
    ports::RequestOverrides,
    settings::{AliasOptions, ChatPolicy, LiveSettings},
};

/// A request that is ready to be sent.
pub(super) struct Prepared {
    pub(super) resolution: Resolution,
    /// The exact upstream body.
    pub(super) bytes: Bytes,
    /// How it is sent, and what the readers of its answer must know.
    pub(super) body: ConverseBody,
    pub(super) read: ReadChat,
    pub(super) adjustments: Adjustments,
    /// What the client wants, whatever the upstream operation is.
    pub(super) client_mode: Mode,
}

/// Whether URLs in the request are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fetching {
    /// Yes.
    Real,
    /// No: a stand-in takes their place (explain sends nothing).
    StandIn,
}

/// Prepares a request.
pub(super) async fn prepare(
    context: &ChatContext,
    settings: &LiveSettings,
    principal: &Principal,
    request: ChatCompletionRequest,
    overrides: &RequestOverrides,
    fetching: Fetching,
) -> Result<Prepared, GatewayError> {
    let asked = request.model.clone().unwrap_or_default();
    if asked.trim().is_empty() {
        return Err(GatewayError::invalid_with_code("model", "you must provide a model parameter", "missing_required_parameter"));
    }
    let resolution = resolve(context, &asked).await?;
    // Who may use a retired model may not for that reason use the one that replaces it.
    let asked_counts = if resolution.replaced.is_some() { resolution.model.id.as_str() } else { asked.as_str() };
    if !principal.may_use(&[asked_counts, resolution.model.id.as_str()]) {
        return Err(GatewayError::Forbidden { message: format!("this API key may not use the model `{asked}`") });
    }
    let fetched = fetch(context, settings, &request, fetching).await?;
    // By name: settings and catalogue are published apart, so positions could disagree for a moment.
    let alias = resolution.alias.and_then(|_| settings.chat.aliases.get(&asked.to_lowercase()));
    let mut read = openai_chat::read(request, &fetched, &read_options(&settings.chat, alias, overrides, context)?)?;
    apply_defaults(&mut read.request, &settings.chat, alias);
    apply_notes(&mut read.request, &resolution);
    let client_mode = match read.delivery {
        Delivery::Whole => Mode::Whole,
        Delivery::Stream { .. } => Mode::Stream,
    };
    let mut body = write(&resolution, &read.request, &settings.chat, &asked, client_mode)?;
    let mut adjustments = read.adjustments.clone();
    adjustments.extend(resolution.notes.clone());
    adjustments.extend(body.adjustments.clone());
    // Shared by all attempts without a copy.
    let bytes = Bytes::from(std::mem::take(&mut body.bytes));
    Ok(Prepared { resolution, bytes, body, read, adjustments, client_mode })
}

/// Finds the model; an inference profile nobody has seen yet is looked up at its region once.
async fn resolve(context: &ChatContext, asked: &str) -> Result<Resolution, GatewayError> {
    let first = context.catalogue.load().resolve(asked);
    match first {
        Err(ResolveError::ProfileUnknown { arn, region }) => {
            profile::look_up(context, arn.as_str(), &region).await?;
            Ok(context.catalogue.load().resolve(asked)?)
        }
        other => Ok(other?),
    }
}

async fn fetch(
    context: &ChatContext,
    settings: &LiveSettings,
    request: &ChatCompletionRequest,
    fetching: Fetching,
) -> Result<FetchedMedia, GatewayError> {
    let urls = openai_chat::media_urls(request);
    match fetching {
        _ if urls.is_empty() => Ok(FetchedMedia::default()),
        Fetching::StandIn => Ok(super::media::stand_ins(urls)),
        Fetching::Real if !settings.chat.fetch_urls => Err(GatewayError::FetchFailed {
            message: "this gateway does not fetch URLs: send the content as a data URL".to_owned(),
            param: urls.first().map(|url| url.param.clone()),
        }),
        Fetching::Real => super::media::fetch_all(&context.fetcher, urls, settings, context.sniff).await,
    }
}

/// What the request does not say, the headers, the alias and the settings say, in that order.
fn read_options(
    policy: &ChatPolicy,
    alias: Option<&AliasOptions>,
    overrides: &RequestOverrides,
    context: &ChatContext,
) -> Result<ReadOptions, GatewayError> {
    let guardrail = match (&policy.guardrail, &overrides.guardrail) {
        (Some(_), Some(_)) if !policy.guardrail_override => {
            return Err(GatewayError::Forbidden {
                message: "this gateway applies its own guardrail: a request may not name another".to_owned(),
            });
        }
        (Some(ours), None) if !policy.guardrail_override => GuardrailRule::Fixed(ours.clone()),
        (ours, theirs) => {
            let alias = alias.and_then(|alias| alias.guardrail.clone());
            GuardrailRule::Open(theirs.clone().or(alias).or_else(|| ours.clone()))
        }
    };
    Ok(ReadOptions {
        strictness: if policy.strict { Strictness::Strict } else { Strictness::Lenient },
        sniff: context.sniff,
        max_choices: policy.max_choices,
        max_tools: policy.max_tools,
        guardrail,
        service_tier: overrides.service_tier,
        latency: overrides.latency,
        beta_flags: overrides.beta_flags.clone(),
        cache: policy.cache,
    })
}

fn apply_defaults(request: &mut ChatRequest, policy: &ChatPolicy, alias: Option<&AliasOptions>) {
    request.max_tokens = request.max_tokens.or(policy.default_max_tokens);
    if let Some(alias) = alias {
        request.service_tier = request.service_tier.or(alias.service_tier);
        for (key, value) in &alias.metadata {
            request.metadata.entry(key.clone()).or_insert_with(|| value.clone());
        }
        for (field, value) in &alias.extra {
            request.extra.entry(field.clone()).or_insert_with(|| value.clone());
        }
    }
    request.extra.retain(|field, _| !policy.dropped_fields.iter().any(|dropped| dropped == field));
}

/// A name with `[1m]` asks for the long window, which some models need a flag for.
fn apply_notes(request: &mut ChatRequest, resolution: &Resolution) {
    if let Some(flag) = &resolution.beta_flag
        && !request.beta_flags.iter().any(|known| known == flag.as_ref())
    {
        request.beta_flags.push(flag.to_string());
    }
}

fn write(
    resolution: &Resolution,
    request: &ChatRequest,
    policy: &ChatPolicy,
    asked: &str,
    mode: Mode,
) -> Result<ConverseBody, GatewayError> {
    let spec = &resolution.model;
    let Some(capabilities) = spec.chat.as_ref().filter(|_| spec.has_surface(Surface::Converse)) else {
        return Err(GatewayError::InvalidRequest {
            message: format!("the model `{asked}` cannot be used with chat completions"),
            param: Some("model".to_owned()),
            code: Some("unsupported_value"),
        });
    };
    let [minimal, low, medium, high, xhigh, max] = policy.reasoning_budgets;
    let options = WriteOptions {
        model: asked.to_owned(),
        mode,
        max_output_tokens: spec.max_output_tokens,
        budgets: EffortBudgets { minimal, low, medium, high, xhigh, max },
    };
    converse::request::write(request, capabilities, &options)
}
