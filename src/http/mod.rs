//! The HTTP edge: decode a request, submit a job, render its answer. No logic lives here.

pub mod admin;
mod auth;
mod body;
mod body_memory;
pub mod chaos;
mod edge;
mod errors;
mod openai;
mod ops;
mod route;
mod server;
mod sse;

pub use edge::{Edge, EdgeLimits, ToldHeaders};
pub use server::{Connections, ServerOptions, serve};

use axum::Router;

/// The public router: OpenAI routes under `prefix`, health beside it.
pub fn router(edge: Edge, prefix: &str) -> Router {
    Router::new().merge(ops::routes()).merge(openai::routes(prefix)).fallback(errors::unknown_url).with_state(edge)
}
