//! A bare axum handler that calls the AWS SDK's typed client: what a team writes in an afternoon.

use std::{convert::Infallible, net::SocketAddr};

use anyhow::Context as _;
use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    Client, Config,
    config::{BehaviorVersion, Region, retry::RetryConfig},
    primitives::event_stream::EventReceiver,
    types::{ContentBlock, ContentBlockDelta, ConversationRole, ConverseStreamOutput, Message, error::ConverseStreamOutputError},
};
use aws_smithy_http_client::Builder;
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use serde::{Deserialize, Serialize};

/// Serves the baseline until killed.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(bind: SocketAddr, upstream: String) -> anyhow::Result<()> {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(crate::bench::ACCESS_KEY, crate::bench::SECRET_KEY, None, None, "bench"))
        .endpoint_url(upstream)
        .retry_config(RetryConfig::disabled())
        .http_client(Builder::new().build_http())
        .build();
    let router = Router::new()
        .route("/v1/chat/completions", post(answer))
        .route("/health/ready", get(|| async { "ready" }))
        .with_state(Client::from_conf(config));
    super::announce_and_serve(bind, router).await.context("SDK baseline")
}

/// As much of a chat request as the baseline reads.
#[derive(Debug, Deserialize)]
struct Request {
    model: String,
    messages: Vec<Turn>,
    #[serde(default)]
    stream: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct Turn {
    role: String,
    content: String,
}

async fn answer(State(client): State<Client>, Json(request): Json<Request>) -> Response {
    let messages: Result<Vec<Message>, _> = request
        .messages
        .into_iter()
        .map(|turn| {
            let role = if turn.role == "assistant" { ConversationRole::Assistant } else { ConversationRole::User };
            Message::builder().role(role).content(ContentBlock::Text(turn.content)).build()
        })
        .collect();
    let Ok(messages) = messages else { return StatusCode::BAD_REQUEST.into_response() };
    if request.stream {
        match client.converse_stream().model_id(request.model).set_messages(Some(messages)).send().await {
            Ok(output) => streamed(output.stream),
            Err(_) => StatusCode::BAD_GATEWAY.into_response(),
        }
    } else {
        match client.converse().model_id(request.model).set_messages(Some(messages)).send().await {
            Ok(output) => whole(output),
            Err(_) => StatusCode::BAD_GATEWAY.into_response(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Completion {
    id: &'static str,
    object: &'static str,
    created: u64,
    model: &'static str,
    choices: [Choice; 1],
    usage: Usage,
}

#[derive(Debug, Serialize)]
struct Choice {
    index: u32,
    message: Turn,
    finish_reason: &'static str,
}

#[derive(Debug, Serialize)]
struct Usage {
    prompt_tokens: i32,
    completion_tokens: i32,
    total_tokens: i32,
}

fn whole(output: aws_sdk_bedrockruntime::operation::converse::ConverseOutput) -> Response {
    let content = output
        .output
        .and_then(|output| output.as_message().ok().cloned())
        .and_then(|message| message.content.into_iter().find_map(|block| block.as_text().ok().cloned()))
        .unwrap_or_default();
    let usage = output.usage.map_or(Usage { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }, |usage| Usage {
        prompt_tokens: usage.input_tokens,
        completion_tokens: usage.output_tokens,
        total_tokens: usage.total_tokens,
    });
    let message = Turn { role: "assistant".to_owned(), content };
    let choices = [Choice { index: 0, message, finish_reason: "stop" }];
    Json(Completion { id: "chatcmpl-baseline", object: "chat.completion", created: 0, model: "baseline", choices, usage }).into_response()
}

#[derive(Debug, Serialize)]
struct Chunk<'a> {
    id: &'static str,
    object: &'static str,
    created: u64,
    model: &'static str,
    choices: [ChunkChoice<'a>; 1],
}

#[derive(Debug, Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    finish_reason: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

fn chunk(content: Option<&str>, finish_reason: Option<&'static str>) -> Bytes {
    let chunk = Chunk {
        id: "chatcmpl-baseline",
        object: "chat.completion.chunk",
        created: 0,
        model: "baseline",
        choices: [ChunkChoice { index: 0, delta: Delta { content }, finish_reason }],
    };
    let mut out = b"data: ".to_vec();
    if serde_json::to_writer(&mut out, &chunk).is_ok() {
        out.extend_from_slice(b"\n\n");
    }
    Bytes::from(out)
}

fn streamed(events: EventReceiver<ConverseStreamOutput, ConverseStreamOutputError>) -> Response {
    let body = stream::unfold(Some(events), |events| async move {
        let mut events = events?;
        loop {
            match events.recv().await {
                Ok(Some(ConverseStreamOutput::ContentBlockDelta(event))) => {
                    if let Some(ContentBlockDelta::Text(text)) = &event.delta {
                        return Some((Ok::<_, Infallible>(chunk(Some(text), None)), Some(events)));
                    }
                }
                Ok(Some(ConverseStreamOutput::MessageStop(_))) => return Some((Ok(chunk(None, Some("stop"))), Some(events))),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Some((Ok(Bytes::from_static(b"data: [DONE]\n\n")), None)),
            }
        }
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(body)).into_response()
}
