//! Sources that come in a block of their own behind the text that they are of: so Nova tells what it found on the web.

use outcrop_domain::chat::ChatEvent;

use super::StreamReader;

impl StreamReader {
    /// A text has ended. Where Bedrock ran a tool its end is told with what comes next, unless that is a source of it.
    pub(super) fn end_text(&mut self, index: u32, out: &mut Vec<ChatEvent>) {
        self.tell_ended(out);
        if self.seen.server_calls {
            self.ended = Some(index);
        } else {
            self.emit_text(ChatEvent::BlockStopped { index }, out);
        }
    }

    /// Tells the end that was put off.
    pub(super) fn tell_ended(&mut self, out: &mut Vec<ChatEvent>) {
        if let Some(index) = self.ended.take() {
            self.emit_text(ChatEvent::BlockStopped { index }, out);
        }
    }

    /// The text that a source belongs to when its own block holds nothing.
    pub(super) fn cited_text(&self, wire_index: u32) -> Option<u32> {
        let alone = !self.open.iter().any(|block| block.wire_index == wire_index);
        self.ended.filter(|_| alone)
    }
}
