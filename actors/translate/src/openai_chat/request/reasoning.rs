//! Reasoning wishes in all their spellings: OpenAI's effort, Anthropic's `thinking`, Qwen's switches,
//! OpenRouter's `reasoning`. Two spellings may agree; when they do not, nobody can know what is meant.

use outcrop_domain::{
    chat::{Effort, ReasoningMode, ReasoningRequest, ReasoningVisibility},
    error::GatewayError,
};
use outcrop_protocol::openai::{
    chat::{ChatCompletionRequest, ReasoningOptions, ThinkingOptions},
    loose::Whole,
};

use super::notes::{Notes, invalid_value};

/// Reads them all into one wish.
pub(crate) fn read(wire: &ChatCompletionRequest, notes: &mut Notes) -> Result<ReasoningRequest, GatewayError> {
    let mut wishes = Wishes::default();
    if let Some(word) = &wire.reasoning_effort {
        wishes.effort_word(word, "reasoning_effort")?;
    }
    if let Some(reasoning) = &wire.reasoning {
        wishes.openrouter(reasoning, notes)?;
    }
    if let Some(thinking) = &wire.thinking {
        wishes.anthropic(thinking, notes)?;
    }
    wishes.switch_and_budget(("enable_thinking", wire.enable_thinking), ("thinking_budget", wire.thinking_budget), notes)?;
    if let Some(include) = wire.include_reasoning {
        wishes.visibility.set(shown_if(include), "include_reasoning")?;
    }
    Ok(ReasoningRequest {
        mode: wishes.mode.get().unwrap_or_default(),
        effort: wishes.effort.get(),
        budget_tokens: wishes.budget.get(),
        visibility: wishes.visibility.get().unwrap_or_default(),
    })
}

/// One wish and the field that first uttered it.
struct Wish<T> {
    said: Option<(T, &'static str)>,
}

impl<T> Default for Wish<T> {
    fn default() -> Self {
        Self { said: None }
    }
}

impl<T: Copy + PartialEq> Wish<T> {
    fn set(&mut self, value: T, field: &'static str) -> Result<(), GatewayError> {
        match self.said {
            Some((before, first)) if before != value => {
                Err(invalid_value(field, format!("`{field}` contradicts `{first}`: send one of them")))
            }
            Some(_) => Ok(()),
            None => {
                self.said = Some((value, field));
                Ok(())
            }
        }
    }

    fn get(&self) -> Option<T> {
        self.said.map(|(value, _)| value)
    }
}

#[derive(Default)]
struct Wishes {
    mode: Wish<ReasoningMode>,
    effort: Wish<Effort>,
    budget: Wish<u32>,
    visibility: Wish<ReasoningVisibility>,
}

impl Wishes {
    fn effort_word(&mut self, word: &str, field: &'static str) -> Result<(), GatewayError> {
        let effort = match word {
            "none" => return self.mode.set(ReasoningMode::Off, field),
            // Groq's word for "as the model does by itself".
            "default" => return Ok(()),
            "minimal" => Effort::Minimal,
            "low" => Effort::Low,
            "medium" => Effort::Medium,
            "high" => Effort::High,
            "xhigh" => Effort::Xhigh,
            "max" => Effort::Max,
            _ => return Err(invalid_value(field, format!("`{field}` must be one of none, minimal, low, medium, high, xhigh, max"))),
        };
        self.mode.set(ReasoningMode::On, field)?;
        self.effort.set(effort, field)
    }

    fn openrouter(&mut self, reasoning: &ReasoningOptions, notes: &mut Notes) -> Result<(), GatewayError> {
        if let Some(word) = &reasoning.effort {
            self.effort_word(word, "reasoning.effort")?;
        }
        self.switch_and_budget(("reasoning.enabled", reasoning.enabled), ("reasoning.max_tokens", reasoning.max_tokens), notes)?;
        match reasoning.exclude {
            Some(exclude) => self.visibility.set(shown_if(!exclude), "reasoning.exclude"),
            None => Ok(()),
        }
    }

    fn anthropic(&mut self, thinking: &ThinkingOptions, notes: &mut Notes) -> Result<(), GatewayError> {
        let switch = match thinking.kind.as_deref() {
            None | Some("auto") => None,
            Some("enabled" | "adaptive") => Some(true),
            Some("disabled") => Some(false),
            Some(_) => return Err(invalid_value("thinking.type", "`thinking.type` must be `enabled`, `adaptive`, `auto` or `disabled`")),
        };
        self.switch_and_budget(("thinking.type", switch), ("thinking.budget_tokens", thinking.budget_tokens), notes)?;
        match thinking.display.as_deref() {
            None => Ok(()),
            Some("summarized") => self.visibility.set(ReasoningVisibility::Shown, "thinking.display"),
            Some("omitted") => self.visibility.set(ReasoningVisibility::Hidden, "thinking.display"),
            Some(_) => Err(invalid_value("thinking.display", "`thinking.display` must be `summarized` or `omitted`")),
        }
    }

    /// A switch and the budget that belongs to it: beside a switch that is off the budget says nothing.
    fn switch_and_budget(
        &mut self,
        (switch_field, switch): (&'static str, Option<bool>),
        (budget_field, budget): (&'static str, Option<Whole>),
        notes: &mut Notes,
    ) -> Result<(), GatewayError> {
        if let Some(on) = switch {
            self.mode.set(if on { ReasoningMode::On } else { ReasoningMode::Off }, switch_field)?;
        }
        let Some(Whole(budget)) = budget else { return Ok(()) };
        if switch == Some(false) {
            notes.harmless(budget_field, "ignored");
            return Ok(());
        }
        if budget < 0 {
            return Err(invalid_value(budget_field, format!("`{budget_field}` must not be negative")));
        }
        if budget == 0 {
            return self.mode.set(ReasoningMode::Off, budget_field);
        }
        self.mode.set(ReasoningMode::On, budget_field)?;
        self.budget.set(u32::try_from(budget).unwrap_or(u32::MAX), budget_field)
    }
}

fn shown_if(shown: bool) -> ReasoningVisibility {
    if shown { ReasoningVisibility::Shown } else { ReasoningVisibility::Hidden }
}
