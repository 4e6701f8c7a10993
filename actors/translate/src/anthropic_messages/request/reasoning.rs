//! `thinking` and `output_config.effort`.

use outcrop_domain::{
    chat::{Effort, ReasoningMode, ReasoningRequest, ReasoningVisibility},
    error::GatewayError,
};
use outcrop_protocol::{anthropic::messages::ThinkingConfig, loose::Whole};

use super::{
    conversation::report_unread,
    faults::{fault, missing, not_one_of},
};
use crate::dialect::notes::Notes;

/// Least budget. Source: `ThinkingConfigEnabledParam`.
const LEAST_BUDGET: i64 = 1024;

/// Reads both into one wish.
pub(super) fn read(thinking: Option<&ThinkingConfig>, effort: Option<&str>, notes: &mut Notes) -> Result<ReasoningRequest, GatewayError> {
    let mut wish = ReasoningRequest { effort: effort.map(effort_word).transpose()?, ..ReasoningRequest::default() };
    let Some(thinking) = thinking else { return Ok(wish) };
    report_unread("thinking", &thinking.rest, notes);
    match thinking.kind.as_deref() {
        Some("enabled") => {
            wish.mode = ReasoningMode::On;
            wish.budget_tokens = Some(budget(thinking.budget_tokens)?);
        }
        Some("adaptive") => wish.mode = ReasoningMode::On,
        Some("disabled") => wish.mode = ReasoningMode::Off,
        Some("between_tools") => {
            // Thinking is off; Claude's remarks between calls come as text from any other model.
            notes.harmless("thinking.type", "disabled");
            wish.mode = ReasoningMode::Off;
        }
        None => return Err(missing("thinking.type")),
        Some(_) => return Err(not_one_of("thinking.type", &["enabled", "adaptive", "disabled", "between_tools"])),
    }
    if thinking.budget_tokens.is_some() && wish.budget_tokens.is_none() {
        notes.harmless("thinking.budget_tokens", "ignored");
    }
    if wish.mode == ReasoningMode::Off && wish.effort.take().is_some() {
        notes.harmless("output_config.effort", "ignored");
    }
    wish.visibility = match thinking.display.as_deref() {
        None | Some("summarized") => ReasoningVisibility::Shown,
        Some("omitted") => ReasoningVisibility::Hidden,
        Some(_) => return Err(not_one_of("thinking.display", &["summarized", "omitted"])),
    };
    Ok(wish)
}

fn effort_word(word: &str) -> Result<Effort, GatewayError> {
    match word {
        "low" => Ok(Effort::Low),
        "medium" => Ok(Effort::Medium),
        "high" => Ok(Effort::High),
        "xhigh" => Ok(Effort::Xhigh),
        "max" => Ok(Effort::Max),
        _ => Err(not_one_of("output_config.effort", &["low", "medium", "high", "xhigh", "max"])),
    }
}

fn budget(budget: Option<Whole>) -> Result<u32, GatewayError> {
    const PATH: &str = "thinking.enabled.budget_tokens";
    match budget {
        None => Err(missing(PATH)),
        Some(Whole(tokens)) if tokens < LEAST_BUDGET => {
            Err(fault(PATH, format_args!("Input should be greater than or equal to {LEAST_BUDGET}")))
        }
        Some(Whole(tokens)) => Ok(u32::try_from(tokens).unwrap_or(u32::MAX)),
    }
}
