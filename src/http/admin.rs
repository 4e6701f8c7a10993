//! The operators' port: metrics, state, reload. Never exposed to clients.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use metrics_exporter_prometheus::PrometheusHandle;
use outcrop_gateway::ports::GatewayPorts;
use serde::Serialize;

use super::{
    Edge,
    errors::OpenAiFailure,
    openai,
    route::{Probed, Routed},
};

/// Applies the settings anew; the words say what changed, or what is wrong.
pub type ReloadFn = Arc<dyn Fn() -> Result<Reloaded, String> + Send + Sync>;

/// What a reload did.
#[derive(Debug, Clone, Serialize)]
pub struct Reloaded {
    /// Settings in force now.
    pub applied: Vec<String>,
    /// Settings that changed but need a restart.
    pub needs_restart: Vec<String>,
}

/// What the admin port holds.
#[derive(Clone)]
pub struct Admin {
    /// The gateway.
    pub gateway: GatewayPorts,
    /// Limits and memory of request bodies.
    pub edge: Edge,
    /// Metrics, when they are collected.
    pub metrics: Option<PrometheusHandle>,
    /// Reload.
    pub reload: ReloadFn,
}

/// The admin router.
pub fn router(admin: Admin, metrics_path: &str) -> Router {
    Router::new()
        .route(metrics_path, get(metrics))
        .route("/state", get(state))
        .route("/reload", post(reload))
        .route("/models/refresh", post(refresh))
        .route("/explain/chat/completions", post(explain))
        .route("/routing/regions/{region}/drain", post(drain))
        .route("/routing/regions/{region}/restore", post(restore))
        .with_state(admin)
}

async fn metrics(_probe: Probed, State(admin): State<Admin>) -> Response {
    match &admin.metrics {
        Some(handle) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render()).into_response(),
        None => (StatusCode::NOT_FOUND, "metrics are switched off").into_response(),
    }
}

async fn state(_route: Routed, State(admin): State<Admin>) -> Response {
    Json(admin.gateway.describe().await).into_response()
}

async fn reload(_route: Routed, State(admin): State<Admin>) -> Response {
    match (admin.reload)() {
        Ok(reloaded) => Json(reloaded).into_response(),
        Err(problems) => (StatusCode::BAD_REQUEST, problems).into_response(),
    }
}

async fn refresh(_route: Routed, State(admin): State<Admin>) -> StatusCode {
    admin.gateway.tree.refresh_models();
    StatusCode::ACCEPTED
}

/// What became of a region.
#[derive(Debug, Serialize)]
struct Drained {
    region: String,
    drained: bool,
    /// It was not so before.
    changed: bool,
}

async fn drain(_route: Routed, State(admin): State<Admin>, Path(region): Path<String>) -> Response {
    set_drained(&admin, region, true)
}

async fn restore(_route: Routed, State(admin): State<Admin>, Path(region): Path<String>) -> Response {
    set_drained(&admin, region, false)
}

fn set_drained(admin: &Admin, region: String, drained: bool) -> Response {
    match admin.gateway.tree.drain_region(&region.as_str().into(), drained) {
        Some(changed) => Json(Drained { region, drained, changed }).into_response(),
        None => (StatusCode::NOT_FOUND, "this gateway has no such region").into_response(),
    }
}

async fn explain(_route: Routed, State(admin): State<Admin>, request: Request) -> Result<Response, OpenAiFailure> {
    openai::explain_to_operator(&admin.edge, request).await
}
