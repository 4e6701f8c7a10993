//! What a model answered, whole.

use serde::{Deserialize, Serialize};

use super::{Content, ServiceTier};
use crate::{json::JsonObject, usage::Usage};

/// One complete answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatResponse {
    /// Text, reasoning and tool calls, in the model's order.
    pub content: Vec<Content>,
    /// Why it ended.
    pub stop: StopReason,
    /// Tokens used.
    pub usage: Usage,
    /// Tier that served it, where told.
    pub service_tier: Option<ServiceTier>,
    /// Guardrail and prompt-router traces, the caller's business.
    pub trace: Option<JsonObject>,
    /// The stop sequence that ended it, where told.
    pub stop_sequence: Option<String>,
}

/// Why an answer ended. Source: StopReason of the Converse API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model was done.
    EndTurn,
    /// It waits for tools.
    ToolUse,
    /// It ran into `max_tokens`.
    MaxTokens,
    /// It wrote a stop sequence.
    StopSequence,
    /// A guardrail stepped in.
    GuardrailIntervened,
    /// The provider filtered the content.
    ContentFiltered,
    /// The model wrote something unusable.
    MalformedModelOutput,
    /// The model wrote an unusable tool call.
    MalformedToolUse,
    /// The context window was full.
    ModelContextWindowExceeded,
    /// A reason newer than this list.
    #[serde(other)]
    Unknown,
}
