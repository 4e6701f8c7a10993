//! Bodies: reading requests within limits, and noticing how responses end.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, response::Response};
use bytes::{Bytes, BytesMut};
use http::{Uri, header::CONTENT_LENGTH};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use outcrop_domain::error::GatewayError;
use outcrop_gateway::record::{EdgeFacts, Interest, RequestRecord};

use super::{
    body_memory::{BodyMemory, BodyRoom},
    edge::EdgeLimits,
};

/// A request body and its room in the memory for bodies.
pub(super) struct ReadBody {
    pub(super) bytes: Bytes,
    /// To be kept for as long as anything that was made of the bytes.
    pub(super) room: BodyRoom,
}

/// Reads a request body within the limits of size, time and memory.
///
/// # Errors
/// Too large, too slow, broken off, or no room for it.
pub(super) async fn read_body(
    headers: &http::HeaderMap,
    body: Body,
    limits: &EdgeLimits,
    memory: &BodyMemory,
) -> Result<ReadBody, GatewayError> {
    let limit = limits.body_bytes;
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(GatewayError::BodyTooLarge { limit_bytes: limit as u64 });
    }
    // Before the first byte is read: until then the client's data waits in its own machine.
    let room = memory.room(declared.unwrap_or(0))?;
    let bytes = within(limits.body_timeout, collect(body, limits, declared.unwrap_or(0), &room)).await??;
    room.shrink_to(bytes.len());
    Ok(ReadBody { bytes, room })
}

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Result<T, GatewayError> {
    tokio::time::timeout(limit, future).await.map_err(|_| GatewayError::BodyTimeout { after: limit })
}

/// Most bytes reserved on the word of a `Content-Length`, once a body has come in more than one piece.
const LARGEST_RESERVATION: usize = 64 * 1024;

/// How many times what has come may be reserved on top of it: a large body is moved twice while it grows, and not five times.
const EARNED: usize = 8;

async fn collect(mut body: Body, limits: &EdgeLimits, expected: usize, room: &BodyRoom) -> Result<Bytes, GatewayError> {
    let limit = limits.body_bytes;
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    // A client that has gone silent is not worth what it holds until its whole time is up.
    while let Some(frame) = within(limits.body_idle, body.frame()).await? {
        let frame = frame.map_err(|_| GatewayError::InvalidRequest {
            message: "the request body broke off before its end".to_owned(),
            param: None,
            code: None,
        })?;
        let Ok(data) = frame.into_data() else { continue };
        let size = whole.len() + first.as_ref().map_or(0, Bytes::len) + data.len();
        if size > limit {
            return Err(GatewayError::BodyTooLarge { limit_bytes: limit as u64 });
        }
        room.cover(size).await?;
        // Most bodies come in one piece: that one is handed on without a copy.
        match first.take() {
            None if whole.is_empty() => first = Some(data),
            None => {
                if whole.capacity() - whole.len() < data.len() {
                    let missing = expected.saturating_sub(whole.len());
                    whole.reserve(missing.min(EARNED * whole.len()).max(data.len()));
                }
                whole.extend_from_slice(&data);
            }
            Some(earlier) => {
                // Declared, not sent: a promise of gigabytes reserves next to nothing.
                whole.reserve(expected.min(LARGEST_RESERVATION).max(earlier.len() + data.len()));
                whole.extend_from_slice(&earlier);
                whole.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

/// The class of an error that was rendered, as an extension of the response for the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct ErrorClass(pub(super) &'static str);

/// The edge's part of a request's record; completed when it is dropped.
pub(super) struct ResponseGuard {
    record: Arc<RequestRecord>,
    method: &'static str,
    /// For the path, should no route fit. Given up with the answer: it shares the bytes of the connection's read
    /// buffer, and would hold all of that for as long as a stream lasts.
    uri: Option<Uri>,
    /// The path of an answered request that no route fitted.
    unmatched: Option<Arc<str>>,
    status: u16,
    error_class: Option<&'static str>,
    sent_bytes: u64,
    complete: bool,
}

/// Paths longer than this are cut in logs.
const LOGGED_PATH_BYTES: usize = 200;

/// The status logged for a client that left before an answer; never sent.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl ResponseGuard {
    pub(super) fn new(record: Arc<RequestRecord>, method: &'static str, uri: Uri) -> Self {
        Self {
            record,
            method,
            uri: Some(uri),
            unmatched: None,
            status: CLIENT_CLOSED_REQUEST,
            error_class: None,
            sent_bytes: 0,
            complete: false,
        }
    }

    /// A response was begun.
    pub(super) fn answered(&mut self, response: &Response) {
        self.status = response.status().as_u16();
        self.error_class = response.extensions().get::<ErrorClass>().map(|class| class.0);
        self.unmatched = self.record.route().is_none().then(|| self.shortened_path());
        self.uri = None;
    }

    fn sent(&mut self, bytes: usize) {
        self.sent_bytes += bytes as u64;
    }

    fn complete(&mut self) {
        self.complete = true;
    }

    /// The route, or the path itself where none fits: few enough different ones to count by, but for strangers' mistakes.
    fn path(&self) -> (Arc<str>, Interest) {
        if let Some((route, interest)) = self.record.route() {
            return (Arc::clone(route), *interest);
        }
        (self.unmatched.clone().unwrap_or_else(|| self.shortened_path()), Interest::Usual)
    }

    fn shortened_path(&self) -> Arc<str> {
        let path = self.uri.as_ref().map_or("", Uri::path);
        Arc::from(path.get(..path.floor_char_boundary(LOGGED_PATH_BYTES)).unwrap_or(path))
    }
}

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        let (path, interest) = self.path();
        self.record.set_edge(EdgeFacts {
            method: self.method,
            path,
            interest,
            status: self.status,
            sent_bytes: self.sent_bytes,
            client_gone: !self.complete,
            key: self.record.key().cloned(),
            error_class: self.error_class,
        });
    }
}

/// A response body that notices whether it was sent to its end.
pub(super) struct RecordedBody {
    inner: Body,
    guard: ResponseGuard,
}

impl RecordedBody {
    pub(super) fn new(inner: Body, mut guard: ResponseGuard) -> Self {
        if inner.is_end_stream() {
            guard.complete();
        }
        Self { inner, guard }
    }
}

impl http_body::Body for RecordedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.guard.sent(bytes);
                if self.inner.is_end_stream() {
                    self.guard.complete();
                }
            }
            Poll::Ready(None) => self.guard.complete(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
