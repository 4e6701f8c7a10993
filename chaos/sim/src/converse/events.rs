//! The events of a streamed turn.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{
    Echo, json,
    shapes::{Metrics, Performance, PlainText, SERVER_TOOL, Tier, Trace, Usage, status},
};
use crate::{
    brain::{Block, Turn},
    draw::Stream,
    events::{Event, Events, Part, chunk},
    pace::Tempo,
    validate::Refusal,
};

#[derive(Serialize)]
struct MessageStart {
    role: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart<'a> {
    content_block_index: usize,
    start: Start<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Start<'a> {
    #[serde(rename_all = "camelCase")]
    ToolUse {
        tool_use_id: &'a str,
        name: &'a str,
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        kind: Option<&'static str>,
    },
    #[serde(rename_all = "camelCase")]
    ToolResult {
        tool_use_id: &'a str,
        #[serde(rename = "type")]
        kind: &'a str,
        status: &'static str,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta<'a> {
    content_block_index: usize,
    delta: Delta<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Delta<'a> {
    Text(&'a str),
    ToolUse { input: &'a str },
    ToolResult([PlainText<'a>; 1]),
    ReasoningContent(ReasoningDelta<'a>),
    Citation(&'a Value),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum ReasoningDelta<'a> {
    Text(&'a str),
    Signature(&'a str),
    RedactedContent(&'a str),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockStop {
    content_block_index: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageStop<'a> {
    stop_reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_model_response_fields: Option<&'a Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    usage: Usage,
    metrics: Metrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Trace<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    performance_config: Option<Performance<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<Tier<'a>>,
}

/// How the events of the Converse API reach the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Each as a frame of its own type.
    Typed,
    /// Each as a `chunk`, under its name: the native stream of Nova.
    Chunked,
}

/// All events of a turn, each with its pause. `echo.latency` is the time already spent.
pub(crate) fn turn_events(turn: &Turn, echo: &Echo<'_>, tempo: &mut Tempo, rng: &mut Stream) -> Result<Vec<Event>, Refusal> {
    let events = Events::new(echo.latency, echo.mark.as_deref(), tempo, rng);
    let mut telling = message_events(turn, events, Framing::Typed)?;
    let metadata = Metadata {
        usage: Usage::of(&turn.usage),
        metrics: Metrics::of(telling.waited()),
        trace: Trace::of(turn),
        performance_config: Performance::of(echo.performance),
        service_tier: Tier::of(turn),
    };
    telling.add("metadata", json(&metadata)?, Part::Usage(None));
    Ok(telling.finish())
}

/// The events of a turn up to `messageStop`.
pub(crate) fn message_events<'a>(turn: &Turn, events: Events<'a>, framing: Framing) -> Result<Events<'a>, Refusal> {
    let mut teller = Teller { events, framing };
    teller.push("messageStart", &MessageStart { role: "assistant" }, Part::Content)?;
    for (index, block) in turn.blocks.iter().enumerate() {
        teller.block(index, block)?;
        teller.push("contentBlockStop", &BlockStop { content_block_index: index }, Part::Content)?;
    }
    let stop = MessageStop { stop_reason: turn.stop_reason, additional_model_response_fields: turn.additional_response_fields.as_ref() };
    teller.push("messageStop", &stop, Part::Stop(None))?;
    Ok(teller.events)
}

struct Teller<'a> {
    events: Events<'a>,
    framing: Framing,
}

impl Teller<'_> {
    fn block(&mut self, index: usize, block: &Block) -> Result<(), Refusal> {
        match block {
            Block::Text(text) => self.text(index, text),
            Block::ToolUse { id, name, input } => {
                self.start(index, Start::ToolUse { tool_use_id: id, name, kind: None })?;
                self.arguments(index, input)
            }
            Block::SystemToolUse { id, name, input } => {
                self.start(index, Start::ToolUse { tool_use_id: id, name, kind: Some(SERVER_TOOL) })?;
                self.arguments(index, input)
            }
            Block::SystemToolResult { id, kind, text, failed } => {
                self.start(index, Start::ToolResult { tool_use_id: id, kind, status: status(*failed) })?;
                for (fragment, _) in self.events.text(text) {
                    self.delta(index, Delta::ToolResult([PlainText { text: &fragment }]), 0)?;
                }
                Ok(())
            }
            Block::Reasoning { text, signature } => self.reasoning(index, text, signature),
            Block::Redacted(content) => self.delta(index, Delta::ReasoningContent(ReasoningDelta::RedactedContent(content)), 0),
            Block::Cited { text, citations } => {
                if !text.is_empty() {
                    self.text(index, text)?;
                }
                for citation in citations.as_array().into_iter().flatten() {
                    self.delta(index, Delta::Citation(citation), 0)?;
                }
                Ok(())
            }
            // Converse has no member for it.
            Block::Native(_) => Ok(()),
        }
    }

    fn start(&mut self, content_block_index: usize, start: Start<'_>) -> Result<(), Refusal> {
        self.push("contentBlockStart", &BlockStart { content_block_index, start }, Part::Content)
    }

    fn text(&mut self, index: usize, text: &str) -> Result<(), Refusal> {
        for (fragment, words) in self.events.text(text) {
            self.delta(index, Delta::Text(&fragment), words)?;
        }
        Ok(())
    }

    fn arguments(&mut self, index: usize, input: &Value) -> Result<(), Refusal> {
        if self.events.leaves_out(input) {
            return Ok(());
        }
        // Often the first fragment is empty.
        if self.events.coin() {
            self.delta(index, Delta::ToolUse { input: "" }, 0)?;
        }
        for (fragment, words) in self.events.arguments(input) {
            self.delta(index, Delta::ToolUse { input: &fragment }, words)?;
        }
        Ok(())
    }

    /// Models that hide their reasoning send its signature alone, others sign nothing.
    fn reasoning(&mut self, index: usize, text: &str, signature: &str) -> Result<(), Refusal> {
        if !text.is_empty() {
            for (fragment, words) in self.events.text(text) {
                self.delta(index, Delta::ReasoningContent(ReasoningDelta::Text(&fragment)), words)?;
            }
        }
        if signature.is_empty() {
            return Ok(());
        }
        self.delta(index, Delta::ReasoningContent(ReasoningDelta::Signature(signature)), 0)
    }

    fn delta(&mut self, index: usize, delta: Delta<'_>, words: u32) -> Result<(), Refusal> {
        let payload = self.payload("contentBlockDelta", &BlockDelta { content_block_index: index, delta })?;
        let kind = self.kind("contentBlockDelta");
        self.events.add_delta(kind, payload, words);
        Ok(())
    }

    fn push(&mut self, kind: &'static str, payload: &impl Serialize, part: Part) -> Result<(), Refusal> {
        let payload = self.payload(kind, payload)?;
        let kind = self.kind(kind);
        self.events.add(kind, payload, part);
        Ok(())
    }

    fn kind(&self, kind: &'static str) -> &'static str {
        if self.framing == Framing::Chunked { "chunk" } else { kind }
    }

    fn payload(&self, kind: &str, payload: &impl Serialize) -> Result<Vec<u8>, Refusal> {
        match self.framing {
            Framing::Typed => json(payload),
            Framing::Chunked => Ok(chunk(&json(&BTreeMap::from([(kind, payload)]))?)),
        }
    }
}
