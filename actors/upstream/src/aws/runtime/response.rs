//! Reading answers: bodies under a cap, refusals in upstream's words.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use outcrop_domain::error::{Cause, UpstreamFailure};
use tokio::time::{Instant, timeout_at};

use crate::{
    classify::{ErrorBody, Evidence, bare_code, own_failure, told_failure},
    transport::{BoxError, error_chain},
};

/// How much of an error's body is read; texts are far shorter.
const MAX_ERROR_BYTES: usize = 256 * 1024;
/// How long an error's body may take: the head has said the essential already.
const ERROR_BODY_LIMIT: Duration = Duration::from_secs(5);
/// Largest first allocation for an announced length: a header alone must not make us allocate all of it.
const FIRST_RESERVATION: usize = 1024 * 1024;

/// Collects a body. An answer that came in one piece is handed on without copying.
pub(crate) async fn collect<B>(mut body: B, cap: usize) -> Result<Bytes, UpstreamFailure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > cap {
        return Err(too_large(cap));
    }
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(piece) = body.frame().await {
        let Ok(piece) = piece.map_err(|error| broken(error.into()))?.into_data() else {
            continue;
        };
        if first.is_empty() && joined.is_empty() {
            first = piece;
        } else {
            if joined.is_empty() {
                joined.reserve(announced.clamp(first.len() + piece.len(), FIRST_RESERVATION.max(first.len() + piece.len())));
                joined.extend_from_slice(&std::mem::take(&mut first));
            }
            joined.extend_from_slice(&piece);
        }
        if first.len() + joined.len() > cap {
            return Err(too_large(cap));
        }
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

/// What can be had of an error's body; a broken or endless one counts as far as it came.
pub(super) async fn error_text<B>(mut body: B, deadline: Instant) -> Vec<u8>
where
    B: Body<Data = Bytes> + Unpin,
{
    let deadline = deadline.min(Instant::now() + ERROR_BODY_LIMIT);
    let mut text = Vec::new();
    while text.len() < MAX_ERROR_BYTES {
        match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(piece))) => text.extend_from_slice(piece.data_ref().map_or(&[], Bytes::as_ref)),
            _ => break,
        }
    }
    text
}

/// An error answer as a failure.
pub(super) fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> UpstreamFailure {
    let body = ErrorBody::parse(body);
    let code = headers.text("x-amzn-errortype").map(bare_code).filter(|code| !code.is_empty()).or(body.code.as_deref()).unwrap_or_default();
    let message = if body.message.is_empty() { status.canonical_reason().unwrap_or("error without a text") } else { &body.message };
    let evidence = Evidence { status: status.as_u16(), code, message, original_status: body.original_status() };
    let failure = told_failure(evidence, retry_after(headers, now), request_id(headers), None);
    UpstreamFailure { model_error: body.model_error, ..failure }
}

/// The request did not get an answer.
pub(super) fn unsent(error: &hyper_util::client::legacy::Error) -> UpstreamFailure {
    let (cause, code) = if error.is_connect() {
        (Cause::Connection, "ConnectionFailure")
    } else if error.source().and_then(|source| source.downcast_ref::<hyper::Error>()).is_some_and(hyper::Error::is_parse) {
        (Cause::Malformed, "MalformedResponseHead")
    } else {
        (Cause::Connection, "ConnectionBroken")
    };
    own_failure(cause, code, error_chain(error))
}

/// True when the refusal can be due to a wrong clock.
pub(super) fn speaks_of_time(failure: &UpstreamFailure) -> bool {
    const CODES: [&str; 4] = ["RequestTimeTooSkewed", "RequestExpired", "InvalidSignatureException", "SignatureDoesNotMatch"];
    const TEXTS: [&str; 2] = ["signature expired", "signature not yet current"];
    let message = failure.message.to_lowercase();
    CODES.contains(&failure.code.as_str()) || TEXTS.iter().any(|text| message.contains(text))
}

/// Headers, ours or the SDK's.
pub(crate) trait HeaderText {
    /// A value that is text. `name` is lower case.
    fn text(&self, name: &str) -> Option<&str>;
}

impl HeaderText for HeaderMap {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str().ok()
    }
}

impl HeaderText for aws_smithy_runtime_api::http::Headers {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name)
    }
}

/// The id that AWS support asks for.
pub(crate) fn request_id(headers: &impl HeaderText) -> Option<String> {
    headers.text("x-amzn-requestid").or_else(|| headers.text("x-amz-request-id")).map(str::to_owned)
}

/// When upstream says to come back: milliseconds of its own header, or HTTP's.
pub(crate) fn retry_after(headers: &impl HeaderText, now: SystemTime) -> Option<Duration> {
    if let Some(milliseconds) = headers.text("x-amz-retry-after").and_then(|value| value.trim().parse().ok()) {
        return Some(Duration::from_millis(milliseconds));
    }
    let value = headers.text("retry-after")?.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).ok(),
    }
}

/// For an answer that is collected whole, nothing has reached the client yet: another target may still answer.
fn broken(error: BoxError) -> UpstreamFailure {
    own_failure(Cause::Connection, "ConnectionBroken", error_chain(&*error))
}

fn too_large(cap: usize) -> UpstreamFailure {
    own_failure(Cause::Malformed, "AnswerTooLarge", format!("the answer is larger than {cap} bytes"))
}
