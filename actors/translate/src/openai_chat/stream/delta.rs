//! What one choice's deltas look like as bytes, and what must be remembered between them.

use outcrop_domain::chat::{Citation, ServiceTier, StopReason, ToolOrigin};

use crate::{
    dialect::json::{push_name, push_number, push_string},
    openai_chat::{
        AnswerShape, CallShape,
        shape::{custom_input, web_source},
    },
};

/// What stands around every delta of an answer.
pub(super) struct Frame {
    /// `data: {"id":…,"object":…,"created":…,"model":…,"choices":[`
    pub(super) head: Box<[u8]>,
    /// What ends an unfinished choice's chunk: from after the delta to the blank line.
    pub(super) tail: &'static [u8],
}

/// What the writer remembers of one choice.
pub(super) struct ChoiceState {
    number: u32,
    pub(super) begun: Begun,
    /// Code points of text so far.
    characters: u64,
    /// Where each text block began, in code points: (block, start).
    text_starts: Vec<(u32, u64)>,
    /// Reasoning blocks by block index; their place here is the `index` of `reasoning_details`.
    reasoning_blocks: Vec<u32>,
    calls: Vec<Call>,
    /// Calls the client sees: the next call's ordinal.
    pub(super) shown_calls: u32,
    pub(super) stop: Option<StopReason>,
    pub(super) complete: bool,
}

/// Whether the role chunk was written.
#[derive(PartialEq, Eq)]
pub(super) enum Begun {
    No,
    Yes,
}

/// A tool call under way.
struct Call {
    block: u32,
    form: CallForm,
    /// Some argument text was written, or the call is closed.
    settled: bool,
}

enum CallForm {
    /// `tool_calls[ordinal].function`.
    Function { ordinal: u32 },
    /// `tool_calls[ordinal].custom`: the object is collected, its text handed out when it is whole.
    Custom { ordinal: u32, collected: String },
    /// `function_call`.
    Legacy,
    /// The provider's own tool, or a second legacy call: not shown.
    Hidden,
}

impl ChoiceState {
    pub(super) fn new(number: u32) -> Self {
        Self {
            number,
            begun: Begun::No,
            characters: 0,
            text_starts: Vec::new(),
            reasoning_blocks: Vec::new(),
            calls: Vec::new(),
            shown_calls: 0,
            stop: None,
            complete: false,
        }
    }

    /// Begins a chunk of this choice, up to the members of its delta.
    pub(super) fn open(&self, frame: &Frame, out: &mut Vec<u8>) {
        out.extend_from_slice(&frame.head);
        out.extend_from_slice(b"{\"index\":");
        push_number(out, u64::from(self.number));
        out.extend_from_slice(b",\"delta\":{");
    }
}

/// One chunk of a choice whose delta has the members that `members` writes.
pub(super) fn chunk(state: &ChoiceState, frame: &Frame, out: &mut Vec<u8>, members: impl FnOnce(&mut Vec<u8>)) {
    state.open(frame, out);
    members(out);
    out.extend_from_slice(frame.tail);
}

/// What a text delta takes beside its frame and its text, and a little more.
const DELTA_BYTES: usize = 64;

pub(super) fn write_text(state: &mut ChoiceState, frame: &Frame, block: u32, text: &str, out: &mut Vec<u8>) {
    if text.is_empty() {
        return;
    }
    if state.text_starts.last().is_none_or(|(last, _)| *last != block) {
        state.text_starts.push((block, state.characters));
    }
    state.characters += text.chars().count() as u64;
    out.reserve(frame.head.len() + text.len() + frame.tail.len() + DELTA_BYTES);
    chunk(state, frame, out, |out| {
        push_name(out, "content");
        push_string(out, text);
    });
}

/// A piece of readable reasoning: once for people, once for machines (in OpenRouter's form, which carries the
/// signature later; pieces of one block share its `index`).
pub(super) fn write_reasoning(state: &mut ChoiceState, frame: &Frame, block: u32, text: &str, out: &mut Vec<u8>) {
    if text.is_empty() {
        return;
    }
    let ordinal = reasoning_ordinal(state, block);
    chunk(state, frame, out, |out| {
        push_name(out, "reasoning_content");
        let start = out.len();
        push_string(out, text);
        let end = out.len();
        out.extend_from_slice(b",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":");
        out.extend_from_within(start..end);
        out.extend_from_slice(b",\"index\":");
        push_number(out, u64::from(ordinal));
        out.extend_from_slice(b"}]");
    });
}

/// A piece of reasoning that only machines read.
pub(super) enum Detail<'a> {
    Signature(&'a str),
    Redacted(&'a str),
}

pub(super) fn write_detail(state: &mut ChoiceState, frame: &Frame, block: u32, detail: Detail<'_>, out: &mut Vec<u8>) {
    let ordinal = reasoning_ordinal(state, block);
    chunk(state, frame, out, |out| {
        push_name(out, "reasoning_details");
        match detail {
            Detail::Signature(signature) => {
                out.extend_from_slice(b"[{\"type\":\"reasoning.text\",\"text\":\"\",\"signature\":");
                push_string(out, signature);
            }
            Detail::Redacted(data) => {
                out.extend_from_slice(b"[{\"type\":\"reasoning.encrypted\",\"data\":");
                push_string(out, data);
            }
        }
        out.extend_from_slice(b",\"index\":");
        push_number(out, u64::from(ordinal));
        out.extend_from_slice(b"}]");
    });
}

fn reasoning_ordinal(state: &mut ChoiceState, block: u32) -> u32 {
    let place = state.reasoning_blocks.iter().position(|known| *known == block).unwrap_or_else(|| {
        state.reasoning_blocks.push(block);
        state.reasoning_blocks.len() - 1
    });
    u32::try_from(place).unwrap_or(u32::MAX)
}

pub(super) fn start_call(
    state: &mut ChoiceState,
    frame: &Frame,
    shape: &AnswerShape,
    (block, id, name, origin): (u32, &str, &str, ToolOrigin),
    out: &mut Vec<u8>,
) {
    let ordinal = state.shown_calls;
    let form = match (origin, shape.calls) {
        (ToolOrigin::Server, _) => CallForm::Hidden,
        (ToolOrigin::Client, CallShape::FunctionCall) if ordinal > 0 => CallForm::Hidden,
        (ToolOrigin::Client, CallShape::FunctionCall) => CallForm::Legacy,
        (ToolOrigin::Client, CallShape::ToolCalls) if shape.custom_tools.contains(name) => {
            CallForm::Custom { ordinal, collected: String::new() }
        }
        (ToolOrigin::Client, CallShape::ToolCalls) => CallForm::Function { ordinal },
    };
    if !matches!(form, CallForm::Hidden) {
        state.shown_calls += 1;
    }
    match &form {
        CallForm::Function { ordinal } => chunk(state, frame, out, |out| {
            push_call_start(out, *ordinal, id, "function");
            push_string(out, name);
            out.extend_from_slice(b",\"arguments\":\"\"}}]");
        }),
        CallForm::Custom { ordinal, .. } => chunk(state, frame, out, |out| {
            push_call_start(out, *ordinal, id, "custom");
            push_string(out, name);
            out.extend_from_slice(b",\"input\":\"\"}}]");
        }),
        CallForm::Legacy => chunk(state, frame, out, |out| {
            out.extend_from_slice(b"\"function_call\":{\"name\":");
            push_string(out, name);
            out.extend_from_slice(b",\"arguments\":\"\"}");
        }),
        CallForm::Hidden => {}
    }
    state.calls.push(Call { block, form, settled: false });
}

/// `"tool_calls":[{"index":N,"id":…,"type":KIND,KIND:{"name":`
fn push_call_start(out: &mut Vec<u8>, ordinal: u32, id: &str, kind: &str) {
    out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
    push_number(out, u64::from(ordinal));
    out.extend_from_slice(b",\"id\":");
    push_string(out, id);
    out.extend_from_slice(b",\"type\":");
    push_string(out, kind);
    out.push(b',');
    push_name(out, kind);
    out.extend_from_slice(b"{\"name\":");
}

pub(super) fn write_tool_input(state: &mut ChoiceState, frame: &Frame, block: u32, fragment: &str, out: &mut Vec<u8>) {
    if fragment.is_empty() {
        return;
    }
    let Some(call) = state.calls.iter_mut().rev().find(|call| call.block == block) else { return };
    if let CallForm::Custom { collected, .. } = &mut call.form {
        collected.push_str(fragment);
        return;
    }
    call.settled = true;
    let legacy = match call.form {
        CallForm::Function { ordinal } => Some(ordinal),
        CallForm::Legacy => None,
        CallForm::Custom { .. } | CallForm::Hidden => return,
    };
    chunk(state, frame, out, |out| push_fragment(out, legacy, fragment));
}

/// A fragment of arguments: of `tool_calls[ordinal]`, or of `function_call`.
fn push_fragment(out: &mut Vec<u8>, ordinal: Option<u32>, fragment: &str) {
    match ordinal {
        Some(ordinal) => {
            out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
            push_number(out, u64::from(ordinal));
            out.extend_from_slice(b",\"function\":{\"arguments\":");
            push_string(out, fragment);
            out.extend_from_slice(b"}}]");
        }
        None => {
            out.extend_from_slice(b"\"function_call\":{\"arguments\":");
            push_string(out, fragment);
            out.push(b'}');
        }
    }
}

/// Settles the calls of a block (of all blocks with `None`): a call without arguments ends as `{}`, never as an
/// empty text, and a custom call hands out its text.
pub(super) fn close_calls(state: &mut ChoiceState, frame: &Frame, block: Option<u32>, out: &mut Vec<u8>) {
    let mut calls = std::mem::take(&mut state.calls);
    for call in calls.iter_mut().filter(|call| !call.settled && block.is_none_or(|block| call.block == block)) {
        call.settled = true;
        match &call.form {
            CallForm::Function { ordinal } => chunk(state, frame, out, |out| push_fragment(out, Some(*ordinal), "{}")),
            CallForm::Legacy => chunk(state, frame, out, |out| push_fragment(out, None, "{}")),
            CallForm::Custom { ordinal, collected } => {
                let input = custom_input(collected);
                chunk(state, frame, out, |out| {
                    out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
                    push_number(out, u64::from(*ordinal));
                    out.extend_from_slice(b",\"custom\":{\"input\":");
                    push_string(out, &input);
                    out.extend_from_slice(b"}}]");
                });
            }
            CallForm::Hidden => {}
        }
    }
    state.calls = calls;
}

pub(super) fn write_citation(state: &ChoiceState, frame: &Frame, block: u32, citation: &Citation, out: &mut Vec<u8>) {
    let Some((title, url)) = web_source(citation) else { return };
    let start = state.text_starts.iter().rev().find(|(known, _)| *known == block).map_or(state.characters, |(_, start)| *start);
    chunk(state, frame, out, |out| {
        out.extend_from_slice(b"\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"start_index\":");
        push_number(out, start);
        push_next(out, "end_index", state.characters);
        out.extend_from_slice(b",\"title\":");
        push_string(out, title);
        out.extend_from_slice(b",\"url\":");
        push_string(out, url);
        out.extend_from_slice(b"}}]");
    });
}

pub(super) fn push_member(out: &mut Vec<u8>, name: &str, number: u64) {
    push_name(out, name);
    push_number(out, number);
}

pub(super) fn push_next(out: &mut Vec<u8>, name: &str, number: u64) {
    out.push(b',');
    push_member(out, name, number);
}

pub(super) fn push_tier(out: &mut Vec<u8>, tier: Option<ServiceTier>) {
    if let Some(tier) = tier {
        out.extend_from_slice(b",\"service_tier\":");
        push_string(out, tier.as_str());
    }
}

pub(super) fn push_optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => push_string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}
