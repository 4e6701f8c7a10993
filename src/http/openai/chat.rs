//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use outcrop_domain::{clock::random_id, error::GatewayError};
use outcrop_gateway::{
    ports::{AnswerFacts, ChatAnswer, ChatJob, by_size},
    record::RequestRecord,
};
use outcrop_protocol::openai::{body::decode, chat::ChatCompletionRequest};
use outcrop_translate::{
    errors::openai::malformed_body,
    openai_chat::{
        AnswerShape, RenderMeta,
        response::render,
        stream::{ChunkWriter, UsageChunk},
    },
};

use super::{
    super::{
        Edge, EdgeLimits,
        auth::Caller,
        body::{ReadBody, read_body},
        errors::{json_response, openai_error},
        sse::{ChatStream, Pending},
    },
    headers,
};

/// Answers a chat request.
pub(in crate::http) async fn create(State(edge): State<Edge>, caller: Caller, request: Request) -> Response {
    let limits = edge.limits().clone();
    let record = request.extensions().get::<Arc<RequestRecord>>().cloned();
    answer(&edge, &limits, caller, request).await.unwrap_or_else(|error| {
        let mut response = openai_error(&error);
        // The job has told how far it came before it answered.
        if let Some(report) = record.as_ref().and_then(|record| record.job()) {
            headers::describe_failure(response.headers_mut(), report, &error, limits.told);
        }
        response
    })
}

async fn answer(edge: &Edge, limits: &EdgeLimits, caller: Caller, request: Request) -> Result<Response, GatewayError> {
    let job = read_job(edge, limits, caller, request).await?;
    let streaming = job.request.stream == Some(true);
    let meta = Meta::new(edge);
    if !streaming {
        return edge.gateway().chat.submit(job).await.and_then(|answered| meta.respond(answered, limits));
    }
    let gateway = edge.gateway().clone();
    let mut pending = Box::pin(async move { gateway.chat.submit(job).await });
    // Until the job has its first event a true status can still be sent. After a while an open stream with
    // comments is worth more: proxies cut silent connections.
    tokio::select! {
        biased;
        answered = &mut pending => meta.respond(answered?, limits),
        () = tokio::time::sleep(limits.open_stream_after) => Ok(meta.respond_later(pending, limits)),
    }
}

/// Reads and decodes the body.
pub(super) async fn read_job(edge: &Edge, limits: &EdgeLimits, caller: Caller, request: Request) -> Result<ChatJob, GatewayError> {
    let (parts, body) = request.into_parts();
    let Some(record) = parts.extensions.get::<Arc<RequestRecord>>().cloned() else {
        return Err(GatewayError::Internal { message: "the request has no record".to_owned() });
    };
    let overrides = headers::overrides(&parts.headers)?;
    refuse_encoded(&parts.headers)?;
    let ReadBody { bytes, room } = read_body(&parts.headers, body, limits, edge.body_memory()).await?;
    let body_bytes = bytes.len();
    let (request, room) = by_size(edge.world().blocking.as_ref(), body_bytes, move || {
        let decoded = decode::<ChatCompletionRequest>(&bytes);
        drop(bytes);
        // The handler that waited may be gone with its client: the room goes with what was decoded.
        (decoded, room)
    })
    .await?;
    let request = request.map_err(|fault| malformed_body(&fault))?;
    Ok(ChatJob { record, principal: caller.0, request: Box::new(request), body_bytes, overrides, held: Some(Arc::new(room)) })
}

/// Compressed bodies are a way to smuggle gigabytes past the limit; no official client sends them.
fn refuse_encoded(headers: &HeaderMap) -> Result<(), GatewayError> {
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity" | b"") => Ok(()),
        Some(_) => Err(GatewayError::invalid("content-encoding", "compressed request bodies are not accepted")),
    }
}

/// What an answer carries that does not come from the model.
struct Meta {
    id: String,
    created_unix: u64,
}

impl Meta {
    fn new(edge: &Edge) -> Self {
        let wall = edge.world().clock.wall();
        let created_unix = wall.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { id: random_id("chatcmpl-", edge.world().entropy.as_ref()), created_unix }
    }

    fn render_meta(&self, about: &AnswerFacts) -> RenderMeta {
        RenderMeta { id: self.id.clone(), created_unix: self.created_unix, model_shown: about.model.to_string() }
    }

    fn writer(&self, about: &AnswerFacts) -> ChunkWriter {
        ChunkWriter::new(&self.render_meta(about), about.shape.clone(), about.usage_chunk, about.choices)
    }

    fn respond(&self, answered: ChatAnswer, limits: &EdgeLimits) -> Result<Response, GatewayError> {
        match answered {
            ChatAnswer::Whole { choices, about } => {
                let meta = self.render_meta(&about);
                let completion = render(&choices, &meta, &about.shape);
                let body = serde_json::to_vec(&completion)
                    .map_err(|_| GatewayError::Internal { message: "the answer has no JSON form".to_owned() })?;
                let mut response = json_response(StatusCode::OK, body);
                headers::describe(response.headers_mut(), &about, limits.told);
                Ok(response)
            }
            ChatAnswer::Stream { events, about } => {
                let body = ChatStream::flowing(events, self.writer(&about), limits);
                let mut response = event_stream(body);
                headers::describe(response.headers_mut(), &about, limits.told);
                Ok(response)
            }
        }
    }

    fn respond_later(
        self,
        answer: std::pin::Pin<Box<dyn Future<Output = Result<ChatAnswer, GatewayError>> + Send>>,
        limits: &EdgeLimits,
    ) -> Response {
        let unknown = RenderMeta { id: self.id.clone(), created_unix: self.created_unix, model_shown: String::new() };
        let error_writer = ChunkWriter::new(&unknown, AnswerShape::default(), UsageChunk::Omitted, 1);
        let make_writer = Box::new(move |answer: &ChatAnswer| match answer {
            ChatAnswer::Whole { about, .. } | ChatAnswer::Stream { about, .. } => self.writer(about),
        });
        event_stream(ChatStream::waiting(Pending { answer, make_writer, error_writer }, limits))
    }
}

fn event_stream(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx buffers streams unless told not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
