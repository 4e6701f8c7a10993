//! The Anthropic dialect, one file per endpoint.

mod count_tokens;
mod failure;
mod messages;
mod models;

use std::sync::Arc;

use axum::{
    Router,
    http::StatusCode,
    response::Response,
    routing::{any, get, post},
};
use outcrop_domain::error::GatewayError;
use outcrop_gateway::record::RequestRecord;

use super::{Edge, route::Routed};

/// Nothing that is there yet: told in this dialect, since no other has these paths.
const BELOW_MESSAGES: &str = "/v1/messages/{*rest}";

/// The routes under `prefix`; messages also where OpenAI's own prefix has no such path, for clients that know no prefix.
pub(super) fn routes(prefix: &str) -> Router<Edge> {
    let at = |path: &str| format!("{prefix}/v1{path}");
    let messages = || post(messages::create).fallback(failure::wrong_method);
    let counts = || post(count_tokens::count).fallback(failure::wrong_method);
    let mut router = Router::new()
        .route(&at("/messages"), messages())
        .route(&at("/messages/count_tokens"), counts())
        .route(BELOW_MESSAGES, any(failure::unknown_url));
    if !prefix.is_empty() {
        router = router
            .route("/v1/messages", messages())
            .route("/v1/messages/count_tokens", counts())
            .route(&at("/models"), get(models::list).fallback(failure::wrong_method))
            // Model ids hold slashes and colons: everything after the slash is the id.
            .route(&at("/models/{*id}"), get(models::retrieve).fallback(failure::wrong_method))
            .route(prefix, get(alive).fallback(failure::wrong_method))
            .route(&format!("{prefix}/"), get(alive).fallback(failure::wrong_method))
            .route(&format!("{prefix}/{{*rest}}"), any(failure::unknown_url));
    }
    router
}

/// Does this route answer messages, under whatever prefix? By its pattern.
pub(super) fn answers(pattern: &str) -> bool {
    pattern.contains("/v1/messages")
}

/// An error of a request whose handler is gone.
pub(super) fn failed(record: &Arc<RequestRecord>, error: GatewayError) -> Response {
    failure::of(record, error)
}

/// Clients look whether anybody is there (`HEAD /`) before they ask.
async fn alive(_route: Routed) -> StatusCode {
    StatusCode::OK
}
