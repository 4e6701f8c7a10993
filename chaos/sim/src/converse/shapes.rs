//! Response shapes of the Converse API. Source: service model `bedrock-runtime/2023-09-30`.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::brain::{Block, Turn, TurnUsage};

/// A content block; exactly one member.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ContentBlock<'a> {
    Text(&'a str),
    ToolUse(ToolUse<'a>),
    ToolResult(ToolResult<'a>),
    ReasoningContent(Reasoning<'a>),
    CitationsContent(Citations<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ToolUse<'a> {
    tool_use_id: &'a str,
    name: &'a str,
    input: &'a Value,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
}

/// What Bedrock's own tool gave.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ToolResult<'a> {
    tool_use_id: &'a str,
    content: [PlainText<'a>; 1],
    status: &'static str,
    #[serde(rename = "type")]
    kind: &'a str,
}

/// `type` of a call that Bedrock answers itself.
pub(super) const SERVER_TOOL: &str = "server_tool_use";

/// `status` of a result.
pub(super) fn status(failed: bool) -> &'static str {
    if failed { "error" } else { "success" }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Reasoning<'a> {
    ReasoningText(ReasoningText<'a>),
    RedactedContent(&'a str),
}

#[derive(Serialize)]
pub(crate) struct ReasoningText<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    signature: &'a str,
}

#[derive(Serialize)]
pub(crate) struct Citations<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<[PlainText<'a>; 1]>,
    citations: &'a Value,
}

#[derive(Serialize)]
pub(crate) struct PlainText<'a> {
    pub(super) text: &'a str,
}

impl<'a> ContentBlock<'a> {
    /// `None` for blocks Converse has no member for.
    pub(super) fn of(block: &'a Block) -> Option<Self> {
        Some(match block {
            Block::Text(text) => Self::Text(text),
            Block::ToolUse { id, name, input } => Self::ToolUse(ToolUse { tool_use_id: id, name, input, kind: None }),
            Block::SystemToolUse { id, name, input } => Self::ToolUse(ToolUse { tool_use_id: id, name, input, kind: Some(SERVER_TOOL) }),
            Block::SystemToolResult { id, kind, text, failed } => {
                Self::ToolResult(ToolResult { tool_use_id: id, content: [PlainText { text }], status: status(*failed), kind })
            }
            Block::Reasoning { text, signature } => Self::ReasoningContent(Reasoning::ReasoningText(ReasoningText { text, signature })),
            Block::Redacted(content) => Self::ReasoningContent(Reasoning::RedactedContent(content)),
            Block::Cited { text, citations } => {
                let content = (!text.is_empty()).then_some([PlainText { text }]);
                Self::CitationsContent(Citations { content, citations })
            }
            Block::Native(_) => return None,
        })
    }
}

/// Token counts; `inputTokens` excludes cache reads and writes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Usage {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    cache_read_input_tokens: u64,
    cache_write_input_tokens: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cache_details: Vec<CacheDetail>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CacheDetail {
    ttl: &'static str,
    input_tokens: u64,
}

impl Usage {
    pub(super) fn of(usage: &TurnUsage) -> Self {
        let written = usage.cache_write_1h + usage.cache_write_5m;
        // The longer lifetime comes first, as the service model says.
        let details = [("1h", usage.cache_write_1h), ("5m", usage.cache_write_5m)];
        Self {
            input_tokens: usage.input,
            output_tokens: usage.output,
            total_tokens: usage.input + usage.output + usage.cache_read + written,
            cache_read_input_tokens: usage.cache_read,
            cache_write_input_tokens: written,
            cache_details: details
                .into_iter()
                .filter(|(_, tokens)| *tokens > 0)
                .map(|(ttl, input_tokens)| CacheDetail { ttl, input_tokens })
                .collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metrics {
    latency_ms: u64,
}

impl Metrics {
    pub(super) fn of(latency: Duration) -> Self {
        Self { latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX) }
    }
}

#[derive(Serialize)]
pub(super) struct Trace<'a> {
    guardrail: &'a Value,
}

impl<'a> Trace<'a> {
    pub(super) fn of(turn: &'a Turn) -> Option<Self> {
        turn.guardrail_trace.as_ref().map(|guardrail| Self { guardrail })
    }
}

#[derive(Serialize)]
pub(super) struct Performance<'a> {
    latency: &'a str,
}

impl<'a> Performance<'a> {
    pub(super) fn of(latency: Option<&'a str>) -> Option<Self> {
        latency.map(|latency| Self { latency })
    }
}

#[derive(Serialize)]
pub(super) struct Tier<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
}

impl<'a> Tier<'a> {
    pub(super) fn of(turn: &'a Turn) -> Option<Self> {
        turn.service_tier.as_deref().map(|kind| Self { kind })
    }
}
