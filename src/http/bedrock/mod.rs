//! Bedrock's own paths, for AWS's clients: what they call is called upstream, and what upstream answers reaches them.

mod call;
mod failure;
mod models;

use std::sync::Arc;

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use outcrop_domain::error::GatewayError;
use outcrop_gateway::record::RequestRecord;

use super::Edge;

/// Where the calls of models are.
const CALLS: &str = "/model/{*call}";

/// The routes, at the root: SDKs put no prefix before them.
pub(super) fn routes() -> Router<Edge> {
    Router::new()
        // Ids and ARNs come percent-encoded or with their slashes: everything before the last one is the model.
        .route(CALLS, post(call::call).fallback(failure::wrong_method))
        .route("/foundation-models", get(models::list).fallback(failure::wrong_method))
        .route("/foundation-models/{*id}", get(models::retrieve).fallback(failure::wrong_method))
        .route("/inference-profiles", get(models::list_profiles).fallback(failure::wrong_method))
        .route("/inference-profiles/{*id}", get(models::retrieve_profile).fallback(failure::wrong_method))
}

/// Is this one of these routes? By its pattern.
pub(super) fn answers(pattern: &str) -> bool {
    ["/model/", "/foundation-models", "/inference-profiles"].iter().any(|beginning| pattern.starts_with(beginning))
}

/// An error of a request whose handler is gone.
pub(super) fn failed(record: &Arc<RequestRecord>, error: &GatewayError) -> Response {
    failure::of(Some(record), error)
}
