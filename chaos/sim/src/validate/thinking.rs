//! What a request asks about reasoning, read once for the rules and for the mock model.

use serde_json::{Map, Value};

use crate::models::{ThinkingMode, Traits};

/// Flag for thinking between tool calls where there is a budget.
const INTERLEAVED: &str = "interleaved-thinking-2025-05-14";

/// Reasoning as it will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thinking {
    /// The model reasons.
    pub(crate) on: bool,
    /// The caller asked for it, by `enabled` or `adaptive`.
    pub(crate) asked: bool,
    /// Budget in tokens of the `enabled` form.
    pub(crate) budget: Option<u64>,
    /// It thinks between tool calls too: without a budget, or with the flag for it.
    pub(crate) interleaved: bool,
    /// The text is withheld; only a signature is shown.
    pub(crate) hidden: bool,
}

impl Thinking {
    const OFF: Self = Self { on: false, asked: false, budget: None, interleaved: true, hidden: false };
}

/// Reads the reasoning switch of this model from `additionalModelRequestFields`.
pub(crate) fn resolve(traits: &Traits, additional: Option<&Map<String, Value>>) -> Thinking {
    let field = |key: &str| additional.and_then(|fields| fields.get(key));
    let word = |key: &str, member: &str| field(key).and_then(|value| value.get(member)).and_then(Value::as_str);
    let on = |on: bool, asked: bool| Thinking { on, asked, ..Thinking::OFF };
    match traits.thinking {
        ThinkingMode::None => Thinking::OFF,
        ThinkingMode::Budget | ThinkingMode::BudgetOrAdaptive | ThinkingMode::Adaptive | ThinkingMode::AdaptiveAlways => {
            let asked = word("thinking", "type");
            let hidden = match word("thinking", "display") {
                Some("summarized") => false,
                Some("omitted") => true,
                _ => traits.thinking_hidden,
            };
            let silent = traits.thinking_default || traits.thinking == ThinkingMode::AdaptiveAlways;
            match asked {
                Some("enabled") => {
                    let budget = field("thinking").and_then(|thinking| thinking.get("budget_tokens")).and_then(Value::as_u64);
                    let flags = field("anthropic_beta").and_then(Value::as_array);
                    let interleaved = budget.is_none() || flags.into_iter().flatten().any(|flag| flag == INTERLEAVED);
                    Thinking { on: true, asked: true, budget, interleaved, hidden }
                }
                Some("adaptive" | "between_tools") => Thinking { hidden, ..on(true, true) },
                Some(_) => Thinking::OFF,
                None => Thinking { hidden, ..on(silent, false) },
            }
        }
        ThinkingMode::Nova => on(word("reasoningConfig", "type") == Some("enabled"), true),
        ThinkingMode::Effort => on(true, field("reasoning_effort").is_some()),
        ThinkingMode::Gpt => Thinking { hidden: true, ..on(word("reasoning", "effort") != Some("none"), field("reasoning").is_some()) },
        ThinkingMode::Always => on(true, false),
        ThinkingMode::Passed => {
            let effort = field("reasoning_effort").and_then(Value::as_str);
            on(effort.is_some_and(|effort| effort != "none"), effort.is_some())
        }
    }
}
