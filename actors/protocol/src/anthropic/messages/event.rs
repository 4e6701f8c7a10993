//! Events of a streamed answer, as a client reads them.
//!
//! The gateway's own writer puts events together from prepared bytes; this form is for reading them: own-key upstreams,
//! and the tests that hold the writer to the schema.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The `data` of one event; its `type` is also the event's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum StreamEvent {
    /// First: the message without content.
    MessageStart {
        /// The message.
        message: StartedMessage,
    },
    /// Anywhere: the connection lives.
    Ping {},
    /// A block begins.
    ContentBlockStart {
        /// Its place among the blocks, from 0.
        index: u32,
        /// The block, empty.
        content_block: BlockStart,
    },
    /// A block grows.
    ContentBlockDelta {
        /// Its place.
        index: u32,
        /// What is added.
        delta: BlockDelta,
    },
    /// A block is complete.
    ContentBlockStop {
        /// Its place.
        index: u32,
    },
    /// The answer is complete.
    MessageDelta {
        /// Why it ended.
        delta: StopDelta,
        /// Tokens, cumulative.
        usage: EventUsage,
        /// Guardrail and prompt-router traces (not Anthropic's).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trace: Option<Map<String, Value>>,
    },
    /// Last.
    MessageStop {},
    /// Last, where the answer broke.
    Error {
        /// What went wrong: `type` and `message`.
        error: Map<String, Value>,
        /// The request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
    },
}

/// The message at the start of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartedMessage {
    /// `msg_...`.
    pub id: String,
    /// `message`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `assistant`.
    pub role: String,
    /// The model.
    pub model: String,
    /// Empty.
    pub content: Vec<Value>,
    /// Null.
    pub stop_reason: Option<String>,
    /// Null.
    pub stop_sequence: Option<String>,
    /// Tokens of the input, as far as known.
    pub usage: EventUsage,
}

/// A block at its start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum BlockStart {
    /// Text.
    Text {
        /// Empty.
        text: String,
    },
    /// Readable reasoning.
    Thinking {
        /// Empty.
        thinking: String,
        /// Empty.
        signature: String,
    },
    /// Encrypted reasoning, whole.
    RedactedThinking {
        /// Base64.
        data: String,
    },
    /// A tool call.
    ToolUse {
        /// Id.
        id: String,
        /// The tool.
        name: String,
        /// Empty.
        input: Map<String, Value>,
    },
}

/// What a block gains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum BlockDelta {
    /// Text.
    TextDelta {
        /// The text.
        text: String,
    },
    /// A fragment of a tool call's input.
    InputJsonDelta {
        /// JSON text.
        partial_json: String,
    },
    /// A source of the text.
    CitationsDelta {
        /// The source.
        citation: Map<String, Value>,
    },
    /// Reasoning.
    ThinkingDelta {
        /// The text.
        thinking: String,
    },
    /// The signature over the reasoning.
    SignatureDelta {
        /// Opaque.
        signature: String,
    },
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopDelta {
    /// `end_turn` and so on.
    pub stop_reason: Option<String>,
    /// The stop sequence that ended it.
    pub stop_sequence: Option<String>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_details: Option<Map<String, Value>>,
}

/// Tokens in an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventUsage {
    /// Uncached input.
    pub input_tokens: u64,
    /// Input written to the prompt cache.
    pub cache_creation_input_tokens: u64,
    /// Input read from the prompt cache.
    pub cache_read_input_tokens: u64,
    /// The writes by lifetime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_creation: Option<Map<String, Value>>,
    /// Output, thinking included.
    pub output_tokens: u64,
    /// Parts of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens_details: Option<Map<String, Value>>,
    /// Tier that served it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
}
