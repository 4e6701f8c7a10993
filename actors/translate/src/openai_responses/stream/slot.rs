//! An item under way: what was written of it, and the events of its life.

use outcrop_domain::chat::{Reasoning, ReasoningVisibility};
use outcrop_protocol::openai::responses::{
    Annotation, CallEvent, CodeOutput, ItemEvent, ItemStatus, MessagePart, OutputItem, PartEvent, StreamEvent, SummaryEvent, SummaryText,
};

use super::{
    Thought,
    wire::{Delta, DeltaFrame, Wire},
};
use crate::openai_responses::{
    CallKind, ResponseShape,
    custom::InputDecoder,
    ids::{self, ItemKind},
    items::{self, Call},
    response::{mark_incomplete, visible_to},
};

/// An item under way.
pub(super) struct Slot {
    /// The hub's block; for a message, the one that it began with.
    block: u32,
    output_index: u32,
    id: String,
    open: Open,
    /// The hub's block has ended; whether the item was cut off is not yet known.
    stopped: bool,
    frame: DeltaFrame,
}

/// What an item is, and what was written of it.
pub(super) enum Open {
    Message { text: String, characters: u64, starts: Vec<(u32, u64)>, annotations: Vec<Annotation> },
    Reasoning { blocks: Vec<Reasoning>, summary_begun: bool },
    Call { call: Call, text: String, custom: Option<InputDecoder> },
    Search { input: String },
    Code { input: String, container_id: String, outputs: Option<Vec<CodeOutput>> },
}

impl Open {
    pub(super) fn message() -> Self {
        Self::Message { text: String::new(), characters: 0, starts: Vec::new(), annotations: Vec::new() }
    }

    pub(super) fn reasoning() -> Self {
        Self::Reasoning { blocks: Vec::new(), summary_begun: false }
    }

    pub(super) fn call(call: Call) -> Self {
        let custom = (call.kind == CallKind::Custom).then(InputDecoder::default);
        Self::Call { call, text: String::new(), custom }
    }

    pub(super) fn search() -> Self {
        Self::Search { input: String::new() }
    }

    pub(super) fn code(container_id: String) -> Self {
        Self::Code { input: String::new(), container_id, outputs: None }
    }

    /// Of a tool, whoever runs it.
    pub(super) fn is_call(&self) -> bool {
        matches!(self, Self::Call { .. } | Self::Search { .. } | Self::Code { .. })
    }

    fn kind(&self) -> (ItemKind, Delta) {
        match self {
            Self::Message { .. } => (ItemKind::Message, Delta::Text),
            Self::Reasoning { .. } => (ItemKind::Reasoning, Delta::Summary),
            Self::Call { custom: None, .. } => (ItemKind::Function, Delta::Arguments),
            Self::Call { custom: Some(_), .. } => (ItemKind::Custom, Delta::CustomInput),
            // A search has no deltas.
            Self::Search { .. } => (ItemKind::WebSearch, Delta::Code),
            Self::Code { .. } => (ItemKind::Code, Delta::Code),
        }
    }
}

impl Slot {
    /// Begins an item of the response `response_id`.
    pub(super) fn begin(block: u32, output_index: u32, open: Open, response_id: &str, wire: &mut Wire, out: &mut Vec<u8>) -> Self {
        let (kind, delta) = open.kind();
        let id = ids::of_output(response_id, kind, output_index);
        let frame = DeltaFrame::new(delta, &id, output_index);
        let slot = Self { block, output_index, id, open, stopped: false, frame };
        let item = slot.empty_item();
        wire.event(out, |sequence_number| StreamEvent::ItemAdded(ItemEvent { sequence_number, output_index, item: &item }));
        match slot.open {
            Open::Message { .. } => {
                let part = MessagePart::OutputText { annotations: Vec::new(), logprobs: Vec::new(), text: String::new() };
                wire.event(out, |number| StreamEvent::PartAdded(slot.part_event(number, &part)));
            }
            Open::Search { .. } => wire.event(out, |number| StreamEvent::SearchInProgress(slot.call_event(number))),
            Open::Code { .. } => wire.event(out, |number| StreamEvent::CodeInProgress(slot.call_event(number))),
            Open::Reasoning { .. } | Open::Call { .. } => {}
        }
        slot
    }

    pub(super) fn block(&self) -> u32 {
        self.block
    }

    pub(super) fn output_index(&self) -> u32 {
        self.output_index
    }

    pub(super) fn is_message(&self) -> bool {
        matches!(self.open, Open::Message { .. })
    }

    pub(super) fn is_reasoning_of(&self, block: u32) -> bool {
        self.block == block && matches!(self.open, Open::Reasoning { .. })
    }

    pub(super) fn is_call_of(&self, block: u32) -> bool {
        self.block == block && self.open.is_call()
    }

    /// A program: what it prints comes after its block has ended.
    pub(super) fn is_program(&self) -> bool {
        matches!(self.open, Open::Code { .. })
    }

    /// A call whose block has not ended: others may be written beside it.
    pub(super) fn is_call_under_way(&self) -> bool {
        !self.stopped && self.is_call_of(self.block)
    }

    /// More text of `block`.
    pub(super) fn add_text(&mut self, block: u32, more: &str, wire: &mut Wire, out: &mut Vec<u8>) {
        let Open::Message { text, characters, starts, .. } = &mut self.open else { return };
        if starts.last().is_none_or(|(last, _)| *last != block) {
            starts.push((block, *characters));
        }
        *characters += more.chars().count() as u64;
        text.push_str(more);
        wire.delta(out, &self.frame, more);
    }

    /// A source of what `block` has said so far.
    pub(super) fn cite(&mut self, block: u32, make: impl FnOnce(u64, u64) -> Option<Annotation>, wire: &mut Wire, out: &mut Vec<u8>) {
        let Open::Message { characters, starts, annotations, .. } = &mut self.open else { return };
        let start = starts.iter().rev().find(|(known, _)| *known == block).map_or(*characters, |(_, start)| *start);
        let Some(annotation) = make(start, *characters) else { return };
        wire.event(out, |sequence_number| StreamEvent::AnnotationAdded {
            sequence_number,
            item_id: &self.id,
            output_index: self.output_index,
            content_index: 0,
            annotation_index: annotations.len(),
            annotation: &annotation,
        });
        annotations.push(annotation);
    }

    /// More reasoning.
    pub(super) fn think(&mut self, thought: Thought<'_>, shown: bool, wire: &mut Wire, out: &mut Vec<u8>) {
        let Open::Reasoning { blocks, summary_begun } = &mut self.open else { return };
        thought.add_to(blocks);
        let (true, Thought::Text(text)) = (shown, thought) else { return };
        let begins = !std::mem::replace(summary_begun, true);
        if begins {
            let part = SummaryText::SummaryText { text: String::new() };
            wire.event(out, |number| StreamEvent::SummaryPartAdded(self.summary_event(number, &part)));
        }
        wire.delta(out, &self.frame, text);
    }

    /// More of a call's input. What the provider's own tools get is not shown before it is whole.
    pub(super) fn add_input(&mut self, fragment: &str, wire: &mut Wire, out: &mut Vec<u8>) {
        if fragment.is_empty() || self.stopped {
            return;
        }
        match &mut self.open {
            Open::Call { text, custom: None, .. } => {
                text.push_str(fragment);
                wire.delta(out, &self.frame, fragment);
            }
            Open::Call { text, custom: Some(decoder), .. } => {
                let before = text.len();
                decoder.push(fragment, text);
                write_rest(text, before, &self.frame, wire, out);
            }
            Open::Search { input } | Open::Code { input, .. } => input.push_str(fragment),
            Open::Message { .. } | Open::Reasoning { .. } => {}
        }
    }

    /// More of what a program printed; `continues` what came before it.
    pub(super) fn printed(&mut self, text: &str, continues: bool) {
        if let Open::Code { outputs, .. } = &mut self.open {
            items::add_logs(outputs.get_or_insert_default(), text, continues);
        }
    }

    /// The hub's block has ended: the call is whole, and the provider's tool is at work.
    pub(super) fn stopped(&mut self, wire: &mut Wire, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        match &self.open {
            Open::Search { .. } => wire.event(out, |number| StreamEvent::Searching(self.call_event(number))),
            Open::Code { input, .. } => {
                let code = items::code_of(input);
                if !code.is_empty() {
                    wire.delta(out, &self.frame, &code);
                }
                wire.event(out, |sequence_number| StreamEvent::CodeDone {
                    sequence_number,
                    item_id: &self.id,
                    output_index: self.output_index,
                    code: &code,
                });
                wire.event(out, |number| StreamEvent::Interpreting(self.call_event(number)));
            }
            Open::Message { .. } | Open::Reasoning { .. } | Open::Call { .. } => {}
        }
    }

    /// Ends the item: its last events, and the item to keep.
    pub(super) fn end(&mut self, status: ItemStatus, shape: &ResponseShape, wire: &mut Wire, out: &mut Vec<u8>) -> OutputItem {
        if let Open::Search { .. } | Open::Code { .. } = self.open {
            self.stopped(wire, out);
        }
        self.complete_arguments(status, wire, out);
        let open = std::mem::replace(&mut self.open, Open::reasoning());
        let summary_begun = matches!(&open, Open::Reasoning { summary_begun: true, .. });
        let item = item_of(self.id.clone(), open, status, shape.summary);
        self.write_end(&visible_to(&item, shape), summary_begun, wire, out);
        item
    }

    /// The last events of an item that looks like that at its end.
    pub(super) fn write_end(&self, item: &OutputItem, summary_begun: bool, wire: &mut Wire, out: &mut Vec<u8>) {
        self.write_done(item, summary_begun, wire, out);
        let output_index = self.output_index;
        wire.event(out, |sequence_number| StreamEvent::ItemDone(ItemEvent { sequence_number, output_index, item }));
    }

    /// All of an item's text as one delta.
    pub(super) fn write_whole(&self, text: &str, wire: &mut Wire, out: &mut Vec<u8>) {
        write_rest(text, 0, &self.frame, wire, out);
    }

    /// The item as it is, without an event.
    pub(super) fn into_item(self, status: ItemStatus, summary: ReasoningVisibility) -> OutputItem {
        item_of(self.id, self.open, status, summary)
    }

    /// A call without arguments ends as `{}`, never as an empty text; a custom call hands out what it held back.
    fn complete_arguments(&mut self, status: ItemStatus, wire: &mut Wire, out: &mut Vec<u8>) {
        let Open::Call { text, custom, .. } = &mut self.open else { return };
        let before = text.len();
        match custom {
            None if text.is_empty() && status == ItemStatus::Completed => text.push_str("{}"),
            None => {}
            Some(decoder) => std::mem::take(decoder).finish(text),
        }
        write_rest(text, before, &self.frame, wire, out);
    }

    /// The events that tell what an item holds, before the one that ends it.
    fn write_done(&self, item: &OutputItem, summary_begun: bool, wire: &mut Wire, out: &mut Vec<u8>) {
        let (item_id, output_index) = (self.id.as_str(), self.output_index);
        match item {
            OutputItem::Message { content, .. } => {
                for part in content {
                    let MessagePart::OutputText { text, .. } = part;
                    wire.event(out, |sequence_number| StreamEvent::TextDone {
                        sequence_number,
                        item_id,
                        output_index,
                        content_index: 0,
                        text,
                        logprobs: [],
                    });
                    wire.event(out, |number| StreamEvent::PartDone(self.part_event(number, part)));
                }
            }
            OutputItem::Reasoning { summary, .. } if summary_begun => {
                for part in summary {
                    let SummaryText::SummaryText { text } = part;
                    wire.event(out, |sequence_number| StreamEvent::SummaryTextDone {
                        sequence_number,
                        item_id,
                        output_index,
                        summary_index: 0,
                        text,
                    });
                    wire.event(out, |number| StreamEvent::SummaryPartDone(self.summary_event(number, part)));
                }
            }
            OutputItem::FunctionCall { name, arguments, .. } => {
                wire.event(out, |sequence_number| StreamEvent::ArgumentsDone { sequence_number, item_id, output_index, name, arguments })
            }
            OutputItem::CustomToolCall { input, .. } => {
                wire.event(out, |sequence_number| StreamEvent::CustomInputDone { sequence_number, item_id, output_index, input });
            }
            OutputItem::WebSearchCall { .. } => wire.event(out, |number| StreamEvent::SearchCompleted(self.call_event(number))),
            OutputItem::CodeInterpreterCall { .. } => wire.event(out, |number| StreamEvent::CodeCompleted(self.call_event(number))),
            OutputItem::Reasoning { .. } | OutputItem::Compaction { .. } => {}
        }
    }

    /// The item before anything is written of it.
    fn empty_item(&self) -> OutputItem {
        let (id, status) = (self.id.clone(), ItemStatus::InProgress);
        match &self.open {
            Open::Message { .. } => items::empty_message(id),
            Open::Reasoning { .. } => OutputItem::Reasoning { id, summary: Vec::new(), encrypted_content: None, status: None },
            Open::Call { call, .. } => call.clone().item(id, String::new(), status),
            Open::Search { .. } => items::search(id, "", status),
            Open::Code { container_id, .. } => {
                OutputItem::CodeInterpreterCall { id, status, code: None, container_id: container_id.clone(), outputs: None }
            }
        }
    }

    fn part_event<'e>(&'e self, sequence_number: u64, part: &'e MessagePart) -> PartEvent<'e> {
        PartEvent { sequence_number, item_id: &self.id, output_index: self.output_index, content_index: 0, part }
    }

    fn summary_event<'e>(&'e self, sequence_number: u64, part: &'e SummaryText) -> SummaryEvent<'e> {
        SummaryEvent { sequence_number, item_id: &self.id, output_index: self.output_index, summary_index: 0, part }
    }

    fn call_event(&self, sequence_number: u64) -> CallEvent<'_> {
        CallEvent { sequence_number, item_id: &self.id, output_index: self.output_index }
    }
}

fn item_of(id: String, open: Open, status: ItemStatus, summary: ReasoningVisibility) -> OutputItem {
    let mut item = match open {
        Open::Message { text, annotations, .. } => items::message(id, text, annotations, status),
        Open::Reasoning { blocks, .. } => items::reasoning(id, &blocks, summary, status),
        Open::Call { call, text, .. } => call.item(id, text, status),
        Open::Search { input } => items::search(id, &input, ItemStatus::Completed),
        Open::Code { input, container_id, outputs } => {
            OutputItem::CodeInterpreterCall { id, status, code: Some(items::code_of(&input)), container_id, outputs }
        }
    };
    if status == ItemStatus::Incomplete {
        mark_incomplete(&mut item);
    }
    item
}

/// Writes what a text has gained since it was `before` bytes long.
fn write_rest(text: &str, before: usize, frame: &DeltaFrame, wire: &mut Wire, out: &mut Vec<u8>) {
    if let Some(more) = text.get(before..).filter(|more| !more.is_empty()) {
        wire.delta(out, frame, more);
    }
}
