//! Bodies: reading requests within limits, and noticing how responses end.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{body::Body, response::Response};
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use outcrop_domain::{error::GatewayError, ids::KeyId};
use outcrop_gateway::record::{EdgeFacts, RequestRecord};

use super::edge::EdgeLimits;

/// Reads a request body within the limits of size and time.
///
/// # Errors
/// Too large, too slow, or broken off.
pub(super) async fn read_body(headers: &http::HeaderMap, body: Body, limits: &EdgeLimits) -> Result<Bytes, GatewayError> {
    let limit = limits.body_bytes;
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(GatewayError::BodyTooLarge { limit_bytes: limit as u64 });
    }
    match tokio::time::timeout(limits.body_timeout, collect(body, limit, declared.unwrap_or(0))).await {
        Ok(collected) => collected,
        Err(_) => Err(GatewayError::BodyTimeout { after: limits.body_timeout }),
    }
}

/// Most bytes reserved on the word of a `Content-Length`.
const LARGEST_RESERVATION: usize = 1024 * 1024;

async fn collect(mut body: Body, limit: usize, expected: usize) -> Result<Bytes, GatewayError> {
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| GatewayError::InvalidRequest {
            message: "the request body broke off before its end".to_owned(),
            param: None,
            code: None,
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + first.as_ref().map_or(0, Bytes::len) + data.len() > limit {
            return Err(GatewayError::BodyTooLarge { limit_bytes: limit as u64 });
        }
        // Most bodies come in one piece: that one is handed on without a copy.
        match first.take() {
            None if whole.is_empty() => first = Some(data),
            None => whole.extend_from_slice(&data),
            Some(earlier) => {
                // Declared, not sent: a promise of gigabytes reserves one megabyte.
                whole.reserve(expected.min(LARGEST_RESERVATION).max(earlier.len() + data.len()));
                whole.extend_from_slice(&earlier);
                whole.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

/// Who asked, as an extension of the response for the log.
#[derive(Debug, Clone)]
pub(super) struct AskedBy(pub(super) KeyId);

/// The edge's part of a request's record; completed when it is dropped.
pub(super) struct ResponseGuard {
    record: Arc<RequestRecord>,
    facts: Option<EdgeFacts>,
}

/// The status logged for a client that left before an answer; never sent.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl ResponseGuard {
    pub(super) fn new(record: Arc<RequestRecord>, method: &'static str, path: String) -> Self {
        let facts = EdgeFacts { method, path, status: CLIENT_CLOSED_REQUEST, sent_bytes: 0, client_gone: true, key: None };
        Self { record, facts: Some(facts) }
    }

    /// A response was begun.
    pub(super) fn answered(&mut self, response: &Response) {
        if let Some(facts) = &mut self.facts {
            facts.status = response.status().as_u16();
            facts.key = response.extensions().get::<AskedBy>().map(|asked| asked.0.clone());
        }
    }

    fn sent(&mut self, bytes: usize) {
        if let Some(facts) = &mut self.facts {
            facts.sent_bytes += bytes as u64;
        }
    }

    fn complete(&mut self) {
        if let Some(facts) = &mut self.facts {
            facts.client_gone = false;
        }
    }
}

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        if let Some(facts) = self.facts.take() {
            self.record.set_edge(facts);
        }
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
