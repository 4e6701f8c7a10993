//! Hub events -> `chat.completion.chunk` events, as bytes.
//!
//! One chunk per delta (clients count them), written from prepared bytes into the caller's buffer: a text delta
//! costs one copy and the escaping.

mod delta;

use outcrop_domain::{
    chat::{BlockKind, ChatEvent, ReasoningVisibility, ServiceTier},
    error::GatewayError,
    json::JsonObject,
    usage::Usage,
};

use super::{AnswerShape, RenderMeta, shape::finish_reason, usage::completion_usage};
use crate::{
    dialect::json::{push_number, push_string},
    errors,
};
use delta::{
    Begun, ChoiceState, Detail, Frame, chunk, close_calls, push_member, push_next, push_optional, push_tier, start_call, write_citation,
    write_detail, write_reasoning, write_text, write_tool_input,
};

/// Whether the client asked for the usage chunk (`stream_options.include_usage`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UsageChunk {
    /// Sent before `[DONE]`; all other chunks carry `usage: null`.
    Sent,
    /// Not sent.
    #[default]
    Omitted,
}

/// Writes one streamed answer. Give it the events of every choice, then [`ChunkWriter::finish`], or
/// [`ChunkWriter::fail`] where the answer broke. After either it writes nothing more.
pub struct ChunkWriter {
    shape: AnswerShape,
    usage_chunk: UsageChunk,
    frame: Frame,
    choices: Vec<ChoiceState>,
    usage: Usage,
    service_tier: Option<ServiceTier>,
    ended: bool,
}

impl ChunkWriter {
    /// A writer for an answer of `choices` choices.
    #[must_use]
    pub fn new(meta: &RenderMeta, shape: AnswerShape, usage_chunk: UsageChunk, choices: u32) -> Self {
        // A stream may last an hour, and thousands may be open: nothing is kept that can be written anew.
        let tail: &[u8] = match usage_chunk {
            UsageChunk::Sent => b"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n",
            UsageChunk::Omitted => b"},\"logprobs\":null,\"finish_reason\":null}]}\n\n",
        };
        let frame = Frame { head: head(meta).into_boxed_slice(), tail };
        let choices = (0..choices).map(ChoiceState::new).collect();
        Self { shape, usage_chunk, frame, choices, usage: Usage::default(), service_tier: None, ended: false }
    }

    /// Writes what `event` of choice `choice` (from 0) means to the client; nothing for events it does not see.
    pub fn write(&mut self, choice: u32, event: &ChatEvent, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        let Some(state) = self.choices.get_mut(choice as usize) else { return };
        if state.begun == Begun::No {
            state.begun = Begun::Yes;
            chunk(state, &self.frame, out, |out| out.extend_from_slice(b"\"role\":\"assistant\",\"content\":\"\",\"refusal\":null"));
        }
        let shown = self.shape.reasoning == ReasoningVisibility::Shown;
        match event {
            ChatEvent::Text { index, text } => write_text(state, &self.frame, *index, text, out),
            ChatEvent::ToolInput { index, fragment } => write_tool_input(state, &self.frame, *index, fragment, out),
            ChatEvent::Reasoning { index, text } if shown => write_reasoning(state, &self.frame, *index, text, out),
            ChatEvent::ReasoningSignature { index, signature } if shown => {
                write_detail(state, &self.frame, *index, Detail::Signature(signature), out);
            }
            ChatEvent::ReasoningRedacted { index, data } if shown => {
                write_detail(state, &self.frame, *index, Detail::Redacted(data), out);
            }
            ChatEvent::BlockStarted { index, kind: BlockKind::ToolUse { id, name, origin } } => {
                start_call(state, &self.frame, &self.shape, (*index, id, name, *origin), out);
            }
            ChatEvent::Cited { index, citation } => write_citation(state, &self.frame, *index, citation, out),
            ChatEvent::BlockStopped { index } => close_calls(state, &self.frame, Some(*index), out),
            ChatEvent::Stopped { reason, .. } => {
                close_calls(state, &self.frame, None, out);
                state.stop = Some(*reason);
            }
            ChatEvent::Finished { usage, service_tier, trace } => {
                self.usage.add(usage);
                self.service_tier = self.service_tier.or(*service_tier);
                self.complete(choice, *service_tier, trace.as_ref(), out);
            }
            ChatEvent::Started
            | ChatEvent::ServerToolOutput { .. }
            | ChatEvent::BlockStarted { .. }
            | ChatEvent::Reasoning { .. }
            | ChatEvent::ReasoningSignature { .. }
            | ChatEvent::ReasoningRedacted { .. } => {}
        }
    }

    /// Writes a comment that clients skip: it keeps proxies from closing a connection that waits for the model.
    pub fn keep_alive(out: &mut Vec<u8>) {
        out.extend_from_slice(b": ping\n\n");
    }

    /// Ends a broken answer: the error object, and no `[DONE]`, so that nobody takes it for whole.
    pub fn fail(&mut self, error: &GatewayError, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        self.ended = true;
        let reply = errors::openai::reply(error);
        let object = &reply.body.error;
        out.extend_from_slice(b"data: {\"error\":{\"message\":");
        push_string(out, &object.message);
        out.extend_from_slice(b",\"type\":");
        push_string(out, object.kind);
        out.extend_from_slice(b",\"param\":");
        push_optional(out, object.param.as_deref());
        out.extend_from_slice(b",\"code\":");
        push_optional(out, object.code);
        out.extend_from_slice(b"}}\n\n");
    }

    /// Ends the answer: what is left of finish chunks, the usage chunk if asked for, `[DONE]`.
    ///
    /// A choice that never stopped makes it a broken answer: the error is written instead.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        if self.choices.iter().any(|state| state.stop.is_none()) {
            return self.fail(&errors::incomplete_stream(), out);
        }
        for choice in (0..).take(self.choices.len()) {
            self.complete(choice, None, None, out);
        }
        if self.usage_chunk == UsageChunk::Sent {
            self.write_usage(out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.ended = true;
    }

    /// Tokens of all choices whose `Finished` was seen.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// The finish chunk of a choice that has stopped, once.
    fn complete(&mut self, choice: u32, tier: Option<ServiceTier>, trace: Option<&JsonObject>, out: &mut Vec<u8>) {
        let calls = self.shape.calls;
        let usage_chunk = self.usage_chunk;
        let Some(state) = self.choices.get_mut(choice as usize) else { return };
        let (false, Some(stop)) = (state.complete, state.stop) else { return };
        state.complete = true;
        state.open(&self.frame, out);
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":");
        push_string(out, finish_reason(stop, state.shown_calls, calls));
        out.extend_from_slice(b"}]");
        if usage_chunk == UsageChunk::Sent {
            out.extend_from_slice(b",\"usage\":null");
        }
        push_tier(out, tier);
        if let Some(trace) = trace {
            out.extend_from_slice(b",\"trace\":");
            out.extend_from_slice(serde_json::Value::Object(trace.clone()).to_string().as_bytes());
        }
        out.extend_from_slice(b"}\n\n");
    }

    fn write_usage(&self, out: &mut Vec<u8>) {
        let usage = completion_usage(&self.usage);
        out.extend_from_slice(&self.frame.head);
        out.push(b']');
        push_tier(out, self.service_tier);
        out.extend_from_slice(b",\"usage\":{");
        push_member(out, "prompt_tokens", usage.prompt_tokens);
        push_next(out, "completion_tokens", usage.completion_tokens);
        push_next(out, "total_tokens", usage.total_tokens);
        out.extend_from_slice(b",\"prompt_tokens_details\":{");
        push_member(out, "cached_tokens", usage.prompt_tokens_details.cached_tokens);
        push_next(out, "cache_write_tokens", usage.prompt_tokens_details.cache_write_tokens);
        push_next(out, "audio_tokens", usage.prompt_tokens_details.audio_tokens);
        out.extend_from_slice(b"},\"completion_tokens_details\":{");
        let details = usage.completion_tokens_details;
        push_member(out, "audio_tokens", details.audio_tokens);
        push_next(out, "accepted_prediction_tokens", details.accepted_prediction_tokens);
        push_next(out, "rejected_prediction_tokens", details.rejected_prediction_tokens);
        if let Some(reasoning) = details.reasoning_tokens {
            push_next(out, "reasoning_tokens", reasoning);
        }
        out.extend_from_slice(b"}}}\n\n");
    }
}

fn head(meta: &RenderMeta) -> Vec<u8> {
    let mut head = b"data: {\"id\":".to_vec();
    push_string(&mut head, &meta.id);
    head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
    push_number(&mut head, meta.created_unix);
    head.extend_from_slice(b",\"model\":");
    push_string(&mut head, &meta.model_shown);
    head.extend_from_slice(b",\"choices\":[");
    head
}

#[cfg(test)]
mod tests;
