//! The catalogue as `GET /v1/models` shows it: newest first, page by page.

use std::{borrow::Cow, cmp::Reverse};

use outcrop_domain::{
    chat::Effort,
    error::GatewayError,
    model::{ChatCapabilities, Date, Lifecycle, ListedModel, ModelSpec, ReasoningDialect, Structured, ToolSupport},
};
use outcrop_protocol::anthropic::models::{
    EffortSupport, ModelCapabilities, ModelInfo, ModelPage, ServerToolSupport, Support, ThinkingSupport, ThinkingTypes,
};

/// Entries on a page unless asked otherwise. Source: `ModelListParams.limit`.
const DEFAULT_LIMIT: usize = 20;
/// Most entries on a page. Source: `ModelListParams.limit`.
const MAX_LIMIT: usize = 1000;
/// Day of release where none is known. Source: `ModelInfo.created_at`.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// A name that can be called, and the model behind it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// An alias or the canonical id.
    pub id: &'a str,
    /// The model.
    pub model: &'a ListedModel,
}

/// Puts the newest models first; those without a day of release come last, names of one day in their own order.
pub fn newest_first(entries: &mut [Entry<'_>]) {
    entries.sort_by(|one, other| {
        let released = |entry: &Entry<'_>| Reverse(entry.model.spec.released);
        released(one).cmp(&released(other)).then_with(|| one.id.cmp(other.id))
    });
}

/// Which page is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery {
    /// Where it begins or ends.
    pub cursor: Cursor,
    /// Most entries, 1..=1000.
    pub limit: usize,
    /// Stages of life that are listed; empty = all that can be called.
    pub lifecycle: Vec<Lifecycle>,
}

/// Where a page lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// At the beginning of the list.
    Start,
    /// Right behind this id.
    After(String),
    /// Right before this id.
    Before(String),
}

impl Default for PageQuery {
    fn default() -> Self {
        Self { cursor: Cursor::Start, limit: DEFAULT_LIMIT, lifecycle: Vec::new() }
    }
}

impl PageQuery {
    /// Reads query parameters. Unknown ones (`beta=true`) are nothing to the list.
    ///
    /// # Errors
    /// On a limit out of range, a stage that does not exist, and two cursors at once.
    pub fn parse<'q>(query: impl IntoIterator<Item = (&'q str, &'q str)>) -> Result<Self, GatewayError> {
        let mut page = Self::default();
        for (name, value) in query {
            let cursor = match name {
                "after_id" => Cursor::After(value.to_owned()),
                "before_id" => Cursor::Before(value.to_owned()),
                "limit" => {
                    page.limit = limit(value)?;
                    continue;
                }
                "lifecycle" | "lifecycle[]" => {
                    page.lifecycle.extend(lifecycle(value)?);
                    continue;
                }
                _ => continue,
            };
            if page.cursor != Cursor::Start {
                return Err(fault("before_id", "only one of `after_id` and `before_id` may be given"));
            }
            page.cursor = cursor;
        }
        Ok(page)
    }
}

fn limit(value: &str) -> Result<usize, GatewayError> {
    match value.parse::<i64>() {
        Err(_) => Err(fault("limit", "Input should be a valid integer")),
        Ok(number) if number < 1 => Err(fault("limit", "Input should be greater than or equal to 1")),
        Ok(number) => usize::try_from(number)
            .ok()
            .filter(|number| *number <= MAX_LIMIT)
            .ok_or_else(|| fault("limit", format!("Input should be less than or equal to {MAX_LIMIT}"))),
    }
}

/// A stage of life; retired models cannot be called and are in no list of ours.
fn lifecycle(value: &str) -> Result<Option<Lifecycle>, GatewayError> {
    match value {
        "active" => Ok(Some(Lifecycle::Active)),
        "deprecated" => Ok(Some(Lifecycle::Legacy)),
        "retired" => Ok(None),
        _ => Err(fault("lifecycle", "Input should be 'active', 'deprecated' or 'retired'")),
    }
}

/// One page of `entries`, which are in the order of the list.
///
/// # Errors
/// When the cursor is no entry.
pub fn page<'a>(entries: &[Entry<'a>], query: &PageQuery) -> Result<ModelPage<'a>, GatewayError> {
    let wanted = |entry: &&Entry<'a>| query.lifecycle.is_empty() || query.lifecycle.contains(&entry.model.spec.lifecycle);
    let place = |id: &str, field: &'static str| {
        let found = entries.iter().position(|entry| entry.id == id);
        found.ok_or_else(|| fault(field, "no model of this id is in the list"))
    };
    let (chosen, more) = match &query.cursor {
        Cursor::Start => first(entries.iter().filter(wanted), query.limit),
        Cursor::After(id) => first(entries.iter().skip(place(id, "after_id")? + 1).filter(wanted), query.limit),
        Cursor::Before(id) => {
            let before = entries.iter().take(place(id, "before_id")?).rev().filter(wanted);
            let (mut chosen, more) = first(before, query.limit);
            chosen.reverse();
            (chosen, more)
        }
    };
    Ok(ModelPage {
        first_id: chosen.first().map(|entry| Cow::Borrowed(entry.id)),
        last_id: chosen.last().map(|entry| Cow::Borrowed(entry.id)),
        has_more: more,
        data: chosen.into_iter().map(|entry| info(entry.id, &entry.model.spec)).collect(),
    })
}

/// The first entries, and whether there are more.
fn first<'e, 'a: 'e>(mut entries: impl Iterator<Item = &'e Entry<'a>>, limit: usize) -> (Vec<&'e Entry<'a>>, bool) {
    let chosen = entries.by_ref().take(limit).collect();
    (chosen, entries.next().is_some())
}

/// One model under one of its names.
#[must_use]
pub fn info<'a>(id: &'a str, spec: &'a ModelSpec) -> ModelInfo<'a> {
    ModelInfo {
        kind: Cow::Borrowed("model"),
        id: Cow::Borrowed(id),
        display_name: Cow::Borrowed(&spec.name),
        created_at: spec.released.map_or(Cow::Borrowed(EPOCH), |day| Cow::Owned(midnight(day))),
        lifecycle: Cow::Borrowed(match spec.lifecycle {
            Lifecycle::Active => "active",
            Lifecycle::Legacy => "deprecated",
        }),
        deprecated_at: None,
        retires_at: spec.shutdown.map(|day| Cow::Owned(midnight(day))),
        max_input_tokens: spec.context_tokens,
        max_tokens: spec.max_output_tokens,
        capabilities: spec.chat.as_ref().map(capabilities),
    }
}

fn midnight(day: Date) -> String {
    format!("{day}T00:00:00Z")
}

fn capabilities(chat: &ChatCapabilities) -> ModelCapabilities {
    let runs = |tool: &str| Support { supported: chat.system_tools.iter().any(|own| own == tool) };
    let (web_search, code_execution) = (runs("nova_grounding"), runs("nova_code_interpreter"));
    ModelCapabilities {
        batch: Support::default(),
        citations: Support { supported: chat.citations },
        code_execution: Support::default(),
        context_management: Support::default(),
        effort: efforts(chat),
        image_input: Support { supported: chat.images },
        pdf_input: Support { supported: chat.documents },
        server_tools: ServerToolSupport { supported: web_search.supported || code_execution.supported, web_search, code_execution },
        structured_outputs: Support { supported: chat.structured == Structured::Native || chat.tools != ToolSupport::None },
        thinking: thinking(&chat.reasoning),
    }
}

/// Words of effort that the model follows, each in its own way.
fn efforts(chat: &ChatCapabilities) -> EffortSupport {
    let range = match chat.reasoning {
        ReasoningDialect::None | ReasoningDialect::AlwaysOn => None,
        // Each word is a budget of its own.
        ReasoningDialect::ClaudeBudget { .. } => Some((Effort::Low, Effort::Max)),
        ReasoningDialect::ClaudeAdaptive { max_effort, .. } => Some((Effort::Low, max_effort)),
        ReasoningDialect::NovaConfig => Some((Effort::Low, Effort::High)),
        ReasoningDialect::Effort { min, max, .. } => Some((min, max)),
    };
    let word = |effort: Effort| {
        let followed = range.is_some_and(|(min, max)| (min..=max).contains(&effort)) && !chat.missing_efforts.contains(&effort);
        Support { supported: followed }
    };
    EffortSupport {
        supported: range.is_some(),
        low: word(Effort::Low),
        medium: word(Effort::Medium),
        high: word(Effort::High),
        xhigh: word(Effort::Xhigh),
        max: word(Effort::Max),
    }
}

fn thinking(reasoning: &ReasoningDialect) -> ThinkingSupport {
    let supported = *reasoning != ReasoningDialect::None;
    let off = match reasoning {
        ReasoningDialect::AlwaysOn => false,
        ReasoningDialect::ClaudeAdaptive { can_disable, .. } | ReasoningDialect::Effort { can_disable, .. } => *can_disable,
        ReasoningDialect::None | ReasoningDialect::ClaudeBudget { .. } | ReasoningDialect::NovaConfig => true,
    };
    let (on, off) = (Support { supported }, Support { supported: off });
    ThinkingSupport { supported, types: ThinkingTypes { adaptive: on, between_tools: off, disabled: off, enabled: on } }
}

fn fault(field: &'static str, words: impl std::fmt::Display) -> GatewayError {
    GatewayError::invalid(field, format!("{field}: {words}"))
}

#[cfg(test)]
mod tests;
