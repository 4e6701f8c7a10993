//! The request body.

use std::fmt;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value, value::RawValue};

use crate::openai::{
    chat::{PromptCacheOptions, ResponseFormatParam, StreamOptions},
    loose::{TextOr, TextOrList, Whole},
};

/// `input`: the user's words, or items as the client wrote them.
pub type InputParam = TextOrList<Box<RawValue>>;

/// Body of `POST /v1/responses`, and of `/responses/input_tokens` and `/responses/compact`, which take fewer of the same
/// members. Nothing is required here: the translator says what is missing, by OpenAI's code for it. What the answer
/// repeats to the client (`tools`, `tool_choice`, `text`) stays raw beside the items.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ResponsesRequest {
    /// Programs of OpenAI's own that the caller belongs to.
    pub access_programs: Option<IgnoredAny>,
    /// Answer later: the client asks again.
    pub background: Option<bool>,
    /// Compaction by itself, once the context has grown so far.
    pub context_management: Option<Vec<ContextManagement>>,
    /// The conversation to go on with, and to add to.
    pub conversation: Option<ConversationParam>,
    /// How images of the context are kept.
    pub image: Option<IgnoredAny>,
    /// What the answer shall hold beyond the usual.
    pub include: Option<Vec<String>>,
    /// What is said.
    pub input: Option<InputParam>,
    /// Instructions for this answer alone.
    pub instructions: Option<String>,
    /// Most tokens to produce.
    pub max_output_tokens: Option<Whole>,
    /// Most calls of tools that the provider runs.
    pub max_tool_calls: Option<Whole>,
    /// Labels. Published as text to text; clients send more.
    pub metadata: Option<Map<String, Value>>,
    /// The model, by any name the caller knows.
    pub model: Option<String>,
    /// Moderation of input and output.
    pub moderation: Option<IgnoredAny>,
    /// Several tool calls at once.
    pub parallel_tool_calls: Option<bool>,
    /// The response to go on from.
    pub previous_response_id: Option<String>,
    /// A prompt that is kept at OpenAI.
    pub prompt: Option<IgnoredAny>,
    /// Cache routing key; words of sections switch caching on.
    pub prompt_cache_key: Option<String>,
    /// Cache mode and lifetime.
    pub prompt_cache_options: Option<PromptCacheOptions>,
    /// `in_memory` or `24h`; `5m` and `1h` with some clients.
    pub prompt_cache_retention: Option<String>,
    /// Reasoning wishes.
    pub reasoning: Option<ReasoningParam>,
    /// Hashed end user.
    pub safety_identifier: Option<String>,
    /// `auto`, `default`, `flex`, `scale`, `priority`, `fast`.
    pub service_tier: Option<String>,
    /// Keep the answer. True unless said otherwise.
    pub store: Option<bool>,
    /// Answer bit by bit.
    pub stream: Option<bool>,
    /// How to stream.
    pub stream_options: Option<StreamOptions>,
    /// 0..2.
    pub temperature: Option<f64>,
    /// Shape of the answer's text: a [`TextParam`].
    pub text: Option<Box<RawValue>>,
    /// Choice among `tools`: a [`super::ToolChoiceParam`].
    pub tool_choice: Option<Box<RawValue>>,
    /// Tools on offer: each a [`super::ToolParam`].
    pub tools: Option<Vec<Box<RawValue>>>,
    /// 0..20.
    pub top_logprobs: Option<Whole>,
    /// 0..1.
    pub top_p: Option<f64>,
    /// What to do when the context is full: `auto` or `disabled`.
    pub truncation: Option<String>,
    /// End user.
    pub user: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl fmt::Debug for ResponsesRequest {
    /// Shapes only: the caller's content stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = self.input.as_ref().map(|input| match input {
            TextOrList::Text(_) => 1,
            TextOrList::List(items) => items.len(),
        });
        f.debug_struct("ResponsesRequest")
            .field("model", &self.model)
            .field("items", &items)
            .field("tools", &self.tools.as_ref().map(Vec::len))
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// `conversation`: its id, bare or in an object.
pub type ConversationParam = TextOr<ConversationReference>;

/// `{id}`.
#[derive(Clone, Deserialize)]
pub struct ConversationReference {
    /// `conv_...`.
    #[serde(default)]
    pub id: Option<String>,
}

/// One entry of `context_management`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ContextManagement {
    /// `compaction`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Tokens from which on to compact.
    pub compact_threshold: Option<Whole>,
}

/// `reasoning`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ReasoningParam {
    /// `none` to `max`.
    pub effort: Option<String>,
    /// `auto`, `concise`, `detailed`.
    pub summary: Option<String>,
    /// The older name of `summary`.
    pub generate_summary: Option<String>,
    /// Which turns' reasoning the model sees: `auto`, `current_turn`, `all_turns`.
    pub context: Option<String>,
    /// `standard` or `pro`.
    pub mode: Option<String>,
    /// OpenRouter's: most tokens to think.
    pub max_tokens: Option<Whole>,
    /// OpenRouter's: on or off.
    pub enabled: Option<bool>,
    /// OpenRouter's: leave it out of the answer.
    pub exclude: Option<bool>,
}

/// `text`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct TextParam {
    /// `text`, `json_object`, `json_schema`; the schema's members stand flat beside `type`.
    pub format: Option<ResponseFormatParam>,
    /// `low`, `medium`, `high`.
    pub verbosity: Option<String>,
}
