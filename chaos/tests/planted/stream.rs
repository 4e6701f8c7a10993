//! The toy's jobs, and its streams from upstream to client.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Frame as HttpFrame;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use crate::{
    frames::Frames,
    plant::Plant,
    toy::{Toy, Upstream, json_response},
};

/// A response's body.
pub(crate) struct Body(Pin<Box<dyn Stream<Item = Bytes> + Send>>);

impl Body {
    pub(crate) fn whole(text: String) -> Self {
        Self(Box::pin(stream::iter([Bytes::from(text)])))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<HttpFrame<Bytes>, Self::Error>>> {
        self.0.poll_next_unpin(context).map(|piece| piece.map(|bytes| Ok(HttpFrame::data(bytes))))
    }
}

/// One request; dropped, it gives its lease back and writes its row.
pub(crate) struct Job {
    toy: Toy,
    pub(crate) id: u64,
    key: String,
    kill: Arc<Notify>,
    pub(crate) was_killed: bool,
    outcome: &'static str,
    status: u16,
    pub(crate) attempts: u64,
    pub(crate) words: u64,
    pub(crate) extra_input: u64,
    /// Words of calls that broke after the first of them, and for which another call was made.
    broken_words: u64,
    pub(crate) prompt_bytes: u64,
    pub(crate) pinned: bool,
    usage: Option<[u64; 4]>,
}

impl Job {
    pub(crate) fn new(toy: Toy, id: u64, key: &str, kill: Arc<Notify>) -> Self {
        let key = key.to_owned();
        Self {
            toy,
            id,
            key,
            kill,
            was_killed: false,
            outcome: "cancelled",
            status: 499,
            attempts: 0,
            words: 0,
            extra_input: 0,
            broken_words: 0,
            prompt_bytes: 0,
            pinned: false,
            usage: None,
        }
    }

    pub(crate) async fn killed(&self) {
        self.kill.notified().await;
    }

    pub(crate) fn take_usage(&mut self, usage: &Value) {
        let count = |name: &str| usage[name].as_u64().unwrap_or(0);
        self.usage = Some([count("inputTokens"), count("outputTokens"), count("cacheReadInputTokens"), count("cacheWriteInputTokens")]);
    }

    /// The call broke, and another one is made: it is paid as well, and books can only guess how much.
    fn book_broken(&mut self) {
        self.extra_input += self.prompt_bytes / 4;
        self.broken_words += std::mem::take(&mut self.words);
        self.attempts += 1;
    }

    pub(crate) fn complete(&mut self) {
        (self.outcome, self.status) = ("completed", 200);
    }

    pub(crate) fn fail(&mut self) {
        (self.outcome, self.status) = ("failed", 200);
    }

    pub(crate) fn refuse(&mut self, status: u16, kind: &str, text: &str, retry_after: Option<u64>) -> Response<Body> {
        (self.outcome, self.status) = ("failed", status);
        json_response(status, &json!({ "error": { "message": text, "type": kind, "code": null } }), retry_after)
    }

    fn row(&self) -> String {
        let plant = self.toy.0.plant;
        let [mut input, mut output, read, write] = self.usage.unwrap_or_default();
        let estimated = self.usage.is_none() && self.words > 0;
        if estimated {
            (input, output) = (self.prompt_bytes / 4, self.words);
        }
        match plant {
            Plant::MessageStartUsage if self.outcome == "completed" => output = 1,
            Plant::CountsWords if self.outcome == "completed" => output = self.words,
            Plant::BillsFailedAttempts => input += 100 * self.attempts.saturating_sub(1),
            Plant::GuessesWildly if estimated => output *= 100,
            _ => {}
        }
        let (input, output) = (input + self.extra_input, output + self.broken_words);
        let estimated = estimated || self.broken_words > 0;
        // Micro-dollars per million tokens make 10^-12 dollars a token.
        let mut cost = (input * 3_000_000 + output * 15_000_000 + read * 300_000 + write * 3_750_000) / 1_000_000;
        if plant == Plant::OverchargesTheCut && estimated {
            cost *= 2;
        }
        let cost = (plant != Plant::OmitsCost).then_some(cost);
        json!({
            "message": "request", "request.id": format!("req-{}", self.id), "path": "/v1/chat/completions", "status": self.status,
            "key.id": self.key, "model.id": "anthropic.claude-sonnet-4-6", "outcome": self.outcome, "attempts": self.attempts,
            "tokens.input": input, "tokens.output": output, "tokens.cache_read": read, "tokens.cache_write": write,
            "estimated": estimated, "cost.micro_usd": cost,
        })
        .to_string()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let plant = self.toy.0.plant;
        let mut state = self.toy.state();
        state.jobs.remove(&self.id);
        if self.was_killed && plant == Plant::LeaksLease {
            state.leaked += 1;
        }
        drop(state);
        self.toy.0.idle.notify_waiters();
        if self.outcome == "cancelled" && plant == Plant::LosesCancelledRows {
            return;
        }
        let (log, row) = (Arc::clone(&self.toy.0.log), self.row());
        if plant == Plant::RowAfterAnswer {
            self.toy.spawn(async move {
                tokio::time::sleep(Duration::from_millis(900)).await;
                log.lock().unwrap().line(0, &row);
            });
            return;
        }
        let times = if plant == Plant::BillsTwiceAfterFailover && self.attempts > 1 { 2 } else { 1 };
        (0..times).for_each(|_| log.lock().unwrap().line(0, &row));
    }
}

/// What the stream has for the client.
struct Flow {
    toy: Toy,
    job: Job,
    upstream: Upstream,
    converse: Bytes,
    frames: Frames,
    held: Option<String>,
    last: String,
    deltas: u64,
    buffered: String,
    stopped: bool,
    ended: bool,
}

pub(crate) fn stream_answer(toy: Toy, job: Job, upstream: Upstream, converse: Bytes) -> Response<Body> {
    let plant = toy.0.plant;
    let flow = Flow {
        toy: toy.clone(),
        job,
        upstream,
        converse,
        frames: Frames::default(),
        held: None,
        last: String::new(),
        deltas: 0,
        buffered: String::new(),
        stopped: false,
        ended: false,
    };
    let pieces = stream::unfold(flow, |mut flow| async move {
        let piece = flow.next().await?;
        Some((piece, flow))
    });
    let body = if matches!(plant, Plant::ForgetsCancel | Plant::CancelsAtNextChunk) {
        // A task of its own that the client's leaving does not reach.
        let (sender, receiver) = mpsc::channel(1024);
        toy.spawn(async move {
            let mut pieces = Box::pin(pieces);
            while let Some(piece) = pieces.next().await {
                if sender.send(piece).await.is_err() && plant == Plant::CancelsAtNextChunk {
                    break;
                }
            }
        });
        Body(Box::pin(stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })))
    } else {
        Body(Box::pin(pieces))
    };
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn delta(text: &str) -> String {
    event(&json!({ "choices": [{ "delta": { "content": text } }] }))
}

impl Flow {
    async fn next(&mut self) -> Option<Bytes> {
        while !self.ended {
            let mut out = String::new();
            match self.frames.next(self.toy.0.plant != Plant::IgnoresCrc) {
                Ok(Some(frame)) => {
                    self.frame(frame.header(":message-type") == "exception", frame.header(":event-type"), &frame.payload, &mut out)
                }
                Err(damage) => self.broke(&damage, &mut out).await,
                Ok(None) => {
                    let read = tokio::select! {
                        read = self.upstream.response.body_mut().frame() => read,
                        () = self.job.killed() => {
                            self.job.was_killed = true;
                            self.error("the worker died", &mut out);
                            None
                        }
                    };
                    match read {
                        Some(Ok(frame)) => self.frames.feed(&frame.into_data().unwrap_or_default()),
                        _ if self.ended => {}
                        Some(Err(_)) => self.broke("the connection broke", &mut out).await,
                        None => self.end(&mut out).await,
                    }
                }
            }
            if self.toy.0.plant == Plant::BuffersStream && !self.ended {
                self.buffered.push_str(&out);
                continue;
            }
            let out = std::mem::take(&mut self.buffered) + &out;
            if !out.is_empty() {
                return Some(Bytes::from(out));
            }
        }
        None
    }

    fn frame(&mut self, exception: bool, kind: &str, payload: &[u8], out: &mut String) {
        let value: Value = serde_json::from_slice(payload).unwrap_or_default();
        if exception {
            if self.toy.0.plant == Plant::SwallowsException {
                self.ended = true;
                self.job.fail();
            } else {
                let words = value["message"].as_str().filter(|_| self.toy.0.plant != Plant::HidesException);
                self.error(words.unwrap_or("the model broke"), out);
            }
            return;
        }
        match kind {
            "contentBlockDelta" => self.text(value["delta"]["text"].as_str().unwrap_or_default(), out),
            "messageStop" => self.stopped = true,
            "metadata" => self.job.take_usage(&value["usage"]),
            _ => {}
        }
    }

    fn text(&mut self, text: &str, out: &mut String) {
        self.deltas += 1;
        self.job.words += text.split_whitespace().count() as u64;
        match self.toy.0.plant {
            Plant::DropsWord if self.deltas % 17 == 5 => return,
            Plant::SwapsDeltas if self.held.is_none() && self.deltas % 9 == 3 => {
                self.held = Some(text.to_owned());
                return;
            }
            _ => {}
        }
        out.push_str(&delta(text));
        if let Some(held) = self.held.take() {
            out.push_str(&delta(&held));
        }
        self.last = text.to_owned();
    }

    async fn end(&mut self, out: &mut String) {
        if !self.stopped && self.toy.0.plant != Plant::MissingStopIsSuccess {
            return self.broke("the stream ended without its end", out).await;
        }
        match self.toy.0.plant {
            Plant::RepeatsLastDelta => out.push_str(&delta(&self.last)),
            Plant::JoinsTwoCalls => {
                let other = std::mem::replace(&mut self.toy.state().last_text, self.last.clone());
                out.push_str(&delta(&format!(" {other}")));
            }
            _ => {}
        }
        out.push_str(&event(&json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] })));
        out.push_str("data: [DONE]\n\n");
        self.job.complete();
        self.ended = true;
    }

    async fn broke(&mut self, why: &str, out: &mut String) {
        if self.toy.0.plant == Plant::RetriesAfterFirstByte && self.deltas > 0 && self.job.attempts < 3 {
            let next = crate::toy::REGIONS.iter().find(|region| **region != self.upstream.region).unwrap();
            if let Ok(upstream) = self.toy.call(next, true, &self.converse).await {
                (self.upstream, self.frames) = (upstream, Frames::default());
                self.job.book_broken();
                return;
            }
        }
        self.error(why, out);
    }

    fn error(&mut self, why: &str, out: &mut String) {
        out.push_str(&event(&json!({ "error": { "message": why, "type": "server_error", "code": null } })));
        self.job.fail();
        self.ended = true;
    }
}
