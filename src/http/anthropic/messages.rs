//! `POST /anthropic/v1/messages`.

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use outcrop_domain::{chat::ChatResponse, clock::random_id, error::GatewayError};
use outcrop_gateway::ports::{AnswerFacts, ClientRequest, MessagesInput, RawRequest};
use outcrop_translate::anthropic_messages::{RenderMeta, response::render, stream::MessageWriter};

use super::{
    super::{
        Edge, EdgeLimits,
        answer::{self, Answers},
        auth::Caller,
        headers,
        job::read_raw_job,
        sse::Writer,
    },
    failure::{MessagesCaller, RequestName},
};

/// Answers a message.
pub(in crate::http) async fn create(
    State(edge): State<Edge>,
    caller: MessagesCaller,
    request_name: RequestName,
    request: Request,
) -> Response {
    let limits = edge.limits().clone();
    match answer(&edge, &limits, caller.0, &request_name, request).await {
        Ok(response) => request_name.name(response),
        Err(error) => failed(&limits, &request_name, error),
    }
}

/// An error of a request that may have come as far as a job.
pub(super) fn failed(limits: &EdgeLimits, request_name: &RequestName, error: GatewayError) -> Response {
    let mut response = request_name.clone().failed(error.clone()).into_response();
    // The job has told how far it came before it answered.
    if let Some(report) = request_name.record().and_then(|record| record.job()) {
        headers::describe_failure(response.headers_mut(), report, &error, limits.told);
    }
    response
}

async fn answer(
    edge: &Edge,
    limits: &EdgeLimits,
    caller: Caller,
    request_name: &RequestName,
    request: Request,
) -> Result<Response, GatewayError> {
    let job = read_raw_job(edge, limits, caller, request, read).await?;
    answer::answer(edge, limits, job, Meta::new(edge, request_name)).await
}

/// Which way it goes, and so whether it is decoded, is for its model to say.
fn read(body: &Bytes) -> Result<ClientRequest, GatewayError> {
    MessagesInput::to_answer(body).map(|input| ClientRequest::Raw(RawRequest::Messages(input)))
}

/// What an answer carries that does not come from the model.
struct Meta {
    id: String,
    request_id: Option<String>,
}

impl Meta {
    fn new(edge: &Edge, request: &RequestName) -> Self {
        Self { id: random_id("msg_", edge.world().entropy.as_ref()), request_id: request.id().map(str::to_owned) }
    }

    fn render_meta(&self, model_shown: String) -> RenderMeta {
        RenderMeta { id: self.id.clone(), model_shown, request_id: self.request_id.clone() }
    }
}

impl Answers for Meta {
    fn whole(&self, choices: &[ChatResponse], about: &AnswerFacts) -> Result<Vec<u8>, GatewayError> {
        let Some(message) = choices.first() else {
            return Err(GatewayError::Internal { message: "a message was answered by nothing".to_owned() });
        };
        answer::json(&render(message, &self.render_meta(about.model.to_string())))
    }

    fn writer(&self, about: &AnswerFacts) -> Writer {
        Writer::Messages(Box::new(MessageWriter::new(self.render_meta(about.model.to_string()), None)))
    }

    fn error_writer(&self) -> Writer {
        Writer::Messages(Box::new(MessageWriter::new(self.render_meta(String::new()), None)))
    }
}
