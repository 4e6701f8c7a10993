//! Why an answer ended, in Anthropic's words.

use outcrop_domain::chat::StopReason;
use outcrop_protocol::anthropic::messages::StopDetails;

/// `stop_reason`. `calls` tells whether the client sees tool calls: `tool_use` without one, or `end_turn` beside one,
/// would leave an agent hanging.
pub(super) fn reason(stop: StopReason, calls: bool) -> &'static str {
    match stop {
        StopReason::MaxTokens => "max_tokens",
        StopReason::ModelContextWindowExceeded => "model_context_window_exceeded",
        StopReason::StopSequence => "stop_sequence",
        StopReason::GuardrailIntervened | StopReason::ContentFiltered => "refusal",
        StopReason::EndTurn
        | StopReason::ToolUse
        | StopReason::MalformedModelOutput
        | StopReason::MalformedToolUse
        | StopReason::Unknown => {
            if calls {
                "tool_use"
            } else {
                "end_turn"
            }
        }
    }
}

/// `stop_details`: who refused.
pub(super) fn details(stop: StopReason) -> Option<StopDetails> {
    let explanation = match stop {
        StopReason::GuardrailIntervened => "A guardrail has stopped this answer.",
        StopReason::ContentFiltered => "The model's provider has filtered this answer.",
        _ => return None,
    };
    Some(StopDetails { kind: "refusal", category: None, explanation })
}
