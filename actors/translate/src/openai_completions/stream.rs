//! Hub events -> `text_completion` events, as bytes. Framed as chat's: `data:` lines, and `[DONE]`.

use outcrop_domain::{
    chat::{ChatEvent, StopReason},
    error::GatewayError,
    usage::Usage,
};

use super::CompletionShape;
use crate::{
    dialect::json::{push_number, push_string},
    errors,
    openai_chat::{CallShape, RenderMeta, shape::finish_reason, stream::UsageChunk, usage::completion_usage},
};

/// Writes one streamed answer. Give it the events of every choice, then [`TextWriter::finish`], or [`TextWriter::fail`]
/// where the answer broke. After either it writes nothing more.
pub struct TextWriter {
    shape: CompletionShape,
    usage_chunk: UsageChunk,
    /// `data: {"id":…,"object":…,"created":…,"model":…,"choices":[`
    head: Box<[u8]>,
    choices: Vec<ChoiceState>,
    usage: Usage,
    ended: bool,
}

/// What the writer remembers of one choice.
#[derive(Clone, Default)]
struct ChoiceState {
    begun: bool,
    stop: Option<StopReason>,
    complete: bool,
}

impl TextWriter {
    /// A writer for an answer of `choices` choices, to all prompts together.
    #[must_use]
    pub fn new(meta: &RenderMeta, shape: CompletionShape, usage_chunk: UsageChunk, choices: u32) -> Self {
        let choices = (0..choices).map(|_| ChoiceState::default()).collect();
        let head = head(meta).into_boxed_slice();
        Self { shape, usage_chunk, head, choices, usage: Usage::default(), ended: false }
    }

    /// Writes what `event` of choice `choice` (from 0) means to the client; nothing for events it does not see.
    pub fn write(&mut self, choice: u32, event: &ChatEvent, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        self.begin(choice, out);
        match event {
            ChatEvent::Text { text, .. } if !text.is_empty() && self.choices.get(choice as usize).is_some() => {
                self.chunk(choice, text, None, out);
            }
            ChatEvent::Stopped { reason, .. } => {
                if let Some(state) = self.choices.get_mut(choice as usize) {
                    state.stop = Some(*reason);
                }
            }
            ChatEvent::Finished { usage, .. } => {
                self.usage.add(usage);
                self.complete(choice, out);
            }
            _ => {}
        }
    }

    /// Ends a broken answer: the error object, and no `[DONE]`, so that nobody takes it for whole.
    pub fn fail(&mut self, error: &GatewayError, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let body = errors::openai::reply(error).body;
        out.extend_from_slice(b"data: ");
        crate::openai_responses::push_value(out, &body);
        out.extend_from_slice(b"\n\n");
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
            self.complete(choice, out);
        }
        if self.usage_chunk == UsageChunk::Sent {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"],\"usage\":");
            crate::openai_responses::push_value(out, &completion_usage(&self.usage));
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.ended = true;
    }

    /// Tokens of all choices whose `Finished` was seen.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Begins a choice with its prompt, if it shall.
    fn begin(&mut self, choice: u32, out: &mut Vec<u8>) {
        let Some(state) = self.choices.get_mut(choice as usize) else { return };
        if !std::mem::replace(&mut state.begun, true)
            && let Some(prompt) = self.shape.echo(choice)
        {
            self.chunk(choice, prompt, None, out);
        }
    }

    /// The finish chunk of a choice that has stopped, once.
    fn complete(&mut self, choice: u32, out: &mut Vec<u8>) {
        let Some(state) = self.choices.get_mut(choice as usize) else { return };
        let (false, Some(stop)) = (state.complete, state.stop) else { return };
        state.complete = true;
        self.chunk(choice, "", Some(finish_reason(stop, 0, CallShape::ToolCalls)), out);
    }

    fn chunk(&self, choice: u32, text: &str, finish: Option<&str>, out: &mut Vec<u8>) {
        /// What a chunk takes beside its head and its text, and a little more.
        const REST: usize = 96;
        out.reserve(self.head.len() + text.len() + REST);
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"text\":");
        push_string(out, text);
        out.extend_from_slice(b",\"index\":");
        push_number(out, u64::from(choice));
        out.extend_from_slice(b",\"logprobs\":null,\"finish_reason\":");
        match finish {
            Some(word) => push_string(out, word),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b"}]");
        if self.usage_chunk == UsageChunk::Sent {
            out.extend_from_slice(b",\"usage\":null");
        }
        out.extend_from_slice(b"}\n\n");
    }
}

fn head(meta: &RenderMeta) -> Vec<u8> {
    let mut head = b"data: {\"id\":".to_vec();
    push_string(&mut head, &meta.id);
    head.extend_from_slice(b",\"object\":\"text_completion\",\"created\":");
    push_number(&mut head, meta.created_unix);
    head.extend_from_slice(b",\"model\":");
    push_string(&mut head, &meta.model_shown);
    head.extend_from_slice(b",\"choices\":[");
    head
}

#[cfg(test)]
mod tests;
