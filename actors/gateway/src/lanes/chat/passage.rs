//! Requests that pass as their clients wrote them: to a model that speaks the client's own dialect, or to the very operation
//! that the client called.
//!
//! What their bodies say is read in passing; of it is changed what the model would refuse, and what the operator has decided.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::HeaderMap;
use outcrop_domain::{
    adjust::Adjustments,
    chat::{CachePolicy, ServiceTier},
    error::GatewayError,
    model::{ModelSpec, Resolution, Surface},
    routing::strategy::Strategy,
};
use outcrop_translate::{
    anthropic_messages::count_tokens,
    converse::{self, Mode},
    transparent::{
        count,
        messages_body::{InvokeBody, InvokeOptions, WishOptions, Wishes},
        native,
    },
};
use outcrop_upstream::ports::RuntimeOperation;

use super::{
    ChatContext,
    facts::{self, Passing, RouteFacts},
    heavy,
    input::{MessagesInput, RawRequest},
    linked::Linked,
    media::Media,
    prepare::{Aliases, Ask, Prepared, Purpose, budgets, capabilities, fetch, guardrail_rule, read_options, strictness, write_options},
    wire::{Reading, Wire},
};
use crate::{
    ports::{AnswerDialect, ClientRequest, HeldMemory, RequestOverrides},
    settings::LiveSettings,
};

mod call;
mod wish_headers;

/// What is settled of a request before its body is read.
pub(super) struct Ground {
    pub(super) resolution: Resolution,
    pub(super) aliases: Aliases,
    pub(super) settings: Arc<LiveSettings>,
    pub(super) asked: String,
    pub(super) held: Option<Arc<dyn HeldMemory>>,
    pub(super) strategy: Strategy,
    pub(super) overrides: RequestOverrides,
    pub(super) purpose: Purpose,
    /// What became of the addresses in its body.
    pub(super) inlined: Adjustments,
    /// What was fetched for it, when it must be translated for that.
    pub(super) media: Option<Media>,
}

/// Can the request go on as it is? Else it must be decoded and go through the hub.
pub(super) fn passes(linked: &Linked, model: &ModelSpec) -> bool {
    match linked.raw {
        RawRequest::Messages(_) => takes(model) && linked.for_hub.is_none(),
        // However it is counted, that is settled here.
        RawRequest::CountTokens(_) | RawRequest::Native(_) => true,
    }
}

/// The body of a request that would pass but for the addresses in it. Bedrock fetches none: what is behind them must be put in
/// their place first.
pub(super) fn with_addresses<'r>(raw: &'r RawRequest, model: &ModelSpec) -> Option<&'r MessagesInput> {
    match raw {
        RawRequest::Messages(input) | RawRequest::CountTokens(input) => {
            Some(input).filter(|input| takes(model) && input.body().names_urls())
        }
        RawRequest::Native(_) => None,
    }
}

/// Does the model take bodies of the Messages API?
fn takes(model: &ModelSpec) -> bool {
    model.has_surface(Surface::Invoke) && model.chat.as_ref().is_some_and(|chat| chat.invoke_messages)
}

/// Decodes a request that cannot pass.
///
/// # Errors
/// [`GatewayError::InvalidRequest`] that names the field.
pub(super) async fn decoded(
    context: &ChatContext,
    raw: RawRequest,
    bytes: usize,
    held: Option<&Arc<dyn HeldMemory>>,
) -> Result<ClientRequest, GatewayError> {
    let RawRequest::Messages(input) = raw else { return Ok(ClientRequest::Raw(raw)) };
    let held = held.cloned();
    let decode = move || {
        let _held = held;
        input.decode().map(ClientRequest::Messages)
    };
    heavy::by_size(context.ports.blocking.as_ref(), bytes, decode).await?
}

/// Prepares a request that passes.
pub(super) async fn prepare(context: &ChatContext, ground: Ground, raw: RawRequest, bytes: usize) -> Result<Prepared, GatewayError> {
    let refused = context.refused_flags.load().of(&ground.resolution.model.id, context.ports.clock.now());
    if let RawRequest::CountTokens(input) = &raw
        && (ground.media.is_some() || !takes(&ground.resolution.model))
    {
        return counted_in_hub(context, ground, input.clone(), bytes).await;
    }
    // In a box, as every translation.
    let ground = Box::new(ground);
    let work = move || match raw {
        RawRequest::Messages(input) => messages(*ground, &input, &refused),
        RawRequest::CountTokens(input) => counted(*ground, &input, &refused),
        RawRequest::Native(input) => call::prepare(*ground, *input),
    };
    heavy::by_size(context.ports.blocking.as_ref(), bytes, work).await?
}

/// A Messages body for a model that takes it.
fn messages(ground: Ground, input: &MessagesInput, refused: &[String]) -> Result<Prepared, GatewayError> {
    let body = input.body();
    let wishes = ground.wishes(input)?;
    let (headers, stream) = (wish_headers::of(&wishes)?, body.stream());
    let written = ground.invoke(input, &wishes, refused)?;
    let spec = &ground.resolution.model;
    let conversation = |prefix| (prefix, body.affinity(&[spec.id.as_str()], ground.overrides.session.as_deref()));
    let seen = Passing {
        prompt_tokens: body.prompt_tokens(),
        max_tokens: most(body.max_tokens(), spec),
        cached: written.cached.map(conversation),
    };
    let operation = if stream { RuntimeOperation::InvokeModelWithResponseStream } else { RuntimeOperation::InvokeModel };
    let rules = spec.chat.as_ref().map(|chat| Arc::clone(&chat.betas.invoke)).unwrap_or_default();
    let route = facts::passing(&seen, spec, ground.strategy);
    let mut adjustments = wishes.adjustments;
    adjustments.extend(written.adjustments);
    let wire = Wire { operation, headers, reading: Reading::Messages(rules) };
    Ok(ground.prepared(wire, Bytes::from(written.bytes), route, adjustments, wishes.service_tier))
}

/// What is asked of an answer's length, after it was lowered to what the model can write.
fn most(asked: Option<u64>, spec: &ModelSpec) -> Option<u64> {
    asked.map(|asked| spec.max_output_tokens.map_or(asked, |most| asked.min(u64::from(most))))
}

/// A Messages body to be counted for a model that takes it.
fn counted(ground: Ground, input: &MessagesInput, refused: &[String]) -> Result<Prepared, GatewayError> {
    let wishes = Wishes { cache: CachePolicy::default(), ..ground.wishes(input)? };
    let written = ground.invoke(input, &wishes, refused)?;
    let route = facts::aside(ground.strategy);
    let rules = ground.resolution.model.chat.as_ref().map(|chat| Arc::clone(&chat.betas.invoke));
    let wire = Wire { operation: RuntimeOperation::CountTokens, headers: HeaderMap::new(), reading: Reading::Count(rules) };
    Ok(ground.prepared(wire, Bytes::from(count::of_invoke(&written.bytes)), route, written.adjustments, None))
}

/// A Messages body to be counted that must be translated, as it would be sent.
async fn counted_in_hub(context: &ChatContext, mut ground: Ground, input: MessagesInput, bytes: usize) -> Result<Prepared, GatewayError> {
    let blocking = context.ports.blocking.as_ref();
    let wire = heavy::by_size(blocking, bytes, move || input.decode_count()).await??;
    let media = match ground.media.take() {
        Some(media) => media,
        None => {
            let urls = count_tokens::media_urls(&wire);
            fetch(context, &ground.settings, urls, ground.purpose, ground.held.as_ref()).await?
        }
    };
    let options = read_options(&ground.settings.chat, &ground.aliases, &ground.overrides, &ground.resolution.model, context)?;
    let work = move || {
        let model = capabilities(&ground.resolution, &ground.asked)?;
        let read = count_tokens::read(*wire, &media.fetched, &options)?;
        let how = write_options(&ground.resolution, &ground.settings.chat, &ground.asked, Mode::Whole);
        let body = converse::count_tokens::write(&read.request, model, &how)?;
        let mut adjustments = read.adjustments;
        adjustments.extend(body.adjustments);
        let route = facts::aside(ground.strategy);
        let wire = Wire { operation: RuntimeOperation::CountTokens, headers: HeaderMap::new(), reading: Reading::Count(None) };
        Ok(ground.prepared(wire, Bytes::from(body.bytes), route, adjustments, None))
    };
    heavy::by_size(blocking, bytes, work).await?
}

impl Ground {
    fn wishes(&self, input: &MessagesInput) -> Result<Wishes, GatewayError> {
        let policy = &self.settings.chat;
        let rule = guardrail_rule(policy, &self.aliases, self.overrides.guardrail.as_ref())?;
        let labels = self.labels();
        let options = WishOptions {
            guardrail: &rule,
            service_tier: self.overrides.service_tier,
            latency: self.overrides.latency,
            labels: &labels,
            cache: policy.cache,
        };
        let mut wishes = input.body().wishes(&options)?;
        wishes.service_tier = wishes.service_tier.or_else(|| self.tier());
        Ok(wishes)
    }

    /// The tier of the aliases, for requests that name none.
    fn tier(&self) -> Option<ServiceTier> {
        self.aliases.options(&self.settings.chat).find_map(|alias| alias.service_tier)
    }

    /// The labels of the aliases, for requests that have none of the name.
    fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for (key, value) in self.aliases.options(&self.settings.chat).flat_map(|alias| &alias.metadata) {
            labels.entry(key.clone()).or_insert_with(|| value.clone());
        }
        labels
    }

    fn invoke(&self, input: &MessagesInput, wishes: &Wishes, refused: &[String]) -> Result<InvokeBody, GatewayError> {
        let policy = &self.settings.chat;
        let model = self.resolution.model.chat.as_ref();
        let model = model.ok_or_else(|| GatewayError::Internal { message: "a body was to pass to a model that takes none".to_owned() })?;
        let own = self.aliases.own.as_ref().and_then(|name| policy.alias(name));
        let mut extra: Vec<(&str, String)> =
            own.into_iter().flat_map(|alias| &alias.extra).map(|(name, value)| (name.as_str(), value.to_string())).collect();
        let mode = wishes.guardrail.as_ref().and_then(|guardrail| guardrail.stream_mode).filter(|_| input.body().stream());
        extra.extend(mode.map(|mode| (native::INVOKE_FIELD, native::invoke_field(mode).to_owned())));
        let mut flags = self.overrides.beta_flags.clone();
        flags.extend(self.resolution.beta_flag.as_deref().map(str::to_owned));
        input.body().invoke(&InvokeOptions {
            model,
            beta_headers: &flags,
            refused_flags: refused,
            max_output_tokens: self.resolution.model.max_output_tokens,
            cache: wishes.cache,
            budgets: budgets(policy),
            extra: &extra,
            dropped_fields: &policy.dropped_fields,
            strictness: strictness(policy),
        })
    }

    fn prepared(self, wire: Wire, bytes: Bytes, route: RouteFacts, changed: Adjustments, tier: Option<ServiceTier>) -> Prepared {
        let mut adjustments = self.resolution.notes.clone();
        adjustments.extend(self.inlined);
        adjustments.extend(changed);
        let dialect = if matches!(wire.reading, Reading::Native { .. }) { AnswerDialect::Native } else { AnswerDialect::Passed };
        Prepared {
            client_mode: wire.mode(),
            ask: Ask { bytes, wire: Arc::new(wire), continuable: false, prompt_tokens: route.reservation.input_estimate, route },
            beside: Vec::new(),
            choices: 1,
            choices_each: 1,
            dialect,
            tier,
            adjustments,
            held: self.held,
            resolution: self.resolution,
        }
    }
}
