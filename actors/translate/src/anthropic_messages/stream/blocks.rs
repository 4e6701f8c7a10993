//! Which block is under way, what waits behind it, and how blocks begin and end.

use std::collections::VecDeque;

use outcrop_domain::chat::Citation;

use super::bytes::{push_delta, push_source, push_start, push_stop};
use crate::{anthropic_messages::citations, dialect::json::push_string};

/// Something of a hub block that the client sees.
pub(super) enum Visible<'a> {
    /// A tool call begins.
    Call { id: &'a str, name: &'a str },
    /// Text.
    Text(&'a str),
    /// Reasoning.
    Thinking(&'a str),
    /// Its signature.
    Signature(&'a str),
    /// Encrypted reasoning.
    Redacted(&'a str),
    /// A fragment of a call's input.
    Input(&'a str),
    /// A source of the text.
    Source(&'a Citation),
}

/// The blocks of an answer.
#[derive(Default)]
pub(super) struct Blocks {
    /// The hub block under way, and the block of the client's that it is writing.
    current: Option<Current>,
    /// Hub blocks that began while another was under way.
    waiting: VecDeque<Waiting>,
    /// Hub blocks that the client does not see.
    hidden: Vec<u32>,
    /// Index of the client's next block.
    next: u32,
    /// The client has seen a tool call.
    calls: bool,
}

/// A hub block under way. It may hold no block of the client's, or several one after another.
struct Current {
    hub: u32,
    open: Option<Open>,
}

/// A block of the client's that has begun.
struct Open {
    index: u32,
    kind: Kind,
}

/// What a block of the client's is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    /// A tool call: whether some of its input was written.
    Call {
        empty: bool,
    },
}

/// A hub block whose turn has not come.
struct Waiting {
    hub: u32,
    pieces: Vec<Piece>,
    stopped: bool,
}

/// As [`Visible`], kept.
enum Piece {
    Call { id: String, name: String },
    Text(String),
    Thinking(String),
    Signature(String),
    Redacted(String),
    Input(String),
    Source(Citation),
}

impl Blocks {
    /// True when the client has seen a tool call.
    pub(super) fn has_calls(&self) -> bool {
        self.calls
    }

    /// A hub block begins whose content will tell what it is. Until then the client sees nothing: a block without
    /// content would be an empty text in its history.
    pub(super) fn expect(&mut self, hub: u32) {
        self.hidden.retain(|hidden| *hidden != hub);
        if self.current.is_none() {
            self.current = Some(Current { hub, open: None });
        } else if !self.is_current(hub) && !self.waits(hub) {
            self.waiting.push_back(Waiting { hub, pieces: Vec::new(), stopped: false });
        }
    }

    /// A hub block begins that the client does not see.
    pub(super) fn hide(&mut self, hub: u32) {
        if !self.hidden.contains(&hub) {
            self.hidden.push(hub);
        }
    }

    /// A hub block gains something.
    pub(super) fn visible(&mut self, hub: u32, what: Visible<'_>, out: &mut Vec<u8>) {
        if matches!(what, Visible::Call { .. }) {
            self.expect(hub);
        }
        if self.hidden.contains(&hub) {
            return;
        }
        // Input belongs to a call that has begun.
        if !matches!(what, Visible::Input(_)) {
            self.expect(hub);
        }
        if self.is_current(hub) {
            self.put(what, out);
        } else if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.hub == hub && !waiting.stopped) {
            waiting.pieces.push(what.kept());
        }
    }

    /// A hub block is complete.
    pub(super) fn stopped(&mut self, hub: u32, out: &mut Vec<u8>) {
        self.hidden.retain(|hidden| *hidden != hub);
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.hub == hub && !waiting.stopped) {
            waiting.stopped = true;
        } else if self.is_current(hub) {
            self.advance(out);
        }
    }

    /// Ends every block: the answer is complete.
    pub(super) fn close_all(&mut self, out: &mut Vec<u8>) {
        while self.current.is_some() {
            self.advance(out);
        }
        self.hidden.clear();
    }

    fn is_current(&self, hub: u32) -> bool {
        self.current.as_ref().is_some_and(|current| current.hub == hub)
    }

    fn waits(&self, hub: u32) -> bool {
        self.waiting.iter().any(|waiting| waiting.hub == hub && !waiting.stopped)
    }

    /// Ends the block under way and goes on to the next; those that are complete already pass at once.
    fn advance(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        self.current = None;
        while let Some(next) = self.waiting.pop_front() {
            self.current = Some(Current { hub: next.hub, open: None });
            for piece in &next.pieces {
                self.put(piece.shown(), out);
            }
            if !next.stopped {
                return;
            }
            self.close(out);
            self.current = None;
        }
    }

    /// Ends the client's block that is open. A call without input ends as `{}`, never as an empty text.
    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(Open { index, kind }) = self.current.as_mut().and_then(|current| current.open.take()) else { return };
        if kind == (Kind::Call { empty: true }) {
            push_delta(out, index, INPUT, "{}");
        }
        push_stop(out, index);
    }

    /// Writes what the hub block under way gains.
    fn put(&mut self, what: Visible<'_>, out: &mut Vec<u8>) {
        match what {
            Visible::Call { id, name } => self.start_call(id, name, out),
            Visible::Text(text) => {
                if let Some(index) = self.prose(Kind::Text, out) {
                    push_delta(out, index, TEXT, text);
                }
            }
            Visible::Thinking(text) => {
                if let Some(index) = self.prose(Kind::Thinking, out) {
                    push_delta(out, index, THINKING, text);
                }
            }
            // A signature may come without any text: the block lives all the same.
            Visible::Signature(signature) => {
                if let Some(index) = self.prose(Kind::Thinking, out) {
                    push_delta(out, index, SIGNATURE, signature);
                }
            }
            Visible::Redacted(data) => {
                self.close(out);
                let index = self.take_index();
                push_start(out, index);
                out.extend_from_slice(b"{\"type\":\"redacted_thinking\",\"data\":");
                push_string(out, data);
                out.extend_from_slice(b"}}\n\n");
                push_stop(out, index);
            }
            Visible::Input(fragment) => {
                if let Some(Open { index, kind: Kind::Call { empty } }) = self.open_mut() {
                    *empty = false;
                    push_delta(out, *index, INPUT, fragment);
                }
            }
            Visible::Source(source) => {
                if let Some(source) = citations::write(source)
                    && let Some(index) = self.prose(Kind::Text, out)
                {
                    push_source(out, index, &source);
                }
            }
        }
    }

    fn start_call(&mut self, id: &str, name: &str, out: &mut Vec<u8>) {
        self.close(out);
        let index = self.take_index();
        push_start(out, index);
        out.extend_from_slice(b"{\"type\":\"tool_use\",\"id\":");
        push_string(out, id);
        out.extend_from_slice(b",\"name\":");
        push_string(out, name);
        out.extend_from_slice(b",\"input\":{}}}\n\n");
        self.calls = true;
        self.set_open(Open { index, kind: Kind::Call { empty: true } });
    }

    /// Index of the client's block of that kind, begun when there is none; none for a hub block that is a call.
    fn prose(&mut self, kind: Kind, out: &mut Vec<u8>) -> Option<u32> {
        match self.open_mut() {
            Some(open) if open.kind == kind => return Some(open.index),
            Some(Open { kind: Kind::Call { .. }, .. }) => return None,
            _ => {}
        }
        self.close(out);
        let index = self.take_index();
        push_start(out, index);
        out.extend_from_slice(match kind {
            Kind::Thinking => b"{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n",
            Kind::Text | Kind::Call { .. } => b"{\"type\":\"text\",\"text\":\"\"}}\n\n".as_slice(),
        });
        self.set_open(Open { index, kind });
        Some(index)
    }

    fn open_mut(&mut self) -> Option<&mut Open> {
        self.current.as_mut()?.open.as_mut()
    }

    fn set_open(&mut self, open: Open) {
        if let Some(current) = &mut self.current {
            current.open = Some(open);
        }
    }

    fn take_index(&mut self) -> u32 {
        let index = self.next;
        self.next = self.next.saturating_add(1);
        index
    }
}

const TEXT: &[u8] = b"{\"type\":\"text_delta\",\"text\":";
const THINKING: &[u8] = b"{\"type\":\"thinking_delta\",\"thinking\":";
const SIGNATURE: &[u8] = b"{\"type\":\"signature_delta\",\"signature\":";
const INPUT: &[u8] = b"{\"type\":\"input_json_delta\",\"partial_json\":";

impl Visible<'_> {
    fn kept(self) -> Piece {
        match self {
            Self::Call { id, name } => Piece::Call { id: id.to_owned(), name: name.to_owned() },
            Self::Text(text) => Piece::Text(text.to_owned()),
            Self::Thinking(text) => Piece::Thinking(text.to_owned()),
            Self::Signature(text) => Piece::Signature(text.to_owned()),
            Self::Redacted(text) => Piece::Redacted(text.to_owned()),
            Self::Input(text) => Piece::Input(text.to_owned()),
            Self::Source(source) => Piece::Source(source.clone()),
        }
    }
}

impl Piece {
    fn shown(&self) -> Visible<'_> {
        match self {
            Self::Call { id, name } => Visible::Call { id, name },
            Self::Text(text) => Visible::Text(text),
            Self::Thinking(text) => Visible::Thinking(text),
            Self::Signature(text) => Visible::Signature(text),
            Self::Redacted(text) => Visible::Redacted(text),
            Self::Input(text) => Visible::Input(text),
            Self::Source(source) => Visible::Source(source),
        }
    }
}
