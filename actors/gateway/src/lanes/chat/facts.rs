//! What routing must know of a request.

use std::time::Duration;

use outcrop_domain::{
    chat::{CacheTtl, ChatRequest, Content, Role, SystemBlock, Tool},
    estimate,
    ids::ModelId,
    model::{ChatCapabilities, ModelSpec},
    routing::{
        affinity::{ConversationHints, affinity_key},
        reserve::{Estimate, Reservation},
        silence::PromptSize,
        strategy::Strategy,
        view::CacheLife,
    },
};

use outcrop_translate::{converse::ConverseBody, transparent::messages_body::CachedPrefix};

/// What routing must know of a request, told once for all its attempts.
#[derive(Debug, Clone, Copy)]
pub(super) struct RouteFacts {
    /// How targets are chosen.
    pub(super) strategy: Strategy,
    /// What a call holds of the token quota.
    pub(super) reservation: Reservation,
    /// Tokens of the prefix that a prompt cache keeps; 0 = none.
    pub(super) prefix: f64,
    /// Its conversation.
    pub(super) affinity: u64,
    /// How long the cache lives.
    pub(super) cache: CacheLife,
    /// Input that is read anew, as far as can be told: long prompts begin later.
    pub(super) size: PromptSize,
    /// How long the longest answer takes that the client allows; zero where it did not say.
    pub(super) writes: Duration,
}

impl RouteFacts {
    /// What a call's size is estimated from.
    pub(super) fn estimate(&self) -> Estimate {
        Estimate { input: self.reservation.input_estimate, conversation: (self.prefix > 0.0).then_some(self.affinity) }
    }
}

/// What the client says of the conversation.
#[derive(Debug, Clone, Default)]
pub(super) struct Hints {
    pub(super) session: Option<String>,
    pub(super) prompt_cache_key: Option<String>,
    pub(super) user: Option<String>,
}

/// Output that a call is taken to produce at most when neither request nor model says so.
const UNTOLD_MAX_TOKENS: u64 = 4_096;

/// Reads them from a request that is ready to be written.
pub(super) fn facts(request: &ChatRequest, body: &ConverseBody, spec: &ModelSpec, hints: &Hints, strategy: Strategy) -> RouteFacts {
    let prompt_tokens = estimate::prompt_tokens(request);
    let earlier = earlier_tokens(request, prompt_tokens);
    let marked = marks(request).map(|life| CachedPrefix { tokens: earlier, life });
    let cached = spec.chat.as_ref().and_then(|chat| kept(marked, earlier, chat));
    // As written: the client's number may have been lowered to the model's ceiling, or raised for its thinking.
    let told = body.max_tokens.map(u64::from).or(spec.max_output_tokens.map(u64::from));
    RouteFacts {
        strategy,
        reservation: Reservation { input_estimate: prompt_tokens, max_tokens: told.unwrap_or(UNTOLD_MAX_TOKENS) },
        prefix: prefix_of(cached),
        // Hashing a long prompt costs something: only where it decides.
        affinity: if cached.is_some() { conversation(request, &spec.id, hints) } else { 0 },
        cache: cached.map_or_else(CacheLife::default, |prefix| prefix.life),
        size: PromptSize::of(prompt_tokens),
        writes: body.max_tokens.map_or(Duration::ZERO, writing_time),
    }
}

/// What was seen of a body that passes as it is.
pub(super) struct Passing {
    /// Estimated input.
    pub(super) prompt_tokens: u64,
    /// Most output that the body allows.
    pub(super) max_tokens: Option<u64>,
    /// What its cache marks cover, if that is enough to be cached, and its conversation.
    pub(super) cached: Option<(CachedPrefix, u64)>,
}

/// Reads them from a body that passes as it is.
pub(super) fn passing(seen: &Passing, spec: &ModelSpec, strategy: Strategy) -> RouteFacts {
    let untold = || spec.chat.as_ref().map_or(0, |_| spec.max_output_tokens.map_or(UNTOLD_MAX_TOKENS, u64::from));
    let writes = seen.max_tokens.map(|tokens| writing_time(u32::try_from(tokens).unwrap_or(u32::MAX)));
    RouteFacts {
        strategy,
        reservation: Reservation { input_estimate: seen.prompt_tokens, max_tokens: seen.max_tokens.unwrap_or_else(untold) },
        prefix: prefix_of(seen.cached.map(|(prefix, _)| prefix)),
        affinity: seen.cached.map_or(0, |(_, conversation)| conversation),
        cache: seen.cached.map_or_else(CacheLife::default, |(prefix, _)| prefix.life),
        size: PromptSize::of(seen.prompt_tokens),
        writes: writes.unwrap_or(Duration::ZERO),
    }
}

/// Of a call that takes nothing of a model's quotas.
pub(super) fn aside(strategy: Strategy) -> RouteFacts {
    RouteFacts {
        strategy,
        reservation: Reservation { input_estimate: 0, max_tokens: 0 },
        prefix: 0.0,
        affinity: 0,
        cache: CacheLife::default(),
        size: PromptSize::of(0),
        writes: Duration::ZERO,
    }
}

/// Slowest that a model writes which is not stuck, tokens per second: the largest ones write twice as fast.
const SLOWEST_WRITER: u64 = 20;
/// Clients that allow more than this takes, allow whatever the model can: that says nothing of the answer they get.
const LONGEST_WRITING: Duration = Duration::from_secs(300);

fn writing_time(max_tokens: u32) -> Duration {
    Duration::from_secs(u64::from(max_tokens) / SLOWEST_WRITER).min(LONGEST_WRITING)
}

/// What the model keeps of a prompt: what is marked, or with models that cache by themselves all but the newest turn. `None` where
/// that is shorter than the model caches at all.
pub(super) fn kept(marked: Option<CachedPrefix>, earlier_tokens: u64, model: &ChatCapabilities) -> Option<CachedPrefix> {
    let marked = marked.zip(model.cache.as_ref().map(|support| support.min_tokens));
    let unmarked = CachedPrefix { tokens: earlier_tokens, life: CacheLife::Short };
    let unmarked = (model.implicit_cache_min_tokens > 0).then_some((unmarked, model.implicit_cache_min_tokens));
    let (prefix, least) = marked.or(unmarked)?;
    (prefix.tokens >= u64::from(least)).then_some(prefix)
}

/// Its tokens, as routing counts them.
fn prefix_of(cached: Option<CachedPrefix>) -> f64 {
    let tokens = cached.map_or(0, |prefix| prefix.tokens);
    f64::from(u32::try_from(tokens).unwrap_or(u32::MAX))
}

/// The longest life of the cache marks of a request; `None` without any.
fn marks(request: &ChatRequest) -> Option<CacheLife> {
    let policy = &request.cache;
    let ours = (policy.system || policy.tools || policy.messages).then_some(life(policy.ttl));
    let system = request.system.iter().filter_map(|block| match block {
        SystemBlock::CachePoint(mark) => Some(life(mark.ttl)),
        _ => None,
    });
    let tools = request.tools.iter().filter_map(|tool| match tool {
        Tool::CachePoint(mark) => Some(life(mark.ttl)),
        _ => None,
    });
    let turns = request.messages.iter().flat_map(|message| &message.content).filter_map(|content| match content {
        Content::CachePoint(mark) => Some(life(mark.ttl)),
        _ => None,
    });
    ours.into_iter().chain(system).chain(tools).chain(turns).max_by_key(|life| life.duration())
}

fn life(ttl: Option<CacheTtl>) -> CacheLife {
    match ttl {
        Some(CacheTtl::OneHour) => CacheLife::Long,
        Some(CacheTtl::FiveMinutes) | None => CacheLife::Short,
    }
}

/// All but the last turn: what a cache can know of a conversation before it goes on.
fn earlier_tokens(request: &ChatRequest, prompt_tokens: u64) -> u64 {
    prompt_tokens.saturating_sub(request.messages.last().map_or(0, |message| estimate::answer_tokens(&message.content)))
}

/// Its conversation: what the client calls it, else what stays the same in every turn of it.
fn conversation(request: &ChatRequest, model: &ModelId, hints: &Hints) -> u64 {
    let named = ConversationHints {
        session: hints.session.as_deref(),
        prompt_cache_key: hints.prompt_cache_key.as_deref(),
        user: hints.user.as_deref(),
    };
    let tools = request.tools.iter().filter_map(|tool| match tool {
        Tool::Function { name, schema, .. } => Some([name.as_bytes(), schema.get().as_bytes()]),
        Tool::System(_) | Tool::CachePoint(_) => None,
    });
    let system = request.system.iter().filter_map(|block| match block {
        SystemBlock::Text(text) | SystemBlock::Guarded { text, .. } => Some(text.as_bytes()),
        SystemBlock::CachePoint(_) => None,
    });
    let first = request.messages.iter().find(|message| message.role == Role::User);
    let words = first.into_iter().flat_map(|message| &message.content).filter_map(|content| match content {
        Content::Text(text) => Some(text.as_bytes()),
        _ => None,
    });
    affinity_key(&[model.as_str()], &named, tools.flatten().chain(system).chain(words))
}

#[cfg(test)]
mod tests {
    use outcrop_domain::model::CacheSupport;

    use super::*;

    #[test]
    fn a_model_keeps_what_is_marked_or_by_itself_what_came_before() {
        let support =
            CacheSupport { min_tokens: 1_000, max_points: 4, ttls: vec![CacheTtl::FiveMinutes], system: true, messages: true, tools: true };
        let marking = ChatCapabilities { cache: Some(support), ..ChatCapabilities::default() };
        let implicit = ChatCapabilities { implicit_cache_min_tokens: 2_000, ..ChatCapabilities::default() };
        let both = ChatCapabilities { implicit_cache_min_tokens: 2_000, ..marking.clone() };
        let mark = |tokens| Some(CachedPrefix { tokens, life: CacheLife::Long });
        assert_eq!(kept(mark(1_500), 5_000, &marking), mark(1_500));
        assert_eq!(kept(mark(900), 5_000, &marking), None, "a shorter prefix is not cached");
        assert_eq!(kept(None, 5_000, &marking), None, "nothing is marked");
        assert_eq!(kept(None, 2_500, &implicit), Some(CachedPrefix { tokens: 2_500, life: CacheLife::Short }), "it needs no mark");
        assert_eq!(kept(None, 1_500, &implicit), None);
        assert_eq!(kept(mark(1_500), 5_000, &both), mark(1_500), "the mark says more");
        assert_eq!(kept(mark(9_000), 9_000, &ChatCapabilities::default()), None);
    }
}
