//! Trouble on purpose, at the admin port and only where `admin.chaos` is set.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use outcrop_gateway::ports::Deed;
use serde::Deserialize;

use super::{admin::Admin, route::Routed};

/// Stands for the oldest running request among the names of actors.
const JOB: &str = "job";

/// Longest stall. More would outlive any run.
const LONGEST_STALL: Duration = Duration::from_secs(600);

/// The routes of chaos.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/chaos/actors", get(actors))
        .route("/chaos/actors/{name}/kill", post(kill))
        .route("/chaos/actors/{name}/panic", post(panic))
        .route("/chaos/actors/{name}/stall", post(stall))
        .with_state(admin)
}

/// The names of the actors that run; `job` among them while a request does.
async fn actors(_route: Routed, State(admin): State<Admin>) -> Json<Vec<String>> {
    let tree = &admin.gateway.tree;
    let mut names: Vec<String> = tree.killables().into_iter().map(|(name, _)| name).collect();
    let lane = admin.gateway.chat.describe(Duration::from_secs(1)).await;
    if lane.is_ok_and(|lane| lane.running > 0) {
        names.push(JOB.to_owned());
    }
    Json(names)
}

async fn kill(_route: Routed, State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    if name == JOB {
        return done(admin.gateway.chat.kill_one_job().await);
    }
    done(admin.gateway.tree.trouble(&name, Deed::Kill))
}

async fn panic(_route: Routed, State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    done(admin.gateway.tree.trouble(&name, Deed::Panic))
}

/// How long to stall.
#[derive(Debug, Deserialize)]
struct Stalling {
    /// A duration, e.g. `500ms`.
    r#for: String,
}

async fn stall(_route: Routed, State(admin): State<Admin>, Path(name): Path<String>, Query(stalling): Query<Stalling>) -> Response {
    let lasting = crate::settings::parse_duration(&stalling.r#for).filter(|lasting| *lasting <= LONGEST_STALL);
    match lasting {
        Some(lasting) => done(admin.gateway.tree.trouble(&name, Deed::Stall(lasting))),
        None => (StatusCode::BAD_REQUEST, "`for` is a duration of at most 10m, such as 500ms").into_response(),
    }
}

fn done(found: bool) -> Response {
    if found { StatusCode::OK.into_response() } else { (StatusCode::NOT_FOUND, "no such actor runs").into_response() }
}
