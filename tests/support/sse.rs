//! Server-sent events as a client reads them, and the answer they add up to.

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;
use http::{Response, response::Parts};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use serde_json::{Map, Value};
use tokio::task::JoinHandle;

use super::wait::soon;

/// What a stream brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A comment, without its colon.
    Comment(String),
    /// The data of one event.
    Data(String),
    /// The stream broke.
    Broken(String),
}

/// A response whose body is read event by event. Dropping it closes the connection.
#[derive(Debug)]
pub struct EventStream {
    pub head: Parts,
    pub body: Incoming,
    read: String,
    ready: VecDeque<Event>,
    _sender: SendRequest<Full<Bytes>>,
    _connection: Connection,
}

/// The task behind a connection; dropping it closes the socket.
#[derive(Debug)]
pub(super) struct Connection(pub(super) JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl EventStream {
    pub(super) fn new(response: Response<Incoming>, sender: SendRequest<Full<Bytes>>, connection: Connection) -> Self {
        let (head, body) = response.into_parts();
        Self { head, body, read: String::new(), ready: VecDeque::new(), _sender: sender, _connection: connection }
    }

    /// The next event; `None` at a clean end.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            match soon("the next event", self.body.frame()).await {
                None => {
                    assert!(self.read.is_empty(), "the stream ends within an event: {:?}", self.read);
                    return None;
                }
                Some(Err(error)) => return Some(Event::Broken(error.to_string())),
                Some(Ok(frame)) => self.take(&frame.into_data().unwrap_or_default()),
            }
        }
    }

    /// The next data as JSON; anything else fails the test.
    pub async fn chunk(&mut self) -> Value {
        match self.next().await {
            Some(Event::Data(data)) => serde_json::from_str(&data).unwrap_or_else(|fault| panic!("{fault}: {data}")),
            other => panic!("no chunk: {other:?}"),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        // The gateway writes whole events: a character is never cut in two.
        self.read.push_str(std::str::from_utf8(bytes).expect("UTF-8"));
        while let Some((event, rest)) = self.read.split_once("\n\n") {
            // Where events have names, the data says them too.
            let event = event.strip_prefix("event: ").and_then(|named| named.split_once('\n')).map_or(event, |(_, data)| data);
            self.ready.push_back(match (event.strip_prefix("data: "), event.strip_prefix(':')) {
                (Some(data), _) => Event::Data(data.to_owned()),
                (None, Some(comment)) => Event::Comment(comment.trim().to_owned()),
                (None, None) => panic!("neither data nor comment: {event:?}"),
            });
            self.read = rest.to_owned();
        }
    }

    /// Reads to the end and puts the answer together.
    pub async fn fold(mut self) -> Folded {
        let mut folded = Folded { headers: self.head.headers.clone(), ..Folded::default() };
        while let Some(event) = self.next().await {
            folded.arrivals.push(Instant::now());
            match event {
                Event::Comment(_) => folded.comments += 1,
                Event::Broken(why) => {
                    folded.broken = Some(why);
                    break;
                }
                Event::Data(data) if data == "[DONE]" => folded.done += 1,
                Event::Data(data) => folded.chunk(serde_json::from_str(&data).unwrap_or_else(|fault| panic!("{fault}: {data}"))),
            }
        }
        folded
    }
}

/// A stream put together.
#[derive(Debug, Default)]
pub struct Folded {
    pub headers: http::HeaderMap,
    pub chunks: Vec<Value>,
    pub arrivals: Vec<Instant>,
    pub comments: usize,
    /// How often `[DONE]` came.
    pub done: usize,
    /// The in-band error.
    pub error: Option<Value>,
    /// The connection broke.
    pub broken: Option<String>,
}

impl Folded {
    fn chunk(&mut self, chunk: Value) {
        assert_eq!(self.done, 0, "a chunk after the end: {chunk}");
        assert!(self.error.is_none(), "a chunk after an error: {chunk}");
        if chunk.get("error").is_some() {
            self.error = Some(chunk);
        } else {
            self.chunks.push(chunk);
        }
    }

    /// What every good stream holds to.
    pub fn check(&self) {
        assert_eq!((self.done, &self.error, &self.broken), (1, &None, &None));
        let first = &self.chunks[0];
        for chunk in &self.chunks {
            assert_eq!(chunk["object"], "chat.completion.chunk");
            for same in ["id", "created", "model"] {
                assert_eq!(chunk[same], first[same], "{same}");
            }
        }
    }

    fn deltas(&self, choice: u64) -> impl Iterator<Item = &Value> {
        let choices = self.chunks.iter().flat_map(|chunk| chunk["choices"].as_array().expect("choices"));
        choices.filter(move |part| part["index"] == choice)
    }

    /// The deltas' string member of this name, joined.
    pub fn joined(&self, choice: u64, member: &str) -> String {
        self.deltas(choice).filter_map(|part| part["delta"][member].as_str()).collect()
    }

    /// The text of the first choice.
    pub fn text(&self) -> String {
        self.joined(0, "content")
    }

    /// Why a choice ended; told once.
    pub fn finish(&self, choice: u64) -> String {
        let reasons: Vec<&str> = self.deltas(choice).filter_map(|part| part["finish_reason"].as_str()).collect();
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        reasons[0].to_owned()
    }

    /// Usage; told once, in the last chunk, beside no choice.
    pub fn usage(&self) -> Value {
        let told: Vec<&Value> = self.chunks.iter().filter(|chunk| chunk["usage"].is_object()).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0], self.chunks.last().unwrap());
        assert_eq!(told[0]["choices"], Value::Array(Vec::new()));
        told[0]["usage"].clone()
    }

    /// The message that a client keeps: text, tool calls and reasoning, to be sent back as it is.
    pub fn message(&self) -> Value {
        let mut message = Map::new();
        message.insert("role".to_owned(), "assistant".into());
        let text = self.text();
        message.insert("content".to_owned(), if text.is_empty() { Value::Null } else { text.into() });
        let calls = self.tool_calls();
        if !calls.is_empty() {
            message.insert("tool_calls".to_owned(), calls.into());
        }
        let details: Vec<Value> =
            self.deltas(0).flat_map(|part| part["delta"]["reasoning_details"].as_array().cloned().unwrap_or_default()).collect();
        if !details.is_empty() {
            message.insert("reasoning_details".to_owned(), details.into());
        }
        Value::Object(message)
    }

    /// The tool calls of the first choice, put together; checks that their pieces are in order.
    pub fn tool_calls(&self) -> Vec<Value> {
        let mut calls: Vec<Value> = Vec::new();
        let pieces = self.deltas(0).flat_map(|part| part["delta"]["tool_calls"].as_array().cloned().unwrap_or_default());
        for mut piece in pieces {
            let index = usize::try_from(piece["index"].as_u64().expect("an index")).unwrap();
            if index == calls.len() {
                assert!(piece["id"].is_string() && piece["type"] == "function", "{piece}");
                assert!(piece["function"]["name"].is_string(), "{piece}");
                piece.as_object_mut().unwrap().remove("index");
                calls.push(piece);
            } else {
                assert_eq!(index + 1, calls.len(), "pieces of calls are mixed: {piece}");
                assert!(piece.get("id").is_none(), "an id came twice: {piece}");
                let call = calls.last_mut().unwrap();
                let more = piece["function"]["arguments"].as_str().expect("arguments");
                let arguments = format!("{}{more}", call["function"]["arguments"].as_str().unwrap());
                call["function"]["arguments"] = arguments.into();
            }
        }
        calls
    }
}
