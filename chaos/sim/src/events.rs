//! The events of a stream before they are framed: what they say, when they come, and what ends with them.

mod fragments;

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::Value;

use crate::{draw::Stream, pace::Tempo};

/// AWS pads events with a prefix of these characters, so that their size does not betray their text.
const PADDING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// `:event-type`.
    pub(crate) kind: &'static str,
    /// JSON.
    pub(crate) payload: Vec<u8>,
    /// Pause before it.
    pub(crate) wait: Duration,
    /// Whether it carries output that is paid for.
    pub(crate) delta: bool,
    /// Watermarks that end in it.
    pub(crate) words: u32,
    pub(crate) part: Part,
}

/// What an event is for, as far as faults tell events apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Part {
    /// Anything else.
    #[default]
    Content,
    /// The end of the message. With usage in it, the payload it would have without.
    Stop(Option<Vec<u8>>),
    /// The usage. With more in it, the payload it would have without usage.
    Usage(Option<Vec<u8>>),
}

/// The payload of an event of a native stream.
#[derive(Serialize)]
struct Chunk {
    bytes: String,
}

/// The object a native event is wrapped in.
pub(crate) fn chunk(native: &[u8]) -> Vec<u8> {
    // A text always serializes.
    serde_json::to_vec(&Chunk { bytes: STANDARD.encode(native) }).unwrap_or_default()
}

/// Gathers the events of one stream, paced and padded.
pub(crate) struct Events<'a> {
    list: Vec<Event>,
    waited: Duration,
    mark: Option<&'a str>,
    tempo: &'a mut Tempo,
    rng: &'a mut Stream,
}

impl<'a> Events<'a> {
    /// For a call that has taken so long already; `mark` is what every watermark of its turn begins with, if there are any.
    pub(crate) fn new(waited: Duration, mark: Option<&'a str>, tempo: &'a mut Tempo, rng: &'a mut Stream) -> Self {
        Self { list: Vec::new(), waited, mark, tempo, rng }
    }

    /// The time until the last event, since the call arrived.
    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }

    /// Heads or tails, for what AWS does now one way and now the other.
    pub(crate) fn coin(&mut self) -> bool {
        self.rng.bool()
    }

    /// A number below `limit`, for the same.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.rng.below(limit)
    }

    /// A text in fragments, each with the number of watermarks that end in it.
    pub(crate) fn text(&mut self, text: &str) -> Vec<(String, u32)> {
        let fragments = if self.mark.is_some() { fragments::single_words(text) } else { fragments::words(text, self.rng) };
        fragments::with_marks(fragments, self.mark)
    }

    /// Whether a tool call is told without any delta: AWS may do so where there are no arguments.
    pub(crate) fn leaves_out(&mut self, input: &Value) -> bool {
        input.as_object().is_some_and(serde_json::Map::is_empty) && self.rng.bool()
    }

    /// The arguments of a tool in fragments of JSON text, likewise.
    pub(crate) fn arguments(&mut self, input: &Value) -> Vec<(String, u32)> {
        let fragments = fragments::json(&input.to_string(), self.rng);
        fragments::with_marks(fragments, self.mark)
    }

    /// Adds an event that follows the last one at once. Payloads are JSON objects.
    pub(crate) fn add(&mut self, kind: &'static str, payload: Vec<u8>, part: Part) {
        let padding = PADDING.get(..self.rng.within(1..=PADDING.len())).unwrap_or(PADDING);
        let part = match part {
            Part::Content => Part::Content,
            Part::Stop(bare) => Part::Stop(bare.map(|bare| padded(bare, padding))),
            Part::Usage(bare) => Part::Usage(bare.map(|bare| padded(bare, padding))),
        };
        let payload = padded(payload, padding);
        self.list.push(Event { kind, payload, wait: Duration::ZERO, delta: false, words: 0, part });
    }

    /// Adds an event with output, after a pause.
    pub(crate) fn add_delta(&mut self, kind: &'static str, payload: Vec<u8>, words: u32) {
        let wait = self.tempo.delta();
        self.waited += wait;
        self.add(kind, payload, Part::Content);
        if let Some(event) = self.list.last_mut() {
            (event.wait, event.delta, event.words) = (wait, true, words);
        }
    }

    /// All of them.
    pub(crate) fn finish(self) -> Vec<Event> {
        self.list
    }
}

/// The events of a scripted native stream: each text as one `chunk`.
pub(crate) fn scripted(chunks: &[String], tempo: &mut Tempo, rng: &mut Stream) -> Vec<Event> {
    let mut events = Events::new(Duration::ZERO, None, tempo, rng);
    for native in chunks {
        events.add_delta("chunk", chunk(native.as_bytes()), 0);
    }
    events.finish()
}

/// Adds the member `p` to a JSON object.
fn padded(mut object: Vec<u8>, padding: &str) -> Vec<u8> {
    if object.last() == Some(&b'}') {
        object.pop();
        object.extend_from_slice(b",\"p\":\"");
        object.extend_from_slice(padding.as_bytes());
        object.extend_from_slice(b"\"}");
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{draw, pace::Pace};

    #[test]
    fn native_chunks_are_base64_in_one_event_each() {
        let texts = ["{\"type\":\"ping\"}".to_owned(), "x".to_owned()];
        let events = scripted(&texts, &mut Tempo::new(Pace::NONE, 1, 0), &mut draw::stream(1, "events", 0));
        let payload: Value = serde_json::from_slice(&events[0].payload).unwrap();
        assert_eq!((events.len(), events[0].kind), (2, "chunk"));
        assert_eq!(payload["bytes"], "eyJ0eXBlIjoicGluZyJ9");
        assert!(payload["p"].is_string());
    }

    #[test]
    fn a_payload_without_usage_has_the_padding_of_the_one_with_it() {
        let (mut tempo, mut rng) = (Tempo::new(Pace::NONE, 1, 0), draw::stream(1, "events", 0));
        let mut events = Events::new(Duration::ZERO, None, &mut tempo, &mut rng);
        events.add("e", b"{\"a\":1,\"usage\":2}".to_vec(), Part::Usage(Some(b"{\"a\":1}".to_vec())));
        let event = events.finish().remove(0);
        let Part::Usage(Some(bare)) = event.part else { panic!("{event:?}") };
        let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        assert_eq!((read(&bare)["p"].clone(), read(&bare).get("usage")), (read(&event.payload)["p"].clone(), None));
    }
}
