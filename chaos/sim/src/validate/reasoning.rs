//! Reasoning: what it excludes in the same request, and which reasoning blocks history may hold.

use super::shape::{Block, Message, Role, ToolChoice};
use super::thinking::{self, Thinking};
use super::{Case, Refusal, signature};
use crate::models::{Dialect, Replay, Sampling, ThinkingMode};

/// Checks reasoning against the rest of the request, then every replayed block.
pub(super) fn check(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let thinking = thinking::resolve(case.traits, case.request.additional);
    match case.traits.dialect {
        Dialect::Claude => claude(case, thinking)?,
        Dialect::Nova => nova(case, thinking)?,
        _ => forced_while_on(case, thinking)?,
    }
    for (index, message) in case.request.messages.iter().enumerate() {
        replayed(case, message, index)?;
    }
    Ok(())
}

fn forced(case: &Case<'_, '_>) -> bool {
    let choice = case.request.tools.as_ref().and_then(|config| config.choice);
    let raw = case.request.additional.and_then(|fields| fields.get("tool_choice")?.get("type")?.as_str());
    matches!(choice, Some(ToolChoice::Any | ToolChoice::Tool(_))) || matches!(raw, Some("any" | "tool"))
}

fn claude(case: &Case<'_, '_>, thinking: Thinking) -> Result<(), Refusal> {
    if !thinking.asked {
        return Ok(());
    }
    if let Some(budget) = thinking.budget {
        if budget < 1024 {
            return Err(Refusal::model("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"));
        }
        // Between tools it is the budget of the whole loop, not of one answer.
        if !thinking.interleaved && budget >= case.request.inference.max_tokens.unwrap_or(case.traits.max_output) {
            return Err(Refusal::model("`max_tokens` must be greater than `thinking.budget_tokens`."));
        }
    }
    if forced(case) {
        return Err(Refusal::model("Thinking may not be enabled when tool_choice forces tool use."));
    }
    claude_sampling(case)?;
    if thinking.budget.is_some() { starts_with_thinking(case) } else { Ok(()) }
}

fn claude_sampling(case: &Case<'_, '_>) -> Result<(), Refusal> {
    if case.traits.sampling == Sampling::None {
        return Ok(()); // refused by the sampling rules whatever the value
    }
    let inference = &case.request.inference;
    if inference.temperature.is_some_and(|temperature| temperature < 1.0) {
        return Err(Refusal::model("`temperature` may only be set to 1 when thinking is enabled."));
    }
    if inference.top_p.is_some_and(|top_p| top_p < 0.95) {
        return Err(Refusal::model("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled."));
    }
    if case.request.additional.is_some_and(|fields| fields.contains_key("top_k")) {
        return Err(Refusal::model("`top_k` must be unset when thinking is enabled."));
    }
    Ok(())
}

/// With a thinking budget, the assistant turn of a running tool loop starts with its thinking.
fn starts_with_thinking(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let spoken: Vec<(usize, &Message<'_>)> =
        case.request.messages.iter().enumerate().filter(|(_, message)| message.role != Role::System).collect();
    let in_loop = match spoken.as_slice() {
        [.., (index, message)] if message.role == Role::Assistant => Some((*index, *message)),
        [.., (index, turn), (_, last)] if last.content.iter().any(|placed| matches!(placed.block, Block::ToolResult { .. })) => {
            Some((*index, *turn))
        }
        _ => None,
    };
    let Some((index, turn)) = in_loop else { return Ok(()) };
    let found = match turn.content.first().map(|placed| &placed.block) {
        None | Some(Block::Reasoning { .. } | Block::Redacted(_)) => return Ok(()),
        Some(Block::ToolUse { .. }) => "tool_use",
        Some(_) => "text",
    };
    Err(Refusal::model(format!(
        "messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{found}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks). We recommend you include thinking blocks from previous turns."
    )))
}

/// High effort on Nova leaves the length and the sampling to the model.
fn nova(case: &Case<'_, '_>, thinking: Thinking) -> Result<(), Refusal> {
    let effort = case.request.additional.and_then(|fields| fields.get("reasoningConfig")?.get("maxReasoningEffort")?.as_str());
    if !thinking.on || effort != Some("high") {
        return Ok(());
    }
    let inference = &case.request.inference;
    let set = [
        ("maxTokens", inference.max_tokens.is_some()),
        ("temperature", inference.temperature.is_some()),
        ("topP", inference.top_p.is_some()),
    ];
    match set.iter().find(|(_, set)| *set) {
        Some((name, _)) => Err(Refusal::validation(format!(
            "The {name} field must not be set when maxReasoningEffort is high. Remove {name} and try again."
        ))),
        None => Ok(()),
    }
}

fn forced_while_on(case: &Case<'_, '_>, thinking: Thinking) -> Result<(), Refusal> {
    if case.traits.thinking == ThinkingMode::Passed && thinking.on && forced(case) {
        return Err(Refusal::validation("This model only supports the auto toolChoice while reasoning is enabled."));
    }
    Ok(())
}

fn replayed(case: &Case<'_, '_>, message: &Message<'_>, index: usize) -> Result<(), Refusal> {
    let replay = case.traits.reasoning_replay;
    for placed in &message.content {
        let at = placed.at;
        match (&placed.block, replay) {
            (Block::Reasoning { .. }, Replay::Refused) => return Err(unwanted(case)),
            (Block::Reasoning { signature: Some(_), .. }, Replay::Plain) => {
                return Err(Refusal::unsupported_field("reasoningContent.reasoningText.signature"));
            }
            (Block::Reasoning { signature: None, .. }, Replay::Signed) => {
                return Err(Refusal::model(format!("{at}.thinking.signature: Field required")));
            }
            (Block::Reasoning { text, signature: Some(seal) }, Replay::Signed) if !signature::verify(&case.traits.lineage, text, seal) => {
                return Err(Refusal::model(format!("{at}: Invalid `signature` in `thinking` block")));
            }
            (Block::Redacted(bytes), Replay::Signed) if !signature::verify_redacted(&case.traits.lineage, bytes) => {
                return Err(Refusal::model(format!("{at}: Invalid `data` in `redacted_thinking` block")));
            }
            (Block::Redacted(_), Replay::Refused | Replay::Plain) => {
                return Err(Refusal::unsupported_field("reasoningContent.redactedContent"));
            }
            _ => {}
        }
    }
    let last = message.content.iter().rev().find(|placed| !matches!(placed.block, Block::CachePoint(_)));
    match last.map(|placed| &placed.block) {
        Some(Block::Reasoning { .. } | Block::Redacted(_)) if case.traits.dialect == Dialect::Claude => {
            Err(Refusal::model(format!("messages.{index}: The final block in an assistant message cannot be `thinking`.")))
        }
        _ => Ok(()),
    }
}

fn unwanted(case: &Case<'_, '_>) -> Refusal {
    if case.traits.dialect == Dialect::Nova {
        Refusal::validation("User messages cannot contain reasoning content. Please remove the reasoning content and try again.")
    } else {
        Refusal::unsupported_field("reasoningContent")
    }
}
