//! `POST /v1/chat/completions`.

use axum::{
    extract::{Request, State},
    response::Response,
};
use outcrop_domain::{chat::ChatResponse, error::GatewayError};
use outcrop_gateway::ports::{AnswerDialect, AnswerFacts, ClientRequest};
use outcrop_protocol::openai::chat::ChatCompletionRequest;
use outcrop_translate::{
    errors::openai::malformed_body,
    openai_chat::{
        AnswerShape,
        response::render,
        stream::{ChunkWriter, UsageChunk},
    },
};

use super::{
    super::{
        Edge, EdgeLimits,
        answer::{self, Answers},
        auth::Caller,
        job::{Reading, read_job},
        sse::Writer,
    },
    meta::{Meta, failure, record_of},
};

/// Answers a chat request.
pub(in crate::http) async fn create(State(edge): State<Edge>, caller: Caller, request: Request) -> Response {
    let limits = edge.limits().clone();
    let record = record_of(&request);
    let answered = answer(&edge, &limits, caller, request).await;
    answered.unwrap_or_else(|error| failure(&error, record.as_deref(), limits.told))
}

async fn answer(edge: &Edge, limits: &EdgeLimits, caller: Caller, request: Request) -> Result<Response, GatewayError> {
    let job = read_job(edge, limits, caller, request, READING).await?;
    answer::answer(edge, limits, job, ChatAnswers(Meta::new(edge, "chatcmpl-"))).await
}

/// How chat bodies are read.
pub(super) const READING: Reading<ChatCompletionRequest> = Reading { request: ClientRequest::OpenAiChat, malformed: malformed_body };

/// Writes the answers of one request.
struct ChatAnswers(Meta);

/// What the job says of the request; of a request in another dialect nothing.
fn facts(about: &AnswerFacts) -> (AnswerShape, UsageChunk, u32) {
    match &about.dialect {
        AnswerDialect::OpenAiChat { shape, usage_chunk, choices } => (shape.clone(), *usage_chunk, *choices),
        AnswerDialect::Messages
        | AnswerDialect::Passed
        | AnswerDialect::Native
        | AnswerDialect::Responses { .. }
        | AnswerDialect::Compaction { .. }
        | AnswerDialect::Completions { .. } => (AnswerShape::default(), UsageChunk::Omitted, 1),
    }
}

impl Answers for ChatAnswers {
    fn whole(&self, choices: &[ChatResponse], about: &AnswerFacts) -> Result<Vec<u8>, GatewayError> {
        let (shape, ..) = facts(about);
        answer::json(&render(choices, &self.0.render_meta(about.model.to_string()), &shape))
    }

    fn writer(&self, about: &AnswerFacts) -> Writer {
        let (shape, usage_chunk, choices) = facts(about);
        Writer::Chat(ChunkWriter::new(&self.0.render_meta(about.model.to_string()), shape, usage_chunk, choices))
    }

    fn error_writer(&self) -> Writer {
        Writer::Chat(ChunkWriter::new(&self.0.render_meta(String::new()), AnswerShape::default(), UsageChunk::Omitted, 1))
    }
}
