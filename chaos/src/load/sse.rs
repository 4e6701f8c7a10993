//! Server-sent events, byte by byte: whatever falls into whichever read gives the same events.

/// Longest line; a gateway that sends a longer one is not speaking the dialect.
const LONGEST: usize = 4 * 1024 * 1024;

/// What a complete line means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SseLine {
    /// The data of an event.
    Data(Vec<u8>),
    /// A line that is no server-sent event.
    Strange(Vec<u8>),
}

/// Reads a stream.
#[derive(Debug, Default)]
pub struct SseEvents {
    line: Vec<u8>,
    data: Option<Vec<u8>>,
    after_return: bool,
}

impl SseEvents {
    /// Takes one byte; gives what it completed.
    pub fn feed(&mut self, byte: u8) -> Option<SseLine> {
        if byte == b'\n' && std::mem::take(&mut self.after_return) {
            return None;
        }
        self.after_return = byte == b'\r';
        if byte != b'\n' && byte != b'\r' {
            if self.line.len() < LONGEST {
                self.line.push(byte);
                return None;
            }
            return Some(SseLine::Strange(std::mem::take(&mut self.line)));
        }
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.data.take().map(SseLine::Data);
        }
        if let Some(data) = line.strip_prefix(b"data:") {
            let data = data.strip_prefix(b" ").unwrap_or(data);
            match &mut self.data {
                Some(before) => {
                    before.push(b'\n');
                    before.extend_from_slice(data);
                }
                None => self.data = Some(data.to_vec()),
            }
            return None;
        }
        let known = line.starts_with(b":") || line.starts_with(b"event:") || line.starts_with(b"id:") || line.starts_with(b"retry:");
        (!known).then_some(SseLine::Strange(line))
    }

    /// Bytes that belong to no complete event: a stream that ends here was cut.
    #[must_use]
    pub fn has_rest(&self) -> bool {
        !self.line.is_empty() || self.data.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(bytes: &[u8]) -> (Vec<SseLine>, bool) {
        let mut reader = SseEvents::default();
        (bytes.iter().filter_map(|byte| reader.feed(*byte)).collect(), reader.has_rest())
    }

    #[test]
    fn events_comments_and_line_ends_of_every_kind_are_read() {
        let (found, rest) = events(b": hello\n\ndata: {\"a\":1}\n\nevent: x\r\ndata:two\r\ndata: lines\r\n\r\ndata: [DONE]\n\n");
        let data = |text: &str| SseLine::Data(text.as_bytes().to_vec());
        assert_eq!(found, [data("{\"a\":1}"), data("two\nlines"), data("[DONE]")]);
        assert!(!rest);
    }

    #[test]
    fn an_event_without_its_blank_line_is_not_complete() {
        let (found, rest) = events(b"data: {\"a\":1}\n");
        assert_eq!((found.len(), rest), (0, true));
    }

    #[test]
    fn a_line_that_is_no_event_is_strange() {
        assert_eq!(events(b"<html>\n").0, [SseLine::Strange(b"<html>".to_vec())]);
    }
}
