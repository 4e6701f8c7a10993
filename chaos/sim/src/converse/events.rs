//! The events of a streamed turn.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::Value;

use super::{
    Echo, fragments, json,
    shapes::{Metrics, Performance, Tier, Trace, Usage},
};
use crate::{
    brain::{Block, Turn},
    draw::Stream,
    pace::Tempo,
    validate::Refusal,
};

/// AWS pads events with a prefix of these characters, so that their size does not betray their text.
const PADDING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// One event before it is framed.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// `:event-type`.
    pub(crate) kind: &'static str,
    /// JSON.
    pub(crate) payload: Vec<u8>,
    /// Pause before it.
    pub(crate) wait: Duration,
    /// Whether it carries output that is paid for.
    pub(crate) delta: bool,
    /// Watermarks that end in it.
    pub(crate) words: u32,
}

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
    ToolUse { tool_use_id: &'a str, name: &'a str },
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

#[derive(Serialize)]
struct Chunk {
    bytes: String,
}

/// All events of a turn, each with its pause. `echo.latency` is the time already spent.
pub(crate) fn turn_events(turn: &Turn, echo: &Echo<'_>, tempo: &mut Tempo, rng: &mut Stream) -> Result<Vec<Event>, Refusal> {
    let mut events = Events { list: Vec::new(), waited: echo.latency, mark: echo.mark.as_deref(), tempo, rng };
    events.push("messageStart", &MessageStart { role: "assistant" })?;
    for (index, block) in turn.blocks.iter().enumerate() {
        events.block(index, block)?;
        events.push("contentBlockStop", &BlockStop { content_block_index: index })?;
    }
    let stop = MessageStop { stop_reason: turn.stop_reason, additional_model_response_fields: turn.additional_response_fields.as_ref() };
    events.push("messageStop", &stop)?;
    let metadata = Metadata {
        usage: Usage::of(&turn.usage),
        metrics: Metrics::of(events.waited),
        trace: Trace::of(turn),
        performance_config: Performance::of(echo.performance),
        service_tier: Tier::of(turn),
    };
    events.push("metadata", &metadata)?;
    Ok(events.list)
}

/// The events of a model-native stream: each text as one `chunk`.
pub(crate) fn chunk_events(chunks: &[String], tempo: &mut Tempo, rng: &mut Stream) -> Result<Vec<Event>, Refusal> {
    let mut events = Events { list: Vec::new(), waited: Duration::ZERO, mark: None, tempo, rng };
    for chunk in chunks {
        events.paced("chunk", &Chunk { bytes: STANDARD.encode(chunk) })?;
    }
    Ok(events.list)
}

struct Events<'a> {
    list: Vec<Event>,
    waited: Duration,
    mark: Option<&'a str>,
    tempo: &'a mut Tempo,
    rng: &'a mut Stream,
}

impl Events<'_> {
    fn block(&mut self, index: usize, block: &Block) -> Result<(), Refusal> {
        match block {
            Block::Text(text) => self.text(index, text),
            Block::ToolUse { id, name, input } => {
                let start = Start::ToolUse { tool_use_id: id, name };
                self.push("contentBlockStart", &BlockStart { content_block_index: index, start })?;
                self.tool_input(index, input)
            }
            Block::Reasoning { text, signature } => self.reasoning(index, text, signature),
            Block::Redacted(content) => self.delta(index, Delta::ReasoningContent(ReasoningDelta::RedactedContent(content))),
            Block::Cited { text, citations } => {
                self.text(index, text)?;
                for citation in citations.as_array().into_iter().flatten() {
                    self.delta(index, Delta::Citation(citation))?;
                }
                Ok(())
            }
        }
    }

    fn text(&mut self, index: usize, text: &str) -> Result<(), Refusal> {
        for (fragment, words) in self.fragments(text) {
            self.marked_delta(index, Delta::Text(&fragment), words)?;
        }
        Ok(())
    }

    /// Models that hide their reasoning send its signature alone, others sign nothing.
    fn reasoning(&mut self, index: usize, text: &str, signature: &str) -> Result<(), Refusal> {
        if !text.is_empty() {
            for (fragment, words) in self.fragments(text) {
                self.marked_delta(index, Delta::ReasoningContent(ReasoningDelta::Text(&fragment)), words)?;
            }
        }
        if signature.is_empty() {
            return Ok(());
        }
        self.delta(index, Delta::ReasoningContent(ReasoningDelta::Signature(signature)))
    }

    fn tool_input(&mut self, index: usize, input: &Value) -> Result<(), Refusal> {
        // Without arguments AWS may send no delta at all.
        if input.as_object().is_some_and(serde_json::Map::is_empty) && self.rng.bool() {
            return Ok(());
        }
        // Often the first fragment is empty.
        if self.rng.bool() {
            self.delta(index, Delta::ToolUse { input: "" })?;
        }
        let fragments = fragments::json(&input.to_string(), self.rng);
        for (fragment, words) in fragments::with_marks(fragments, self.mark) {
            self.marked_delta(index, Delta::ToolUse { input: &fragment }, words)?;
        }
        Ok(())
    }

    /// A text in fragments, each with the number of watermarks that end in it.
    fn fragments(&mut self, text: &str) -> Vec<(String, u32)> {
        let fragments = if self.mark.is_some() { fragments::single_words(text) } else { fragments::words(text, self.rng) };
        fragments::with_marks(fragments, self.mark)
    }

    fn marked_delta(&mut self, index: usize, delta: Delta<'_>, words: u32) -> Result<(), Refusal> {
        self.delta(index, delta)?;
        if let Some(event) = self.list.last_mut() {
            event.words = words;
        }
        Ok(())
    }

    fn delta(&mut self, index: usize, delta: Delta<'_>) -> Result<(), Refusal> {
        self.paced("contentBlockDelta", &BlockDelta { content_block_index: index, delta })
    }

    fn paced(&mut self, kind: &'static str, payload: &impl Serialize) -> Result<(), Refusal> {
        let wait = self.tempo.delta();
        self.waited += wait;
        self.push(kind, payload)?;
        if let Some(event) = self.list.last_mut() {
            event.wait = wait;
            event.delta = true;
        }
        Ok(())
    }

    fn push(&mut self, kind: &'static str, payload: &impl Serialize) -> Result<(), Refusal> {
        let payload = padded(json(payload)?, self.rng);
        self.list.push(Event { kind, payload, wait: Duration::ZERO, delta: false, words: 0 });
        Ok(())
    }
}

/// Adds the member `p` with a random part of the padding to a JSON object.
fn padded(mut object: Vec<u8>, rng: &mut Stream) -> Vec<u8> {
    let padding = PADDING.get(..rng.within(1..=PADDING.len())).unwrap_or(PADDING);
    if object.last() == Some(&b'}') {
        object.pop();
        object.extend_from_slice(b",\"p\":\"");
        object.extend_from_slice(padding.as_bytes());
        object.extend_from_slice(b"\"}");
    }
    object
}
