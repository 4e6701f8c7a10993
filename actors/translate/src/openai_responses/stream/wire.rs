//! Numbered events as bytes.

use outcrop_protocol::openai::responses::StreamEvent;

use crate::openai_responses::json::{push_number, push_string, push_value};

/// Numbers events.
#[derive(Debug, Default)]
pub(super) struct Wire {
    next: u64,
}

impl Wire {
    /// A wire whose next event has that number.
    pub(super) fn from(next: u64) -> Self {
        Self { next }
    }

    /// Number of the next event.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Writes one event.
    pub(super) fn event<'e>(&mut self, out: &mut Vec<u8>, make: impl FnOnce(u64) -> StreamEvent<'e>) {
        let event = make(self.take());
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(event.name().as_bytes());
        out.extend_from_slice(b"\ndata: ");
        push_value(out, &event);
        out.extend_from_slice(b"\n\n");
    }

    /// Writes one delta.
    pub(super) fn delta(&mut self, out: &mut Vec<u8>, frame: &DeltaFrame, delta: &str) {
        out.reserve(frame.head.len() + delta.len() + frame.tail.len() + NUMBER_BYTES);
        out.extend_from_slice(&frame.head);
        push_string(out, delta);
        out.extend_from_slice(frame.tail);
        push_number(out, self.take());
        out.extend_from_slice(b"}\n\n");
    }

    fn take(&mut self) -> u64 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }
}

/// What a delta takes beside its frame and its text, and a little more.
const NUMBER_BYTES: usize = 32;

/// What stands around every delta of an item.
#[derive(Debug)]
pub(super) struct DeltaFrame {
    /// From `event:` to before the delta.
    head: Box<[u8]>,
    /// From after the delta to the sequence number.
    tail: &'static [u8],
}

/// Kind of a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delta {
    Text,
    Summary,
    Arguments,
    CustomInput,
    Code,
}

impl DeltaFrame {
    pub(super) fn new(delta: Delta, item_id: &str, output_index: u32) -> Self {
        let (name, index): (&str, &[u8]) = match delta {
            Delta::Text => ("response.output_text.delta", b",\"content_index\":0"),
            Delta::Summary => ("response.reasoning_summary_text.delta", b",\"summary_index\":0"),
            Delta::Arguments => ("response.function_call_arguments.delta", b""),
            Delta::CustomInput => ("response.custom_tool_call_input.delta", b""),
            Delta::Code => ("response.code_interpreter_call_code.delta", b""),
        };
        let tail: &[u8] = match delta {
            Delta::Text => b",\"logprobs\":[],\"sequence_number\":",
            _ => b",\"sequence_number\":",
        };
        let mut head = Vec::with_capacity(2 * name.len() + item_id.len() + 96);
        head.extend_from_slice(b"event: ");
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b"\ndata: {\"type\":");
        push_string(&mut head, name);
        head.extend_from_slice(b",\"item_id\":");
        push_string(&mut head, item_id);
        head.extend_from_slice(b",\"output_index\":");
        push_number(&mut head, u64::from(output_index));
        head.extend_from_slice(index);
        head.extend_from_slice(b",\"delta\":");
        Self { head: head.into_boxed_slice(), tail }
    }
}
