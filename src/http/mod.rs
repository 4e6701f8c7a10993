//! The HTTP edge: decode a request, submit a job, render its answer. No logic lives here.

pub mod admin;
mod answer;
mod anthropic;
mod auth;
mod bedrock;
mod body;
mod body_memory;
pub mod chaos;
mod edge;
mod errors;
mod event_body;
mod headers;
mod job;
mod models;
mod openai;
mod ops;
mod rate_headers;
mod route;
mod server;
mod sse;

pub use edge::{Edge, EdgeLimits, ToldHeaders};
pub use server::{Connections, ServerOptions, serve};

use axum::Router;

/// Where the dialects have their routes; each may be empty.
#[derive(Debug, Clone, Copy)]
pub struct Prefixes<'p> {
    /// Before OpenAI's paths, e.g. `/v1`.
    pub openai: &'p str,
    /// Before Anthropic's, which begin with `/v1` themselves, e.g. `/anthropic`.
    pub anthropic: &'p str,
    /// Whether Bedrock's own paths are served.
    pub native: NativeRoutes,
}

/// Whether Bedrock's own paths are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NativeRoutes {
    /// For AWS's clients.
    Served,
    /// They are unknown.
    Absent,
}

/// The public router: the dialects under their prefixes, Bedrock's own paths and health beside them.
pub fn router(edge: Edge, prefixes: Prefixes<'_>) -> Router {
    let dialects = openai::routes(prefixes.openai).merge(anthropic::routes(prefixes));
    let dialects = match prefixes.native {
        NativeRoutes::Served => dialects.merge(bedrock::routes()),
        NativeRoutes::Absent => dialects,
    };
    Router::new().merge(ops::routes()).merge(dialects).fallback(errors::unknown_url).with_state(edge)
}
