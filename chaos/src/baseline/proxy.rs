//! A plain pass-through: the floor under every gateway written in this language.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

type Upstream = (Client<HttpConnector, Body>, String);

/// Serves the baseline until killed. Streams are asked for by the header `x-bench-stream`, since a proxy does not
/// look into bodies.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(bind: SocketAddr, upstream: String) -> anyhow::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
    let router = Router::new()
        .route("/v1/chat/completions", post(pass))
        .route("/health/ready", get(|| async { "ready" }))
        .with_state((client, upstream));
    super::announce_and_serve(bind, router).await.context("proxy baseline")
}

async fn pass(State((client, upstream)): State<Upstream>, mut request: Request) -> Response {
    let verb = if request.headers().contains_key("x-bench-stream") { "converse-stream" } else { "converse" };
    let Ok(uri) = format!("{upstream}/model/{}/{verb}", crate::bench::MODEL).parse::<Uri>() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    *request.uri_mut() = uri;
    match client.request(request).await {
        Ok(response) => response.map(Body::new),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
