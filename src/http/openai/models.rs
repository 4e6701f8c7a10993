//! `GET /v1/models`, `GET /v1/models/{id}`, `GET /v1/available_models`.

use axum::{
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};
use outcrop_domain::{
    error::GatewayError,
    model::{Catalogue, Lifecycle, ListedModel, ModelFilter},
};
use serde::Serialize;

use super::super::{
    Edge,
    auth::Caller,
    errors::{OpenAiFailure, json_response},
};

/// A model as OpenAI's API shows it.
#[derive(Debug, Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    owned_by: &'a str,
}

#[derive(Debug, Serialize)]
struct List<T> {
    object: &'static str,
    data: Vec<T>,
}

pub(in crate::http) async fn list(State(edge): State<Edge>, caller: Caller) -> Result<Response, OpenAiFailure> {
    let catalogue = edge.gateway().catalogue.load();
    let mine: Vec<&ListedModel> = usable(&catalogue, &caller).collect();
    // Clients fill pickers with this list: short names first, since those are what people know.
    // Only names this key may use: a key for one alias is not shown the others.
    let allowed = |model: &ListedModel, name: &str| caller.0.may_use(&[name, model.id.as_str()]);
    let aliases = mine.iter().flat_map(|model| model.aliases.iter().map(|alias| (*model, alias.as_str())));
    let named = aliases.filter(|(model, name)| allowed(model, name)).map(|(model, name)| show(model, name));
    let canonical = mine.iter().filter(|model| allowed(model, model.id.as_str())).map(|model| show(model, model.id.as_str()));
    respond(&List { object: "list", data: named.chain(canonical).collect() })
}

pub(in crate::http) async fn retrieve(
    State(edge): State<Edge>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, OpenAiFailure> {
    // The only way a wildcard fails: percent-encoded bytes that are no text.
    let Path(id) = path.map_err(|_| GatewayError::invalid("id", "the model id in the URL is not valid UTF-8"))?;
    let catalogue = edge.gateway().catalogue.load();
    let resolution = catalogue.resolve(&id).map_err(GatewayError::from)?;
    let listed = usable(&catalogue, &caller).find(|model| model.id == resolution.model.id);
    match listed {
        Some(model) => respond(&show(model, &id)),
        None => Err(OpenAiFailure(GatewayError::ModelNotFound { message: format!("the model `{id}` does not exist"), model: id })),
    }
}

/// A model with everything that helps to choose one.
#[derive(Debug, Serialize)]
struct Available<'a> {
    id: &'a str,
    name: &'a str,
    provider: &'a str,
    input_modalities: Vec<&'static str>,
    output_modalities: Vec<&'static str>,
    regions: Vec<&'a str>,
    aliases: Vec<&'a str>,
    streaming: bool,
    legacy: bool,
    context_tokens: Option<u32>,
    max_output_tokens: Option<u32>,
}

pub(in crate::http) async fn available(
    State(edge): State<Edge>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, OpenAiFailure> {
    let catalogue = edge.gateway().catalogue.load();
    let query = query.unwrap_or_default();
    let pairs: Vec<(String, String)> = url_pairs(&query);
    let borrowed = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let filter = ModelFilter::parse(borrowed, catalogue.regions()).map_err(|error| GatewayError::InvalidRequest {
        message: error.to_string(),
        param: None,
        code: Some("invalid_value"),
    })?;
    let data = usable(&catalogue, &caller).filter(|model| filter.matches(model)).map(describe).collect();
    respond(&List { object: "list", data })
}

fn url_pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The models that a key may use.
pub(in crate::http) fn usable<'c>(catalogue: &'c Catalogue, caller: &'c Caller) -> impl Iterator<Item = &'c ListedModel> {
    catalogue.list().filter(|model| {
        let names: Vec<&str> = model.aliases.iter().map(outcrop_domain::ids::ModelAlias::as_str).chain([model.id.as_str()]).collect();
        caller.0.may_use(&names)
    })
}

/// The models that a key may use for chats, in whatever dialect.
pub(in crate::http) fn usable_chat_models<'c>(catalogue: &'c Catalogue, caller: &'c Caller) -> impl Iterator<Item = &'c ListedModel> {
    usable(catalogue, caller).filter(|model| model.spec.chat.is_some())
}

fn show<'a>(model: &'a ListedModel, id: &'a str) -> Model<'a> {
    let created = model.spec.released.map_or(0, outcrop_domain::model::Date::unix_seconds);
    Model { id, object: "model", created, owned_by: &model.spec.provider }
}

fn describe(model: &ListedModel) -> Available<'_> {
    let spec = &model.spec;
    Available {
        id: model.id.as_str(),
        name: &spec.name,
        provider: &spec.provider,
        input_modalities: spec.input.iter().map(|modality| modality.as_str()).collect(),
        output_modalities: spec.output.iter().map(|modality| modality.as_str()).collect(),
        regions: model.regions.iter().map(outcrop_domain::ids::Region::as_str).collect(),
        aliases: model.aliases.iter().map(outcrop_domain::ids::ModelAlias::as_str).collect(),
        streaming: spec.streaming,
        legacy: spec.lifecycle == Lifecycle::Legacy,
        context_tokens: spec.context_tokens,
        max_output_tokens: spec.max_output_tokens,
    }
}

fn respond<T: Serialize>(body: &T) -> Result<Response, OpenAiFailure> {
    let body = serde_json::to_vec(body).map_err(|_| GatewayError::Internal { message: "the list has no JSON form".to_owned() })?;
    Ok(json_response(StatusCode::OK, body))
}
