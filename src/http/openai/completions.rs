//! `POST /v1/completions`, the legacy endpoint.

use axum::{
    extract::{Request, State},
    response::Response,
};
use outcrop_domain::{chat::ChatResponse, error::GatewayError};
use outcrop_gateway::ports::{AnswerDialect, AnswerFacts, ClientRequest};
use outcrop_protocol::openai::completions::CompletionRequest;
use outcrop_translate::{
    errors::openai::malformed_body,
    openai_chat::stream::UsageChunk,
    openai_completions::{CompletionShape, response::render, stream::TextWriter},
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

/// Answers a completion request.
pub(in crate::http) async fn create(State(edge): State<Edge>, caller: Caller, request: Request) -> Response {
    let limits = edge.limits().clone();
    let record = record_of(&request);
    let answered = answer(&edge, &limits, caller, request).await;
    answered.unwrap_or_else(|error| failure(&error, record.as_deref(), limits.told))
}

async fn answer(edge: &Edge, limits: &EdgeLimits, caller: Caller, request: Request) -> Result<Response, GatewayError> {
    let job = read_job(edge, limits, caller, request, READING).await?;
    answer::answer(edge, limits, job, CompletionAnswers(Meta::new(edge, "cmpl-"))).await
}

const READING: Reading<CompletionRequest> = Reading { request: ClientRequest::Completions, malformed: malformed_body };

/// Writes the answers of one request.
struct CompletionAnswers(Meta);

/// What the job says of the request; of a request in another dialect nothing.
fn facts(about: &AnswerFacts) -> (CompletionShape, UsageChunk, u32) {
    match &about.dialect {
        AnswerDialect::Completions { shape, usage_chunk, choices } => (shape.clone(), *usage_chunk, *choices),
        AnswerDialect::OpenAiChat { .. }
        | AnswerDialect::Messages
        | AnswerDialect::Passed
        | AnswerDialect::Native
        | AnswerDialect::Responses { .. }
        | AnswerDialect::Compaction { .. } => (CompletionShape::default(), UsageChunk::Omitted, 1),
    }
}

impl Answers for CompletionAnswers {
    fn whole(&self, choices: &[ChatResponse], about: &AnswerFacts) -> Result<Vec<u8>, GatewayError> {
        let (shape, ..) = facts(about);
        answer::json(&render(choices, &self.0.render_meta(about.model.to_string()), &shape))
    }

    fn writer(&self, about: &AnswerFacts) -> Writer {
        let (shape, usage_chunk, choices) = facts(about);
        Writer::Completions(Box::new(TextWriter::new(&self.0.render_meta(about.model.to_string()), shape, usage_chunk, choices)))
    }

    fn error_writer(&self) -> Writer {
        let meta = self.0.render_meta(String::new());
        Writer::Completions(Box::new(TextWriter::new(&meta, CompletionShape::default(), UsageChunk::Omitted, 1)))
    }
}
