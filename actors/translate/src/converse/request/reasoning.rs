//! Asks for reasoning in the model's own dialect.

use outcrop_domain::{
    adjust::Adjustments,
    chat::{Effort, ReasoningMode, ReasoningRequest, ReasoningVisibility},
    json::JsonObject,
    model::{EffortField, ReasoningDialect},
};
use outcrop_protocol::bedrock::converse::{ContentBlock, Role};
use serde_json::{Map, Value};

use super::{Scope, inference, turns::Turn};

/// Lets older Claude models take an effort beside a budget.
pub(crate) const EFFORT_BETA: &str = "effort-2025-11-24";

/// What was decided about reasoning, and what follows for other fields.
#[derive(Debug, Default)]
pub(super) struct ReasoningPlan {
    /// For `additionalModelRequestFields`.
    pub(super) fields: JsonObject,
    /// Beta flags that the fields need.
    pub(super) betas: Vec<&'static str>,
    /// The model certainly reasons.
    pub(super) active: bool,
    /// The model may reason.
    pub(super) possible: bool,
    /// What sampling parameters must keep to.
    pub(super) sampling: SamplingLimits,
    /// `maxTokens`, after all corrections.
    pub(super) max_tokens: Option<u32>,
}

/// What reasoning does to sampling parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum SamplingLimits {
    /// Nothing.
    #[default]
    Free,
    /// Temperature 1 or unset, no `top_k`, `top_p` of 0.95 and more (Claude while thinking).
    Narrow,
    /// None may be set.
    Forbidden,
}

/// Decides.
pub(super) fn plan(scope: Scope<'_>, turns: &[Turn<'_>], notes: &mut Adjustments) -> ReasoningPlan {
    let max_tokens = inference::max_tokens(scope, notes);
    let mut planner = Planner { scope, notes, plan: ReasoningPlan { max_tokens, ..ReasoningPlan::default() } };
    match &scope.model.reasoning {
        ReasoningDialect::None => planner.cannot(),
        ReasoningDialect::AlwaysOn => planner.always(),
        ReasoningDialect::ClaudeBudget { min_budget, max_effort } => planner.claude_budget(turns, *min_budget, *max_effort),
        ReasoningDialect::ClaudeAdaptive { .. } => planner.claude_adaptive(turns),
        ReasoningDialect::NovaConfig => planner.nova(),
        ReasoningDialect::Effort { field, min, max, can_disable } => planner.effort(*field, (*min, *max), *can_disable),
    }
    let claude = matches!(scope.model.reasoning, ReasoningDialect::ClaudeBudget { .. } | ReasoningDialect::ClaudeAdaptive { .. });
    let mut plan = planner.plan;
    plan.active |= asked_in_extra(&scope.request.extra);
    plan.possible |= plan.active;
    if claude && plan.active && plan.sampling == SamplingLimits::Free {
        plan.sampling = SamplingLimits::Narrow;
    }
    plan
}

/// True when the caller's own extra fields switch reasoning on.
fn asked_in_extra(extra: &JsonObject) -> bool {
    ["thinking", "reasoningConfig"]
        .iter()
        .filter_map(|field| extra.get(*field)?.get("type")?.as_str())
        .any(|kind| matches!(kind, "enabled" | "adaptive"))
}

struct Planner<'a, 'n> {
    scope: Scope<'a>,
    notes: &'n mut Adjustments,
    plan: ReasoningPlan,
}

impl Planner<'_, '_> {
    fn wish(&self) -> &ReasoningRequest {
        &self.scope.request.reasoning
    }

    /// The client asks for reasoning, in so many words or by naming how much.
    fn wanted(&self) -> bool {
        let wish = self.wish();
        match wish.mode {
            ReasoningMode::On => true,
            ReasoningMode::Off => false,
            ReasoningMode::ModelDecides => wish.effort.is_some() || wish.budget_tokens.is_some(),
        }
    }

    fn cannot(&mut self) {
        if self.wanted() {
            self.notes.note("reasoning", "ignored");
        }
    }

    fn always(&mut self) {
        self.plan.active = true;
        if self.wish().mode == ReasoningMode::Off {
            self.notes.note("reasoning", "cannot_disable");
        } else if self.wish().effort.is_some() || self.wish().budget_tokens.is_some() {
            self.notes.note("reasoning.effort", "ignored");
        }
    }

    fn claude_budget(&mut self, turns: &[Turn<'_>], min_budget: u32, max_effort: Option<Effort>) {
        if !self.wanted() || self.unsigned_loop(turns) {
            return;
        }
        self.think_with_budget(min_budget);
        if let (Some(max), Some(effort)) = (max_effort, self.wish().effort) {
            let effort = self.clamp(effort, Effort::Low, max);
            self.output_effort(effort);
            if self.scope.model.betas.converse.accepts(EFFORT_BETA) {
                self.plan.betas.push(EFFORT_BETA);
            }
        }
    }

    fn claude_adaptive(&mut self, turns: &[Turn<'_>]) {
        let ReasoningDialect::ClaudeAdaptive { can_disable, budget_allowed, hidden_by_default, on_by_default, max_effort } =
            self.scope.model.reasoning
        else {
            return;
        };
        let wish = *self.wish();
        self.plan.possible = on_by_default;
        let summarized = hidden_by_default && wish.visibility == ReasoningVisibility::Shown;
        if wish.mode == ReasoningMode::Off {
            if !can_disable {
                self.notes.note("reasoning", "cannot_disable");
                self.output_effort(Effort::Low);
                self.plan.active = true;
            } else if on_by_default {
                self.thinking("disabled", None);
                self.plan.possible = false;
            }
        } else if self.wanted() {
            if wish.budget_tokens.is_some() && wish.effort.is_none() && budget_allowed {
                if !self.unsigned_loop(turns) {
                    self.think_with_budget(LEAST_CLAUDE_BUDGET);
                }
                return;
            }
            self.thinking("adaptive", None);
            if summarized {
                self.summarize();
            }
            if let Some(effort) = self.effort_wish() {
                let effort = self.clamp(effort, Effort::Low, max_effort);
                self.output_effort(effort);
            }
            self.plan.active = true;
        } else if on_by_default {
            self.plan.active = true;
            if summarized {
                self.thinking("adaptive", None);
                self.summarize();
            }
        }
    }

    fn nova(&mut self) {
        if !self.wanted() {
            return;
        }
        let effort = self.effort_wish().unwrap_or(Effort::Medium);
        let effort = self.clamp(effort, Effort::Low, Effort::High);
        let mut config = Map::new();
        config.insert("type".to_owned(), Value::from("enabled"));
        config.insert("maxReasoningEffort".to_owned(), Value::from(word(effort)));
        self.plan.fields.insert("reasoningConfig".to_owned(), Value::Object(config));
        self.plan.active = true;
        if effort == Effort::High {
            self.plan.sampling = SamplingLimits::Forbidden;
            if self.plan.max_tokens.take().is_some() {
                self.notes.note("max_tokens", "dropped");
            }
        }
    }

    fn effort(&mut self, field: EffortField, (min, max): (Effort, Effort), can_disable: bool) {
        self.plan.possible = true;
        self.plan.active = !can_disable;
        let value = if self.wish().mode == ReasoningMode::Off {
            if can_disable {
                self.plan.possible = false;
                "none"
            } else {
                self.notes.note("reasoning", "cannot_disable");
                word(min)
            }
        } else if let Some(effort) = self.effort_wish() {
            self.plan.active = true;
            word(self.clamp(effort, min, max))
        } else {
            // Switched on without a word of how much: the middle, where the model must be told at all.
            self.plan.active |= self.wanted();
            if !self.wanted() || !can_disable {
                return;
            }
            word(Effort::Medium.clamp(min, max.max(min)))
        };
        match field {
            EffortField::ReasoningEffort => {
                self.plan.fields.insert("reasoning_effort".to_owned(), Value::from(value));
            }
            EffortField::ReasoningObject => self.set_member("reasoning", "effort", Value::from(value)),
        }
    }

    /// The effort asked for; a budget stands for the effort it would pay for.
    fn effort_wish(&mut self) -> Option<Effort> {
        let wish = *self.wish();
        wish.effort.or_else(|| {
            let tokens = wish.budget_tokens?;
            self.notes.note("reasoning.budget_tokens", "as_effort");
            Some(self.scope.options.budgets.effort(tokens))
        })
    }

    fn clamp(&mut self, effort: Effort, min: Effort, max: Effort) -> Effort {
        let clamped = nearest_effort(effort, (min, max), &self.scope.model.missing_efforts);
        if clamped != effort {
            self.notes.note("reasoning.effort", "clamped");
        }
        clamped
    }

    /// A tool loop that began without signed reasoning cannot be continued with thinking: Claude refuses it.
    fn unsigned_loop(&mut self, turns: &[Turn<'_>]) -> bool {
        let lacks = tool_loop_lacks_reasoning(turns);
        if lacks {
            self.notes.note("reasoning", "disabled_for_unsigned_history");
        }
        lacks
    }

    fn think_with_budget(&mut self, min_budget: u32) {
        let budget = self.budget(min_budget);
        self.thinking("enabled", Some(budget));
        self.plan.active = true;
    }

    /// A budget of at least `min_budget` and below `max_tokens`; one of the two gives way.
    fn budget(&mut self, min_budget: u32) -> u32 {
        let wish = *self.wish();
        let budgets = self.scope.options.budgets;
        let mut budget = wish.budget_tokens.unwrap_or_else(|| budgets.budget(wish.effort.unwrap_or(Effort::Medium)));
        if budget < min_budget {
            self.notes.note("reasoning.budget_tokens", "raised");
            budget = min_budget;
        }
        let ceiling = self.scope.options.max_output_tokens;
        let Some(limit) = self.plan.max_tokens.or(ceiling).filter(|limit| budget >= *limit) else { return budget };
        // Half for thinking keeps the client's own limit; only where that is too little is the limit raised.
        let lowered = (limit / 2).clamp(min_budget, budget.max(min_budget));
        if lowered < budget {
            self.notes.note("reasoning.budget_tokens", "lowered");
        }
        if lowered >= limit {
            self.notes.note("max_tokens", "raised");
            let raised = lowered.saturating_add(limit);
            self.plan.max_tokens = Some(ceiling.map_or(raised, |ceiling| raised.min(ceiling)));
        }
        lowered
    }

    fn thinking(&mut self, kind: &'static str, budget: Option<u32>) {
        let mut thinking = Map::new();
        thinking.insert("type".to_owned(), Value::from(kind));
        if let Some(budget) = budget {
            thinking.insert("budget_tokens".to_owned(), Value::from(budget));
        }
        self.plan.fields.insert("thinking".to_owned(), Value::Object(thinking));
    }

    fn summarize(&mut self) {
        self.set_member("thinking", "display", Value::from("summarized"));
    }

    fn output_effort(&mut self, effort: Effort) {
        self.set_member("output_config", "effort", Value::from(word(effort)));
    }

    fn set_member(&mut self, object: &str, member: &str, value: Value) {
        let entry = self.plan.fields.entry(object).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(members) = entry {
            members.insert(member.to_owned(), value);
        }
    }
}

/// Least budget of models that take adaptive thinking as well. Source: Anthropic's extended-thinking page.
const LEAST_CLAUDE_BUDGET: u32 = 1024;

/// True when the conversation ends in a tool loop none of whose assistant turns has (signed) reasoning.
fn tool_loop_lacks_reasoning(turns: &[Turn<'_>]) -> bool {
    let mut in_loop = false;
    for turn in turns.iter().rev() {
        let has = |wanted: fn(&ContentBlock<'_>) -> bool| turn.pieces.iter().any(|piece| wanted(&piece.value));
        match turn.role {
            Role::Assistant if has(|block| matches!(block, ContentBlock::ReasoningContent(_))) => return false,
            Role::User if !has(|block| matches!(block, ContentBlock::ToolResult(_))) => return in_loop,
            Role::User => in_loop = true,
            Role::Assistant | Role::System => {}
        }
    }
    in_loop
}

/// The effort that a model with these takes for the one asked for: a word that it lacks means the next higher one it has, or its
/// highest.
pub(crate) fn nearest_effort(asked: Effort, (min, max): (Effort, Effort), missing: &[Effort]) -> Effort {
    let max = max.max(min);
    EFFORTS.into_iter().find(|word| *word >= asked.clamp(min, max) && !missing.contains(word)).unwrap_or(max).min(max)
}

/// Every effort, from low to high.
const EFFORTS: [Effort; 6] = [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::Xhigh, Effort::Max];

/// The effort as every dialect spells it.
fn word(effort: Effort) -> &'static str {
    match effort {
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Xhigh => "xhigh",
        Effort::Max => "max",
    }
}
