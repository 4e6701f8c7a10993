//! The response object.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use super::OutputItem;

/// A response, whole or under way. Every member that may be null is written: clients that validate strictly insist on
/// most of them. Source: `Response`.
#[derive(Clone, Serialize, Deserialize)]
pub struct ResponseObject<'a> {
    /// `resp_...`.
    pub id: Cow<'a, str>,
    /// `response`.
    pub object: Cow<'a, str>,
    /// Unix seconds.
    pub created_at: u64,
    /// How far it is.
    pub status: Status,
    /// It was asked for with `background`.
    pub background: bool,
    /// Unix seconds, once it is completed.
    pub completed_at: Option<u64>,
    /// Why it failed.
    pub error: Option<ResponseError<'a>>,
    /// Why it is incomplete.
    pub incomplete_details: Option<IncompleteDetails<'a>>,
    /// As asked for.
    pub instructions: Option<Cow<'a, str>>,
    /// As asked for.
    pub max_output_tokens: Option<u32>,
    /// As asked for.
    pub max_tool_calls: Option<i64>,
    /// The model.
    pub model: Cow<'a, str>,
    /// What it puts out.
    pub output: Vec<Cow<'a, OutputItem>>,
    /// As asked for; true unless said otherwise.
    pub parallel_tool_calls: bool,
    /// As asked for.
    pub previous_response_id: Option<Cow<'a, str>>,
    /// The conversation it belongs to; left out where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationEcho<'a>>,
    /// As asked for.
    pub prompt_cache_key: Option<Cow<'a, str>>,
    /// As asked for.
    pub prompt_cache_retention: Option<Cow<'a, str>>,
    /// As asked for.
    pub reasoning: ReasoningEcho<'a>,
    /// As asked for.
    pub safety_identifier: Option<Cow<'a, str>>,
    /// Tier that served it; before that, as asked for.
    pub service_tier: Option<Cow<'a, str>>,
    /// Whether it can be asked for again.
    pub store: bool,
    /// As asked for; null where the model's own default holds, which nobody knows.
    pub temperature: Option<f64>,
    /// As asked for.
    pub text: Cow<'a, RawValue>,
    /// As asked for.
    pub tool_choice: Cow<'a, RawValue>,
    /// As asked for.
    pub tools: Vec<Cow<'a, RawValue>>,
    /// As asked for.
    pub top_logprobs: u32,
    /// As asked for; null where the model's own default holds.
    pub top_p: Option<f64>,
    /// As asked for.
    pub truncation: Cow<'a, str>,
    /// Tokens; left out until they are known, for the schema knows no null here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<ResponseUsage>,
    /// As asked for; the schema knows no null here either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Cow<'a, str>>,
    /// Labels as asked for.
    pub metadata: Cow<'a, BTreeMap<String, String>>,
    /// Guardrail and prompt-router trace (not OpenAI's).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Cow<'a, Map<String, Value>>>,
}

impl fmt::Debug for ResponseObject<'_> {
    /// Shapes only: what was said stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseObject")
            .field("id", &self.id)
            .field("status", &self.status)
            .field("output", &self.output)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

/// How far a response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits for its turn in the background.
    Queued,
    /// Being written.
    InProgress,
    /// Whole.
    Completed,
    /// Cut off by a limit or a filter.
    Incomplete,
    /// Broken.
    Failed,
    /// Given up by the client.
    Cancelled,
}

impl Status {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Nothing will change any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::InProgress)
    }
}

/// Why a response failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseError<'a> {
    /// `server_error`, `rate_limit_exceeded`, `invalid_prompt`, ...
    pub code: Cow<'a, str>,
    /// For people, and for agents that parse it to recover.
    pub message: Cow<'a, str>,
}

/// Why a response is incomplete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncompleteDetails<'a> {
    /// `max_output_tokens` or `content_filter`.
    pub reason: Cow<'a, str>,
}

/// `conversation` of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationEcho<'a> {
    /// `conv_...`.
    pub id: Cow<'a, str>,
}

/// `reasoning` of a response.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasoningEcho<'a> {
    /// As asked for.
    pub effort: Option<Cow<'a, str>>,
    /// As asked for.
    pub summary: Option<Cow<'a, str>>,
}

/// Tokens used. Source: `ResponseUsage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseUsage {
    /// Input: uncached, cache reads and cache writes.
    pub input_tokens: u64,
    /// Of the input.
    pub input_tokens_details: UsageInput,
    /// Output, reasoning included.
    pub output_tokens: u64,
    /// Of the output.
    pub output_tokens_details: UsageOutput,
    /// Both.
    pub total_tokens: u64,
}

/// Parts of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageInput {
    /// Read from the prompt cache.
    pub cached_tokens: u64,
    /// Written to the prompt cache.
    pub cache_write_tokens: u64,
}

/// Parts of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageOutput {
    /// Spent on reasoning; zero where the model does not tell, for the schema insists on a number.
    pub reasoning_tokens: u64,
}
