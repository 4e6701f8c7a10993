//! The whole answer, with every member that the official Python client insists on when it validates strictly.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Answer to a request that does not stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatCompletion<'a> {
    /// `chatcmpl-...`.
    pub id: Cow<'a, str>,
    /// `chat.completion`.
    pub object: Cow<'a, str>,
    /// Unix seconds.
    pub created: u64,
    /// The model.
    pub model: Cow<'a, str>,
    /// One per answer asked for.
    pub choices: Vec<Choice<'a>>,
    /// Tokens of all choices together.
    pub usage: CompletionUsage,
    /// Tier that served it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<Cow<'a, str>>,
    /// Deprecated; always null.
    pub system_fingerprint: Option<Cow<'a, str>>,
    /// Guardrail and prompt-router traces, one per choice that has one (not OpenAI's).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<Map<String, Value>>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice<'a> {
    /// From 0.
    pub index: u32,
    /// What the model said.
    pub message: AnswerMessage<'a>,
    /// Always null.
    pub logprobs: Option<()>,
    /// `stop`, `length`, `tool_calls`, `content_filter`, `function_call`.
    pub finish_reason: Cow<'a, str>,
}

/// What the model said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerMessage<'a> {
    /// `assistant`.
    pub role: Cow<'a, str>,
    /// Text; null beside tool calls without text.
    pub content: Option<Cow<'a, str>>,
    /// Always null: Bedrock has no refusal text of its own.
    pub refusal: Option<Cow<'a, str>>,
    /// Sources of the text.
    #[serde(default)]
    pub annotations: Vec<Annotation<'a>>,
    /// Reasoning for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<Cow<'a, str>>,
    /// Reasoning for machines, with signatures: to be sent back as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasoning_details: Vec<ReasoningDetailOut<'a>>,
    /// Tool calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCallOut<'a>>,
    /// The legacy single call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function_call: Option<FunctionCallOut<'a>>,
}

/// A source of the text: only web addresses have a form in this API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Annotation<'a> {
    /// A web page.
    UrlCitation {
        /// The page.
        url_citation: UrlCitation<'a>,
    },
}

/// A web page that the text cites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlCitation<'a> {
    /// First character of the citing text, counted in code points.
    pub start_index: u64,
    /// After its last character.
    pub end_index: u64,
    /// Title; the address when there is none.
    pub title: Cow<'a, str>,
    /// Address.
    pub url: Cow<'a, str>,
}

/// One block of reasoning, OpenRouter's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ReasoningDetailOut<'a> {
    /// Readable.
    #[serde(rename = "reasoning.text")]
    Text {
        /// The text.
        text: Cow<'a, str>,
        /// The model's signature.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<Cow<'a, str>>,
        /// From 0.
        index: u32,
    },
    /// Encrypted.
    #[serde(rename = "reasoning.encrypted")]
    Encrypted {
        /// Base64.
        data: Cow<'a, str>,
        /// From 0.
        index: u32,
    },
}

/// A tool call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToolCallOut<'a> {
    /// Of a function.
    Function {
        /// Id.
        id: Cow<'a, str>,
        /// Name and arguments.
        function: FunctionCallOut<'a>,
    },
    /// Of a custom tool.
    Custom {
        /// Id.
        id: Cow<'a, str>,
        /// Name and text.
        custom: CustomCall<'a>,
    },
}

/// Name and arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCallOut<'a> {
    /// Name as the client knows it.
    pub name: Cow<'a, str>,
    /// JSON text.
    pub arguments: Cow<'a, str>,
}

/// Name and free text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomCall<'a> {
    /// Name as the client knows it.
    pub name: Cow<'a, str>,
    /// Free text.
    pub input: Cow<'a, str>,
}

/// Tokens used. Source: `CompletionUsage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionUsage {
    /// Input: uncached, cache reads and cache writes.
    pub prompt_tokens: u64,
    /// Output, reasoning included.
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// Of the input.
    pub prompt_tokens_details: PromptDetails,
    /// Of the output.
    pub completion_tokens_details: CompletionDetails,
}

/// Parts of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptDetails {
    /// Read from the prompt cache.
    pub cached_tokens: u64,
    /// Written to the prompt cache.
    pub cache_write_tokens: u64,
    /// Audio; Bedrock does not tell it apart.
    pub audio_tokens: u64,
}

/// Parts of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionDetails {
    /// Spent on reasoning; left out where the model does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// Audio; none.
    pub audio_tokens: u64,
    /// Predicted and used; none.
    pub accepted_prediction_tokens: u64,
    /// Predicted and not used; none.
    pub rejected_prediction_tokens: u64,
}
