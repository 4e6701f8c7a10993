//! The Anthropic dialect, one file per endpoint.

mod failure;
mod messages;
mod models;

use axum::{
    Router,
    http::StatusCode,
    routing::{any, get, post},
};

use super::{Edge, route::Routed};

/// The routes under `prefix`; messages also where OpenAI's own prefix has no such path, for clients that know no prefix.
pub(super) fn routes(prefix: &str) -> Router<Edge> {
    let at = |path: &str| format!("{prefix}/v1{path}");
    let messages = || post(messages::create).fallback(failure::wrong_method);
    let mut router = Router::new().route(&at("/messages"), messages());
    if !prefix.is_empty() {
        router = router
            .route("/v1/messages", messages())
            .route(&at("/models"), get(models::list).fallback(failure::wrong_method))
            // Model ids hold slashes and colons: everything after the slash is the id.
            .route(&at("/models/{*id}"), get(models::retrieve).fallback(failure::wrong_method))
            .route(prefix, any(alive))
            .route(&format!("{prefix}/"), any(alive))
            .route(&format!("{prefix}/{{*rest}}"), any(failure::unknown_url));
    }
    router
}

/// Clients look whether anybody is there (`HEAD /`) before they ask.
async fn alive(_route: Routed) -> StatusCode {
    StatusCode::OK
}
