//! The models at a path that two dialects share: a client that names a version of Anthropic's API is told them in that
//! dialect's words, any other in OpenAI's.

use axum::{
    extract::{Request, State},
    handler::Handler as _,
    response::Response,
};

use super::{Edge, anthropic, openai};

/// Every client of Anthropic's sends it, no other does.
const ANTHROPIC_VERSION: &str = "anthropic-version";

/// The list.
pub(super) async fn list(State(edge): State<Edge>, request: Request) -> Response {
    if request.headers().contains_key(ANTHROPIC_VERSION) {
        anthropic::list_models.call(request, edge).await
    } else {
        openai::list_models.call(request, edge).await
    }
}

/// One of them.
pub(super) async fn retrieve(State(edge): State<Edge>, request: Request) -> Response {
    if request.headers().contains_key(ANTHROPIC_VERSION) {
        anthropic::retrieve_model.call(request, edge).await
    } else {
        openai::retrieve_model.call(request, edge).await
    }
}
