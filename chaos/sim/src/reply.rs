//! What a call is answered with, before it becomes an HTTP response.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{
    body::{Bill, Step},
    converse::json,
    journal::Outcome,
    playback::plain_steps,
    script::{CutManner, ScriptedError},
};

/// What real error types are followed by in `x-amzn-ErrorType`.
const ERROR_NAMESPACE: &str = "http://internal.amazon.com/coral/com.amazon.bedrock/";
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const RETRY_AFTER: HeaderName = HeaderName::from_static("x-amz-retry-after");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");

/// Status, headers and the steps of the body.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) steps: VecDeque<Step>,
    /// Length promised to the client; `None` = chunked.
    pub(crate) length: Option<u64>,
    pub(crate) bill: Option<Bill>,
    pub(crate) outcome: Outcome,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    message: &'a str,
}

/// Access refusals spell their member with a capital letter.
#[derive(Serialize)]
struct AccessErrorBody<'a> {
    #[serde(rename = "Message")]
    message: &'a str,
}

impl Reply {
    /// A JSON answer.
    pub(crate) fn json(body: Vec<u8>, cut: Option<(usize, CutManner)>) -> Self {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, JSON)]);
        Self::plain(StatusCode::OK, headers, body.into(), cut)
    }

    /// An event stream.
    pub(crate) fn stream(steps: VecDeque<Step>, bill: Option<Bill>) -> Self {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, EVENT_STREAM)]);
        let status = StatusCode::OK;
        Self { status, headers, steps, length: None, bill, outcome: Outcome::Answered { status: status.as_u16() } }
    }

    /// Scripted bytes.
    pub(crate) fn raw(status: u16, extra: &[(String, String)], body: Bytes, cut: Option<(usize, CutManner)>) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in extra {
            match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                (Ok(name), Ok(value)) => {
                    headers.append(name, value);
                }
                _ => tracing::warn!(header.name = %name, "a scripted header cannot be sent"),
            }
        }
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::plain(status, headers, body, cut)
    }

    /// An error answer.
    pub(crate) fn error(error: &ScriptedError, cut: Option<(usize, CutManner)>) -> Self {
        let body = if error.error_type == "AccessDeniedException" {
            json(&AccessErrorBody { message: &error.message })
        } else {
            json(&ErrorBody { message: &error.message })
        };
        let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, JSON)]);
        if let Ok(value) = HeaderValue::try_from(format!("{}:{ERROR_NAMESPACE}", error.error_type)) {
            headers.insert(ERROR_TYPE, value);
        }
        if let Some(delay) = error.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)));
        }
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A text always serializes; an empty body is what AWS's front end sends at worst.
        let mut reply = Self::plain(status, headers, body.unwrap_or_default().into(), cut);
        reply.outcome = Outcome::Refused { status: status.as_u16(), error_type: error.error_type.clone(), message: error.message.clone() };
        reply
    }

    /// Says how many watermarks a body has that is sent in one piece.
    pub(crate) fn with_words(mut self, words: u64) -> Self {
        if let Some(Step::Write(written)) = self.steps.back_mut() {
            written.words = u32::try_from(words).unwrap_or(u32::MAX);
        }
        self
    }

    fn plain(status: StatusCode, headers: HeaderMap, body: Bytes, cut: Option<(usize, CutManner)>) -> Self {
        let length = Some(body.len() as u64);
        let steps = plain_steps(body, cut);
        Self { status, headers, steps, length, bill: None, outcome: Outcome::Answered { status: status.as_u16() } }
    }
}
