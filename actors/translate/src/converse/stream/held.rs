//! Text that is held back while a call of the format tool may still make it void.

use outcrop_domain::chat::ChatEvent;

use super::{BlockState, Prose, StreamReader};

impl StreamReader {
    /// Sends an event of a text block, or holds it while a call of the format tool may still make it void. Beside
    /// calls of the client's own tools, text is part of the answer.
    pub(super) fn emit_text(&mut self, event: ChatEvent, out: &mut Vec<ChatEvent>) {
        if self.context.format_tool.is_none() || self.seen.calls || self.seen.answer {
            out.push(event);
        } else {
            self.held.push(event);
        }
    }

    /// Forgets held text; its block numbers are given out anew when nobody saw a later one.
    pub(super) fn discard_held(&mut self) {
        let mut started = self.held.iter().filter_map(|event| match event {
            ChatEvent::BlockStarted { index, .. } => Some(*index),
            _ => None,
        });
        if let Some(first) = started.next() {
            let held = 1 + started.count();
            if usize::try_from(self.next_index - first).is_ok_and(|given| given == held) {
                self.next_index = first;
            }
        }
        if !self.held.is_empty() {
            self.held.clear();
            self.ended = None;
            for block in &mut self.open {
                if let BlockState::Prose { open, .. } = &mut block.state {
                    *open = open.filter(|(_, kind)| *kind != Prose::Text);
                }
            }
        }
    }

    /// Sends held text: it is part of the answer after all.
    pub(super) fn release(&mut self, out: &mut Vec<ChatEvent>) {
        out.append(&mut self.held);
    }
}
