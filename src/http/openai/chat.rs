//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use outcrop_domain::{chat::ChatResponse, clock::random_id, error::GatewayError};
use outcrop_gateway::{
    ports::{AnswerDialect, AnswerFacts, ClientRequest},
    record::RequestRecord,
};
use outcrop_protocol::openai::chat::ChatCompletionRequest;
use outcrop_translate::{
    errors::openai::malformed_body,
    openai_chat::{
        AnswerShape, RenderMeta,
        response::render,
        stream::{ChunkWriter, UsageChunk},
    },
};

use super::super::{
    Edge, EdgeLimits,
    answer::{self, Answers},
    auth::Caller,
    errors::openai_error,
    headers,
    job::{Reading, read_job},
    sse::Writer,
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
    let job = read_job(edge, limits, caller, request, READING).await?;
    answer::answer(edge, limits, job, Meta::new(edge)).await
}

/// How chat bodies are read.
pub(super) const READING: Reading<ChatCompletionRequest> = Reading { request: ClientRequest::OpenAiChat, malformed: malformed_body };

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

    fn render_meta(&self, model_shown: String) -> RenderMeta {
        RenderMeta { id: self.id.clone(), created_unix: self.created_unix, model_shown }
    }
}

/// What the job says of the request; of a request in another dialect nothing.
fn facts(about: &AnswerFacts) -> (AnswerShape, UsageChunk, u32) {
    match &about.dialect {
        AnswerDialect::OpenAiChat { shape, usage_chunk, choices } => (shape.clone(), *usage_chunk, *choices),
        AnswerDialect::Messages | AnswerDialect::Passed => (AnswerShape::default(), UsageChunk::Omitted, 1),
    }
}

impl Answers for Meta {
    fn whole(&self, choices: &[ChatResponse], about: &AnswerFacts) -> Result<Vec<u8>, GatewayError> {
        let (shape, ..) = facts(about);
        answer::json(&render(choices, &self.render_meta(about.model.to_string()), &shape))
    }

    fn writer(&self, about: &AnswerFacts) -> Writer {
        let (shape, usage_chunk, choices) = facts(about);
        Writer::Chat(ChunkWriter::new(&self.render_meta(about.model.to_string()), shape, usage_chunk, choices))
    }

    fn error_writer(&self) -> Writer {
        Writer::Chat(ChunkWriter::new(&self.render_meta(String::new()), AnswerShape::default(), UsageChunk::Omitted, 1))
    }
}
