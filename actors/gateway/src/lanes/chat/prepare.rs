//! From the client's body to the exact upstream body: everything that happens before the first call.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use outcrop_domain::{
    adjust::Adjustments,
    chat::{ChatRequest, Guardrail, ServiceTier},
    error::GatewayError,
    ids::ModelAlias,
    model::{ChatCapabilities, ModelSpec, Resolution, ResolveError, Surface},
    routing::strategy::Strategy,
};
use outcrop_translate::{
    converse::{self, ConverseBody, EffortBudgets, Mode, WriteOptions},
    dialect::{ReadOptions, guardrail::GuardrailRule, media::MediaUrl, notes::Strictness},
};
use outcrop_upstream::ports::RuntimeOperation;

use super::{
    ChatContext,
    dialect::{self, Read},
    explain,
    facts::{self, Hints, RouteFacts},
    heavy, linked,
    media::{self, Media},
    passage::{self, Ground},
    profile,
    tally::Tally,
    wire::{Reading, Wire},
};
use crate::{
    admission::Principal,
    ports::{AnswerDialect, ChatJob, ClientRequest, Disclosure, HeldMemory, RequestOverrides},
    settings::{AliasOptions, ChatPolicy, LiveSettings},
};

/// A request that is ready to be sent.
pub(super) struct Prepared {
    pub(super) resolution: Resolution,
    /// What is asked.
    pub(super) ask: Ask,
    /// What is asked beside it: the other prompts of a legacy completion.
    pub(super) beside: Vec<Ask>,
    /// Answers asked for, to all of them together; those to the first come first.
    pub(super) choices: u32,
    /// Answers asked for to each.
    pub(super) choices_each: u32,
    /// How the answer is written.
    pub(super) dialect: AnswerDialect,
    /// The tier asked for.
    pub(super) tier: Option<ServiceTier>,
    pub(super) adjustments: Adjustments,
    /// What the edge counts the request's memory by; it stays with the memory, on whichever thread that is.
    pub(super) held: Option<Arc<dyn HeldMemory>>,
    /// What the client wants, whatever the upstream operation is.
    pub(super) client_mode: Mode,
}

/// One upstream body, and what must be known of it.
pub(super) struct Ask {
    /// The exact bytes. Shared by all attempts without a copy.
    pub(super) bytes: Bytes,
    /// How it is sent, and how its answer is read.
    pub(super) wire: Arc<Wire>,
    /// An answer that breaks can go on in another call.
    pub(super) continuable: bool,
    /// Estimated input, for calls that upstream tells no tokens of.
    pub(super) prompt_tokens: u64,
    /// What routing must know.
    pub(super) route: RouteFacts,
}

impl Ask {
    /// Asks how many tokens the body has.
    pub(super) fn counting(bytes: Bytes, strategy: Strategy) -> Self {
        let wire = Wire { operation: RuntimeOperation::CountTokens, headers: HeaderMap::new(), reading: Reading::Count(None) };
        Self { bytes, wire: Arc::new(wire), continuable: false, prompt_tokens: 0, route: facts::aside(strategy) }
    }
}

impl Prepared {
    /// What choice `choice` is an answer to.
    pub(super) fn ask_of(&self, choice: u32) -> &Ask {
        let place = choice.checked_div(self.choices_each).and_then(|prompt| usize::try_from(prompt).ok()).unwrap_or_default();
        place.checked_sub(1).and_then(|beside| self.beside.get(beside)).unwrap_or(&self.ask)
    }
}

/// What a request is prepared for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It is sent.
    Sending,
    /// It is shown and nothing is sent: stand-ins take the place of content behind URLs.
    Showing(Disclosure),
}

/// Prepares a request. `instead_of` is the name that the caller used, when another model stands in for it. The account learns
/// of its model as soon as that is known: what fails later is told with it.
pub(super) async fn prepare(
    context: &ChatContext,
    settings: &Arc<LiveSettings>,
    job: &mut ChatJob,
    purpose: Purpose,
    instead_of: Option<&str>,
    tally: &mut Tally,
) -> Result<Prepared, GatewayError> {
    let asked = job.request.model().unwrap_or_default().to_owned();
    if asked.trim().is_empty() {
        return Err(GatewayError::invalid_with_code("model", "you must provide a model parameter", "missing_required_parameter"));
    }
    let resolution = resolve(context, settings, &job.principal, &asked).await?;
    tally.resolved(&resolution.model.id);
    // Who may use a retired model may not for that reason use the one that replaces it.
    let asked_counts = if resolution.replaced.is_some() { resolution.model.id.as_str() } else { asked.as_str() };
    // Who may use an alias may use what the operator lets it fall back to.
    let names = [asked_counts, resolution.model.id.as_str(), instead_of.unwrap_or(asked_counts)];
    if !job.principal.may_use(&names) {
        return Err(forbidden(&asked));
    }
    let aliases =
        Aliases { asked: instead_of.and_then(|name| context.catalogue.load().operator_alias(name)), own: resolution.alias.clone() };
    let named = aliases.options(&settings.chat).find_map(|alias| alias.strategy);
    let strategy = job.principal.strategy.or(named).unwrap_or(settings.routing.strategy);
    // What is left is empty: a job is read once.
    let mut request = std::mem::replace(&mut job.request, ClientRequest::OpenAiChat(Box::default()));
    let mut fetched = None;
    if let ClientRequest::Raw(raw) = request {
        let linked = linked::settle(context, settings, raw, &resolution.model, job, purpose).await?;
        if passage::passes(&linked, &resolution.model) {
            let (settings, held) = (Arc::clone(settings), job.held.take());
            let overrides = std::mem::take(&mut job.overrides);
            let (inlined, media) = (linked.adjustments, linked.for_hub);
            let ground = Ground { resolution, aliases, settings, asked, held, strategy, overrides, purpose, inlined, media };
            return Box::pin(passage::prepare(context, ground, linked.raw, linked.bytes)).await;
        }
        request = passage::decoded(context, linked.raw, job.body_bytes, job.held.as_ref()).await?;
        fetched = linked.for_hub;
    }
    let (request, media) = match fetched {
        Some(media) => (request, media),
        None => with_media(context, settings, request, job, purpose).await?,
    };
    let options = read_options(&settings.chat, &aliases, &job.overrides, &resolution.model, context)?;
    let bytes = job.body_bytes.saturating_add(media.bytes);
    let (settings, held) = (Arc::clone(settings), job.held.take());
    let hints = dialect::hints(&request, job.overrides.session.take());
    // In a box: it is kilobytes, and a future has room for each place that it moves through.
    let work = Box::new(Translation { request, media, options, resolution, aliases, settings, asked, purpose, held, strategy, hints });
    heavy::by_size(context.ports.blocking.as_ref(), bytes, move || translate(*work)).await?
}

/// A request for the hub, and what stands behind its URLs.
async fn with_media(
    context: &ChatContext,
    settings: &LiveSettings,
    request: ClientRequest,
    job: &ChatJob,
    purpose: Purpose,
) -> Result<(ClientRequest, Media), GatewayError> {
    let held = job.held.clone();
    let unread = if dialect::is_read_for_urls(&request) { job.body_bytes } else { 0 };
    let named = heavy::by_size(context.ports.blocking.as_ref(), unread, move || {
        let _held = held;
        let urls = dialect::media_urls(&request);
        (request, urls)
    });
    let (request, urls) = named.await?;
    Ok((request, fetch(context, settings, urls, purpose, job.held.as_ref()).await?))
}

/// Everything that the translation of a request needs: it may happen on another thread.
struct Translation {
    request: ClientRequest,
    media: Media,
    options: ReadOptions,
    resolution: Resolution,
    aliases: Aliases,
    settings: Arc<LiveSettings>,
    asked: String,
    purpose: Purpose,
    held: Option<Arc<dyn HeldMemory>>,
    strategy: Strategy,
    hints: Hints,
}

/// The operator's aliases that a request's model goes by: what is configured with them applies, that of the first before that
/// of the second.
pub(super) struct Aliases {
    /// By which another model was asked for, when this one stands in for it.
    pub(super) asked: Option<ModelAlias>,
    /// By which this model was named.
    pub(super) own: Option<ModelAlias>,
}

impl Aliases {
    pub(super) fn options<'p>(&'p self, policy: &'p ChatPolicy) -> impl Iterator<Item = &'p AliasOptions> + 'p {
        [&self.asked, &self.own].into_iter().flatten().filter_map(|name| policy.alias(name))
    }
}

/// The pure part: client's body -> hub -> upstream's body.
fn translate(work: Translation) -> Result<Prepared, GatewayError> {
    let Translation { request, media, options, resolution, aliases, settings, asked, purpose, held, strategy, hints } = work;
    let policy = &settings.chat;
    let counts = matches!(request, ClientRequest::Counting(_));
    let Read { request, beside, mut adjustments, choices_each, mode: client_mode, dialect } =
        dialect::read(request, &media.fetched, options, policy, &resolution.model)?;
    adjustments.extend(resolution.notes.clone());
    let mut tier = None;
    let mut ask_for = |mut request: ChatRequest| {
        apply_defaults(&mut request, policy, &aliases);
        apply_notes(&mut request, &resolution);
        if purpose == Purpose::Showing(Disclosure::Caller) {
            explain::hide_guardrail(&mut request, policy, aliases.options(policy));
        }
        tier = request.service_tier;
        if counts {
            let how = write_options(&resolution, policy, &asked, Mode::Whole);
            let body = converse::count_tokens::write(&request, capabilities(&resolution, &asked)?, &how)?;
            adjustments.extend(body.adjustments);
            return Ok(Ask::counting(Bytes::from(body.bytes), strategy));
        }
        let mut body = write(&resolution, &request, policy, &asked, client_mode)?;
        adjustments.extend(body.adjustments.clone());
        let route = facts::facts(&request, &body, &resolution.model, &hints, strategy);
        let bytes = Bytes::from(std::mem::take(&mut body.bytes));
        let ConverseBody { mode, reply, continuable, .. } = body;
        let operation = match mode {
            Mode::Stream => RuntimeOperation::ConverseStream,
            Mode::Whole => RuntimeOperation::Converse,
        };
        let wire = Arc::new(Wire { operation, headers: HeaderMap::new(), reading: Reading::Hub(reply) });
        Ok::<_, GatewayError>(Ask { bytes, wire, continuable, prompt_tokens: route.reservation.input_estimate, route })
    };
    let ask = ask_for(request)?;
    let beside = beside.into_iter().map(ask_for).collect::<Result<Vec<_>, _>>()?;
    let choices = dialect::in_all(choices_each, beside.len());
    Ok(Prepared { resolution, ask, beside, choices, choices_each, dialect, tier, adjustments, held, client_mode })
}

/// Finds the model; an inference profile nobody has listed is looked up at its region.
async fn resolve(context: &ChatContext, settings: &LiveSettings, principal: &Principal, asked: &str) -> Result<Resolution, GatewayError> {
    let first = context.catalogue.load().resolve(asked);
    match first {
        Err(ResolveError::ProfileUnknown { arn, region }) => {
            // The model behind it is not known, so the name alone decides: no key makes AWS be asked for what it may not
            // use. A key that is held to models can name the ARN among them.
            if !principal.may_use(&[asked, arn.as_str()]) {
                return Err(forbidden(asked));
            }
            Box::pin(profile::look_up(context, settings, arn, region)).await?;
            Ok(context.catalogue.load().resolve(asked)?)
        }
        other => Ok(other?),
    }
}

fn forbidden(asked: &str) -> GatewayError {
    GatewayError::Forbidden { message: format!("this API key may not use the model `{asked}`") }
}

/// What stands behind the URLs of a request.
pub(super) async fn fetch(
    context: &ChatContext,
    settings: &LiveSettings,
    urls: Vec<MediaUrl>,
    purpose: Purpose,
    held: Option<&Arc<dyn HeldMemory>>,
) -> Result<Media, GatewayError> {
    match purpose {
        _ if urls.is_empty() => Ok(Media::default()),
        Purpose::Showing(_) => Ok(media::stand_ins(urls)),
        Purpose::Sending if !settings.chat.fetch_urls => Err(GatewayError::FetchFailed {
            message: "this gateway does not fetch URLs: send the content as a data URL".to_owned(),
            param: urls.first().map(|url| url.param.clone()),
        }),
        // In a box: few requests fetch, and all would make room for it.
        Purpose::Sending => Box::pin(media::fetch_all(context, urls, settings, held)).await,
    }
}

/// Who chooses the guardrail: the operator, or the request, its headers, its alias and the settings, in that order.
///
/// # Errors
/// When the headers name one where the operator leaves no choice.
pub(super) fn guardrail_rule(policy: &ChatPolicy, aliases: &Aliases, theirs: Option<&Guardrail>) -> Result<GuardrailRule, GatewayError> {
    match (&policy.guardrail, theirs) {
        (Some(_), Some(_)) if !policy.guardrail_override => Err(another_guardrail()),
        (Some(ours), None) if !policy.guardrail_override => Ok(GuardrailRule::Fixed(ours.clone())),
        (ours, theirs) => {
            let alias = aliases.options(policy).find_map(|alias| alias.guardrail.clone());
            Ok(GuardrailRule::Open(theirs.cloned().or(alias).or_else(|| ours.clone())))
        }
    }
}

/// A request names a guardrail where the operator has set one.
pub(super) fn another_guardrail() -> GatewayError {
    GatewayError::Forbidden { message: "this gateway applies its own guardrail: a request may not name another".to_owned() }
}

/// What the request does not say, the headers, the alias and the settings say, in that order.
pub(super) fn read_options(
    policy: &ChatPolicy,
    aliases: &Aliases,
    overrides: &RequestOverrides,
    model: &ModelSpec,
    context: &ChatContext,
) -> Result<ReadOptions, GatewayError> {
    let guardrail = guardrail_rule(policy, aliases, overrides.guardrail.as_ref())?;
    Ok(ReadOptions {
        strictness: strictness(policy),
        sniff: context.sniff,
        max_choices: policy.max_choices,
        max_tools: policy.max_tools,
        system_tools: model.chat.as_ref().map(|chat| chat.system_tools.clone()).unwrap_or_default(),
        guardrail,
        service_tier: overrides.service_tier,
        latency: overrides.latency,
        beta_flags: overrides.beta_flags.clone(),
        cache: policy.cache,
    })
}

/// What becomes of fields that cannot be honoured.
pub(super) fn strictness(policy: &ChatPolicy) -> Strictness {
    if policy.strict { Strictness::Strict } else { Strictness::Lenient }
}

fn apply_defaults(request: &mut ChatRequest, policy: &ChatPolicy, aliases: &Aliases) {
    request.max_tokens = request.max_tokens.or(policy.default_max_tokens);
    for alias in aliases.options(policy) {
        request.service_tier = request.service_tier.or(alias.service_tier);
        for (key, value) in &alias.metadata {
            request.metadata.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    // The model's own alone: parameters of one model may be nonsense to another.
    let own = aliases.own.as_ref().and_then(|name| policy.alias(name));
    for (field, value) in own.into_iter().flat_map(|alias| &alias.extra) {
        request.extra.entry(field.clone()).or_insert_with(|| value.clone());
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
    let capabilities = capabilities(resolution, asked)?;
    converse::request::write(request, capabilities, &write_options(resolution, policy, asked, mode))
}

/// What the model takes on Converse.
///
/// # Errors
/// When it is no chat model there.
pub(super) fn capabilities<'r>(resolution: &'r Resolution, asked: &str) -> Result<&'r ChatCapabilities, GatewayError> {
    let spec = &resolution.model;
    spec.chat.as_ref().filter(|_| spec.has_surface(Surface::Converse)).ok_or_else(|| GatewayError::InvalidRequest {
        message: format!("the model `{asked}` cannot be used with chat completions"),
        param: Some("model".to_owned()),
        code: Some("unsupported_value"),
    })
}

/// How a Converse body is written.
pub(super) fn write_options(resolution: &Resolution, policy: &ChatPolicy, asked: &str, mode: Mode) -> WriteOptions {
    WriteOptions { model: asked.to_owned(), mode, max_output_tokens: resolution.model.max_output_tokens, budgets: budgets(policy) }
}

/// Thinking budgets per effort.
pub(super) fn budgets(policy: &ChatPolicy) -> EffortBudgets {
    let [minimal, low, medium, high, xhigh, max] = policy.reasoning_budgets;
    EffortBudgets { minimal, low, medium, high, xhigh, max }
}
