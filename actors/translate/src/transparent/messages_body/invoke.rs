//! Writes the InvokeModel body.

use std::fmt;

use outcrop_domain::{adjust::Adjustments, chat::CachePolicy, error::GatewayError, model::ChatCapabilities, routing::view::CacheLife};

use super::{ANTHROPIC_VERSION, Draft, Marks, MessagesBody, Purpose, betas, blanks, hoist, ids, marks, reading, settings, turns, wishes};
use crate::{
    converse::EffortBudgets,
    dialect::notes::Strictness,
    transparent::json::{members_of, said, whole_number},
};

/// What a body is written for.
#[derive(Debug, Clone, Copy)]
pub struct InvokeOptions<'a> {
    /// What the model takes and refuses.
    pub model: &'a ChatCapabilities,
    /// Values of `anthropic-beta` headers, and flags that the gateway adds itself.
    pub beta_headers: &'a [String],
    /// Flags that this model has refused before: [`super::super::heal::Healed::refused_flags`].
    pub refused_flags: &'a [String],
    /// Most tokens the model can produce; a higher wish is lowered, as everywhere. `None`: not known.
    pub max_output_tokens: Option<u32>,
    /// Where the gateway shall set cache marks when the client sets none.
    pub cache: CachePolicy,
    /// Thinking budgets per effort, for models that take a number while the client names none.
    pub budgets: EffortBudgets,
    /// Parameters that are added where the body has none of the name: names and JSON texts.
    pub extra: &'a [(&'a str, String)],
    /// Fields that the operator keeps from models.
    pub dropped_fields: &'a [String],
    /// What to do with a field that the answer is another without, and that must be left out.
    pub strictness: Strictness,
}

/// A body ready to be sent.
pub struct InvokeBody {
    /// The JSON.
    pub bytes: Vec<u8>,
    /// Flags that are sent.
    pub betas: Vec<String>,
    /// Those of them that nobody has said this model takes.
    pub unproven: Vec<String>,
    /// What a prompt cache can know of it; `None` when nothing of it is cached.
    pub cached: Option<CachedPrefix>,
    /// What was changed, beyond the envelope.
    pub adjustments: Adjustments,
}

/// The part of a prompt that a cache keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachedPrefix {
    /// Estimated tokens, without the newest turn.
    pub tokens: u64,
    /// The longest lifetime of its marks.
    pub life: CacheLife,
}

impl fmt::Debug for InvokeBody {
    /// Callers' content never reaches logs: of the body only its size is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvokeBody")
            .field("bytes", &self.bytes.len())
            .field("betas", &self.betas)
            .field("cached", &self.cached)
            .field("adjustments", &self.adjustments)
            .finish_non_exhaustive()
    }
}

impl<B: AsRef<[u8]>> MessagesBody<B> {
    /// Writes the InvokeModel body for a model.
    ///
    /// Always changed: `model` and `stream` go, `anthropic_version` comes, `anthropic_beta` is sorted. Changed when the model
    /// would refuse it otherwise, and noted: fields of flags that were dropped, sampling, thinking and effort, ids of tool calls, blank
    /// texts, thinking without signature, cache marks, `system` turns. Fields that [`MessagesBody::wishes`] reads and fields for other
    /// gateways go. Everything else is the client's text, byte for byte.
    ///
    /// # Errors
    /// [`GatewayError::InvalidRequest`] when its further parameters name a field twice and for what strict mode does not leave out,
    /// [`GatewayError::Internal`] when our own rules contradict each other.
    pub fn invoke(&self, options: &InvokeOptions<'_>) -> Result<InvokeBody, GatewayError> {
        let Some((text, notes)) = hoist::hoisted(self.text(), &self.index, options.extra)? else {
            return write(Draft::new(self.text(), &self.index).of(options.strictness), options);
        };
        // What its members are for was asked when it was read.
        let index = reading::index(&text, Purpose::Count)?;
        let mut draft = Draft::new(&text, &index).of(options.strictness);
        draft.notes = notes;
        write(draft, options)
    }
}

/// Lets all rules speak.
fn write(mut draft: Draft<'_>, options: &InvokeOptions<'_>) -> Result<InvokeBody, GatewayError> {
    envelope(&mut draft);
    ceiling(&mut draft, options.max_output_tokens);
    wishes::settle(&mut draft, options.dropped_fields);
    let choice = betas::settle(&mut draft, options.beta_headers, &options.model.betas.invoke, options.refused_flags);
    settings::settle(&mut draft, options.model, &options.budgets, &choice.sent);
    ids::settle(&mut draft);
    let mut marks: Marks = draft.index.marks.iter().map(|mark| (mark.object, *mark)).collect();
    blanks::settle(&mut draft, &mut marks);
    let cached = marks::settle(&mut draft, &marks, options.model, options.cache);
    turns::settle(&mut draft, options.model.invoke_mid_system);
    let (bytes, adjustments) = draft.finish()?;
    Ok(InvokeBody { bytes, betas: choice.sent, unproven: choice.unproven, cached, adjustments })
}

/// Clients ask for the most they know, whatever the model; it would refuse.
fn ceiling(draft: &mut Draft<'_>, most: Option<u32>) {
    let Some(most) = most.map(u64::from).filter(|most| draft.max_tokens.is_some_and(|asked| asked > *most)) else { return };
    let Some(value) = draft.value("max_tokens") else { return };
    draft.edits.replace(value.span, most.to_string());
    draft.max_tokens = Some(most);
    draft.notes.note("max_tokens", "lowered");
}

/// What InvokeModel wants around every body.
fn envelope(draft: &mut Draft<'_>) {
    draft.remove("model");
    draft.remove("stream");
    let version = format!("\"{ANTHROPIC_VERSION}\"");
    match draft.member("anthropic_version") {
        None => draft.put_first(format!("\"anthropic_version\":{version}")),
        Some((_, value)) if said(draft.text, value).is_some_and(|said| said.starts_with("bedrock-")) => {}
        Some((_, value)) => {
            draft.notes.note("anthropic_version", "replaced");
            draft.edits.replace(value.span, version);
        }
    }
    if draft.index.max_tokens.is_none() {
        // Counting only: nothing is produced, but a budget for thinking must be below it.
        let thinking = draft.value("thinking").map(|value| members_of(draft.text, value.span)).unwrap_or_default();
        let budget = thinking.into_iter().find(|(key, _)| key.is(draft.text, "budget_tokens"));
        let budget = budget.and_then(|(_, value)| whole_number(draft.text, value)).unwrap_or(0);
        draft.remove("max_tokens");
        draft.put_first(format!("\"max_tokens\":{}", budget.saturating_add(1)));
    }
}
