//! `/v1/responses/{id}`: stored responses.

use std::sync::Arc;

use axum::{
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};
use outcrop_domain::error::GatewayError;
use outcrop_gateway::ports::{ResponseAsk, StoredAnswer};
use outcrop_translate::openai_responses::Include;

use super::{
    super::{
        Edge,
        answer::event_stream,
        auth::Caller,
        errors::{OpenAiFailure, json_response},
        event_body::EventBody,
    },
    query::Query,
};

type IdInPath = Result<Path<String>, PathRejection>;

/// A stored response, or its events.
pub(in crate::http) async fn retrieve(
    State(edge): State<Edge>,
    caller: Caller,
    path: IdInPath,
    RawQuery(query): RawQuery,
) -> Result<Response, OpenAiFailure> {
    let query = Query::parse(query.as_deref());
    let include = Include::of_query(&query.words("include"))?;
    let starting_after = query.number("starting_after")?;
    let ask = match query.switch("stream")? {
        true => ResponseAsk::Events { include, starting_after },
        false => ResponseAsk::Retrieve { include },
    };
    answer(&edge, &caller, path, ask).await
}

/// Removes a stored response.
pub(in crate::http) async fn delete(State(edge): State<Edge>, caller: Caller, path: IdInPath) -> Result<Response, OpenAiFailure> {
    answer(&edge, &caller, path, ResponseAsk::Delete).await
}

/// Cancels a response in the background.
pub(in crate::http) async fn cancel(State(edge): State<Edge>, caller: Caller, path: IdInPath) -> Result<Response, OpenAiFailure> {
    answer(&edge, &caller, path, ResponseAsk::Cancel).await
}

/// What the request of a stored response brought.
pub(in crate::http) async fn input_items(
    State(edge): State<Edge>,
    caller: Caller,
    path: IdInPath,
    RawQuery(query): RawQuery,
) -> Result<Response, OpenAiFailure> {
    let query = Query::parse(query.as_deref());
    let (page, include) = (query.page()?, Include::of_query(&query.words("include"))?);
    answer(&edge, &caller, path, ResponseAsk::InputItems { page, include }).await
}

async fn answer(edge: &Edge, caller: &Caller, path: IdInPath, ask: ResponseAsk) -> Result<Response, OpenAiFailure> {
    let Path(id) = path.map_err(|_| no_text("response"))?;
    let room = Arc::new(edge.body_memory().room(0)?);
    let answer = edge.gateway().stored.response(&caller.0.key, id, ask, Some(room)).await?;
    Ok(respond(edge, answer))
}

pub(super) fn respond(edge: &Edge, answer: StoredAnswer) -> Response {
    match answer {
        StoredAnswer::Body(body) => json_response(StatusCode::OK, body),
        StoredAnswer::Stream(events) => event_stream(EventBody::flowing(events, edge.limits().keep_alive)),
    }
}

/// The only way a path fails: percent-encoded bytes that are no text, which no id is.
pub(super) fn no_text(what: &str) -> GatewayError {
    GatewayError::NotFound { message: format!("The id of the {what} in the URL is not valid UTF-8.") }
}
