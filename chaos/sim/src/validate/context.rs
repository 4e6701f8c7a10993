//! The context window.

use serde_json::Value;

use super::{Case, Refusal};
use crate::brain::tokens;
use crate::models::{Dialect, Overflow, ThinkingMode};

/// Window with the long-context beta, in tokens.
const LONG_CONTEXT: u64 = 1_000_000;

/// Refuses input beyond the window, and where the model does, input plus `maxTokens`.
pub(super) fn check(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let window = window(case);
    let input = tokens::request(case.request);
    if input > window {
        return Err(if case.traits.dialect == Dialect::Claude && case.traits.thinking != ThinkingMode::None {
            Refusal::model(format!("prompt is too long: {input} tokens > {window} maximum"))
        } else {
            Refusal::validation("Input is too long for requested model.")
        });
    }
    match case.request.inference.max_tokens {
        Some(most) if case.traits.overflow == Overflow::Refuse && input + most > window => Err(Refusal::model(format!(
            "input length and `max_tokens` exceed context limit: {input} + {most} > {window}, decrease input length or `max_tokens` and try again"
        ))),
        _ => Ok(()),
    }
}

fn window(case: &Case<'_, '_>) -> u64 {
    let flags = case.request.additional.and_then(|fields| fields.get("anthropic_beta")).and_then(Value::as_array);
    let long = case.traits.long_context_beta.as_deref().is_some_and(|beta| flags.into_iter().flatten().any(|flag| flag == beta));
    if long { LONG_CONTEXT } else { case.traits.context }
}
