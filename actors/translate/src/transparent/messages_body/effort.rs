//! `output_config.effort`: the flag that it needs, and the words that a model knows.

use outcrop_domain::{
    chat::Effort,
    model::{BetaRules, ChatCapabilities, ReasoningDialect},
};

use super::{Draft, is_null, settings::BETWEEN_TOOLS};
use crate::{
    converse::request::{EFFORT_BETA, nearest_effort},
    transparent::json::{Span, Value, members_of},
};

/// Highest effort beside `thinking: between_tools`. Source: release notes of vercel/ai, 2026-09-28.
const HIGHEST_BETWEEN_TOOLS: Effort = Effort::High;

/// The flag without which the model refuses the body's effort. Clients that know the field as a general one do not send it.
pub(super) fn flag(draft: &Draft<'_>, rules: &BetaRules) -> Option<&'static str> {
    let effort = draft.value("output_config").and_then(|config| member(draft.text, config));
    effort.filter(|effort| !is_null(*effort) && rules.accepts(EFFORT_BETA)).map(|_| EFFORT_BETA)
}

/// Brings the effort into a word that the model takes. `thinking` is the kind of it that is sent.
pub(super) fn settle(draft: &mut Draft<'_>, model: &ChatCapabilities, thinking: Option<&str>) {
    let (ReasoningDialect::ClaudeBudget { max_effort: Some(max), .. } | ReasoningDialect::ClaudeAdaptive { max_effort: max, .. }) =
        model.reasoning
    else {
        return;
    };
    let max = if thinking == Some(BETWEEN_TOOLS) { max.min(HIGHEST_BETWEEN_TOOLS) } else { max };
    let Some(config) = draft.value("output_config").filter(|config| !draft.objects.drops(config.span, "effort")) else { return };
    let Some((place, asked)) = named(draft.text, config) else { return };
    let taken = nearest_effort(asked, (Effort::Low, max), &model.missing_efforts);
    if taken != asked {
        draft.notes.note("output_config.effort", "clamped");
        draft.edits.replace(place, serde_json::to_string(&taken).unwrap_or_default());
    }
}

/// The effort that `output_config` names, and where. `None` for any other word: the model shall judge it.
pub(super) fn named(text: &[u8], config: Value) -> Option<(Span, Effort)> {
    let place = member(text, config)?.span;
    Some((place, serde_json::from_slice(place.of(text)).ok()?))
}

fn member(text: &[u8], config: Value) -> Option<Value> {
    members_of(text, config.span).into_iter().find(|(key, _)| key.is(text, "effort")).map(|(_, value)| value)
}
