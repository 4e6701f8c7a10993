//! Reads the events of a ConverseStream answer.
//!
//! Converse opens no text and reasoning blocks and may interleave blocks; hub blocks are opened by their first delta, numbered in
//! the order they open, and closed exactly once. `messageStop` is held until the tokens are known.

use outcrop_domain::{
    chat::{BlockKind, ChatEvent, ReasoningVisibility, ServiceTier, StopReason, ToolOrigin},
    error::{Cause, UpstreamFailure},
    json::{JsonObject, JsonText},
    usage::Usage,
};
use outcrop_protocol::bedrock::converse::{AnswerCitation, AnswerToolResultContent, AnswerToolUse, ReasoningDelta};
use outcrop_protocol::bedrock::converse::{BlockDeltaEvent, BlockStartEvent, BlockStopEvent, MessageStopEvent, MetadataEvent};
use serde::Deserialize;

use super::{
    answer,
    context::{ReplyContext, ToolCalls},
    response::{format_answer, withheld_text},
    resume::Seam,
    tags::{Piece, TagLifter, TagState},
};

mod held;
mod replay;
mod resumed;
mod sources;
#[cfg(test)]
mod tests;

pub use replay::replay;

/// Reads one streamed answer, event by event.
#[derive(Debug, Default, Clone)]
pub struct StreamReader {
    context: ReplyContext,
    /// Blocks that Converse has begun and not ended. Nearly always none or one.
    open: Vec<Block>,
    next_index: u32,
    /// A text whose end is told later: its sources may come in a block behind it.
    ended: Option<u32>,
    /// Text that may be chatter around the answer of a format tool.
    held: Vec<ChatEvent>,
    seen: Seen,
    stop: Option<Stop>,
    /// In a box: it comes last.
    metadata: Option<Box<Metadata>>,
    finished: Option<StreamEnd>,
    /// Bytes of text, tool calls and reasoning that the model wrote, shown to the client or not.
    produced: u64,
    /// Set while another call goes on with the answer.
    seam: Option<Box<Seam>>,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// With everything told.
    Complete,
    /// Without the tokens: zeros were reported, and the call must be metered by other means.
    UsageMissing,
}

/// What the answer held so far.
#[derive(Debug, Default, Clone)]
struct Seen {
    text: bool,
    calls: bool,
    /// Bedrock ran a tool of its own.
    server_calls: bool,
    /// A call of the format tool has begun: the answer.
    answer: bool,
    withheld: Option<String>,
}

#[derive(Debug, Clone)]
struct Stop {
    reason: StopReason,
    sequence: Option<String>,
    thinking_tokens: Option<u64>,
}

#[derive(Debug, Clone)]
struct Metadata {
    usage: Option<Usage>,
    service_tier: Option<ServiceTier>,
    trace: Option<JsonObject>,
}

/// A block as Converse counts it.
#[derive(Debug, Clone)]
struct Block {
    wire_index: u32,
    state: BlockState,
}

#[derive(Debug, Clone)]
enum BlockState {
    /// Text and reasoning: the hub block that is open, and how far the tags are.
    Prose { open: Option<(u32, Prose)>, tags: TagState },
    /// A tool call that the client sees.
    Call { index: u32, empty: bool },
    /// The call that is the answer.
    Answer { index: u32, empty: bool, buffered: Option<String> },
    /// A result of a tool that Bedrock ran.
    ServerResult { index: u32 },
    /// Nothing that is passed on.
    Skipped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prose {
    Text,
    Reasoning,
}

impl StreamReader {
    /// A reader for the answer of the call that `context` belongs to.
    #[must_use]
    pub fn new(context: ReplyContext) -> Self {
        Self { context, ..Self::default() }
    }

    /// Bytes of text, tool calls and reasoning that the model has written so far, shown to the client or not: what a
    /// stream that is cut is metered by.
    #[must_use]
    pub fn produced_bytes(&self) -> u64 {
        self.produced
    }

    /// True once the answer is complete and its tokens are told: whatever the connection does after that changes nothing.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    /// Reads one event and appends what it means to `out`. Unknown events mean nothing.
    ///
    /// # Errors
    /// [`Cause::Malformed`] when the payload of a known event cannot be read.
    pub fn read(&mut self, event_type: &str, payload: &[u8], out: &mut Vec<ChatEvent>) -> Result<(), UpstreamFailure> {
        match event_type {
            "contentBlockDelta" => self.on_delta(parse(event_type, payload)?, out),
            "contentBlockStart" => self.on_start(parse(event_type, payload)?, out),
            "contentBlockStop" => {
                let event: BlockStopEvent = parse(event_type, payload)?;
                self.close(event.content_block_index, out);
            }
            // The client knows that its answer has begun.
            "messageStart" if self.seam.is_some() => {}
            "messageStart" => out.push(ChatEvent::Started),
            "messageStop" => self.on_message_stop(parse(event_type, payload)?, out),
            "metadata" => self.on_metadata(parse(event_type, payload)?, out),
            _ => {}
        }
        Ok(())
    }

    /// Ends the answer when the connection ended.
    ///
    /// # Errors
    /// [`Cause::BrokenStream`] when the model had not said that it was done: the answer is truncated.
    pub fn end(&mut self, out: &mut Vec<ChatEvent>) -> Result<StreamEnd, UpstreamFailure> {
        if let Some(end) = self.finished {
            return Ok(end);
        }
        if self.stop.is_none() {
            let message = "the stream ended before the model had finished its answer".to_owned();
            return Err(answer::failure(Cause::BrokenStream, "TruncatedStream", message));
        }
        self.on_metadata(MetadataEvent::default(), out);
        Ok(StreamEnd::UsageMissing)
    }

    fn on_start(&mut self, event: BlockStartEvent, out: &mut Vec<ChatEvent>) {
        let wire_index = event.content_block_index;
        self.close(wire_index, out);
        let state = if let Some(call) = event.start.tool_use {
            self.start_call(call, out)
        } else if let Some(result) = event.start.tool_result {
            let index = self.start(BlockKind::ServerToolResult { id: result.tool_use_id }, out);
            BlockState::ServerResult { index }
        } else if event.start.image.is_some() {
            BlockState::Skipped
        } else {
            // Something newer than this code, or a text block that says so: its deltas tell.
            return;
        };
        self.open.push(Block { wire_index, state });
    }

    fn start_call(&mut self, call: AnswerToolUse, out: &mut Vec<ChatEvent>) -> BlockState {
        if let Some(tool) = self.context.format_tool.as_ref().filter(|tool| tool.name == call.name) {
            let buffered = tool.wrapped.then(String::new);
            if std::mem::replace(&mut self.seen.answer, true) {
                return BlockState::Skipped;
            }
            self.discard_held();
            self.seen.text = true;
            let index = self.start(BlockKind::Text, out);
            return BlockState::Answer { index, empty: true, buffered };
        }
        let server = call.kind.is_some();
        let name = self.context.client_name(call.name);
        if !server && self.context.tool_calls == ToolCalls::Withheld {
            self.seen.withheld = Some(name);
            return BlockState::Skipped;
        }
        if !server {
            self.seen.calls = true;
            self.release(out);
        }
        self.seen.server_calls |= server;
        let origin = if server { ToolOrigin::Server } else { ToolOrigin::Client };
        let index = self.start(BlockKind::ToolUse { id: call.tool_use_id, name, origin }, out);
        BlockState::Call { index, empty: true }
    }

    fn on_delta(&mut self, event: BlockDeltaEvent, out: &mut Vec<ChatEvent>) {
        let wire_index = event.content_block_index;
        let delta = event.delta;
        if let Some(text) = delta.text {
            self.wrote(&text);
            self.on_text(wire_index, text, out);
        } else if let Some(input) = delta.tool_use {
            self.wrote(&input.input);
            self.on_tool_input(wire_index, input.input, out);
        } else if let Some(reasoning) = delta.reasoning_content {
            self.wrote(reasoning.text.as_deref().or(reasoning.redacted_content.as_deref()).unwrap_or_default());
            self.on_reasoning(wire_index, reasoning, out);
        } else if let Some(parts) = delta.tool_result {
            self.on_tool_result(wire_index, parts, out);
        } else if let Some(citation) = delta.citation {
            self.on_citation(wire_index, citation, out);
        }
    }

    fn wrote(&mut self, text: &str) {
        self.produced = self.produced.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
    }

    fn on_text(&mut self, wire_index: u32, mut text: String, out: &mut Vec<ChatEvent>) {
        if let Some(seam) = &mut self.seam {
            text = seam.join(text);
        }
        if text.is_empty() {
            return;
        }
        if self.context.reasoning_tags.is_empty() {
            self.prose(wire_index, Prose::Text, text, out);
            return;
        }
        let Some(BlockState::Prose { tags, .. }) = self.prose_block(wire_index) else { return };
        let state = std::mem::take(tags);
        let mut pieces = Vec::new();
        let mut lifter = TagLifter::new(&self.context.reasoning_tags, state);
        lifter.push(text, |piece| pieces.push(piece));
        let state = lifter.into_state();
        if let Some(BlockState::Prose { tags, .. }) = self.state_mut(wire_index) {
            *tags = state;
        }
        self.pieces(wire_index, pieces, out);
    }

    fn pieces(&mut self, wire_index: u32, pieces: Vec<Piece>, out: &mut Vec<ChatEvent>) {
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.prose(wire_index, Prose::Text, text, out),
                Piece::Reasoning(text) if self.shows_reasoning() => self.prose(wire_index, Prose::Reasoning, text, out),
                Piece::Reasoning(_) => {}
            }
        }
    }

    /// Passes text or reasoning on, in a hub block of its kind.
    fn prose(&mut self, wire_index: u32, kind: Prose, text: String, out: &mut Vec<ChatEvent>) {
        if kind == Prose::Text && self.seen.answer {
            return;
        }
        let Some(index) = self.prose_index(wire_index, kind, out) else { return };
        match kind {
            Prose::Text => {
                self.seen.text = true;
                self.emit_text(ChatEvent::Text { index, text }, out);
            }
            Prose::Reasoning => out.push(ChatEvent::Reasoning { index, text }),
        }
    }

    /// The open hub block of that kind, begun when there is none; `None` when the block is no prose.
    fn prose_index(&mut self, wire_index: u32, kind: Prose, out: &mut Vec<ChatEvent>) -> Option<u32> {
        let Some(BlockState::Prose { open, .. }) = self.prose_block(wire_index) else { return None };
        if let Some((index, _)) = open.filter(|(_, open)| *open == kind) {
            return Some(index);
        }
        let before = open.take();
        if let Some((index, kind)) = before {
            self.stop_prose(index, kind, out);
        }
        self.tell_ended(out);
        let index = self.next_index;
        self.next_index += 1;
        match kind {
            Prose::Text => self.emit_text(ChatEvent::BlockStarted { index, kind: BlockKind::Text }, out),
            Prose::Reasoning => out.push(ChatEvent::BlockStarted { index, kind: BlockKind::Reasoning }),
        }
        if let Some(BlockState::Prose { open, .. }) = self.state_mut(wire_index) {
            *open = Some((index, kind));
        }
        Some(index)
    }

    fn on_reasoning(&mut self, wire_index: u32, delta: ReasoningDelta, out: &mut Vec<ChatEvent>) {
        if let Some(text) = delta.text.filter(|text| !text.is_empty() && self.shows_reasoning()) {
            self.prose(wire_index, Prose::Reasoning, text, out);
        }
        // A signature may come without any text: the block lives all the same.
        if let Some(signature) = delta.signature.filter(|signature| !signature.is_empty())
            && let Some(index) = self.prose_index(wire_index, Prose::Reasoning, out)
        {
            out.push(ChatEvent::ReasoningSignature { index, signature });
        }
        if let Some(data) = delta.redacted_content
            && let Some(index) = self.prose_index(wire_index, Prose::Reasoning, out)
        {
            out.push(ChatEvent::ReasoningRedacted { index, data });
        }
    }

    fn on_tool_input(&mut self, wire_index: u32, fragment: String, out: &mut Vec<ChatEvent>) {
        if fragment.is_empty() {
            return;
        }
        let Some(block) = self.open.iter_mut().find(|block| block.wire_index == wire_index) else { return };
        match &mut block.state {
            BlockState::Call { index, empty } => {
                *empty = false;
                out.push(ChatEvent::ToolInput { index: *index, fragment });
            }
            BlockState::Answer { buffered: Some(buffered), empty, .. } => {
                *empty = false;
                buffered.push_str(&fragment);
            }
            BlockState::Answer { index, empty, .. } => {
                *empty = false;
                out.push(ChatEvent::Text { index: *index, text: fragment });
            }
            BlockState::Prose { .. } | BlockState::ServerResult { .. } | BlockState::Skipped => {}
        }
    }

    /// The model did not write it: it does not count as produced.
    fn on_tool_result(&mut self, wire_index: u32, parts: Vec<AnswerToolResultContent>, out: &mut Vec<ChatEvent>) {
        let Some(BlockState::ServerResult { index }) = self.state_mut(wire_index) else { return };
        let index = *index;
        let texts = parts.into_iter().filter_map(|part| part.text.or_else(|| part.json.map(|json| json.get().to_owned())));
        out.extend(texts.map(|text| ChatEvent::ServerToolOutput { index, text }));
    }

    fn on_citation(&mut self, wire_index: u32, citation: AnswerCitation, out: &mut Vec<ChatEvent>) {
        if self.seen.answer {
            return;
        }
        if let Some(index) = self.cited_text(wire_index).or_else(|| self.prose_index(wire_index, Prose::Text, out)) {
            self.emit_text(ChatEvent::Cited { index, citation: answer::citation(citation) }, out);
        }
    }

    fn on_message_stop(&mut self, event: MessageStopEvent, out: &mut Vec<ChatEvent>) {
        while let Some(wire_index) = self.open.first().map(|block| block.wire_index) {
            self.close(wire_index, out);
        }
        self.tell_ended(out);
        self.release(out);
        if let Some(tool) = self.seen.withheld.take().filter(|_| !self.seen.text) {
            let index = self.start(BlockKind::Text, out);
            out.push(ChatEvent::Text { index, text: withheld_text(&tool) });
            out.push(ChatEvent::BlockStopped { index });
        }
        let fields = event.additional_model_response_fields;
        let thinking_tokens = fields.as_ref().and_then(answer::thinking_tokens);
        let reason = answer::stop_with_calls(answer::stop_reason(&event.stop_reason), self.seen.calls);
        let sequence = self.context.stop_sequence(reason, fields.and_then(|fields| fields.stop_sequence));
        self.stop = Some(Stop { reason, sequence, thinking_tokens });
        if self.metadata.is_some() {
            self.finish(out);
        }
    }

    fn on_metadata(&mut self, event: MetadataEvent, out: &mut Vec<ChatEvent>) {
        self.metadata = Some(Box::new(Metadata {
            usage: event.usage.map(|usage| answer::usage(&usage, None)),
            service_tier: answer::service_tier(event.service_tier),
            trace: event.trace,
        }));
        if self.stop.is_some() {
            self.finish(out);
        }
    }

    fn finish(&mut self, out: &mut Vec<ChatEvent>) {
        if self.finished.is_some() {
            return;
        }
        if let (Some(stop), Some(metadata)) = (self.stop.take(), self.metadata.take()) {
            self.finished = Some(if metadata.usage.is_some() { StreamEnd::Complete } else { StreamEnd::UsageMissing });
            let usage = Usage { reasoning: stop.thinking_tokens, ..metadata.usage.unwrap_or_default() };
            out.push(ChatEvent::Stopped { reason: stop.reason, stop_sequence: stop.sequence });
            out.push(ChatEvent::Finished { usage, service_tier: metadata.service_tier, trace: metadata.trace });
        }
    }

    fn close(&mut self, wire_index: u32, out: &mut Vec<ChatEvent>) {
        if let Some(BlockState::Prose { tags, .. }) = self.state_mut(wire_index) {
            let state = std::mem::take(tags);
            let mut pieces = Vec::new();
            TagLifter::new(&self.context.reasoning_tags, state).finish(|piece| pieces.push(piece));
            self.pieces(wire_index, pieces, out);
        }
        let Some(position) = self.open.iter().position(|block| block.wire_index == wire_index) else { return };
        match self.open.remove(position).state {
            BlockState::Prose { open: Some((index, kind)), .. } => self.stop_prose(index, kind, out),
            BlockState::Call { index, empty } => {
                if empty {
                    out.push(ChatEvent::ToolInput { index, fragment: "{}".to_owned() });
                }
                out.push(ChatEvent::BlockStopped { index });
            }
            BlockState::Answer { index, empty, buffered } => {
                let rest = if empty { Some("{}".to_owned()) } else { buffered.map(|text| self.unwrapped(text)) };
                out.extend(rest.map(|text| ChatEvent::Text { index, text }));
                out.push(ChatEvent::BlockStopped { index });
            }
            BlockState::ServerResult { index } => out.push(ChatEvent::BlockStopped { index }),
            BlockState::Prose { open: None, .. } | BlockState::Skipped => {}
        }
    }

    /// The answer inside the arguments of the format tool, or the arguments when they are not what was asked for.
    fn unwrapped(&self, arguments: String) -> String {
        match (&self.context.format_tool, JsonText::parse(arguments.clone())) {
            (Some(tool), Ok(input)) => format_answer(tool, &input),
            _ => arguments,
        }
    }

    fn start(&mut self, kind: BlockKind, out: &mut Vec<ChatEvent>) -> u32 {
        self.tell_ended(out);
        let index = self.next_index;
        self.next_index += 1;
        out.push(ChatEvent::BlockStarted { index, kind });
        index
    }

    fn stop_prose(&mut self, index: u32, kind: Prose, out: &mut Vec<ChatEvent>) {
        match kind {
            Prose::Text => self.end_text(index, out),
            Prose::Reasoning => out.push(ChatEvent::BlockStopped { index }),
        }
    }

    fn shows_reasoning(&self) -> bool {
        self.context.reasoning == ReasoningVisibility::Shown
    }

    /// The block of that index; one that Converse did not announce is text or reasoning.
    fn prose_block(&mut self, wire_index: u32) -> Option<&mut BlockState> {
        if !self.open.iter().any(|block| block.wire_index == wire_index) {
            self.open.push(Block { wire_index, state: BlockState::Prose { open: None, tags: TagState::default() } });
        }
        self.state_mut(wire_index)
    }

    fn state_mut(&mut self, wire_index: u32) -> Option<&mut BlockState> {
        self.open.iter_mut().find(|block| block.wire_index == wire_index).map(|block| &mut block.state)
    }
}

fn parse<'p, T: Deserialize<'p>>(event_type: &str, payload: &'p [u8]) -> Result<T, UpstreamFailure> {
    serde_json::from_slice(payload).map_err(|error| answer::malformed(&format!("the stream event {event_type}"), &error))
}
