//! `GET /foundation-models`, `/foundation-models/{id}`, `/inference-profiles` and `/inference-profiles/{id}`: what this gateway
//! knows of models, as AWS's control plane tells it. Nobody is asked for it.

use std::collections::BTreeSet;

use axum::{
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};
use outcrop_domain::{
    error::GatewayError,
    model::{Catalogue, Lifecycle, ListedModel, ListedProfile, ProfileClass},
};
use serde::Serialize;
use url::form_urlencoded;

use super::{
    super::{Edge, answer::json, auth::Caller, errors::json_response, openai::usable},
    failure::{Asked, Failure, NativeCaller},
};

/// One model. Source: service model, `FoundationModelSummary`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Model<'a> {
    model_arn: String,
    model_id: &'a str,
    model_name: &'a str,
    provider_name: &'a str,
    input_modalities: Vec<&'static str>,
    output_modalities: Vec<&'static str>,
    response_streaming_supported: bool,
    /// Nothing is customised here.
    customizations_supported: [(); 0],
    inference_types_supported: Vec<&'static str>,
    model_lifecycle: Life,
}

#[derive(Debug, Serialize)]
struct Life {
    status: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Models<'a> {
    model_summaries: Vec<Model<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OneModel<'a> {
    model_details: Model<'a>,
}

/// One profile. Source: service model, `InferenceProfileSummary`; times of AWS's own are not known here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile<'a> {
    inference_profile_name: String,
    inference_profile_arn: String,
    models: Vec<ProfileModel>,
    inference_profile_id: &'a str,
    status: &'static str,
    r#type: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProfileModel {
    model_arn: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Profiles<'a> {
    inference_profile_summaries: Vec<Profile<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// Lists the models that this key may use.
pub(super) async fn list(
    State(edge): State<Edge>,
    NativeCaller(caller): NativeCaller,
    request: Asked,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let catalogue = edge.gateway().catalogue.load();
    let asked = pairs(query);
    let wants = |name: &str, has: &dyn Fn(&str) -> bool| asked.iter().filter(|(known, _)| known == name).all(|(_, value)| has(value));
    let mut shown: Vec<Model<'_>> = usable(&catalogue, &caller).map(|model| show(&catalogue, model)).collect();
    shown.retain(|model| {
        wants("byProvider", &|value| model.provider_name.eq_ignore_ascii_case(value))
            && wants("byOutputModality", &|value| model.output_modalities.contains(&value))
            && wants("byInferenceType", &|value| model.inference_types_supported.contains(&value))
            && wants("byCustomizationType", &|_| false)
    });
    respond(&request, &Models { model_summaries: shown })
}

/// Shows one model, by any of its names.
pub(super) async fn retrieve(
    State(edge): State<Edge>,
    NativeCaller(caller): NativeCaller,
    request: Asked,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let catalogue = edge.gateway().catalogue.load();
    let shown = id_of(path).and_then(|id| listed(&catalogue, &caller, &id).map(|model| show(&catalogue, model)));
    respond(&request, &OneModel { model_details: shown.map_err(|error| request.failed(error))? })
}

/// Lists the profiles of the models that this key may use.
pub(super) async fn list_profiles(
    State(edge): State<Edge>,
    NativeCaller(caller): NativeCaller,
    request: Asked,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let catalogue = edge.gateway().catalogue.load();
    let asked = pairs(query);
    let value = |name: &str| asked.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let number = |name: &'static str| {
        let refused = |_| request.failed(invalid(format!("`{name}` must be a whole number")));
        value(name).map(str::parse::<usize>).transpose().map_err(refused)
    };
    let most = number("maxResults")?.unwrap_or(usize::MAX);
    if most == 0 {
        return Err(request.failed(invalid("`maxResults` must be at least 1".to_owned())));
    }
    let before = number("nextToken")?.unwrap_or(0);
    let known = matches!(value("type").or(value("typeEquals")), None | Some("SYSTEM_DEFINED"));
    let usable: BTreeSet<&str> = if known { usable(&catalogue, &caller).map(|model| model.id.as_str()).collect() } else { BTreeSet::new() };
    let all: Vec<Profile<'_>> =
        catalogue.profiles().filter(|profile| usable.contains(profile.spec.id.as_str())).map(|profile| show_profile(&profile)).collect();
    let next = before.saturating_add(most);
    let next_token = (next < all.len()).then(|| next.to_string());
    respond(&request, &Profiles { inference_profile_summaries: all.into_iter().skip(before).take(most).collect(), next_token })
}

/// Shows one profile, by its id or ARN.
pub(super) async fn retrieve_profile(
    State(edge): State<Edge>,
    NativeCaller(caller): NativeCaller,
    request: Asked,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let catalogue = edge.gateway().catalogue.load();
    let asked = id_of(path).map_err(|error| request.failed(error))?;
    let id = asked.rsplit_once("inference-profile/").map_or(asked.as_str(), |(_, id)| id);
    let found = catalogue.profiles().find(|profile| profile.id.as_str() == id);
    match found.filter(|profile| usable(&catalogue, &caller).any(|model| model.id == profile.spec.id)) {
        Some(profile) => respond(&request, &show_profile(&profile)),
        None => {
            let message = format!("the inference profile `{asked}` does not exist");
            Err(request.failed(GatewayError::ModelNotFound { message, model: asked }))
        }
    }
}

fn listed<'c>(catalogue: &'c Catalogue, caller: &'c Caller, id: &str) -> Result<&'c ListedModel, GatewayError> {
    let resolution = catalogue.resolve(id)?;
    let found = usable(catalogue, caller).find(|model| model.id == resolution.model.id);
    found.ok_or_else(|| GatewayError::ModelNotFound { message: format!("the model `{id}` does not exist"), model: id.to_owned() })
}

fn show<'a>(catalogue: &Catalogue, model: &'a ListedModel) -> Model<'a> {
    let spec = &model.spec;
    let targets = catalogue.resolve(model.id.as_str()).map(|resolution| resolution.targets).unwrap_or_default();
    let on_demand = targets.iter().any(|target| target.class == ProfileClass::OnDemand);
    Model {
        model_arn: foundation_arn(model.regions.first().map_or("us-east-1", |region| region.as_str()), model.id.as_str()),
        model_id: model.id.as_str(),
        model_name: &spec.name,
        provider_name: &spec.provider,
        input_modalities: spec.input.iter().map(|modality| modality.as_str()).collect(),
        output_modalities: spec.output.iter().map(|modality| modality.as_str()).collect(),
        response_streaming_supported: spec.streaming,
        customizations_supported: [],
        inference_types_supported: vec![if on_demand { "ON_DEMAND" } else { "INFERENCE_PROFILE" }],
        model_lifecycle: Life { status: if spec.lifecycle == Lifecycle::Legacy { "LEGACY" } else { "ACTIVE" } },
    }
}

fn show_profile<'a>(profile: &ListedProfile<'a>) -> Profile<'a> {
    let id = profile.id.as_str();
    let regions = || profile.targets.iter().map(|target| target.region.as_str());
    let first = regions().next().unwrap_or("us-east-1");
    Profile {
        inference_profile_name: format!("{} {}", profile.geography.to_string().to_uppercase(), profile.spec.name),
        // Without the account, whose number is nobody's business; it resolves all the same.
        inference_profile_arn: format!("arn:{}:bedrock:{first}::inference-profile/{id}", partition(first)),
        models: regions().map(|region| ProfileModel { model_arn: foundation_arn(region, profile.spec.id.as_str()) }).collect(),
        inference_profile_id: id,
        status: "ACTIVE",
        r#type: "SYSTEM_DEFINED",
    }
}

fn foundation_arn(region: &str, id: &str) -> String {
    format!("arn:{}:bedrock:{region}::foundation-model/{id}", partition(region))
}

/// The partition that a region lies in. Source: AWS general reference.
fn partition(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

fn id_of(path: Result<Path<String>, PathRejection>) -> Result<String, GatewayError> {
    // The only way a wildcard fails: percent-encoded bytes that are no text.
    path.map(|Path(id)| id).map_err(|_| invalid("the id in the URL is not valid UTF-8".to_owned()))
}

fn invalid(message: String) -> GatewayError {
    GatewayError::InvalidRequest { message, param: None, code: None }
}

fn pairs(query: Option<String>) -> Vec<(String, String)> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}

fn respond<T: Serialize>(request: &Asked, body: &T) -> Result<Response, Failure> {
    let body = json(body).map_err(|error| request.failed(error))?;
    Ok(request.name(json_response(StatusCode::OK, body)))
}
