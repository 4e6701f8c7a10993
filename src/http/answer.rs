//! From a chat job's answer to a response, in whatever dialect the client speaks.

use std::{future::Future, pin::Pin};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use outcrop_domain::{chat::ChatResponse, error::GatewayError};
use outcrop_gateway::ports::{AnswerFacts, ChatAnswer, ChatJob};

use super::{
    Edge, EdgeLimits,
    errors::json_response,
    headers,
    sse::{ChatStream, Pending, Writer},
};

/// How the answers to one request are written.
pub(super) trait Answers: Send + 'static {
    /// A whole answer, as JSON.
    ///
    /// # Errors
    /// [`GatewayError::Internal`] when it has no JSON form.
    fn whole(&self, choices: &[ChatResponse], about: &AnswerFacts) -> Result<Vec<u8>, GatewayError>;

    /// Writes a streamed one.
    fn writer(&self, about: &AnswerFacts) -> Writer;

    /// Writes the error of a stream that was opened before there was an answer.
    fn error_writer(&self) -> Writer;

    /// The body of an answer that is a number of tokens.
    ///
    /// # Errors
    /// [`GatewayError::Internal`] in dialects that ask for none.
    fn counted(&self, _tokens: u64) -> Result<Vec<u8>, GatewayError> {
        Err(GatewayError::Internal { message: "a request was counted instead of answered".to_owned() })
    }
}

/// Runs a job and makes a response of its answer.
pub(super) async fn answer(edge: &Edge, limits: &EdgeLimits, job: ChatJob, answers: impl Answers) -> Result<Response, GatewayError> {
    if !job.request.streams() {
        return edge.gateway().chat.submit(job).await.and_then(|answered| respond(&answers, answered, limits));
    }
    let gateway = edge.gateway().clone();
    let mut pending = Box::pin(async move { gateway.chat.submit(job).await });
    // Until the job has its first event a true status can still be sent. After a while an open stream with
    // comments is worth more: proxies cut silent connections.
    tokio::select! {
        biased;
        answered = &mut pending => respond(&answers, answered?, limits),
        () = tokio::time::sleep(limits.open_stream_after) => Ok(respond_later(answers, pending, limits)),
    }
}

fn respond(answers: &impl Answers, answered: ChatAnswer, limits: &EdgeLimits) -> Result<Response, GatewayError> {
    match answered {
        ChatAnswer::Whole { choices, about } => {
            let mut response = json_response(StatusCode::OK, answers.whole(&choices, &about)?);
            headers::describe(response.headers_mut(), &about, limits.told);
            Ok(response)
        }
        ChatAnswer::Raw { body, about } => {
            let mut response = json_response(StatusCode::OK, body);
            headers::describe(response.headers_mut(), &about, limits.told);
            Ok(response)
        }
        ChatAnswer::Counted { tokens, about } => {
            let mut response = json_response(StatusCode::OK, answers.counted(tokens)?);
            headers::describe(response.headers_mut(), &about, limits.told);
            Ok(response)
        }
        ChatAnswer::Stream { events, about } => {
            let mut response = event_stream(ChatStream::flowing(events, answers.writer(&about), limits));
            headers::describe(response.headers_mut(), &about, limits.told);
            Ok(response)
        }
    }
}

fn respond_later(
    answers: impl Answers,
    answer: Pin<Box<dyn Future<Output = Result<ChatAnswer, GatewayError>> + Send>>,
    limits: &EdgeLimits,
) -> Response {
    let error_writer = answers.error_writer();
    let make_writer = Box::new(move |answer: &ChatAnswer| answers.writer(answer.about()));
    event_stream(ChatStream::waiting(Pending { answer, make_writer, error_writer }, limits))
}

/// A response whose body is a stream of events.
pub(super) fn event_stream(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx buffers streams unless told not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The JSON of an answer.
///
/// # Errors
/// [`GatewayError::Internal`] when it has none.
pub(super) fn json<T: serde::Serialize>(answer: &T) -> Result<Vec<u8>, GatewayError> {
    serde_json::to_vec(answer).map_err(|_| GatewayError::Internal { message: "the answer has no JSON form".to_owned() })
}
