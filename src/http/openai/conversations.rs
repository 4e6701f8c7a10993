//! `/v1/conversations`, and the items in them.

use std::sync::Arc;

use axum::{
    extract::{Path, RawQuery, Request, State, rejection::PathRejection},
    response::Response,
};
use outcrop_gateway::ports::ConversationAsk;
use outcrop_protocol::openai::responses::ConversationBody;
use outcrop_translate::openai_responses::{Include, request::malformed_body};

use super::{
    super::{Edge, auth::Caller, body_memory::BodyRoom, errors::OpenAiFailure, job::read_small},
    query::Query,
    stored::{no_text, respond},
};

type IdInPath = Result<Path<String>, PathRejection>;
type IdsInPath = Result<Path<(String, String)>, PathRejection>;

/// Makes a conversation.
pub(in crate::http) async fn create(State(edge): State<Edge>, caller: Caller, request: Request) -> Result<Response, OpenAiFailure> {
    let (body, room) = read(&edge, request).await?;
    ask_in(room, &edge, &caller, ConversationAsk::Create { body }).await
}

/// Shows a conversation.
pub(in crate::http) async fn retrieve(State(edge): State<Edge>, caller: Caller, path: IdInPath) -> Result<Response, OpenAiFailure> {
    ask(&edge, &caller, ConversationAsk::Retrieve { id: id(path)? }).await
}

/// Changes a conversation's labels.
pub(in crate::http) async fn update(
    State(edge): State<Edge>,
    caller: Caller,
    path: IdInPath,
    request: Request,
) -> Result<Response, OpenAiFailure> {
    let (id, (body, room)) = (id(path)?, read(&edge, request).await?);
    ask_in(room, &edge, &caller, ConversationAsk::Update { id, body }).await
}

/// Removes a conversation.
pub(in crate::http) async fn delete(State(edge): State<Edge>, caller: Caller, path: IdInPath) -> Result<Response, OpenAiFailure> {
    ask(&edge, &caller, ConversationAsk::Delete { id: id(path)? }).await
}

/// Adds items to a conversation.
pub(in crate::http) async fn add_items(
    State(edge): State<Edge>,
    caller: Caller,
    path: IdInPath,
    request: Request,
) -> Result<Response, OpenAiFailure> {
    let (id, (body, room)) = (id(path)?, read(&edge, request).await?);
    ask_in(room, &edge, &caller, ConversationAsk::AddItems { id, body }).await
}

/// Lists the items of a conversation.
pub(in crate::http) async fn items(
    State(edge): State<Edge>,
    caller: Caller,
    path: IdInPath,
    RawQuery(query): RawQuery,
) -> Result<Response, OpenAiFailure> {
    let query = Query::parse(query.as_deref());
    let (id, page, include) = (id(path)?, query.page()?, Include::of_query(&query.words("include"))?);
    ask(&edge, &caller, ConversationAsk::Items { id, page, include }).await
}

/// Shows an item of a conversation.
pub(in crate::http) async fn item(
    State(edge): State<Edge>,
    caller: Caller,
    path: IdsInPath,
    RawQuery(query): RawQuery,
) -> Result<Response, OpenAiFailure> {
    let ((id, item), include) = (ids(path)?, Include::of_query(&Query::parse(query.as_deref()).words("include"))?);
    ask(&edge, &caller, ConversationAsk::Item { id, item, include }).await
}

/// Removes an item from a conversation.
pub(in crate::http) async fn delete_item(State(edge): State<Edge>, caller: Caller, path: IdsInPath) -> Result<Response, OpenAiFailure> {
    let (id, item) = ids(path)?;
    ask(&edge, &caller, ConversationAsk::DeleteItem { id, item }).await
}

async fn ask(edge: &Edge, caller: &Caller, ask: ConversationAsk) -> Result<Response, OpenAiFailure> {
    ask_in(edge.body_memory().room(0)?, edge, caller, ask).await
}

/// As [`ask`], in the room of a body.
async fn ask_in(room: BodyRoom, edge: &Edge, caller: &Caller, ask: ConversationAsk) -> Result<Response, OpenAiFailure> {
    Ok(respond(edge, edge.gateway().stored.conversation(&caller.0.key, ask, Some(Arc::new(room))).await?))
}

async fn read(edge: &Edge, request: Request) -> Result<(Box<ConversationBody>, BodyRoom), OpenAiFailure> {
    Ok(read_small(edge, request, malformed_body).await?)
}

fn id(path: IdInPath) -> Result<String, OpenAiFailure> {
    path.map(|Path(id)| id).map_err(|_| OpenAiFailure(no_text("conversation")))
}

fn ids(path: IdsInPath) -> Result<(String, String), OpenAiFailure> {
    path.map(|Path(ids)| ids).map_err(|_| OpenAiFailure(no_text("conversation or item")))
}
