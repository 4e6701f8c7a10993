//! Payloads of ConverseStream events. Each carries a padding member `p` that is skipped like everything unknown.

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{AnswerCitation, AnswerTier, AnswerToolResultContent, AnswerToolUse, ResponseFields, TokenUsage};

/// `contentBlockStart`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockStartEvent {
    /// Block.
    pub content_block_index: u32,
    /// What begins.
    #[serde(default)]
    pub start: BlockStart,
}

/// What begins: one member is set, or none when its kind is newer than this list.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStart {
    /// A tool call.
    pub tool_use: Option<AnswerToolUse>,
    /// A result of a tool that Bedrock ran.
    pub tool_result: Option<ToolResultStart>,
    /// An image.
    pub image: Option<Box<RawValue>>,
}

/// Start of a result of a tool that Bedrock ran.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolResultStart {
    /// The call it answers.
    pub tool_use_id: String,
}

/// `contentBlockDelta`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockDeltaEvent {
    /// Block.
    pub content_block_index: u32,
    /// What is added.
    pub delta: BlockDelta,
}

/// What is added: one member is set, or none when its kind is newer than this list. Text is owned because it
/// moves into the event that goes out: one copy, out of the frame, and no second one.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockDelta {
    /// Text.
    pub text: Option<String>,
    /// A fragment of a tool call's arguments.
    pub tool_use: Option<ToolUseDelta>,
    /// Reasoning.
    pub reasoning_content: Option<ReasoningDelta>,
    /// More of the result of a tool that Bedrock ran.
    pub tool_result: Option<Vec<AnswerToolResultContent>>,
    /// A source.
    pub citation: Option<AnswerCitation>,
}

/// A fragment of a tool call's arguments.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ToolUseDelta {
    /// JSON text.
    pub input: String,
}

/// A piece of reasoning.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReasoningDelta {
    /// Text.
    pub text: Option<String>,
    /// The signature, in an event of its own.
    pub signature: Option<String>,
    /// Encrypted reasoning, base64.
    pub redacted_content: Option<String>,
}

/// `contentBlockStop`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockStopEvent {
    /// Block.
    pub content_block_index: u32,
}

/// `messageStop`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageStopEvent {
    /// Why the answer ended: Converse's word.
    pub stop_reason: String,
    /// Members of the model's own answer that were asked for.
    #[serde(default)]
    pub additional_model_response_fields: Option<ResponseFields>,
}

/// `metadata`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetadataEvent {
    /// Tokens used.
    pub usage: Option<TokenUsage>,
    /// Guardrail and router traces.
    pub trace: Option<Map<String, Value>>,
    /// Tier that serves it.
    pub service_tier: Option<AnswerTier>,
}
