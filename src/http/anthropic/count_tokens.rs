//! `POST /anthropic/v1/messages/count_tokens`.

use axum::{
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use outcrop_domain::{chat::ChatResponse, error::GatewayError};
use outcrop_gateway::ports::{AnswerFacts, ClientRequest, MessagesInput, RawRequest};
use outcrop_translate::anthropic_messages::{
    RenderMeta,
    count_tokens::{render, without_count},
    stream::MessageWriter,
};

use super::{
    super::{
        Edge, EdgeLimits,
        answer::{self, Answers},
        auth::Caller,
        job::read_raw_job,
        sse::Writer,
    },
    failure::{MessagesCaller, RequestName},
    messages::failed,
};

/// Counts the tokens of a message.
pub(super) async fn count(State(edge): State<Edge>, caller: MessagesCaller, request_name: RequestName, request: Request) -> Response {
    let limits = edge.limits().clone();
    match answer(&edge, &limits, caller.0, request).await {
        Ok(response) => request_name.name(response),
        Err(error) => failed(&limits, &request_name, without_count(error)),
    }
}

async fn answer(edge: &Edge, limits: &EdgeLimits, caller: Caller, request: Request) -> Result<Response, GatewayError> {
    let job = read_raw_job(edge, limits, caller, request, read).await?;
    answer::answer(edge, limits, job, Count).await
}

fn read(body: &Bytes) -> Result<ClientRequest, GatewayError> {
    MessagesInput::to_count(body).map(|input| ClientRequest::Raw(RawRequest::CountTokens(input)))
}

/// Writes the number.
struct Count;

impl Answers for Count {
    fn whole(&self, _choices: &[ChatResponse], _about: &AnswerFacts) -> Result<Vec<u8>, GatewayError> {
        Err(GatewayError::Internal { message: "a request was answered instead of counted".to_owned() })
    }

    fn writer(&self, _about: &AnswerFacts) -> Writer {
        self.error_writer()
    }

    fn error_writer(&self) -> Writer {
        let meta = RenderMeta { id: String::new(), model_shown: String::new(), request_id: None };
        Writer::Messages(Box::new(MessageWriter::new(meta, None)))
    }

    fn counted(&self, tokens: u64) -> Result<Vec<u8>, GatewayError> {
        answer::json(&render(tokens))
    }
}
