//! Thinking and sampling: what the model refuses to be told, and what it must be told instead.

use outcrop_domain::{
    chat::Effort,
    model::{ChatCapabilities, ReasoningDialect, SamplingRule, TopKField},
};

use super::{Draft, Role, effort};
use crate::{
    converse::EffortBudgets,
    transparent::json::{Kind, Span, Value, elements_of, members_of, remove_from, said, whole_number},
};

/// Least budget of models that take adaptive thinking as well. Source: Anthropic's extended-thinking page.
const LEAST_BUDGET: u64 = 1024;

/// Thinking between tool calls alone, of the newest models.
pub(super) const BETWEEN_TOOLS: &str = "between_tools";

/// Lets models with a budget think between tool calls too. The budget is then one for all the thinking of a turn, and may be
/// larger than one answer. Source: Anthropic's extended-thinking page.
const INTERLEAVED_BETA: &str = "interleaved-thinking-2025-05-14";

/// Least `top_p` while Claude thinks. Source: as above.
const MIN_THINKING_TOP_P: f64 = 0.95;

/// Brings `thinking`, the effort and the sampling parameters into a form that the model takes. `flags` are those that are sent.
pub(super) fn settle(draft: &mut Draft<'_>, model: &ChatCapabilities, budgets: &EffortBudgets, flags: &[String]) {
    let kind = thinking(draft, model, budgets, flags);
    effort::settle(draft, model, kind.as_deref());
    let on_by_itself = match model.reasoning {
        ReasoningDialect::AlwaysOn => true,
        ReasoningDialect::ClaudeAdaptive { can_disable, on_by_default, .. } => {
            on_by_default && !(can_disable && kind.as_deref() == Some("disabled"))
        }
        _ => false,
    };
    let active = on_by_itself || kind.is_some_and(|kind| kind != "disabled");
    sampling(draft, model, active);
}

/// `thinking` as the client wrote it.
struct Thinking {
    object: Span,
    kind: String,
    kind_value: Span,
    budget: Option<(Span, u64)>,
}

/// What becomes of it.
enum Plan {
    Keep,
    /// It goes, for the reason that is noted.
    Remove(&'static str),
    /// The model decides how much, and takes no number.
    Adaptive,
    /// The model does not know this kind, and can be told not to think.
    Disabled,
    /// The model takes nothing but a number.
    Budget(u64),
    /// Another number.
    Lower(u64),
}

/// Settles `thinking`; gives the kind of it that is sent.
fn thinking(draft: &mut Draft<'_>, model: &ChatCapabilities, budgets: &EffortBudgets, flags: &[String]) -> Option<String> {
    let asked = Thinking::read(draft)?;
    let room = draft.max_tokens.filter(|_| !interleaves(draft, flags));
    let plan = match (&model.reasoning, asked.kind.as_str()) {
        (ReasoningDialect::None, _) => Plan::Remove("dropped"),
        (_, BETWEEN_TOOLS) if model.between_tools => Plan::Keep,
        (ReasoningDialect::ClaudeAdaptive { can_disable: false, .. }, BETWEEN_TOOLS) => Plan::Remove("cannot_disable"),
        (_, BETWEEN_TOOLS) => Plan::Disabled,
        (ReasoningDialect::ClaudeBudget { min_budget, .. }, "adaptive") => {
            budget_of(wish(draft, budgets), u64::from(*min_budget), draft.max_tokens).map_or(Plan::Remove("no_room"), Plan::Budget)
        }
        (ReasoningDialect::ClaudeBudget { min_budget, .. }, "enabled") => asked.fitted(u64::from(*min_budget), room),
        (ReasoningDialect::ClaudeAdaptive { budget_allowed: true, .. }, "enabled") => asked.fitted(LEAST_BUDGET, room),
        (ReasoningDialect::ClaudeAdaptive { budget_allowed: false, .. }, "enabled") => Plan::Adaptive,
        (ReasoningDialect::ClaudeAdaptive { can_disable: false, .. }, "disabled") => Plan::Remove("cannot_disable"),
        _ => Plan::Keep,
    };
    let enabled = match plan {
        Plan::Keep => asked.kind == "enabled",
        Plan::Remove(_) | Plan::Adaptive | Plan::Disabled => false,
        Plan::Budget(_) | Plan::Lower(_) => true,
    };
    // With a budget, a tool loop that began without thinking cannot go on with it.
    let plan = if enabled && loop_lacks_thinking(draft) { Plan::Remove("disabled_for_unsigned_history") } else { plan };
    asked.settle(plan, draft)
}

impl Thinking {
    fn read(draft: &Draft<'_>) -> Option<Self> {
        let object = draft.value("thinking").filter(|value| value.kind == Kind::Object)?.span;
        let members = members_of(draft.text, object);
        let member = |name: &str| {
            let found = members.iter().find(|(key, _)| key.is(draft.text, name)).map(|(_, value)| *value);
            found.filter(|_| !draft.objects.drops(object, name))
        };
        let kind = member("type")?;
        let budget = member("budget_tokens").and_then(|value| Some((value.span, whole_number(draft.text, value)?)));
        Some(Self { object, kind: said(draft.text, kind)?.into_owned(), kind_value: kind.span, budget })
    }

    /// A budget of `max_tokens` or more is a 400; `None`: it may be any.
    fn fitted(&self, least: u64, max_tokens: Option<u64>) -> Plan {
        match (self.budget, max_tokens) {
            (Some((_, budget)), Some(max)) if budget >= max => {
                budget_of(budget, least, Some(max)).map_or(Plan::Remove("no_room"), Plan::Lower)
            }
            _ => Plan::Keep,
        }
    }

    fn settle(self, plan: Plan, draft: &mut Draft<'_>) -> Option<String> {
        match plan {
            Plan::Keep => return Some(self.kind),
            Plan::Remove(reason) => {
                without_thinking(draft, reason);
                return None;
            }
            Plan::Adaptive => {
                draft.notes.note("thinking", "adaptive");
                draft.edits.replace(self.kind_value, "\"adaptive\"");
                draft.objects.change(self.object).drop.insert("budget_tokens".to_owned());
                return Some("adaptive".to_owned());
            }
            Plan::Disabled => {
                draft.notes.note("thinking.type", "disabled");
                draft.edits.replace(self.kind_value, "\"disabled\"");
                draft.objects.change(self.object).drop.extend(["budget_tokens", "display"].map(str::to_owned));
                without_clearing(draft);
                return Some("disabled".to_owned());
            }
            Plan::Budget(budget) => {
                draft.notes.note("thinking", "budget");
                draft.edits.replace(self.kind_value, "\"enabled\"");
                let change = draft.objects.change(self.object);
                change.drop.insert("budget_tokens".to_owned());
                change.add = Some(format!("\"budget_tokens\":{budget}"));
            }
            Plan::Lower(budget) => {
                draft.notes.note("thinking.budget_tokens", "lowered");
                if let Some((span, _)) = self.budget {
                    draft.edits.replace(span, budget.to_string());
                }
            }
        }
        Some("enabled".to_owned())
    }
}

/// Takes `thinking` away, and what `context_management` says of it, which is a 400 without.
pub(in crate::transparent) fn without_thinking(draft: &mut Draft<'_>, reason: &'static str) -> bool {
    if !draft.remove("thinking") {
        return false;
    }
    draft.notes.note("thinking", reason);
    without_clearing(draft);
    true
}

/// Takes away what `context_management` says of thinking.
fn without_clearing(draft: &mut Draft<'_>) {
    let Some(management) = draft.value("context_management") else { return };
    let members = members_of(draft.text, management.span);
    let Some((_, list)) = members.into_iter().find(|(key, _)| key.is(draft.text, "edits")) else { return };
    let edits = elements_of(draft.text, list.span);
    let clears = |edit: &Value| {
        let kind = members_of(draft.text, edit.span).into_iter().find(|(key, _)| key.is(draft.text, "type"));
        kind.and_then(|(_, kind)| said(draft.text, kind)).is_some_and(|kind| kind.starts_with("clear_thinking"))
    };
    let gone: Vec<bool> = edits.iter().map(clears).collect();
    if gone.contains(&true) {
        draft.notes.note("context_management.edits", "clear_thinking_dropped");
        if gone.contains(&false) {
            let spans: Vec<Span> = edits.iter().map(|edit| edit.span).collect();
            remove_from(&spans, |position| gone.get(position) == Some(&true), &mut draft.edits);
        } else {
            draft.remove("context_management");
        }
    }
}

/// `thinking` asks for a budget.
pub(in crate::transparent) fn is_enabled(text: &[u8], thinking: Value) -> bool {
    let kind = members_of(text, thinking.span).into_iter().find(|(key, _)| key.is(text, "type"));
    kind.and_then(|(_, kind)| said(text, kind)).as_deref() == Some("enabled")
}

/// A budget of at least `least` and below `max_tokens`: half of that where the wish is too high. `None` where none fits.
fn budget_of(wish: u64, least: u64, max_tokens: Option<u64>) -> Option<u64> {
    let wish = wish.max(least);
    let Some(max) = max_tokens.filter(|max| wish >= *max) else { return Some(wish) };
    Some((max / 2).max(least)).filter(|budget| *budget < max)
}

/// The budget for the effort that the client names, else for a medium one.
fn wish(draft: &Draft<'_>, budgets: &EffortBudgets) -> u64 {
    let named = draft.index.member(draft.text, "output_config").and_then(|(_, config)| effort::named(draft.text, *config));
    budgets.budget(named.map_or(Effort::Medium, |(_, effort)| effort)).into()
}

/// The model thinks between tool calls too.
fn interleaves(draft: &Draft<'_>, flags: &[String]) -> bool {
    let tools = draft.value("tools").filter(|_| flags.iter().any(|flag| flag == INTERLEAVED_BETA));
    tools.is_some_and(|tools| !elements_of(draft.text, tools.span).is_empty())
}

/// The conversation ends in a tool loop none of whose assistant turns has thinking that may be sent. What stands between two
/// assistant turns is one turn, however many messages it is written as.
fn loop_lacks_thinking(draft: &Draft<'_>) -> bool {
    let mut in_loop = false;
    // Whether there are tool results in what stands after the assistant turn that comes next.
    let mut results = None;
    for message in draft.index.messages.iter().rev() {
        if message.role != Role::Assistant {
            results = Some(results.unwrap_or(false) || message.traits.tool_result);
            continue;
        }
        match results.take() {
            Some(false) => return in_loop,
            Some(true) => in_loop = true,
            None => {}
        }
        if message.traits.thinking {
            return false;
        }
    }
    in_loop
}

/// Takes away the sampling parameters that the model refuses. `active`: it thinks.
fn sampling(draft: &mut Draft<'_>, model: &ChatCapabilities, active: bool) {
    let number = |draft: &Draft<'_>, name: &str| {
        let value = draft.value(name)?;
        std::str::from_utf8(value.span.of(draft.text)).ok()?.parse::<f64>().ok()
    };
    let (temperature, top_p) = (number(draft, "temperature"), number(draft, "top_p"));
    let never = model.sampling == SamplingRule::Refused;
    let narrow = active && (!model.sampling_while_reasoning || model.sampling == SamplingRule::NotWithReasoning);
    let without_temperature = never || (narrow && temperature != Some(1.0));
    let without_top_p = never
        || (narrow && !top_p.is_some_and(|value| (MIN_THINKING_TOP_P..=1.0).contains(&value)))
        || (model.sampling == SamplingRule::OneOf && temperature.is_some() && !without_temperature);
    let without_top_k = never || narrow || model.top_k == TopKField::Unsupported;
    for (name, without) in [("temperature", without_temperature), ("top_p", without_top_p), ("top_k", without_top_k)] {
        if without && draft.value(name).is_some() && draft.remove(name) {
            draft.notes.note(name, "dropped");
        }
    }
}
