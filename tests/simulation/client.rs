//! One client: asks over a connection of its own, reads every byte with suspicion, leaves or stops reading when its deed says so.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1::handshake};
use hyper_util::rt::TokioIo;
use outcrop_chaos::{
    history::{Envelope, Micros, Said},
    load::{SseEvents, SseLine, WordReader},
};
use serde::Deserialize;
use tokio::{task::JoinHandle, time::timeout_at};

use crate::{
    books::{Ended, Seen},
    load::{Arrival, Deed},
    options::Options,
    plant::Plant,
    world::{Front, KEY},
};

/// Asks, and reads what comes until it is over.
pub async fn ask(front: Arc<Front>, options: Arc<Options>, asked: Arrival) -> Seen {
    let mut seen = Seen { asked, ..Seen::default() };
    let paused = match seen.asked.deed {
        Deed::Pause(pause) => pause,
        Deed::Stay | Deed::Leave(_) => Duration::ZERO,
    };
    let deadline = options.deadline(seen.asked.at) + paused;
    let (until, giving_up) = match seen.asked.deed {
        Deed::Leave(after) if seen.asked.at + after < deadline => (seen.asked.at + after, Ended::Left),
        _ => (deadline, Ended::Late),
    };
    let plant = options.plant;
    seen.end = match timeout_at(front.instant(until), exchange(&front, &mut seen, plant)).await {
        Ok(end) => end,
        Err(_) => giving_up,
    };
    if plant == Plant::Throttle && seen.end == Ended::Complete && seen.asked.id == 5 {
        (seen.end, seen.status) = (Ended::Refused, Some(429));
    }
    seen.ended = front.now();
    seen
}

/// A connection, closed when its client is gone.
struct Line(Option<JoinHandle<()>>);

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

async fn exchange(front: &Front, seen: &mut Seen, plant: Plant) -> Ended {
    let (mut sender, connection) = handshake(TokioIo::new(front.dial())).await.unwrap();
    let task = tokio::spawn(async move { drop(connection.await) });
    // A planted bug: the client is gone, its connection is not.
    let _line = Line((plant != Plant::KeepCall).then_some(task));
    let mut request = Request::post("/v1/chat/completions")
        .header(header::HOST, "gateway")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"));
    if let Some((talk, _)) = seen.asked.talk {
        request = request.header("x-session-id", format!("talk-{talk}"));
    }
    let request = request.body(Full::new(Bytes::from(seen.asked.body()))).unwrap();
    let response = match sender.send_request(request).await {
        Ok(response) => response,
        Err(_) => return Ended::Cut,
    };
    let of_header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    seen.status = Some(response.status().as_u16());
    seen.request_id = of_header("x-request-id");
    seen.region = of_header("x-outcrop-region");
    seen.attempts = of_header("x-outcrop-attempts");
    seen.retry_after = of_header("retry-after");
    if plant == Plant::KeepCall && matches!(seen.asked.deed, Deed::Leave(_)) {
        let mut body = response.into_body();
        tokio::spawn(async move { while body.frame().await.is_some() {} });
        return std::future::pending().await;
    }
    read(front, response, seen, plant).await
}

async fn read(front: &Front, mut response: Response<Incoming>, seen: &mut Seen, plant: Plant) -> Ended {
    let refused = response.status().as_u16() >= 400;
    let content = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (json, streamed) = (content.starts_with("application/json"), content.starts_with("text/event-stream"));
    let mut reader = Reader { plant, ..Reader::default() };
    let (mut whole, mut paused) = (Vec::new(), false);
    let clean = loop {
        match response.body_mut().frame().await {
            None => break true,
            Some(Err(_)) => break false,
            Some(Ok(frame)) => {
                let Ok(bytes) = frame.into_data() else { continue };
                if streamed {
                    reader.stream(&bytes)
                } else {
                    whole.extend_from_slice(&bytes)
                }
                if reader.words.values().any(WordReader::has_words) {
                    seen.first_content.get_or_insert(front.now());
                }
                // What came so far is known even of a client that leaves.
                reader.tell(seen);
            }
        }
        if let (Deed::Pause(pause), false) = (seen.asked.deed, paused) {
            paused = true;
            tokio::time::sleep(pause).await;
        }
    };
    let end = match (refused, streamed) {
        (true, _) => reader.end_of_error(&whole, clean && json),
        (false, true) => reader.end_of_stream(clean, seen.asked.choices),
        (false, false) => reader.end_of_body(&whole, clean && json, seen.asked.choices),
    };
    reader.over(end == Ended::Complete);
    reader.tell(seen);
    seen.error = reader.error;
    seen.strange = reader.strange;
    end
}

#[derive(Default)]
struct Reader {
    events: SseEvents,
    words: BTreeMap<u32, WordReader>,
    said: BTreeMap<u32, Said>,
    finished: BTreeMap<u32, String>,
    done: bool,
    errors: u32,
    after_end: bool,
    error: Option<Envelope>,
    strange: Vec<String>,
    plant: Plant,
    deltas: u64,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Choice {
    index: u32,
    delta: Option<Message>,
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
struct Fault {
    message: Option<String>,
    r#type: Option<String>,
}

impl Reader {
    fn stream(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match self.events.feed(*byte) {
                Some(SseLine::Data(data)) => self.event(&data),
                Some(SseLine::Strange(line)) => self.strange(&line),
                None => {}
            }
        }
    }

    fn event(&mut self, data: &[u8]) {
        self.after_end |= self.done || (self.errors > 0 && data != b"[DONE]");
        if data == b"[DONE]" {
            self.done = true;
            return;
        }
        match serde_json::from_slice::<Chunk>(data) {
            Ok(chunk) => self.chunk(chunk),
            Err(_) => self.strange(data),
        }
    }

    fn chunk(&mut self, chunk: Chunk) {
        if let Some(fault) = chunk.error {
            self.errors += 1;
            self.error = Some(envelope(fault));
        }
        for choice in chunk.choices {
            for message in [choice.delta, choice.message].into_iter().flatten() {
                if self.finished.contains_key(&choice.index) {
                    self.after_end |= message.content.as_ref().is_some_and(|text| !text.is_empty()) || !message.tool_calls.is_empty();
                }
                self.message(choice.index, message);
            }
            if let Some(reason) = choice.finish_reason
                && self.finished.insert(choice.index, reason).is_some()
            {
                self.after_end = true;
            }
        }
    }

    fn message(&mut self, choice: u32, message: Message) {
        let words = self.words.entry(choice).or_default();
        if let Some(text) = message.content.filter(|text| !text.is_empty()) {
            self.deltas += 1;
            // A planted bug: a word is lost between the gateway and the book.
            if self.plant != Plant::LoseWord || self.deltas != 3 {
                words.text(&text, Micros::ZERO);
            }
        }
        for function in message.tool_calls.into_iter().filter_map(|call| call.function) {
            if function.name.is_some() {
                words.end_of_part();
            }
            if let Some(arguments) = function.arguments {
                words.arguments(&arguments, Micros::ZERO);
            }
        }
    }

    fn strange(&mut self, bytes: &[u8]) {
        self.strange.push(String::from_utf8_lossy(bytes).chars().take(200).collect());
    }

    fn end_of_stream(&mut self, clean: bool, choices: u32) -> Ended {
        if self.after_end || !self.strange.is_empty() || self.errors > 1 || (clean && self.events.has_rest()) {
            return Ended::Malformed;
        }
        let whole = self.done && self.finished.len() == choices as usize;
        match (self.errors, clean) {
            (1, true) => Ended::StreamError,
            (_, true) if whole => Ended::Complete,
            (_, true) => Ended::Silent,
            (_, false) => Ended::Cut,
        }
    }

    fn end_of_body(&mut self, whole: &[u8], good: bool, choices: u32) -> Ended {
        match serde_json::from_slice::<Chunk>(whole) {
            Ok(chunk) if good => {
                self.chunk(chunk);
                if self.finished.len() == choices as usize { Ended::Complete } else { Ended::Malformed }
            }
            _ if good => {
                self.strange(whole);
                Ended::Malformed
            }
            _ => Ended::Cut,
        }
    }

    fn end_of_error(&mut self, whole: &[u8], good: bool) -> Ended {
        match serde_json::from_slice::<Chunk>(whole).ok().and_then(|body| body.error) {
            Some(fault) if good => {
                self.error = Some(envelope(fault));
                Ended::Refused
            }
            _ => {
                self.strange(whole);
                Ended::Malformed
            }
        }
    }

    fn over(&mut self, whole: bool) {
        for (choice, words) in std::mem::take(&mut self.words) {
            self.said.insert(choice, words.finish(whole).0);
        }
    }

    fn tell(&self, seen: &mut Seen) {
        seen.said.clone_from(&self.said);
    }
}

fn envelope(fault: Fault) -> Envelope {
    let (message, kind) = (fault.message.unwrap_or_default(), fault.r#type.unwrap_or_default());
    Envelope { well_formed: !message.is_empty() && !kind.is_empty(), kind, code: None, message: message.chars().take(300).collect() }
}
