//! Health for load balancers and people.

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use outcrop_gateway::ports::{RegionHealth, RegionStatus};
use serde::Serialize;

use super::{Edge, route::Probed};

pub(super) fn routes() -> Router<Edge> {
    Router::new()
        .route("/health", get(live))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/health/regions", get(regions))
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

/// What the route of regions answers.
#[derive(Debug, Serialize)]
struct Regions {
    status: RegionStatus,
    regions: Vec<RegionHealth>,
}

/// How the regions are. 503 only when none can be called.
async fn regions(_probe: Probed, State(edge): State<Edge>) -> (StatusCode, Json<Regions>) {
    let regions = edge.gateway().tree.region_health();
    let usable = |region: &RegionHealth| matches!(region.status, RegionStatus::Healthy | RegionStatus::Degraded);
    let status = if regions.iter().all(|region| region.status == RegionStatus::Healthy) {
        RegionStatus::Healthy
    } else if regions.iter().any(usable) {
        RegionStatus::Degraded
    } else {
        RegionStatus::Closed
    };
    let code = if status == RegionStatus::Closed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, Json(Regions { status, regions }))
}
