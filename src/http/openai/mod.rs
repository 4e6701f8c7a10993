//! The OpenAI dialect, one file per endpoint.

mod chat;
mod completions;
mod explain;
mod meta;
mod models;

use axum::{
    Router,
    routing::{get, post},
};

pub(super) use self::{explain::for_operator as explain_to_operator, models::usable_chat_models};
use super::{Edge, errors::wrong_method};

pub(super) fn routes(prefix: &str) -> Router<Edge> {
    let at = |path: &str| format!("{prefix}{path}");
    Router::new()
        .route(&at("/chat/completions"), post(chat::create).fallback(wrong_method))
        .route(&at("/completions"), post(completions::create).fallback(wrong_method))
        .route(&at("/models"), get(models::list).fallback(wrong_method))
        // Model ids hold slashes and colons: everything after the slash is the id.
        .route(&at("/models/{*id}"), get(models::retrieve).fallback(wrong_method))
        .route(&at("/available_models"), get(models::available).fallback(wrong_method))
        .route(&at("/explain/chat/completions"), post(explain::chat).fallback(wrong_method))
}
