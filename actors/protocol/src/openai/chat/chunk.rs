//! One chunk of a streamed answer, as a client reads it.
//!
//! The gateway's own writer puts chunks together from prepared bytes; this form is for reading them: own-key
//! upstreams, and the tests that hold the writer to the schema.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::CompletionUsage;

/// `chat.completion.chunk`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatCompletionChunk {
    /// The same in all chunks.
    pub id: String,
    /// `chat.completion.chunk`.
    pub object: String,
    /// The same in all chunks.
    pub created: u64,
    /// The same in all chunks.
    pub model: String,
    /// One choice; none in the usage chunk.
    pub choices: Vec<ChunkChoice>,
    /// Null in all chunks but the last, when usage was asked for.
    #[serde(default)]
    pub usage: Option<CompletionUsage>,
    /// Tier that served it; with the finish and usage chunks.
    #[serde(default)]
    pub service_tier: Option<String>,
    /// Guardrail and prompt-router trace; with the finish chunk (not OpenAI's).
    #[serde(default)]
    pub trace: Option<Map<String, Value>>,
}

/// What one choice gained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkChoice {
    /// From 0.
    pub index: u32,
    /// What it gained.
    pub delta: Delta,
    /// Always null.
    pub logprobs: Option<()>,
    /// Null until the choice is complete.
    pub finish_reason: Option<String>,
}

/// What a choice gained.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delta {
    /// In the first chunk.
    pub role: Option<String>,
    /// Text.
    pub content: Option<String>,
    /// Null, in the first chunk.
    pub refusal: Option<String>,
    /// Reasoning for people.
    pub reasoning_content: Option<String>,
    /// Reasoning for machines.
    pub reasoning_details: Option<Vec<Map<String, Value>>>,
    /// Tool calls.
    pub tool_calls: Option<Vec<ToolCallDelta>>,
    /// The legacy single call.
    pub function_call: Option<FunctionDelta>,
    /// Sources of the text.
    pub annotations: Option<Vec<Map<String, Value>>>,
}

/// A piece of a tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCallDelta {
    /// Ordinal of the call in its choice, from 0.
    pub index: u32,
    /// With the first piece.
    #[serde(default)]
    pub id: Option<String>,
    /// With the first piece: `function` or `custom`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// A function's piece.
    #[serde(default)]
    pub function: Option<FunctionDelta>,
    /// A custom tool's piece.
    #[serde(default)]
    pub custom: Option<CustomDelta>,
}

/// A piece of a function call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FunctionDelta {
    /// With the first piece.
    pub name: Option<String>,
    /// A fragment of JSON text.
    pub arguments: Option<String>,
}

/// A piece of a custom call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomDelta {
    /// With the first piece.
    pub name: Option<String>,
    /// A fragment of text.
    pub input: Option<String>,
}
