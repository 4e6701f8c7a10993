//! `POST /model/{id}/converse`, `converse-stream`, `invoke`, `invoke-with-response-stream` and `count-tokens`.

use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use outcrop_domain::error::GatewayError;
use outcrop_gateway::ports::{AnswerFacts, ChatAnswer, ClientRequest, NativeInput, RawRequest, RequestOverrides, RuntimeOperation};
use outcrop_translate::errors::aws::EventStream;

use super::{
    super::{
        Edge, EdgeLimits,
        auth::Caller,
        errors::json_response,
        headers,
        job::read_job_with,
        sse::{ChatStream, Writer},
    },
    failure::{Asked, NativeCaller},
};

/// Beginning of the names of headers that wish something of Bedrock.
const OF_BEDROCK: &str = "x-amzn-bedrock-";

/// The operations, each by the last segment of its path.
const OPERATIONS: [RuntimeOperation; 5] = [
    RuntimeOperation::Converse,
    RuntimeOperation::ConverseStream,
    RuntimeOperation::InvokeModel,
    RuntimeOperation::InvokeModelWithResponseStream,
    RuntimeOperation::CountTokens,
];

/// Calls a model.
pub(super) async fn call(
    State(edge): State<Edge>,
    NativeCaller(caller): NativeCaller,
    asked: Asked,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let limits = edge.limits().clone();
    match answer(&edge, &limits, caller, path, request).await {
        Ok(response) => response,
        Err(error) => {
            let mut response = asked.failed(error.clone()).into_response();
            // The job has told how far it came before it answered.
            if let Some(report) = asked.record().and_then(|record| record.job()) {
                headers::describe_failure(response.headers_mut(), report, &error, limits.told);
            }
            response
        }
    }
}

async fn answer(
    edge: &Edge,
    limits: &EdgeLimits,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, GatewayError> {
    // The only way a wildcard fails: percent-encoded bytes that are no text.
    let Path(path) = path.map_err(|_| GatewayError::invalid("modelId", "the model id in the URL is not valid UTF-8"))?;
    let (model, operation) = named(&path)?;
    let (overrides, passed) = (overrides(request.headers(), operation)?, for_aws(request.headers(), operation));
    let stream = if operation == RuntimeOperation::ConverseStream { EventStream::Converse } else { EventStream::Invoke };
    let read = move |body: &Bytes| {
        let input = NativeInput { operation, model, body: body.clone(), headers: passed };
        Ok(ClientRequest::Raw(RawRequest::Native(Box::new(input))))
    };
    let job = read_job_with(edge, limits, caller, request, overrides, read).await?;
    // No stream is opened before it has something to say: its format has nothing to say meanwhile.
    match edge.gateway().chat.submit(job).await? {
        ChatAnswer::Raw { body, about } => Ok(told(json_response(StatusCode::OK, body), about, limits)),
        ChatAnswer::Stream { events, about } => {
            let mut response = Response::new(ChatStream::flowing(events, Writer::Frames(stream), limits));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/vnd.amazon.eventstream"));
            Ok(told(response, about, limits))
        }
        ChatAnswer::Whole { .. } | ChatAnswer::Counted { .. } => {
            Err(GatewayError::Internal { message: "a native call was answered in another dialect".to_owned() })
        }
    }
}

/// Model and operation of a path below `/model/`.
fn named(path: &str) -> Result<(String, RuntimeOperation), GatewayError> {
    let unknown = || GatewayError::NotFound { message: format!("unknown operation: POST /model/{path}") };
    let (model, verb) = path.rsplit_once('/').ok_or_else(unknown)?;
    let operation = OPERATIONS.into_iter().find(|operation| operation.verb() == verb).ok_or_else(unknown)?;
    Ok((model.to_owned(), operation))
}

/// What headers ask of Converse, as they ask it of every other dialect; InvokeModel has headers of its own for all of it.
fn overrides(headers: &HeaderMap, operation: RuntimeOperation) -> Result<RequestOverrides, GatewayError> {
    match operation {
        RuntimeOperation::Converse | RuntimeOperation::ConverseStream => headers::overrides(headers),
        _ => Ok(RequestOverrides { session: headers::session(headers), ..RequestOverrides::default() }),
    }
}

/// The headers of a call that are addressed to AWS: Bedrock's own, and those that the operation has. Who asked and how it came is
/// our business.
fn for_aws(headers: &HeaderMap, operation: RuntimeOperation) -> HeaderMap {
    let of_invoke = matches!(operation, RuntimeOperation::InvokeModel | RuntimeOperation::InvokeModelWithResponseStream);
    let addressed = |name: &axum::http::HeaderName| {
        // What a stream shall be is told by a header of Bedrock's own; `accept` is what SDKs always send.
        name.as_str().starts_with(OF_BEDROCK)
            || (name == CONTENT_TYPE && of_invoke)
            || (name == ACCEPT && operation == RuntimeOperation::InvokeModel)
    };
    headers.iter().filter(|(name, _)| addressed(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Tells about an answer: upstream's own headers for its clients, and ours.
fn told(mut response: Response, mut about: AnswerFacts, limits: &EdgeLimits) -> Response {
    let streams = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind != "application/json");
    for (name, value) in about.passed.take().into_iter().flat_map(|passed| *passed) {
        match name {
            Some(name) if name == CONTENT_TYPE && streams => {}
            Some(name) => drop(response.headers_mut().insert(name, value)),
            None => {}
        }
    }
    headers::describe(response.headers_mut(), &about, limits.told);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_segment_is_the_operation_and_everything_before_it_the_model() {
        for (path, model, operation) in [
            ("amazon.nova-lite-v1:0/converse", "amazon.nova-lite-v1:0", RuntimeOperation::Converse),
            ("us.anthropic.x/invoke-with-response-stream", "us.anthropic.x", RuntimeOperation::InvokeModelWithResponseStream),
            (
                "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc/count-tokens",
                "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc",
                RuntimeOperation::CountTokens,
            ),
        ] {
            assert_eq!(named(path).unwrap(), (model.to_owned(), operation), "{path}");
        }
        for path in ["converse", "x/apply", "x/converse/", ""] {
            assert!(matches!(named(path), Err(GatewayError::NotFound { .. })), "{path}");
        }
    }

    fn sent(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (axum::http::HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn bedrocks_headers_and_those_of_the_operation_are_for_aws() {
        let headers = sent(&[
            ("authorization", "Bearer sk"),
            ("x-amzn-bedrock-trace", "ENABLED"),
            ("accept", "image/png"),
            ("content-type", "application/json"),
            ("x-amz-date", "now"),
            ("cookie", "c"),
        ]);
        let names = |operation| {
            let mut names: Vec<String> = for_aws(&headers, operation).keys().map(ToString::to_string).collect();
            names.sort();
            names
        };
        assert_eq!(names(RuntimeOperation::InvokeModel), ["accept", "content-type", "x-amzn-bedrock-trace"]);
        assert_eq!(names(RuntimeOperation::InvokeModelWithResponseStream), ["content-type", "x-amzn-bedrock-trace"]);
        for operation in [RuntimeOperation::Converse, RuntimeOperation::ConverseStream, RuntimeOperation::CountTokens] {
            assert_eq!(names(operation), ["x-amzn-bedrock-trace"]);
        }
    }

    #[test]
    fn headers_are_read_for_converse_and_left_to_aws_for_invoke() {
        let headers = sent(&[("x-amzn-bedrock-service-tier", "flex"), ("x-session-id", "s")]);
        let nonsense = sent(&[("x-amzn-bedrock-service-tier", "gold")]);
        for operation in OPERATIONS {
            let read = overrides(&headers, operation).unwrap();
            let reads = matches!(operation, RuntimeOperation::Converse | RuntimeOperation::ConverseStream);
            assert_eq!((read.service_tier.is_some(), read.session.as_deref()), (reads, Some("s")), "{operation:?}");
            assert_eq!(overrides(&nonsense, operation).is_err(), reads, "{operation:?}");
        }
    }
}
