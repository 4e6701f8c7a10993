//! Pre-encoded answers for benchmarks: the simulator must cost far less than any gateway in front of it.
//!
//! With authentication off, a connection starts in a loop that reads just enough of each request to skip its body
//! and writes stored bytes. The first request that is anything but a plain call of a model hands the connection,
//! with the bytes read so far, to the ordinary HTTP server.

use std::{io, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{
    brain::{Block, Turn, TurnUsage},
    converse::{self, Echo},
    draw::{self, Stream},
    event_stream,
    events::{Event, Events},
    journal::Journal,
    native::{self, Answer},
    pace::{Pace, Tempo},
    route::Operation,
    validate::{
        Refusal,
        native::{Asks, Manner, Wishes},
    },
    wire::Wire,
};

const JSON: &str = "application/json";
const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";
/// The model that stored messages name: benchmarks ask one model at a time, and none looks at the name.
const MODEL: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
/// Deltas of the stored stream. With `messageStart`, `contentBlockStop`, `messageStop` and `metadata`: 104 events.
const DELTAS: usize = 100;
/// A request head longer than this is left to the ordinary server.
const LARGEST_HEAD: usize = 64 * 1024;
const READ_BUFFER: usize = 16 * 1024;

/// Stored answers for Converse and for InvokeModel (a Claude message), whole and streamed.
#[derive(Debug, Clone)]
pub struct FastAnswers {
    converse: Stored,
    messages: Stored,
}

/// One answer, by itself and behind its HTTP head.
#[derive(Debug, Clone)]
struct Stored {
    whole: Bytes,
    stream: Bytes,
    whole_response: Bytes,
    stream_response: Bytes,
}

impl Stored {
    fn new(whole: Vec<u8>, stream: Vec<u8>) -> Self {
        let (whole, stream) = (Bytes::from(whole), Bytes::from(stream));
        Self { whole_response: response(JSON, &whole), stream_response: response(EVENT_STREAM, &stream), whole, stream }
    }
}

impl FastAnswers {
    /// Encodes an answer of a hundred words; streamed by Converse it has 104 events.
    ///
    /// # Errors
    /// The answer cannot be written as JSON.
    pub fn new() -> Result<Self, Refusal> {
        let words: Vec<String> = (0..DELTAS).map(|index| format!("word{index}")).collect();
        let turn = Turn {
            blocks: vec![Block::Text(words.join(" "))],
            stop_reason: "end_turn",
            stop_sequence: None,
            usage: TurnUsage { input: 20, output: DELTAS as u64, ..TurnUsage::default() },
            guardrail_trace: None,
            service_tier: None,
            additional_response_fields: None,
        };
        let latency = Duration::from_millis(1);
        let echo = Echo { performance: None, latency, mark: None };
        let converse = Stored::new(
            converse::answer(&turn, &echo)?,
            frames(&turn, &words, |turn, tempo, rng| converse::turn_events(turn, &echo, tempo, rng))?,
        );
        let wishes = Wishes::default();
        let stream =
            frames(&turn, &words, |turn, tempo, rng| message(turn, &wishes, latency).chunks(Events::new(latency, None, tempo, rng)))?;
        let whole = message(&turn, &wishes, latency).whole()?;
        Ok(Self { converse, messages: Stored::new(whole, stream) })
    }

    /// Content type and body for an operation that has a stored answer.
    pub(crate) fn answer(&self, operation: Operation) -> Option<(&'static str, Bytes)> {
        match operation {
            Operation::Converse => Some((JSON, self.converse.whole.clone())),
            Operation::ConverseStream => Some((EVENT_STREAM, self.converse.stream.clone())),
            Operation::InvokeModel => Some((JSON, self.messages.whole.clone())),
            Operation::InvokeModelWithResponseStream => Some((EVENT_STREAM, self.messages.stream.clone())),
            _ => None,
        }
    }
}

fn message<'a>(turn: &'a Turn, wishes: &'a Wishes, latency: Duration) -> Answer<'a> {
    let (manner, asks, id) = (Manner::Messages, Asks::default(), native::answer_id(0, 0));
    Answer { manner, turn, model: MODEL, asks, wishes, id, created: 0, latency }
}

/// A stream with one delta for each word, whatever the usual random cuts would be.
fn frames(
    turn: &Turn,
    words: &[String],
    tell: impl Fn(&Turn, &mut Tempo, &mut Stream) -> Result<Vec<Event>, Refusal>,
) -> Result<Vec<u8>, Refusal> {
    let (mut rng, mut tempo) = (draw::stream(0, "fast", 0), Tempo::new(Pace::NONE, 0, 0));
    let empty = Turn { blocks: vec![Block::Text(String::new())], ..turn.clone() };
    let mut frames = Vec::new();
    for event in tell(&empty, &mut tempo, &mut rng)? {
        if !event.delta {
            frames.extend_from_slice(&event_stream::event(event.kind, &event.payload));
            continue;
        }
        for (index, word) in words.iter().enumerate() {
            let text = if index == 0 { word.clone() } else { format!(" {word}") };
            let single = Turn { blocks: vec![Block::Text(text)], ..turn.clone() };
            if let Some(delta) = tell(&single, &mut tempo, &mut rng)?.into_iter().find(|event| event.delta) {
                frames.extend_from_slice(&event_stream::event(delta.kind, &delta.payload));
            }
        }
    }
    Ok(frames)
}

/// Head and body of a whole HTTP response.
fn response(content_type: &str, body: &Bytes) -> Bytes {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nx-amzn-requestid: 00000000-0000-4000-8000-000000000000\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut response = BytesMut::with_capacity(head.len() + body.len());
    response.extend_from_slice(head.as_bytes());
    response.extend_from_slice(body);
    response.freeze()
}

/// How the short cut ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShortCut {
    /// The ordinary server takes over.
    HandOver,
    /// The client is gone.
    Closed,
}

/// Serves stored answers until a request needs more.
pub(crate) async fn serve<IO>(wire: &mut Wire<IO>, answers: &FastAnswers, journal: &Journal) -> io::Result<ShortCut>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = BytesMut::with_capacity(READ_BUFFER);
    loop {
        let Some(end) = memmem::find(&buffer, b"\r\n\r\n") else {
            if buffer.len() > LARGEST_HEAD {
                wire.unread(buffer);
                return Ok(ShortCut::HandOver);
            }
            if wire.read_buf(&mut buffer).await? == 0 {
                return Ok(ShortCut::Closed);
            }
            continue;
        };
        let Some(plan) = buffer.get(..end).and_then(|head| Plan::of(head, answers)) else {
            wire.unread(buffer);
            return Ok(ShortCut::HandOver);
        };
        buffer.advance(end + 4);
        if !skip_body(wire, &mut buffer, plan.body_length).await? {
            return Ok(ShortCut::Closed);
        }
        wire.write_all(&plan.response).await?;
        journal.note_fast_call();
    }
}

/// Discards a request body; false when the client left in the middle of it.
async fn skip_body<IO>(wire: &mut Wire<IO>, buffer: &mut BytesMut, length: usize) -> io::Result<bool>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut left = length;
    loop {
        let here = left.min(buffer.len());
        buffer.advance(here);
        left -= here;
        if left == 0 {
            return Ok(true);
        }
        // All of it was consumed: the space is used again instead of growing.
        buffer.reserve(READ_BUFFER);
        if wire.read_buf(buffer).await? == 0 {
            return Ok(false);
        }
    }
}

/// What to do with one request head.
struct Plan {
    body_length: usize,
    response: Bytes,
}

impl Plan {
    /// `None` for every request that is not a plain, counted call of a model on a lasting connection.
    fn of(head: &[u8], answers: &FastAnswers) -> Option<Self> {
        let line_end = memmem::find(head, b"\r\n")?;
        let line = head.get(..line_end)?;
        let path = line.strip_prefix(b"POST /model/")?.strip_suffix(b" HTTP/1.1")?;
        let verb = path.rsplit(|byte| *byte == b'/').next()?;
        let response = match verb {
            b"converse" => &answers.converse.whole_response,
            b"converse-stream" => &answers.converse.stream_response,
            b"invoke" => &answers.messages.whole_response,
            b"invoke-with-response-stream" => &answers.messages.stream_response,
            _ => return None,
        };
        let mut body_length = None;
        let mut rest = head.get(line_end + 2..)?;
        while !rest.is_empty() {
            let end = memmem::find(rest, b"\r\n").unwrap_or(rest.len());
            let (name, value) = split_header(rest.get(..end)?)?;
            if name.eq_ignore_ascii_case(b"content-length") {
                body_length = Some(std::str::from_utf8(value).ok()?.parse().ok()?);
            } else if [&b"transfer-encoding"[..], b"expect", b"connection", b"upgrade"].iter().any(|odd| name.eq_ignore_ascii_case(odd))
                && !value.eq_ignore_ascii_case(b"keep-alive")
            {
                return None;
            }
            rest = rest.get(end + 2..).unwrap_or_default();
        }
        Some(Self { body_length: body_length?, response: response.clone() })
    }
}

fn split_header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    Some((line.get(..colon)?, line.get(colon + 1..)?.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_calls_of_models_take_the_short_cut() {
        let answers = FastAnswers::new().unwrap();
        let plan = |head: &str| Plan::of(head.as_bytes(), &answers).map(|plan| (plan.body_length, plan.response));
        let whole = plan("POST /model/a%3A0/converse HTTP/1.1\r\nHost: x\r\nCONTENT-LENGTH: 12\r\nconnection: keep-alive").unwrap();
        assert_eq!(whole, (12, answers.converse.whole_response.clone()));
        for (verb, response) in [
            ("converse-stream", &answers.converse.stream_response),
            ("invoke", &answers.messages.whole_response),
            ("invoke-with-response-stream", &answers.messages.stream_response),
        ] {
            assert_eq!(&plan(&format!("POST /model/a/{verb} HTTP/1.1\r\ncontent-length: 0")).unwrap().1, response);
        }
        for other in [
            "GET /foundation-models HTTP/1.1\r\nhost: x",
            "POST /model/a/count-tokens HTTP/1.1\r\ncontent-length: 2",
            "POST /model/a/converse HTTP/1.0\r\ncontent-length: 2",
            "POST /model/a/converse HTTP/1.1\r\nhost: x",
            "POST /model/a/converse HTTP/1.1\r\ntransfer-encoding: chunked",
            "POST /model/a/converse HTTP/1.1\r\ncontent-length: 2\r\nexpect: 100-continue",
            "POST /model/a/converse HTTP/1.1\r\ncontent-length: 2\r\nconnection: close",
        ] {
            assert!(plan(other).is_none(), "{other}");
        }
    }

    #[test]
    fn the_stored_stream_has_104_events_and_the_words_of_the_stored_answer() {
        let answers = FastAnswers::new().unwrap();
        let (mut rest, mut events, mut text) = (answers.converse.stream.clone(), 0, String::new());
        while !rest.is_empty() {
            let total = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            let headers = u32::from_be_bytes(rest[4..8].try_into().unwrap()) as usize;
            let payload: serde_json::Value = serde_json::from_slice(&rest[12 + headers..total - 4]).unwrap();
            text.push_str(payload["delta"]["text"].as_str().unwrap_or(""));
            events += 1;
            rest.advance(total);
        }
        let whole: serde_json::Value = serde_json::from_slice(&answers.converse.whole).unwrap();
        assert_eq!(events, 104);
        assert_eq!(whole["output"]["message"]["content"][0]["text"], text);
    }
}
