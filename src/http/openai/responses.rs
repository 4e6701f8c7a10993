//! `POST /v1/responses`, `.../compact`, `.../input_tokens`, and the question for a WebSocket.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use outcrop_domain::error::GatewayError;
use outcrop_gateway::ports::{ResponsesAnswer, ResponsesJob, ResponsesTask};
use outcrop_protocol::{body::decode, openai::responses::ResponsesRequest};
use outcrop_translate::openai_responses::request::malformed_body;

use super::{
    super::{
        Edge, EdgeLimits,
        answer::event_stream,
        auth::Caller,
        errors::{json_response, openai_error, wrong_method},
        event_body::EventBody,
        headers,
        job::{ReadRequest, read_content},
        route::Routed,
    },
    meta::{failure, record_of},
};

/// Makes a response.
pub(in crate::http) async fn create(State(edge): State<Edge>, caller: Caller, request: Request) -> Response {
    serve(&edge, caller, request, ResponsesTask::Create).await
}

/// Makes a conversation short.
pub(in crate::http) async fn compact(State(edge): State<Edge>, caller: Caller, request: Request) -> Response {
    serve(&edge, caller, request, ResponsesTask::Compact).await
}

/// Counts the tokens of an input.
pub(in crate::http) async fn count(State(edge): State<Edge>, caller: Caller, request: Request) -> Response {
    serve(&edge, caller, request, ResponsesTask::Count).await
}

async fn serve(edge: &Edge, caller: Caller, request: Request, task: ResponsesTask) -> Response {
    let limits = edge.limits().clone();
    let record = record_of(&request);
    let answered = answer(edge, &limits, caller, request, task).await;
    answered.unwrap_or_else(|error| failure(&error, record.as_deref(), limits.told))
}

async fn answer(edge: &Edge, limits: &EdgeLimits, caller: Caller, request: Request, task: ResponsesTask) -> Result<Response, GatewayError> {
    let overrides = headers::overrides(request.headers())?;
    let read = |bytes: &Bytes| decode::<ResponsesRequest>(bytes).map(Box::new).map_err(|fault| malformed_body(&fault));
    let ReadRequest { record, content: wire, body_bytes, room } = read_content(edge, limits, request, read).await?;
    let streams = task == ResponsesTask::Create && wire.stream == Some(true);
    let job = ResponsesJob { record, principal: caller.0, task, wire, body_bytes, overrides, held: Some(Arc::new(room)) };
    let port = edge.gateway().responses.clone();
    let mut pending = Box::pin(async move { port.submit(job).await });
    if !streams {
        return respond(pending.await?, limits);
    }
    // Until the job has its first event a true status can still be sent. After a while an open stream with comments is worth
    // more: proxies cut silent connections.
    tokio::select! {
        biased;
        answered = &mut pending => respond(answered?, limits),
        () = tokio::time::sleep(limits.open_stream_after) => Ok(event_stream(EventBody::waiting(pending, limits.keep_alive))),
    }
}

fn respond(answer: ResponsesAnswer, limits: &EdgeLimits) -> Result<Response, GatewayError> {
    let (mut response, about) = match answer {
        ResponsesAnswer::Whole { body, about } => (json_response(StatusCode::OK, body.get().as_bytes().to_vec()), about),
        ResponsesAnswer::Stream { events, about } => (event_stream(EventBody::flowing(events, limits.keep_alive)), about),
    };
    if let Some(about) = about {
        headers::describe(response.headers_mut(), &about, limits.told);
    }
    Ok(response)
}

/// `GET /v1/responses`: no method of this path, unless a client asks for a WebSocket. Agents that find none here fall back to `POST`
/// at once when they are told by this status, and after many attempts by any other.
pub(in crate::http) async fn upgrade(route: Routed, headers: HeaderMap, method: http::Method, uri: http::Uri) -> Response {
    let asked = headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !asked {
        return wrong_method(route, method, uri).await;
    }
    let error = GatewayError::InvalidRequest {
        message: "this gateway serves responses over HTTP and not over WebSocket: send them as `POST` with `stream: true`".to_owned(),
        param: None,
        code: Some("websocket_not_supported"),
    };
    let mut response = openai_error(&error);
    *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
    // A response of this status must name what it would take instead.
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("HTTP/1.1"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response
}
