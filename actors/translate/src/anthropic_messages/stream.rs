//! Hub events -> Anthropic's server-sent events, as bytes.
//!
//! Anthropic's blocks come one after another, numbered from 0 without gaps, each begun and ended exactly once. Hub blocks
//! may interleave and be hidden: the one that is under way is passed on as it comes, and what others gain meanwhile is
//! kept until it ends. A text delta costs one copy and the escaping.

mod blocks;
mod bytes;

use outcrop_domain::{
    chat::{BlockKind, ChatEvent, ServiceTier, StopReason, ToolOrigin},
    error::GatewayError,
    json::JsonObject,
    usage::Usage,
};

use super::{RenderMeta, stop, usage::message_usage};
use crate::errors;
use blocks::{Blocks, Visible};

/// Event of silence: it keeps proxies and watchdogs from closing a connection that waits for the model. Clients skip it
/// wherever it stands.
pub const PING: &[u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";

/// Writes one streamed answer. Give it the events, then [`MessageWriter::finish`], or [`MessageWriter::fail`] where the
/// answer broke: one of them ends the stream, with `message_stop` or with an error. After either it writes nothing more.
pub struct MessageWriter {
    /// What `message_start` says, until it was written: a stream may last an hour, and thousands may be open.
    start: Option<Box<Start>>,
    request_id: Option<Box<str>>,
    ended: bool,
    /// The answer came in this dialect already.
    passed: bool,
    blocks: Blocks,
    stop: Option<Box<Stop>>,
    usage: Usage,
    service_tier: Option<ServiceTier>,
}

struct Start {
    meta: RenderMeta,
    known_input: u64,
}

/// Why the answer ended; held until its tokens are told.
struct Stop {
    reason: StopReason,
    sequence: Option<String>,
}

impl MessageWriter {
    /// A writer for an answer. `known_input` are the tokens of its input where the caller knows them: clients show the
    /// number of `message_start`, and Bedrock tells it only at the end.
    #[must_use]
    pub fn new(mut meta: RenderMeta, known_input: Option<u64>) -> Self {
        let request_id = meta.request_id.take().map(String::into_boxed_str);
        Self {
            start: Some(Box::new(Start { meta, known_input: known_input.unwrap_or(0) })),
            request_id,
            ended: false,
            passed: false,
            blocks: Blocks::default(),
            stop: None,
            usage: Usage::default(),
            service_tier: None,
        }
    }

    /// Writes what `event` means to the client; nothing for events it does not see.
    pub fn write(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        self.begin(out);
        match event {
            ChatEvent::Started | ChatEvent::ServerToolOutput { .. } => {}
            ChatEvent::BlockStarted { index, kind } => match kind {
                BlockKind::Text | BlockKind::Reasoning => self.blocks.expect(*index),
                BlockKind::ToolUse { id, name, origin: ToolOrigin::Client } => {
                    self.blocks.visible(*index, Visible::Call { id, name }, out);
                }
                BlockKind::ToolUse { origin: ToolOrigin::Server, .. } | BlockKind::ServerToolResult { .. } => self.blocks.hide(*index),
            },
            ChatEvent::Text { text, .. } | ChatEvent::Reasoning { text, .. } if text.is_empty() => {}
            ChatEvent::Text { index, text } => self.blocks.visible(*index, Visible::Text(text), out),
            ChatEvent::Reasoning { index, text } => self.blocks.visible(*index, Visible::Thinking(text), out),
            ChatEvent::ReasoningSignature { index, signature } => self.blocks.visible(*index, Visible::Signature(signature), out),
            ChatEvent::ReasoningRedacted { index, data } => self.blocks.visible(*index, Visible::Redacted(data), out),
            ChatEvent::ToolInput { fragment, .. } if fragment.is_empty() => {}
            ChatEvent::ToolInput { index, fragment } => self.blocks.visible(*index, Visible::Input(fragment), out),
            ChatEvent::Cited { index, citation } => self.blocks.visible(*index, Visible::Source(citation), out),
            ChatEvent::BlockStopped { index } => self.blocks.stopped(*index, out),
            ChatEvent::Stopped { reason, stop_sequence } => {
                self.blocks.close_all(out);
                self.stop = Some(Box::new(Stop { reason: *reason, sequence: stop_sequence.clone() }));
            }
            ChatEvent::Finished { usage, service_tier, trace } => {
                self.usage.merge_max(usage);
                self.service_tier = self.service_tier.or(*service_tier);
                if self.stop.is_some() {
                    self.complete(trace.as_ref(), out);
                }
            }
        }
    }

    /// The answer comes from elsewhere and in this dialect already: what is left to write is the error of one that broke.
    pub fn passed(&mut self) {
        self.passed = true;
        self.start = None;
    }

    /// Ends a broken answer: one `error` event, so that nobody takes it for whole.
    pub fn fail(&mut self, error: &GatewayError, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        self.ended = true;
        bytes::push_error(out, &errors::anthropic::reply(error, self.request_id.as_deref()).body);
    }

    /// Ends the answer. One that never stopped is a broken one: the error is written instead.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match &self.stop {
            _ if self.ended || self.passed => {}
            Some(_) => self.complete(None, out),
            None => self.fail(&errors::incomplete_stream(), out),
        }
    }

    /// Tokens told so far.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// `message_start`, once.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(start) = self.start.take() {
            bytes::push_message_start(out, &start.meta, start.known_input);
        }
    }

    /// `message_delta` and `message_stop`.
    fn complete(&mut self, trace: Option<&JsonObject>, out: &mut Vec<u8>) {
        let Some(stop) = self.stop.take() else { return };
        self.begin(out);
        self.blocks.close_all(out);
        let reason = stop::reason(stop.reason, self.blocks.has_calls());
        let usage = message_usage(&self.usage, self.service_tier);
        bytes::push_message_end(out, (reason, stop.sequence.as_deref(), stop::details(stop.reason)), &usage, trace);
        self.ended = true;
    }
}

#[cfg(test)]
mod tests;
