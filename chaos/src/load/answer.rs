//! OpenAI's answers, whole and streamed, as a suspicious client reads them.

use serde::Deserialize;

use super::{SseEvents, SseLine, WordReader};
use crate::history::{End, Envelope, Micros, Said, Tokens, WordTime};

/// Longest error message that is kept.
const LONGEST_MESSAGE: usize = 600;

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<WireError>,
}

#[derive(Deserialize)]
struct Choice {
    /// Of a chunk.
    delta: Option<Message>,
    /// Of a whole answer.
    message: Option<Message>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    #[serde(default)]
    tool_calls: Vec<ToolCall>,
}

#[derive(Deserialize)]
struct ToolCall {
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: u64,
}

#[derive(Deserialize)]
struct WireError {
    message: Option<String>,
    r#type: Option<String>,
    code: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: Option<WireError>,
}

/// An answer as far as it came.
#[derive(Debug, Default)]
pub(super) struct Answer {
    events: SseEvents,
    words: WordReader,
    whole: Vec<u8>,
    finish: Option<String>,
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
    /// Bytes of a stream.
    pub(super) fn stream(&mut self, bytes: &[u8], at: Micros) {
        for byte in bytes {
            match self.events.feed(*byte) {
                Some(SseLine::Data(data)) => self.event(&data, at),
                Some(SseLine::Strange(line)) => self.strange(&line),
                None => {}
            }
        }
    }

    /// Bytes of an answer that is not streamed.
    pub(super) fn body(&mut self, bytes: &[u8]) {
        self.whole.extend_from_slice(bytes);
    }

    fn event(&mut self, data: &[u8], at: Micros) {
        if self.done || self.errors > 0 && data != b"[DONE]" {
            self.after_end = true;
        }
        if data == b"[DONE]" {
            self.done = true;
            return;
        }
        let Ok(chunk) = serde_json::from_slice::<Chunk>(data) else {
            self.strange(data);
            return;
        };
        if let Some(error) = chunk.error {
            self.errors += 1;
            self.error = Some(envelope(error));
        }
        self.take(chunk.choices, chunk.usage, at);
    }

    fn take(&mut self, choices: Vec<Choice>, usage: Option<Usage>, at: Micros) {
        for choice in choices {
            let Choice { delta, message, finish_reason } = choice;
            for message in [delta, message].into_iter().flatten() {
                self.message(message, at);
            }
            self.finish = finish_reason.or(self.finish.take());
        }
        if let Some(usage) = usage {
            let cache_read = usage.prompt_tokens_details.map_or(0, |details| details.cached_tokens);
            let input = usage.prompt_tokens.saturating_sub(cache_read);
            self.usage = Some(Tokens { input, output: usage.completion_tokens, cache_read, cache_write: 0 });
        }
    }

    fn message(&mut self, message: Message, at: Micros) {
        if let Some(text) = message.content.filter(|text| !text.is_empty()) {
            self.first_content.get_or_insert(at);
            self.words.text(&text, at);
        }
        for function in message.tool_calls.into_iter().filter_map(|call| call.function) {
            self.first_content.get_or_insert(at);
            if function.name.is_some() {
                self.words.end_of_part();
            }
            if let Some(arguments) = function.arguments {
                self.words.arguments(&arguments, at);
            }
        }
    }

    fn strange(&mut self, bytes: &[u8]) {
        if self.strange.len() < 4 {
            self.strange.push(String::from_utf8_lossy(bytes).chars().take(80).collect());
        }
    }

    /// The stream's body has ended (`clean`) or the connection broke.
    pub(super) fn end_of_stream(self, clean: bool) -> Read {
        let end =
            if !self.strange.is_empty() || self.after_end || self.errors > 1 || (self.errors == 1 && self.finish.is_some() && self.done) {
                End::Malformed
            } else if self.errors == 1 {
                End::StreamError
            } else if self.done && self.finish.is_some() {
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
        match serde_json::from_slice::<Chunk>(&body) {
            Ok(answer) => {
                self.take(answer.choices, answer.usage, at);
                let end = if self.finish.is_some() { End::Complete } else { End::Silent };
                self.into_read(end)
            }
            Err(_) if body.is_empty() => self.into_read(End::Silent),
            Err(_) => {
                self.strange(&body);
                self.into_read(End::Malformed)
            }
        }
    }

    /// A body with an error status has ended or broken.
    pub(super) fn end_of_error(mut self, clean: bool, json: bool) -> Read {
        let wire = serde_json::from_slice::<ErrorBody>(&self.whole).ok().and_then(|body| body.error);
        self.error = Some(match wire {
            Some(error) => {
                let envelope = envelope(error);
                Envelope { well_formed: envelope.well_formed && json, ..envelope }
            }
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

fn envelope(error: WireError) -> Envelope {
    let message = error.message.unwrap_or_default();
    let kind = error.r#type.unwrap_or_default();
    Envelope {
        well_formed: !message.is_empty() && !kind.is_empty(),
        kind,
        code: error.code.filter(|code| !code.is_null()).map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned)),
        message: message.chars().take(LONGEST_MESSAGE).collect(),
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
    fn whole_answers_and_errors_are_read() {
        let mut answer = Answer::default();
        answer.body(b"{\"choices\":[{\"message\":{\"content\":\"5.0\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":2}}}");
        let read = answer.end_of_body(true, Micros::ZERO);
        assert_eq!(read.end, End::Complete);
        assert_eq!(read.usage, Some(Tokens { input: 10, output: 3, cache_read: 2, cache_write: 0 }));
        let mut answer = Answer::default();
        answer.body(b"{\"error\":{\"message\":\"no\",\"type\":\"x\",\"code\":\"c\"}}");
        let read = answer.end_of_error(true, true);
        assert_eq!((read.end, read.error.unwrap().well_formed), (End::Refused, true));
        let mut answer = Answer::default();
        answer.body(b"Bad Gateway");
        assert!(!answer.end_of_error(true, false).error.unwrap().well_formed);
    }
}
