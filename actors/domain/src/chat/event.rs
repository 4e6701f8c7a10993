//! What a model answers, bit by bit.

use super::{Citation, ServiceTier, StopReason, ToolOrigin};
use crate::{json::JsonObject, usage::Usage};

/// One step of a streamed answer. Blocks are keyed by `index`, never by order of arrival; a text or
/// reasoning block may begin with its first delta.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// The model accepted the request.
    Started,
    /// A block begins.
    BlockStarted {
        /// Its index.
        index: u32,
        /// What it is.
        kind: BlockKind,
    },
    /// More text.
    Text {
        /// Block.
        index: u32,
        /// The text.
        text: String,
    },
    /// More of a tool call's JSON.
    ToolInput {
        /// Block.
        index: u32,
        /// A fragment of JSON text.
        fragment: String,
    },
    /// More reasoning.
    Reasoning {
        /// Block.
        index: u32,
        /// The text.
        text: String,
    },
    /// The reasoning block's signature.
    ReasoningSignature {
        /// Block.
        index: u32,
        /// Opaque.
        signature: String,
    },
    /// Encrypted reasoning.
    ReasoningRedacted {
        /// Block.
        index: u32,
        /// Base64.
        data: String,
    },
    /// More of what the provider's tool answered.
    ServerToolOutput {
        /// Block.
        index: u32,
        /// A fragment of text, or of JSON text.
        text: String,
    },
    /// A source of the text so far.
    Cited {
        /// Block.
        index: u32,
        /// The source.
        citation: Citation,
    },
    /// A block is complete.
    BlockStopped {
        /// Its index.
        index: u32,
    },
    /// The answer is complete.
    Stopped {
        /// Why.
        reason: StopReason,
        /// The stop sequence that ended it, where told.
        stop_sequence: Option<String>,
    },
    /// Tokens used; comes last.
    Finished {
        /// Tokens.
        usage: Usage,
        /// Tier that served it.
        service_tier: Option<ServiceTier>,
        /// Guardrail and prompt-router traces.
        trace: Option<JsonObject>,
    },
}

/// What a block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockKind {
    /// Text.
    Text,
    /// Reasoning.
    Reasoning,
    /// A tool call.
    ToolUse {
        /// Id.
        id: String,
        /// Name as the client knows it.
        name: String,
        /// Whose tool.
        origin: ToolOrigin,
    },
    /// A provider's tool answered in the assistant's turn; not shown to chat clients.
    ServerToolResult {
        /// Id of the call.
        id: String,
    },
}
