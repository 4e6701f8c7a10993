//! `POST /v1/explain/chat/completions`: what a chat request would become upstream, without sending it.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use outcrop_domain::{error::GatewayError, ids::KeyId};
use outcrop_gateway::{
    admission::Principal,
    ports::{Disclosure, by_size},
};

use super::{
    super::{
        Edge,
        auth::Caller,
        errors::{OpenAiFailure, json_response},
        job::read_job,
    },
    chat::READING,
};

pub(in crate::http) async fn chat(State(edge): State<Edge>, caller: Caller, request: Request) -> Result<Response, OpenAiFailure> {
    explain(&edge, caller, request, Disclosure::Caller).await
}

/// The same on the admin port, where nothing is hidden. An operator may use every model.
pub(in crate::http) async fn for_operator(edge: &Edge, request: Request) -> Result<Response, OpenAiFailure> {
    let operator = Caller(Arc::new(Principal { key: KeyId::from("operator"), models: Vec::new(), strategy: None }));
    explain(edge, operator, request, Disclosure::Operator).await
}

async fn explain(edge: &Edge, caller: Caller, request: Request, disclosure: Disclosure) -> Result<Response, OpenAiFailure> {
    let limits = edge.limits().clone();
    let job = read_job(edge, &limits, caller, request, READING).await?;
    let explanation = edge.gateway().chat.explain(job, disclosure).await?;
    let large = explanation.body.get().len();
    let body = by_size(edge.world().blocking.as_ref(), large, move || serde_json::to_vec(&explanation)).await?;
    let body = body.map_err(|_| GatewayError::Internal { message: "the explanation has no JSON form".to_owned() })?;
    Ok(json_response(StatusCode::OK, body))
}
