//! Health for load balancers and people.

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde::Serialize;

use super::{Edge, route::Probed};

pub(super) fn routes() -> Router<Edge> {
    Router::new().route("/health", get(live)).route("/health/live", get(live)).route("/health/ready", get(ready))
}

/// What a health route answers.
#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waiting_for: Vec<String>,
}

/// The process runs.
async fn live(_probe: Probed) -> Json<Health> {
    Json(Health { status: "live", waiting_for: Vec::new() })
}

/// The gateway can serve: its tree is whole, models are known, it is not draining.
async fn ready(_probe: Probed, State(edge): State<Edge>) -> (StatusCode, Json<Health>) {
    let waiting_for = edge.not_ready();
    if waiting_for.is_empty() {
        (StatusCode::OK, Json(Health { status: "ready", waiting_for }))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "not ready", waiting_for }))
    }
}
