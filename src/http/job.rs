//! From a request of any dialect to a job.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
};
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
    let ReadRequest { record, overrides, decoded, body_bytes, room } = read_request(edge, limits, request, reading.malformed).await?;
    let request = (reading.request)(decoded);
    Ok(ChatJob { record, principal: caller.0, request, body_bytes, overrides, held: Some(Arc::new(room)) })
}

/// A request of any dialect, decoded.
pub(super) struct ReadRequest<T> {
    /// Its record.
    pub(super) record: Arc<RequestRecord>,
    /// What its headers ask for.
    pub(super) overrides: RequestOverrides,
    /// Its body.
    pub(super) decoded: Box<T>,
    /// Size of the body.
    pub(super) body_bytes: usize,
    /// The room that the body takes.
    pub(super) room: BodyRoom,
}

/// Reads and decodes a request.
pub(super) async fn read_request<T>(
    edge: &Edge,
    limits: &EdgeLimits,
    request: Request,
    malformed: fn(&BodyError) -> GatewayError,
) -> Result<ReadRequest<T>, GatewayError>
where
    T: DeserializeOwned + Send + 'static,
{
    let (parts, body) = request.into_parts();
    let Some(record) = parts.extensions.get::<Arc<RequestRecord>>().cloned() else {
        return Err(GatewayError::Internal { message: "the request has no record".to_owned() });
    };
    let overrides = headers::overrides(&parts.headers)?;
    refuse_encoded(&parts.headers)?;
    let ReadBody { bytes, room } = read_body(&parts.headers, body, limits, edge.body_memory()).await?;
    let body_bytes = bytes.len();
    let (decoded, room) = by_size(edge.world().blocking.as_ref(), body_bytes, move || {
        let decoded = decode::<T>(&bytes);
        drop(bytes);
        // The handler that waited may be gone with its client: the room goes with what was decoded.
        (decoded, room)
    })
    .await?;
    let decoded = Box::new(decoded.map_err(|fault| malformed(&fault))?);
    Ok(ReadRequest { record, overrides, decoded, body_bytes, room })
}

/// Reads a body that asks nothing of a model. None at all is an empty object.
pub(super) async fn read_small<T>(edge: &Edge, request: Request, malformed: fn(&BodyError) -> GatewayError) -> Result<Box<T>, GatewayError>
where
    T: DeserializeOwned + Default + Send + 'static,
{
    let (parts, body) = request.into_parts();
    refuse_encoded(&parts.headers)?;
    let ReadBody { bytes, room } = read_body(&parts.headers, body, &edge.limits().clone(), edge.body_memory()).await?;
    if bytes.is_empty() {
        return Ok(Box::default());
    }
    let decoded = by_size(edge.world().blocking.as_ref(), bytes.len(), move || {
        let _room = room;
        decode::<T>(&bytes).map(Box::new)
    });
    decoded.await?.map_err(|fault| malformed(&fault))
}

/// Compressed bodies are a way to smuggle gigabytes past the limit; no official client sends them.
fn refuse_encoded(headers: &HeaderMap) -> Result<(), GatewayError> {
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity" | b"") => Ok(()),
        Some(_) => Err(GatewayError::invalid("content-encoding", "compressed request bodies are not accepted")),
    }
}
