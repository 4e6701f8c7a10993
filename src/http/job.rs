//! From a request of any chat dialect to a job.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
};
use bytes::Bytes;
use outcrop_domain::error::GatewayError;
use outcrop_gateway::{
    ports::{ChatJob, ClientRequest, RequestOverrides, by_size},
    record::RequestRecord,
};
use outcrop_protocol::body::{BodyError, decode};
use serde::de::DeserializeOwned;

use super::{
    Edge, EdgeLimits,
    auth::Caller,
    body::{ReadBody, read_body},
    body_memory::BodyRoom,
    headers,
};

/// How the bodies of a dialect are read.
pub(super) struct Reading<T> {
    /// What a decoded body is to the gateway.
    pub(super) request: fn(Box<T>) -> ClientRequest,
    /// What a body that cannot be decoded is to the client.
    pub(super) malformed: fn(&BodyError) -> GatewayError,
}

/// Reads and decodes the body.
pub(super) async fn read_job<T>(
    edge: &Edge,
    limits: &EdgeLimits,
    caller: Caller,
    request: Request,
    reading: Reading<T>,
) -> Result<ChatJob, GatewayError>
where
    T: DeserializeOwned + Send + 'static,
{
    let Reading { request: made, malformed } = reading;
    let read = move |bytes: &Bytes| decode::<T>(bytes).map(|decoded| made(Box::new(decoded))).map_err(|fault| malformed(&fault));
    read_raw_job(edge, limits, caller, request, read).await
}

/// Reads the body, and makes of it what `read` does.
pub(super) async fn read_raw_job(
    edge: &Edge,
    limits: &EdgeLimits,
    caller: Caller,
    request: Request,
    read: impl FnOnce(&Bytes) -> Result<ClientRequest, GatewayError> + Send + 'static,
) -> Result<ChatJob, GatewayError> {
    let overrides = headers::overrides(request.headers())?;
    read_job_with(edge, limits, caller, request, overrides, read).await
}

/// As [`read_raw_job`], with wishes that were read elsewhere.
pub(super) async fn read_job_with(
    edge: &Edge,
    limits: &EdgeLimits,
    caller: Caller,
    request: Request,
    overrides: RequestOverrides,
    read: impl FnOnce(&Bytes) -> Result<ClientRequest, GatewayError> + Send + 'static,
) -> Result<ChatJob, GatewayError> {
    let ReadRequest { record, content, body_bytes, room } = read_content(edge, limits, request, read).await?;
    Ok(ChatJob { record, principal: caller.0, request: content, body_bytes, overrides, held: Some(Arc::new(room)) })
}

/// A request that was read.
pub(super) struct ReadRequest<T> {
    /// Its record.
    pub(super) record: Arc<RequestRecord>,
    /// What was made of its body.
    pub(super) content: T,
    /// Size of the body.
    pub(super) body_bytes: usize,
    /// The room that the body takes.
    pub(super) room: BodyRoom,
}

/// Reads the body of a request, and makes of it what `read` does.
pub(super) async fn read_content<T: Send + 'static>(
    edge: &Edge,
    limits: &EdgeLimits,
    request: Request,
    read: impl FnOnce(&Bytes) -> Result<T, GatewayError> + Send + 'static,
) -> Result<ReadRequest<T>, GatewayError> {
    let (parts, body) = request.into_parts();
    let Some(record) = parts.extensions.get::<Arc<RequestRecord>>().cloned() else {
        return Err(GatewayError::Internal { message: "the request has no record".to_owned() });
    };
    refuse_encoded(&parts.headers)?;
    let ReadBody { bytes, room } = read_body(&parts.headers, body, limits, edge.body_memory()).await?;
    let body_bytes = bytes.len();
    let (content, room) = by_size(edge.world().blocking.as_ref(), body_bytes, move || {
        let content = read(&bytes);
        drop(bytes);
        // The handler that waited may be gone with its client: the room goes with what was decoded.
        (content, room)
    })
    .await?;
    Ok(ReadRequest { record, content: content?, body_bytes, room })
}

/// Reads a body that asks nothing of a model, and gives its room with it. None at all is an empty object.
pub(super) async fn read_small<T>(
    edge: &Edge,
    request: Request,
    malformed: fn(&BodyError) -> GatewayError,
) -> Result<(Box<T>, BodyRoom), GatewayError>
where
    T: DeserializeOwned + Default + Send + 'static,
{
    let limits = edge.limits().clone();
    let read = move |bytes: &Bytes| match bytes.is_empty() {
        true => Ok(Box::default()),
        false => decode::<T>(bytes).map(Box::new).map_err(|fault| malformed(&fault)),
    };
    let ReadRequest { content, room, .. } = read_content(edge, &limits, request, read).await?;
    Ok((content, room))
}

/// Compressed bodies are a way to smuggle gigabytes past the limit; no official client sends them.
fn refuse_encoded(headers: &HeaderMap) -> Result<(), GatewayError> {
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity" | b"") => Ok(()),
        Some(_) => Err(GatewayError::invalid("content-encoding", "compressed request bodies are not accepted")),
    }
}
