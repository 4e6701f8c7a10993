//! The Anthropic dialect, one file per endpoint.

mod count_tokens;
mod failure;
mod messages;
mod models;

use std::sync::Arc;

use axum::{
    Router,
    http::{Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
    routing::{any, get, post},
};
use outcrop_domain::error::GatewayError;
use outcrop_gateway::record::RequestRecord;

pub(super) use self::models::{list as list_models, retrieve as retrieve_model};
use super::{Edge, Prefixes, errors, route::Routed};

/// Nothing that is there yet: told in this dialect, since no other has these paths.
const BELOW_MESSAGES: &str = "/v1/messages/{*rest}";
/// The prefix at which OpenAI's list of models stands where this dialect's would: that one serves both.
const SHARED: &str = "/v1";

/// The routes under the dialect's prefix, and the same without one, for clients that take the root for their base URL.
pub(super) fn routes(prefixes: Prefixes<'_>) -> Router<Edge> {
    let prefix = prefixes.anthropic;
    let mut router = messages_routes("").route(BELOW_MESSAGES, any(failure::unknown_url)).route("/", any(root));
    if prefixes.openai != SHARED {
        router = router.merge(models_routes(""));
    }
    if !prefix.is_empty() {
        router = router
            .merge(messages_routes(prefix))
            .merge(models_routes(prefix))
            .route(prefix, get(alive).fallback(failure::wrong_method))
            .route(&format!("{prefix}/"), get(alive).fallback(failure::wrong_method))
            .route(&format!("{prefix}/{{*rest}}"), any(failure::unknown_url));
    }
    router
}

fn messages_routes(prefix: &str) -> Router<Edge> {
    let at = |path: &str| format!("{prefix}/v1{path}");
    Router::new()
        .route(&at("/messages"), post(messages::create).fallback(failure::wrong_method))
        .route(&at("/messages/count_tokens"), post(count_tokens::count).fallback(failure::wrong_method))
}

fn models_routes(prefix: &str) -> Router<Edge> {
    let at = |path: &str| format!("{prefix}/v1{path}");
    Router::new()
        .route(&at("/models"), get(models::list).fallback(failure::wrong_method))
        // Model ids hold slashes and colons: everything after the slash is the id.
        .route(&at("/models/{*id}"), get(models::retrieve).fallback(failure::wrong_method))
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

/// The root is nobody's, but whoever takes it for a base URL looks there, too.
async fn root(route: Routed, method: Method, uri: Uri) -> Response {
    if method == Method::HEAD { alive(route).await.into_response() } else { errors::unknown_url(method, uri).await.into_response() }
}
