//! The OpenAI dialect, one file per endpoint.

mod chat;
mod completions;
mod conversations;
mod explain;
mod meta;
mod models;
mod query;
mod responses;
mod stored;

use axum::{
    Router,
    routing::{get, post},
};

pub(super) use self::{
    explain::for_operator as explain_to_operator,
    models::{list as list_models, retrieve as retrieve_model, usable, usable_chat_models},
};
use super::{Edge, errors::wrong_method, models as shared_models};

pub(super) fn routes(prefix: &str) -> Router<Edge> {
    let at = |path: &str| format!("{prefix}{path}");
    Router::new()
        .route(&at("/chat/completions"), post(chat::create).fallback(wrong_method))
        .route(&at("/completions"), post(completions::create).fallback(wrong_method))
        .route(&at("/models"), get(shared_models::list).fallback(wrong_method))
        // Model ids hold slashes and colons: everything after the slash is the id.
        .route(&at("/models/{*id}"), get(shared_models::retrieve).fallback(wrong_method))
        .route(&at("/available_models"), get(models::available).fallback(wrong_method))
        .route(&at("/explain/chat/completions"), post(explain::chat).fallback(wrong_method))
        .merge(responses_routes(prefix))
        .merge(conversations_routes(prefix))
}

fn responses_routes(prefix: &str) -> Router<Edge> {
    let at = |path: &str| format!("{prefix}{path}");
    Router::new()
        .route(&at("/responses"), post(responses::create).get(responses::upgrade).fallback(wrong_method))
        .route(&at("/responses/compact"), post(responses::compact).fallback(wrong_method))
        .route(&at("/responses/input_tokens"), post(responses::count).fallback(wrong_method))
        .route(&at("/responses/{id}"), get(stored::retrieve).delete(stored::delete).fallback(wrong_method))
        .route(&at("/responses/{id}/cancel"), post(stored::cancel).fallback(wrong_method))
        .route(&at("/responses/{id}/input_items"), get(stored::input_items).fallback(wrong_method))
}

fn conversations_routes(prefix: &str) -> Router<Edge> {
    let at = |path: &str| format!("{prefix}{path}");
    let one = get(conversations::retrieve).post(conversations::update).delete(conversations::delete);
    let items = get(conversations::items).post(conversations::add_items);
    let item = get(conversations::item).delete(conversations::delete_item);
    Router::new()
        .route(&at("/conversations"), post(conversations::create).fallback(wrong_method))
        .route(&at("/conversations/{id}"), one.fallback(wrong_method))
        .route(&at("/conversations/{id}/items"), items.fallback(wrong_method))
        .route(&at("/conversations/{id}/items/{item}"), item.fallback(wrong_method))
}
