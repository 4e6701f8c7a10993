//! Hub events -> the events of a streamed response, as bytes.
//!
//! Items begin and end in OpenAI's order: one at a time, but for tool calls that a model writes side by side. An item
//! ends when the next one begins or the model stops, for only then it is known whether it was cut off. Deltas, which are
//! many, are put together from prepared bytes; everything else is written from its struct.
//!
//! The end comes in two steps, so that a response can be stored before its client reads that it is there:
//! [`EventWriter::close`] (or `fail`, or `cancel`) gives the response, [`ClosedResponse::finish`] writes the last event.

mod programs;
mod replay;
mod slot;
mod wire;

use outcrop_domain::{
    chat::{BlockKind, ChatEvent, Citation, Reasoning, ReasoningVisibility, StopReason, ToolOrigin},
    error::GatewayError,
    json::JsonText,
};
use outcrop_protocol::openai::responses::{ItemEvent, ItemStatus, OutputItem, ResponseEvent, Status, StreamEvent};

use super::{
    AnswerForm, ResponseMeta, ResponseShape, ids,
    items::{self, Call},
    response::{self, Facts, FinalResponse},
};
use crate::{errors, openai_chat::request::tools::INTERPRETER};
use programs::Programs;
pub use replay::{after, replay};
use slot::{Open, Slot};
use wire::Wire;

/// How much of a response's beginning was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginning {
    Nothing,
    /// That it is there.
    Accepted,
    /// That it is at work.
    Begun,
}

/// Writes one streamed response. Give it [`EventWriter::begin`], the events of the answer, and an end; a writer that was
/// not begun begins with the first event.
pub struct EventWriter {
    meta: ResponseMeta,
    shape: ResponseShape,
    wire: Wire,
    beginning: Beginning,
    /// Items under way, in order.
    open: Vec<Slot>,
    /// Items that have ended, by their place in the output.
    done: Vec<Option<OutputItem>>,
    programs: Programs,
    /// The text, when the answer is made into a summary: no item is written before it is whole.
    summary: Option<String>,
    stop: Option<StopReason>,
    facts: Facts,
}

impl EventWriter {
    /// A writer for one response.
    #[must_use]
    pub fn new(meta: ResponseMeta, shape: ResponseShape) -> Self {
        let summary = (shape.answer == AnswerForm::Summary).then(String::new);
        Self {
            meta,
            shape,
            wire: Wire::default(),
            beginning: Beginning::Nothing,
            open: Vec::new(),
            done: Vec::new(),
            programs: Programs::default(),
            summary,
            stop: None,
            facts: Facts::default(),
        }
    }

    /// Writes the first events: the response exists, and (in the background) waits.
    pub fn accept(&mut self, out: &mut Vec<u8>) {
        if self.beginning != Beginning::Nothing {
            return;
        }
        self.beginning = Beginning::Accepted;
        let background = self.shape.echo.background;
        let object = response::object(&self.meta, &self.shape, if background { Status::Queued } else { Status::InProgress });
        self.wire.event(out, |sequence_number| StreamEvent::Created(ResponseEvent { sequence_number, response: &object }));
        if background {
            self.wire.event(out, |sequence_number| StreamEvent::Queued(ResponseEvent { sequence_number, response: &object }));
        }
    }

    /// Writes that the response is at work, and before it what was not written of the first events.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        self.accept(out);
        if self.beginning == Beginning::Begun {
            return;
        }
        self.beginning = Beginning::Begun;
        let object = response::object(&self.meta, &self.shape, Status::InProgress);
        self.wire.event(out, |sequence_number| StreamEvent::InProgress(ResponseEvent { sequence_number, response: &object }));
    }

    /// Writes what `event` means to the client; nothing for events it does not see.
    pub fn write(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        self.begin(out);
        if let Some(summary) = &mut self.summary {
            match event {
                ChatEvent::Text { text, .. } => return summary.push_str(text),
                ChatEvent::Stopped { .. } | ChatEvent::Finished { .. } => {}
                _ => return,
            }
        }
        match event {
            ChatEvent::Text { index, text } => self.text(*index, text, out),
            ChatEvent::Cited { index, citation } => self.cited(*index, citation, out),
            ChatEvent::Reasoning { index, text } => self.reasoning(*index, Thought::Text(text), out),
            ChatEvent::ReasoningSignature { index, signature } => self.reasoning(*index, Thought::Signature(signature), out),
            ChatEvent::ReasoningRedacted { index, data } => self.reasoning(*index, Thought::Redacted(data), out),
            ChatEvent::BlockStarted { index, kind: BlockKind::ToolUse { id, name, origin: ToolOrigin::Client } } => {
                let call = Call::of(name.clone(), id.clone(), &self.shape.tools);
                self.start(*index, Open::call(call), out);
            }
            ChatEvent::BlockStarted { index, kind: BlockKind::ToolUse { id, name, origin: ToolOrigin::Server } } => {
                self.start_server_call(*index, id, name, out);
            }
            ChatEvent::BlockStarted { index, kind: BlockKind::ServerToolResult { id } } => self.programs.answers(*index, id),
            ChatEvent::ServerToolOutput { index, text } => self.printed(*index, text),
            ChatEvent::ToolInput { index, fragment } => self.tool_input(*index, fragment, out),
            ChatEvent::BlockStopped { index } => self.block_stopped(*index, out),
            ChatEvent::Stopped { reason, .. } => {
                self.stop = Some(*reason);
                self.end_all(response::ending_of(*reason).cuts_off(), out);
            }
            ChatEvent::Finished { usage, service_tier, trace } => {
                self.facts = Facts { usage: Some(*usage), service_tier: *service_tier, trace: trace.clone() };
            }
            ChatEvent::Started | ChatEvent::BlockStarted { .. } => {}
        }
    }

    /// Writes a comment that clients skip: it keeps proxies from closing a connection that waits for the model.
    pub fn keep_alive(out: &mut Vec<u8>) {
        out.extend_from_slice(b": ping\n\n");
    }

    /// Ends the answer: what is left of its items is written, and the whole response is given. `completed_unix` is the
    /// time, in Unix seconds.
    ///
    /// An answer that never stopped is a broken one.
    pub fn close(mut self, completed_unix: u64, out: &mut Vec<u8>) -> ClosedResponse {
        let Some(stop) = self.stop else { return self.fail(&errors::incomplete_stream(), out) };
        self.begin(out);
        if let Some(summary) = &self.summary {
            let response = FinalResponse::summarised(self.meta, self.shape, summary, stop, self.facts, completed_unix);
            for (item, output_index) in response.output().iter().zip(0..) {
                self.wire.event(out, |sequence_number| StreamEvent::ItemAdded(ItemEvent { sequence_number, output_index, item }));
                self.wire.event(out, |sequence_number| StreamEvent::ItemDone(ItemEvent { sequence_number, output_index, item }));
            }
            return ClosedResponse { response, wire: self.wire };
        }
        self.end_all(response::ending_of(stop).cuts_off(), out);
        let output = self.done.into_iter().flatten().collect();
        let response = FinalResponse::ended(self.meta, self.shape, output, stop, self.facts, completed_unix);
        ClosedResponse { response, wire: self.wire }
    }

    /// Ends a broken answer. Items that were under way are part of the response, and marked incomplete; no events are
    /// written of them.
    pub fn fail(mut self, error: &GatewayError, out: &mut Vec<u8>) -> ClosedResponse {
        self.begin(out);
        let output = self.abandon();
        let response = FinalResponse::failed(self.meta, self.shape, output, error, self.facts);
        ClosedResponse { response, wire: self.wire }
    }

    /// Ends an answer that its client gave up: the response as far as it was written.
    #[must_use]
    pub fn cancel(mut self) -> ClosedResponse {
        let output = self.abandon();
        let response = FinalResponse::cancelled(self.meta, self.shape, output, self.facts);
        ClosedResponse { response, wire: self.wire }
    }

    fn text(&mut self, block: u32, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let place = match self.open.iter().rposition(Slot::is_message) {
            Some(place) => place,
            None => self.start(block, Open::message(), out),
        };
        if let Some(slot) = self.open.get_mut(place) {
            slot.add_text(block, text, &mut self.wire, out);
        }
    }

    fn cited(&mut self, block: u32, citation: &Citation, out: &mut Vec<u8>) {
        if let Some(slot) = self.open.iter_mut().rfind(|slot| slot.is_message()) {
            slot.cite(block, |start, end| items::annotation(citation, start, end), &mut self.wire, out);
        }
    }

    fn reasoning(&mut self, block: u32, thought: Thought<'_>, out: &mut Vec<u8>) {
        if thought.is_empty() {
            return;
        }
        let place = match self.open.iter().rposition(|slot| slot.is_reasoning_of(block)) {
            Some(place) => place,
            None => self.start(block, Open::reasoning(), out),
        };
        let shown = self.shape.summary == ReasoningVisibility::Shown;
        if let Some(slot) = self.open.get_mut(place) {
            slot.think(thought, shown, &mut self.wire, out);
        }
    }

    fn start_server_call(&mut self, block: u32, call_id: &str, name: &str, out: &mut Vec<u8>) {
        if name != INTERPRETER {
            self.start(block, Open::search(), out);
            return;
        }
        let place = self.start(block, Open::code(ids::of_container(&self.meta.id)), out);
        if let Some(slot) = self.open.get(place) {
            self.programs.begun(call_id, slot.output_index());
        }
    }

    /// What a program printed goes into its call, also when that has ended: then the response tells it.
    fn printed(&mut self, block: u32, text: &str) {
        let Some((output_index, continues)) = self.programs.printed(block) else { return };
        if let Some(slot) = self.open.iter_mut().find(|slot| slot.output_index() == output_index) {
            slot.printed(text, continues);
        } else if let Some(Some(OutputItem::CodeInterpreterCall { outputs, .. })) = self.done.get_mut(output_index as usize) {
            items::add_logs(outputs.get_or_insert_default(), text, continues);
        }
    }

    fn tool_input(&mut self, block: u32, fragment: &str, out: &mut Vec<u8>) {
        if let Some(slot) = self.open.iter_mut().rfind(|slot| slot.is_call_of(block)) {
            slot.add_input(fragment, &mut self.wire, out);
        }
    }

    fn block_stopped(&mut self, block: u32, out: &mut Vec<u8>) {
        if let Some(slot) = self.open.iter_mut().rfind(|slot| slot.block() == block && !slot.is_message()) {
            slot.stopped(&mut self.wire, out);
        }
    }

    /// Begins an item, and ends those that cannot go on beside it: all but calls that are still being written, and, beside
    /// other calls, programs that still run. Gives its place among the open ones.
    fn start(&mut self, block: u32, item: Open, out: &mut Vec<u8>) -> usize {
        let beside_calls = item.is_call();
        for mut slot in self.open.extract_if(.., |slot| !(slot.is_call_under_way() || beside_calls && slot.is_program())) {
            let item = slot.end(ItemStatus::Completed, &self.shape, &mut self.wire, out);
            keep(&mut self.done, slot.output_index(), item);
        }
        let output_index = u32::try_from(self.done.len()).unwrap_or(u32::MAX);
        self.done.push(None);
        let slot = Slot::begin(block, output_index, item, &self.meta.id, &mut self.wire, out);
        self.open.push(slot);
        self.open.len() - 1
    }

    /// Ends all items. When the model was cut off, the last one is incomplete, and so is every call that it had not
    /// written to its end.
    fn end_all(&mut self, cut: bool, out: &mut Vec<u8>) {
        let last = self.done.len();
        for mut slot in self.open.drain(..) {
            let is_last = usize::try_from(slot.output_index()).is_ok_and(|index| index + 1 == last);
            let incomplete = cut && (is_last || slot.is_call_under_way());
            let status = if incomplete { ItemStatus::Incomplete } else { ItemStatus::Completed };
            let item = slot.end(status, &self.shape, &mut self.wire, out);
            keep(&mut self.done, slot.output_index(), item);
        }
    }

    /// The items as they are, without an event.
    fn abandon(&mut self) -> Vec<OutputItem> {
        for slot in self.open.drain(..) {
            let index = slot.output_index();
            let item = slot.into_item(ItemStatus::Incomplete, self.shape.summary);
            keep(&mut self.done, index, item);
        }
        std::mem::take(&mut self.done).into_iter().flatten().collect()
    }
}

fn keep(done: &mut [Option<OutputItem>], output_index: u32, item: OutputItem) {
    if let Some(place) = usize::try_from(output_index).ok().and_then(|index| done.get_mut(index)) {
        *place = Some(item);
    }
}

/// A piece of reasoning.
#[derive(Clone, Copy)]
enum Thought<'a> {
    Text(&'a str),
    Signature(&'a str),
    Redacted(&'a str),
}

impl Thought<'_> {
    fn is_empty(self) -> bool {
        match self {
            Self::Text(text) | Self::Signature(text) | Self::Redacted(text) => text.is_empty(),
        }
    }

    /// Adds it to what the block holds: text goes on in the last text that is not yet signed.
    fn add_to(self, blocks: &mut Vec<Reasoning>) {
        match (self, blocks.last_mut()) {
            (Self::Text(more), Some(Reasoning::Text { text, signature: None })) => text.push_str(more),
            (Self::Text(text), _) => blocks.push(Reasoning::Text { text: text.to_owned(), signature: None }),
            (Self::Signature(more), Some(Reasoning::Text { signature, .. })) => {
                signature.get_or_insert_default().push_str(more);
            }
            (Self::Signature(signature), _) => {
                blocks.push(Reasoning::Text { text: String::new(), signature: Some(signature.to_owned()) });
            }
            (Self::Redacted(data), _) => blocks.push(Reasoning::Redacted(data.to_owned())),
        }
    }
}

/// A response that has ended, and whose client has not yet been told.
pub struct ClosedResponse {
    response: FinalResponse,
    wire: Wire,
}

impl ClosedResponse {
    /// The response, to be stored.
    #[must_use]
    pub fn response(&self) -> &FinalResponse {
        &self.response
    }

    /// Writes the last event. A response that was given up ends as an incomplete one: there is no event for it.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        let response = self.response.shown_object();
        let status = self.response.status();
        self.wire.event(out, |sequence_number| terminal(status, ResponseEvent { sequence_number, response: &response }));
    }

    /// Writes the last event of the response as it is stored, which another one ended before.
    ///
    /// # Errors
    /// `Internal` when what is stored is no response.
    pub fn finish_as(mut self, stored: &JsonText, out: &mut Vec<u8>) -> Result<(), GatewayError> {
        let response = response::read(stored, self.response.include())?;
        self.wire.event(out, |sequence_number| terminal(response.status, ResponseEvent { sequence_number, response: &response }));
        Ok(())
    }

    /// Writes, in place of the last event, that the response could not be kept: it must not seem to be there.
    pub fn lost(mut self, error: &GatewayError, out: &mut Vec<u8>) {
        write_error(&mut self.wire, error, out);
    }
}

/// Writes the only event of a stream that was opened before there was a response, and got none.
pub fn error_event(error: &GatewayError, out: &mut Vec<u8>) {
    write_error(&mut Wire::default(), error, out);
}

fn write_error(wire: &mut Wire, error: &GatewayError, out: &mut Vec<u8>) {
    let reply = errors::openai::reply(error);
    let object = &reply.body.error;
    wire.event(out, |sequence_number| StreamEvent::Error {
        sequence_number,
        code: object.code.or(Some(object.kind)),
        message: &object.message,
        param: object.param.as_deref(),
    });
}

/// The event that ends a response of that status.
fn terminal<'a>(status: Status, event: ResponseEvent<'a>) -> StreamEvent<'a> {
    match status {
        Status::Failed => StreamEvent::Failed(event),
        Status::Incomplete | Status::Cancelled => StreamEvent::Incomplete(event),
        Status::Completed | Status::Queued | Status::InProgress => StreamEvent::Completed(event),
    }
}

#[cfg(test)]
mod tests;
