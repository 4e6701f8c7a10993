//! A model's answer as it streams in: frames, failures, time limits.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Body, Frame as BodyFrame};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use outcrop_domain::{
    error::{Cause, UpstreamFailure},
    ids::Region,
};
use tokio::time::{Instant, Sleep};

use crate::{
    classify::{ErrorBody, Evidence, own_failure, told_failure},
    eventstream::{DecodeError, Decoder, HeaderValue, Headers, RawFrame},
    transport::BoxError,
};

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub event_type: EventType,
    /// JSON. A slice of the received bytes.
    pub payload: Bytes,
    /// The frame as it came, for clients that read frames themselves.
    pub whole: Bytes,
}

/// Events of ConverseStream and of InvokeModelWithResponseStream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EventType {
    /// `messageStart`
    MessageStart,
    /// `contentBlockStart`
    ContentBlockStart,
    /// `contentBlockDelta`
    ContentBlockDelta,
    /// `contentBlockStop`
    ContentBlockStop,
    /// `messageStop`
    MessageStop,
    /// `metadata`
    Metadata,
    /// `chunk`: a piece of a model's own stream, base64 inside the payload.
    Chunk,
    /// Any other: AWS adds events without notice.
    Other(Bytes),
}

impl EventType {
    /// The name on the wire; empty when it is not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::MessageStart => "messageStart",
            Self::ContentBlockStart => "contentBlockStart",
            Self::ContentBlockDelta => "contentBlockDelta",
            Self::ContentBlockStop => "contentBlockStop",
            Self::MessageStop => "messageStop",
            Self::Metadata => "metadata",
            Self::Chunk => "chunk",
            Self::Other(name) => std::str::from_utf8(name).unwrap_or_default(),
        }
    }

    /// From the name on the wire; `name` lies inside `block`.
    fn from_wire(name: &[u8], block: &Bytes) -> Self {
        match name {
            b"contentBlockDelta" => Self::ContentBlockDelta,
            b"chunk" => Self::Chunk,
            b"messageStart" => Self::MessageStart,
            b"contentBlockStart" => Self::ContentBlockStart,
            b"contentBlockStop" => Self::ContentBlockStop,
            b"messageStop" => Self::MessageStop,
            b"metadata" => Self::Metadata,
            _ => Self::Other(block.slice_ref(name)),
        }
    }
}

/// Beginning of the names of headers that tell of an answer.
const TOLD: &str = "x-amzn-bedrock-";

/// How long a stream may take.
#[derive(Debug, Clone, Copy)]
pub struct StreamTiming {
    /// Longest silence between two pieces.
    pub idle: Duration,
    /// When the whole answer must be there.
    pub deadline: Instant,
}

/// Frames of one answer. Dropping it closes the connection.
///
/// Ends with `None` after the last frame or after the first failure. Whether a stream that ended cleanly was
/// complete (`messageStop` seen) is for the translator to know.
pub struct FrameStream {
    body: UnsyncBoxBody<Bytes, BoxError>,
    decoder: Decoder,
    timing: Option<Timing>,
    request_id: Option<String>,
    region: Option<Region>,
    /// Headers of the answer that its reader wants to see; few have any.
    told: Option<Box<HeaderMap>>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The body has ended; frames may still lie in the decoder.
    BodyEnded,
    /// Ended or failed, and told so.
    Finished,
}

struct Timing {
    limits: StreamTiming,
    /// One timer for both limits, set to the nearer one.
    timer: Pin<Box<Sleep>>,
    /// The timer counts from the last piece; false when a piece came since. Re-arming only before a real wait
    /// keeps the timer out of the way while data flows.
    armed: bool,
}

impl FrameStream {
    /// Frames of a response body.
    pub fn from_body<B>(body: B, timing: Option<StreamTiming>) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self {
            body: body.map_err(Into::into).boxed_unsync(),
            decoder: Decoder::default(),
            timing: timing.map(|limits| Timing { limits, timer: Box::pin(tokio::time::sleep_until(limits.deadline)), armed: false }),
            request_id: None,
            region: None,
            told: None,
            state: State::Open,
        }
    }

    /// Notes where the answer came from; failures carry it.
    ///
    /// The response's headers are not kept: they are slices of the connection's read buffer, and would hold all of it
    /// (8 KiB) as long as the stream lasts.
    #[must_use]
    pub fn with_origin(mut self, request_id: Option<String>, region: Region) -> Self {
        (self.request_id, self.region) = (request_id, Some(region));
        self
    }

    /// Keeps the headers of the answer that Bedrock has for its readers (`x-amzn-bedrock-*`), copied for the same reason.
    /// Converse has none.
    #[must_use]
    pub fn with_told(mut self, headers: &HeaderMap) -> Self {
        let told = headers.iter().filter(|(name, _)| name.as_str().starts_with(TOLD));
        let copied = told.filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
            Some((name, http::HeaderValue::from_bytes(value.as_bytes()).ok()?))
        });
        let copied: HeaderMap = copied.collect();
        self.told = (!copied.is_empty()).then(|| Box::new(copied));
        self
    }

    /// The headers that [`FrameStream::with_told`] kept. To be taken once.
    pub fn take_told(&mut self) -> Option<Box<HeaderMap>> {
        self.told.take()
    }

    /// Frames of chunks that are all there already: for scripted upstreams in tests.
    pub fn from_chunks<I>(chunks: I) -> Self
    where
        I: IntoIterator<Item = Bytes>,
        I::IntoIter: Send + 'static,
    {
        let pieces = chunks.into_iter().map(|chunk| Ok::<_, BoxError>(BodyFrame::data(chunk)));
        Self::from_body(StreamBody::new(futures_util::stream::iter(pieces)), None)
    }

    /// Frames of chunks that a test sends; an `Err` breaks the connection with that text, closing the channel ends it.
    #[must_use]
    pub fn from_channel(chunks: tokio::sync::mpsc::Receiver<Result<Bytes, String>>, timing: Option<StreamTiming>) -> Self {
        let pieces = futures_util::stream::unfold(chunks, |mut chunks| async move {
            let piece = chunks.recv().await?.map(BodyFrame::data).map_err(BoxError::from);
            Some((piece, chunks))
        });
        Self::from_body(StreamBody::new(pieces), timing)
    }

    /// `x-amzn-RequestId`.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Waits for the next frame. Cancel-safe: what was received stays here.
    pub async fn next(&mut self) -> Option<Result<Frame, UpstreamFailure>> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// The next frame if it has been received already: for several deltas in one write. `None` says nothing
    /// about the end of the stream; only [`FrameStream::next`] does.
    pub fn try_next(&mut self) -> Option<Result<Frame, UpstreamFailure>> {
        match self.poll_received(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(next) => next,
            Poll::Pending => None,
        }
    }

    /// As [`FrameStream::next`], for code that polls.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, UpstreamFailure>>> {
        if let Poll::Ready(next) = self.poll_received(context) {
            return Poll::Ready(next);
        }
        let Some(timing) = &mut self.timing else {
            return Poll::Pending;
        };
        let late = ready!(timing.poll_late(context));
        Poll::Ready(Some(Err(self.fail(late))))
    }

    fn poll_received(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, UpstreamFailure>>> {
        loop {
            if self.state == State::Finished {
                return Poll::Ready(None);
            }
            match self.decoder.next_frame() {
                Ok(Some(frame)) => match read_frame(&frame) {
                    Ok(frame) => return Poll::Ready(Some(Ok(frame))),
                    Err(failure) => return Poll::Ready(Some(Err(self.fail(failure)))),
                },
                Ok(None) if self.state == State::BodyEnded => return Poll::Ready(self.finish()),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(self.fail(undecodable(&error))))),
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(piece)) => {
                    if let Ok(chunk) = piece.into_data() {
                        self.decoder.push(chunk);
                        if let Some(timing) = &mut self.timing {
                            timing.armed = false;
                        }
                    }
                }
                Some(Err(error)) => {
                    let failure = own_failure(Cause::BrokenStream, "ConnectionBroken", crate::transport::error_chain(&*error));
                    return Poll::Ready(Some(Err(self.fail(failure))));
                }
                None => self.state = State::BodyEnded,
            }
        }
    }

    fn finish(&mut self) -> Option<Result<Frame, UpstreamFailure>> {
        if self.decoder.at_boundary() {
            self.state = State::Finished;
            return None;
        }
        let failure = own_failure(Cause::BrokenStream, "UnexpectedEnd", "the response ended inside a frame");
        Some(Err(self.fail(failure)))
    }

    fn fail(&mut self, mut failure: UpstreamFailure) -> UpstreamFailure {
        self.state = State::Finished;
        // The rest is of no use to anybody: close the connection now, not when the job gets round to it.
        self.body = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
        failure.request_id = self.request_id.clone();
        failure.region = self.region.clone();
        failure
    }
}

impl fmt::Debug for FrameStream {
    /// Callers' content never reaches logs: only where the stream stands is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameStream")
            .field("region", &self.region)
            .field("request_id", &self.request_id)
            .field("state", &self.state)
            .finish()
    }
}

impl Timing {
    /// Ready with the failure once a limit has passed.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<UpstreamFailure> {
        if !self.armed {
            self.timer.as_mut().reset((Instant::now() + self.limits.idle).min(self.limits.deadline));
            self.armed = true;
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(if self.timer.deadline() >= self.limits.deadline {
            own_failure(Cause::Timeout, "TotalTimeout", "the answer was not complete within its time limit")
        } else {
            own_failure(Cause::Timeout, "IdleTimeout", format!("nothing received for {:?}", self.limits.idle))
        })
    }
}

/// An event, or the failure that the frame tells.
fn read_frame(frame: &RawFrame) -> Result<Frame, UpstreamFailure> {
    let (mut message_type, mut name, mut error_message) = (None, None, None);
    for header in Headers::new(&frame.headers) {
        match header.map_err(|error| undecodable(&error))? {
            (b":message-type", HeaderValue::Text(value)) => message_type = Some(value),
            (b":event-type" | b":exception-type" | b":error-code", HeaderValue::Text(value)) => name = Some(value),
            (b":error-message", HeaderValue::Text(value)) => error_message = Some(value),
            _ => {}
        }
    }
    let name = name.unwrap_or_default();
    match message_type {
        Some(b"event") => {
            Ok(Frame { event_type: EventType::from_wire(name, &frame.headers), payload: frame.payload.clone(), whole: frame.whole.clone() })
        }
        Some(b"exception") => Err(told_exception(name, &frame.payload)),
        Some(b"error") => Err(told_error(name, error_message.unwrap_or_default())),
        _ => Err(own_failure(Cause::Malformed, "MessageTypeMissing", "a frame says neither event, exception nor error")),
    }
}

fn told_exception(name: &[u8], payload: &[u8]) -> UpstreamFailure {
    let body = ErrorBody::parse(payload);
    let code = String::from_utf8_lossy(name);
    let evidence = Evidence { status: 0, code: &code, message: &body.message, original_status: body.original_status() };
    let failure = told_failure(evidence, None, None, None);
    UpstreamFailure { model_error: body.model_error, ..failure }
}

fn told_error(code: &[u8], message: &[u8]) -> UpstreamFailure {
    let (code, message) = (String::from_utf8_lossy(code), String::from_utf8_lossy(message));
    told_failure(Evidence { status: 0, code: &code, message: &message, original_status: None }, None, None, None)
}

fn undecodable(error: &DecodeError) -> UpstreamFailure {
    own_failure(Cause::Malformed, "UndecodableFrame", error.to_string())
}

#[cfg(test)]
mod tests;
