//! Answers, whole and streamed, as a suspicious client reads them.

use super::{
    SseEvents, SseLine, WordReader,
    reading::{self, Frames, LONGEST_MESSAGE, Part, Seen},
};
use crate::{
    history::{End, Envelope, Micros, Said, Tokens, WordTime},
    scenario::Dialect,
};

/// An answer as far as it came.
#[derive(Debug, Default)]
pub(super) struct Answer {
    dialect: Dialect,
    events: SseEvents,
    frames: Frames,
    words: WordReader,
    whole: Vec<u8>,
    finish: bool,
    done: bool,
    errors: u32,
    after_end: bool,
    pub(super) error: Option<Envelope>,
    pub(super) usage: Option<Tokens>,
    pub(super) first_content: Option<Micros>,
    strange: Vec<String>,
}

/// What is known when nothing more comes.
pub(super) struct Read {
    pub(super) end: End,
    pub(super) said: Said,
    pub(super) word_times: Vec<WordTime>,
    pub(super) error: Option<Envelope>,
    pub(super) usage: Option<Tokens>,
    pub(super) first_content: Option<Micros>,
}

impl Answer {
    /// An answer in a dialect.
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, ..Self::default() }
    }

    /// Bytes of a stream.
    pub(super) fn stream(&mut self, bytes: &[u8], at: Micros) {
        if self.dialect == Dialect::Converse {
            self.frames.feed(bytes);
            while let Some(read) = self.frames.next() {
                match read {
                    Ok(frame) => self.seen(reading::frame(&frame), b"a frame of an unknown kind", at),
                    Err(bytes) => self.strange(&bytes),
                }
            }
            return;
        }
        for byte in bytes {
            match self.events.feed(*byte) {
                Some(SseLine::Data(data)) => self.seen(reading::event(self.dialect, &data), &data, at),
                Some(SseLine::Strange(line)) => self.strange(&line),
                None => {}
            }
        }
    }

    /// Bytes of an answer that is not streamed.
    pub(super) fn body(&mut self, bytes: &[u8]) {
        self.whole.extend_from_slice(bytes);
    }

    /// One event of a stream. After an error only the dialect's end may come.
    fn seen(&mut self, seen: Option<Seen>, raw: &[u8], at: Micros) {
        let end_alone = seen.as_ref().is_some_and(|seen| seen.done && seen.parts.is_empty() && !seen.finish && seen.error.is_none());
        let late = seen.as_ref().is_some_and(|seen| seen.late);
        if (self.done && !late) || (self.errors > 0 && !end_alone) {
            self.after_end = true;
        }
        let Some(mut seen) = seen else {
            self.strange(raw);
            return;
        };
        self.done |= seen.done;
        if let Some(error) = seen.error.take() {
            self.errors += 1;
            self.error = Some(error);
        }
        self.take(seen, at);
    }

    fn take(&mut self, seen: Seen, at: Micros) {
        for part in seen.parts {
            match part {
                Part::Text(text) if text.is_empty() => {}
                Part::Text(text) => {
                    self.first_content.get_or_insert(at);
                    self.words.text(&text, at);
                }
                Part::Call => {
                    self.first_content.get_or_insert(at);
                    self.words.end_of_part();
                }
                Part::Arguments(arguments) => {
                    self.first_content.get_or_insert(at);
                    self.words.arguments(&arguments, at);
                }
            }
        }
        self.finish |= seen.finish;
        if let Some(usage) = seen.usage {
            // Messages tell the input at the start and the output at the end.
            self.usage = Some(match self.usage.filter(|_| self.dialect == Dialect::Messages) {
                Some(before) => before.most(usage),
                None => usage,
            });
        }
    }

    fn strange(&mut self, bytes: &[u8]) {
        if self.strange.len() < 4 {
            self.strange.push(String::from_utf8_lossy(bytes).chars().take(80).collect());
        }
    }

    /// The stream's body has ended (`clean`) or the connection broke.
    pub(super) fn end_of_stream(self, clean: bool) -> Read {
        let end = if !self.strange.is_empty() || self.after_end || self.errors > 1 || (self.errors == 1 && self.finish && self.done) {
            End::Malformed
        } else if self.errors == 1 {
            End::StreamError
        } else if self.done && self.finish {
            End::Complete
        } else if clean {
            End::Silent
        } else {
            End::Cut
        };
        self.into_read(end)
    }

    /// A body with a good status has ended or broken.
    pub(super) fn end_of_body(mut self, clean: bool, at: Micros) -> Read {
        if !clean {
            return self.into_read(End::Cut);
        }
        let body = std::mem::take(&mut self.whole);
        match reading::whole(self.dialect, &body) {
            Some(seen) => {
                self.take(seen, at);
                let end = if self.finish { End::Complete } else { End::Silent };
                self.into_read(end)
            }
            None if body.is_empty() => self.into_read(End::Silent),
            None => {
                self.strange(&body);
                self.into_read(End::Malformed)
            }
        }
    }

    /// A body with an error status has ended or broken. `kind` is the type that a header names.
    pub(super) fn end_of_error(mut self, clean: bool, json: bool, kind: Option<&str>) -> Read {
        self.error = Some(match reading::error(self.dialect, &self.whole, kind) {
            Some(envelope) => Envelope { well_formed: envelope.well_formed && json, ..envelope },
            None => {
                Envelope { message: String::from_utf8_lossy(&self.whole).chars().take(LONGEST_MESSAGE).collect(), ..Envelope::default() }
            }
        });
        self.into_read(if clean { End::Refused } else { End::Cut })
    }

    /// The client left or gave up.
    pub(super) fn abandoned(self, end: End) -> Read {
        self.into_read(end)
    }

    fn into_read(self, end: End) -> Read {
        let (mut said, word_times) = self.words.finish(end == End::Complete);
        if end == End::Malformed {
            self.strange.iter().for_each(|line| said.stray(line));
        }
        Read { end, said, word_times, error: self.error, usage: self.usage, first_content: self.first_content }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streamed(text: &str, clean: bool) -> Read {
        let mut answer = Answer::default();
        answer.stream(text.as_bytes(), Micros::seconds(1));
        answer.end_of_stream(clean)
    }

    const WORDS: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"5.0 5.1\"}}]}\n\n";
    const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const DONE: &str = "data: [DONE]\n\n";
    const ERROR: &str = "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":null}}\n\n";

    #[test]
    fn a_stream_is_complete_with_its_finish_and_its_end() {
        let read = streamed(&[WORDS, STOP, DONE].concat(), true);
        assert_eq!((read.end, read.said.words(), read.first_content), (End::Complete, 2, Some(Micros::seconds(1))));
    }

    #[test]
    fn everything_else_is_silence_an_error_or_malformed() {
        for (pieces, clean, end) in [
            (vec![WORDS], true, End::Silent),
            (vec![WORDS, STOP], true, End::Silent),
            (vec![WORDS, DONE], true, End::Silent),
            (vec![WORDS], false, End::Cut),
            (vec![WORDS, ERROR], true, End::StreamError),
            (vec![WORDS, ERROR, DONE], true, End::StreamError),
            (vec![WORDS, ERROR, ERROR], true, End::Malformed),
            (vec![WORDS, ERROR, WORDS], true, End::Malformed),
            (vec![WORDS, STOP, DONE, WORDS], true, End::Malformed),
            (vec![WORDS, STOP, ERROR, DONE], true, End::Malformed),
            (vec!["data: {oops\n\n"], true, End::Malformed),
            (vec!["<html>\n"], true, End::Malformed),
        ] {
            assert_eq!(streamed(&pieces.concat(), clean).end, end, "{pieces:?}");
        }
    }

    #[test]
    fn a_stream_of_messages_ends_with_its_own_events() {
        let event = |data: &str| format!("event: x\ndata: {data}\n\n");
        let start = event(r#"{"type":"message_start","message":{"usage":{"input_tokens":10,"output_tokens":1}}}"#);
        let words = event(r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"5.0 5.1"}}"#);
        let delta = event(r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}"#);
        let stop = event(r#"{"type":"message_stop"}"#);
        let error = event(r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#);
        for (pieces, end) in [
            (vec![&start, &words, &delta, &stop], End::Complete),
            (vec![&start, &words, &delta], End::Silent),
            (vec![&start, &words, &error], End::StreamError),
            (vec![&start, &words, &error, &words], End::Malformed),
            (vec![&start, &words, &delta, &stop, &words], End::Malformed),
        ] {
            let mut answer = Answer::new(Dialect::Messages);
            pieces.into_iter().for_each(|piece| answer.stream(piece.as_bytes(), Micros::ZERO));
            let read = answer.end_of_stream(true);
            assert_eq!(read.end, end);
            if end == End::Complete {
                assert_eq!(read.said.words(), 2);
                assert_eq!(read.usage, Some(Tokens { input: 10, output: 3, cache_read: 0, cache_write: 0 }));
            }
        }
    }

    #[test]
    fn whole_answers_and_errors_are_read() {
        let mut answer = Answer::default();
        answer.body(b"{\"choices\":[{\"message\":{\"content\":\"5.0\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":2}}}");
        let read = answer.end_of_body(true, Micros::ZERO);
        assert_eq!(read.end, End::Complete);
        assert_eq!(read.usage, Some(Tokens { input: 10, output: 3, cache_read: 2, cache_write: 0 }));
        let mut answer = Answer::default();
        answer.body(b"{\"error\":{\"message\":\"no\",\"type\":\"x\",\"code\":\"c\"}}");
        let read = answer.end_of_error(true, true, None);
        assert_eq!((read.end, read.error.unwrap().well_formed), (End::Refused, true));
        let mut answer = Answer::default();
        answer.body(b"Bad Gateway");
        assert!(!answer.end_of_error(true, false, None).error.unwrap().well_formed);
    }
}
