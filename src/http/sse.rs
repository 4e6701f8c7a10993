//! The body of a streamed answer: events in, the dialect's own out, with signs of life in silence. What comes in the client's
//! dialect already is passed on.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use outcrop_domain::{chat::ChatEvent, error::GatewayError};
use outcrop_gateway::ports::{ChatAnswer, StreamItem, encode_frame};
use outcrop_translate::{
    anthropic_messages::stream::{MessageWriter, PING},
    errors::aws::{self, EventStream},
    openai_chat::stream::ChunkWriter,
    openai_completions::stream::TextWriter,
};
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep},
};

use super::EdgeLimits;

/// A writer made for an answer whose facts are known by then.
pub(super) type MakeWriter = Box<dyn FnOnce(&ChatAnswer) -> Writer + Send>;

/// Writes the events of one dialect.
pub(super) enum Writer {
    /// OpenAI chat chunks.
    Chat(ChunkWriter),
    /// Anthropic message events. In a box: thousands of chats may be open.
    Messages(Box<MessageWriter>),
    /// OpenAI's legacy completions, which few send.
    Completions(Box<TextWriter>),
    /// Frames of an event stream, which come as they are; the exception that ends them when they break is ours.
    Frames(EventStream),
}

impl Writer {
    fn write(&mut self, choice: u32, event: &ChatEvent, out: &mut Vec<u8>) {
        match self {
            Self::Chat(writer) => writer.write(choice, event, out),
            Self::Messages(writer) => writer.write(event, out),
            Self::Completions(writer) => writer.write(choice, event, out),
            Self::Frames(_) => {}
        }
    }

    /// What came in the client's own dialect is complete.
    fn passed(&mut self) {
        if let Self::Messages(writer) = self {
            writer.passed();
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Chat(writer) => writer.finish(out),
            Self::Messages(writer) => writer.finish(out),
            Self::Completions(writer) => writer.finish(out),
            Self::Frames(_) => {}
        }
    }

    fn fail(&mut self, error: &GatewayError, out: &mut Vec<u8>) {
        match self {
            Self::Chat(writer) => writer.fail(error, out),
            Self::Messages(writer) => writer.fail(error, out),
            Self::Completions(writer) => writer.fail(error, out),
            Self::Frames(stream) => out.extend_from_slice(&exception(error, *stream)),
        }
    }

    /// What is sent in silence.
    fn sign_of_life(&self) -> &'static [u8] {
        match self {
            Self::Chat(_) | Self::Completions(_) => KEEP_ALIVE,
            Self::Messages(_) => PING,
            // The format knows none: SDKs would take it for an event.
            Self::Frames(_) => &[],
        }
    }
}

/// The frame that tells of an error.
fn exception(error: &GatewayError, stream: EventStream) -> Bytes {
    let body = serde_json::to_vec(&aws::reply(error).body).unwrap_or_default();
    let kind = aws::exception_name(error, stream);
    encode_frame(&[(":exception-type", &kind), (":content-type", "application/json"), (":message-type", "exception")], &body)
}

/// An answer that has not come when the stream was opened.
pub(super) struct Pending {
    pub(super) answer: Pin<Box<dyn Future<Output = Result<ChatAnswer, GatewayError>> + Send>>,
    pub(super) make_writer: MakeWriter,
    /// Writes the error when there is no answer.
    pub(super) error_writer: Writer,
}

/// Where the stream stands.
enum State {
    /// The job has not answered.
    Waiting(Box<Pending>),
    /// Events come.
    Flowing { events: mpsc::Receiver<StreamItem>, writer: Writer },
    /// The last byte was given.
    Ended,
}

impl State {
    fn sign_of_life(&self) -> &'static [u8] {
        match self {
            Self::Waiting(pending) => pending.error_writer.sign_of_life(),
            Self::Flowing { writer, .. } => writer.sign_of_life(),
            Self::Ended => KEEP_ALIVE,
        }
    }
}

/// Most batches written in one go, so that a fast model cannot starve the connection's other work.
const MAX_BATCHES_PER_WRITE: usize = 32;

/// The response body.
pub(super) struct ChatStream {
    state: State,
    keep_alive: Pin<Box<Sleep>>,
    every: Duration,
    /// Clients are told of regions.
    tells_regions: bool,
}

impl ChatStream {
    /// A stream whose first events are there.
    pub(super) fn flowing(events: mpsc::Receiver<StreamItem>, writer: Writer, limits: &EdgeLimits) -> Body {
        let state = State::Flowing { events, writer };
        let every = limits.keep_alive;
        Body::new(Self { state, keep_alive: Box::pin(tokio::time::sleep(every)), every, tells_regions: limits.told.routing })
    }

    /// A stream that is opened before the job has answered.
    pub(super) fn waiting(pending: Pending, limits: &EdgeLimits) -> Body {
        let state = State::Waiting(Box::new(pending));
        // The first comment goes out at once: the client sees that it is connected.
        let keep_alive = Box::pin(tokio::time::sleep(Duration::ZERO));
        Body::new(Self { state, keep_alive, every: limits.keep_alive, tells_regions: limits.told.routing })
    }

    fn restart_silence(&mut self) {
        let next = Instant::now() + self.every;
        self.keep_alive.as_mut().reset(next);
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        if self.state.sign_of_life().is_empty() {
            return Poll::Pending;
        }
        if self.keep_alive.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.restart_silence();
        // The new deadline must be polled once, or nobody would wake us for it.
        if self.keep_alive.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
        Poll::Ready(Bytes::from_static(self.state.sign_of_life()))
    }
}

/// A comment: every SSE reader skips it.
const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Drains what has arrived into one buffer. `Some(true)` when the stream has ended.
fn write_available(
    events: &mut mpsc::Receiver<StreamItem>,
    writer: &mut Writer,
    tells_regions: bool,
    context: &mut Context<'_>,
    out: &mut Vec<u8>,
) -> bool {
    for _ in 0..MAX_BATCHES_PER_WRITE {
        match events.poll_recv(context) {
            Poll::Pending => return false,
            Poll::Ready(Some(StreamItem::Events { choice, events })) => {
                for event in events {
                    writer.write(choice, &event, out);
                }
            }
            Poll::Ready(Some(StreamItem::Bytes(bytes))) => {
                writer.passed();
                out.extend_from_slice(&bytes);
            }
            Poll::Ready(Some(StreamItem::Resumed { choice, region })) => {
                let place = if tells_regions { region.as_str() } else { "another region" };
                out.extend_from_slice(format!(": choice {choice} broke and goes on from {place}\n\n").as_bytes());
            }
            Poll::Ready(Some(StreamItem::Done)) => {
                writer.finish(out);
                return true;
            }
            Poll::Ready(Some(StreamItem::Failed(error))) => {
                writer.fail(&error, out);
                return true;
            }
            Poll::Ready(None) => {
                writer.fail(&GatewayError::WorkerLost, out);
                return true;
            }
        }
    }
    context.waker().wake_by_ref();
    false
}

impl HttpBody for ChatStream {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            let this = &mut *self;
            let mut out = Vec::new();
            let ended = match &mut this.state {
                State::Ended => return Poll::Ready(None),
                State::Waiting(pending) => match pending.answer.as_mut().poll(context) {
                    Poll::Pending => return this.poll_silence(context).map(|comment| Some(Ok(Frame::data(comment)))),
                    Poll::Ready(answer) => {
                        let State::Waiting(pending) = std::mem::replace(&mut this.state, State::Ended) else { continue };
                        this.state = begin(*pending, answer, &mut out);
                        if out.is_empty() {
                            continue;
                        }
                        matches!(this.state, State::Ended)
                    }
                },
                State::Flowing { events, writer } => write_available(events, writer, this.tells_regions, context, &mut out),
            };
            if ended {
                this.state = State::Ended;
            }
            if !out.is_empty() {
                this.restart_silence();
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from(out)))));
            }
            if !ended {
                return this.poll_silence(context).map(|comment| Some(Ok(Frame::data(comment))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn begin(pending: Pending, answer: Result<ChatAnswer, GatewayError>, out: &mut Vec<u8>) -> State {
    let mut error_writer = pending.error_writer;
    match answer {
        Ok(answer) => {
            let writer = (pending.make_writer)(&answer);
            match answer {
                ChatAnswer::Stream { events, .. } => State::Flowing { events, writer },
                ChatAnswer::Whole { .. } | ChatAnswer::Raw { .. } | ChatAnswer::Counted { .. } => {
                    error_writer.fail(&GatewayError::Internal { message: "a streamed request was answered whole".to_owned() }, out);
                    State::Ended
                }
            }
        }
        Err(error) => {
            error_writer.fail(&error, out);
            State::Ended
        }
    }
}
