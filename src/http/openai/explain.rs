//! `POST /v1/explain/chat/completions`: what a chat request would become upstream, without sending it.

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use outcrop_domain::error::GatewayError;

use super::{
    super::{
        Edge,
        auth::Caller,
        errors::{OpenAiFailure, json_response},
    },
    chat::read_job,
};

pub(in crate::http) async fn chat(State(edge): State<Edge>, caller: Caller, request: Request) -> Result<Response, OpenAiFailure> {
    let limits = edge.limits().clone();
    let job = read_job(&edge, &limits, caller, request).await?;
    let explanation = edge.gateway().chat.explain(job).await?;
    let body =
        serde_json::to_vec(&explanation).map_err(|_| GatewayError::Internal { message: "the explanation has no JSON form".to_owned() })?;
    Ok(json_response(StatusCode::OK, body))
}
