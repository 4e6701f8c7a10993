//! `GET /anthropic/v1/models`, `GET /anthropic/v1/models/{id}`.

use axum::{
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};
use outcrop_domain::{error::GatewayError, model::ListedModel};
use outcrop_translate::anthropic_messages::models::{Entry, PageQuery, info, newest_first, page};
use url::form_urlencoded;

use super::{
    super::{Edge, answer::json, errors::json_response, openai::usable_chat_models},
    failure::{Failure, MessagesCaller, RequestName},
};

/// Lists the models that this key may use for messages, newest first.
pub(in crate::http) async fn list(
    State(edge): State<Edge>,
    caller: MessagesCaller,
    request: RequestName,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let catalogue = edge.gateway().catalogue.load();
    let mine: Vec<&ListedModel> = usable_chat_models(&catalogue, &caller.0).collect();
    let allowed = |model: &ListedModel, name: &str| caller.0.0.may_use(&[name, model.id.as_str()]);
    let names = |model: &'_ ListedModel| -> Vec<String> {
        let aliases = model.aliases.iter().map(|alias| alias.as_str());
        aliases.chain([model.id.as_str()]).filter(|name| allowed(model, name)).map(str::to_owned).collect()
    };
    let named: Vec<(Vec<String>, &ListedModel)> = mine.iter().map(|model| (names(model), *model)).collect();
    let mut entries: Vec<Entry<'_>> = named.iter().flat_map(|(names, model)| names.iter().map(move |id| Entry { id, model })).collect();
    newest_first(&mut entries);
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    let listed = PageQuery::parse(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))).and_then(|query| {
        let page = page(&entries, &query)?;
        json(&page)
    });
    respond(listed, request)
}

/// Shows one model, under the name that it was asked by.
pub(in crate::http) async fn retrieve(
    State(edge): State<Edge>,
    caller: MessagesCaller,
    request: RequestName,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let catalogue = edge.gateway().catalogue.load();
    let shown = path
        // The only way a wildcard fails: percent-encoded bytes that are no text.
        .map_err(|_| GatewayError::invalid("id", "the model id in the URL is not valid UTF-8"))
        .and_then(|Path(id)| {
            let resolution = catalogue.resolve(&id).map_err(GatewayError::from)?;
            let listed = usable_chat_models(&catalogue, &caller.0).find(|model| model.id == resolution.model.id);
            match listed {
                Some(model) => json(&info(&id, &model.spec)),
                None => Err(GatewayError::ModelNotFound { message: format!("the model `{id}` does not exist"), model: id }),
            }
        });
    respond(shown, request)
}

fn respond(body: Result<Vec<u8>, GatewayError>, request: RequestName) -> Result<Response, Failure> {
    match body {
        Ok(body) => Ok(request.name(json_response(StatusCode::OK, body))),
        Err(error) => Err(request.failed(error)),
    }
}
