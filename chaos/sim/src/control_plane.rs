//! The control plane: which models and inference profiles a region offers.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use crate::{
    converse::json,
    models::{SimModel, SimProfile},
    route::{Operation, query_value},
    service::{Ask, refusal},
    validate::Refusal,
    world::{Region, World},
};

/// Most profiles on one page. Source: service model `bedrock/2023-04-20`, ListInferenceProfiles.
const LARGEST_PAGE: usize = 1_000;
/// All simulated profiles were made and last changed at the same time.
const CREATED_AT: &str = "2026-01-01T00:00:00Z";

/// The JSON body of one control-plane call.
pub(crate) fn answer(world: &World, region: &Region, ask: &Ask<'_>) -> Result<Vec<u8>, Refusal> {
    let plane = Plane { world, region };
    let label = ask.asked.label.as_deref().unwrap_or_default();
    let query = ask.query.as_deref();
    match ask.asked.operation {
        Operation::ListFoundationModels => plane.list_models(query),
        Operation::GetFoundationModel => plane.model(label),
        Operation::GetFoundationModelAvailability => plane.availability(label),
        Operation::ListInferenceProfiles => plane.list_profiles(query),
        _ => plane.profile(label),
    }
}

struct Plane<'a> {
    world: &'a World,
    region: &'a Region,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelSummaries<'a> {
    model_summaries: Vec<ModelSummary<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelDetails<'a> {
    model_details: ModelSummary<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelSummary<'a> {
    model_arn: String,
    model_id: &'a str,
    model_name: &'a str,
    provider_name: &'a str,
    input_modalities: &'a [String],
    output_modalities: &'a [String],
    response_streaming_supported: bool,
    customizations_supported: [&'static str; 0],
    inference_types_supported: Vec<&'static str>,
    model_lifecycle: Lifecycle<'a>,
}

#[derive(Serialize)]
struct Lifecycle<'a> {
    status: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Availability<'a> {
    model_id: &'a str,
    agreement_availability: Agreement,
    authorization_status: &'static str,
    entitlement_availability: &'static str,
    region_availability: &'static str,
}

#[derive(Serialize)]
struct Agreement {
    status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProfilePage {
    inference_profile_summaries: Vec<Profile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    inference_profile_name: String,
    description: String,
    created_at: &'static str,
    updated_at: &'static str,
    inference_profile_arn: String,
    models: Vec<ProfileModel>,
    inference_profile_id: String,
    status: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProfileModel {
    model_arn: String,
}

impl Plane<'_> {
    fn list_models(&self, query: Option<&str>) -> Result<Vec<u8>, Refusal> {
        let provider = query_value(query, "byProvider");
        let output = known_value(query, "byOutputModality", &["TEXT", "IMAGE", "EMBEDDING", "VIDEO", "AUDIO", "SPEECH"])?;
        let inference = known_value(query, "byInferenceType", &["ON_DEMAND", "PROVISIONED"])?;
        let customization = known_value(query, "byCustomizationType", &["FINE_TUNING", "CONTINUED_PRE_TRAINING", "DISTILLATION"])?;
        let profiled = self.profiled();
        let model_summaries = self
            .world
            .models
            .offered_in(&self.region.name)
            .into_iter()
            // No simulated model can be customized.
            .filter(|_| customization.is_none())
            .filter(|model| provider.as_ref().is_none_or(|wanted| model.provider.eq_ignore_ascii_case(wanted)))
            .filter(|model| output.as_ref().is_none_or(|wanted| model.output.contains(wanted)))
            .map(|model| self.summary(model, &profiled))
            .filter(|summary| inference.as_ref().is_none_or(|wanted| summary.inference_types_supported.contains(&wanted.as_str())))
            .collect();
        json(&ModelSummaries { model_summaries })
    }

    fn model(&self, label: &str) -> Result<Vec<u8>, Refusal> {
        let model = self.offered(bare_id(label)).ok_or_else(|| {
            refusal(404, "ResourceNotFoundException", &format!("Could not resolve the foundation model from the model identifier: {label}"))
        })?;
        json(&ModelDetails { model_details: self.summary(model, &self.profiled()) })
    }

    fn availability(&self, label: &str) -> Result<Vec<u8>, Refusal> {
        let id = bare_id(label);
        if !self.world.models.all().iter().any(|model| model.id == id) {
            return Err(refusal(404, "ResourceNotFoundException", "The provided model identifier is invalid."));
        }
        let said = |available: bool| if available { "AVAILABLE" } else { "NOT_AVAILABLE" };
        let granted = !self.region.denies(id);
        json(&Availability {
            model_id: id,
            agreement_availability: Agreement { status: said(granted) },
            authorization_status: if granted { "AUTHORIZED" } else { "NOT_AUTHORIZED" },
            entitlement_availability: said(granted),
            region_availability: said(self.offered(id).is_some()),
        })
    }

    fn list_profiles(&self, query: Option<&str>) -> Result<Vec<u8>, Refusal> {
        let kind = known_value(query, "type", &["SYSTEM_DEFINED", "APPLICATION"])?;
        let size = match query_value(query, "maxResults") {
            None => self.world.page_size,
            Some(text) => text.parse::<usize>().ok().filter(|size| (1..=LARGEST_PAGE).contains(size)).ok_or_else(|| {
                Refusal::validation("1 validation error detected: Value at 'maxResults' failed to satisfy constraint: Member must have value between 1 and 1000")
            })?,
        };
        let from = match query_value(query, "nextToken") {
            None => 0,
            Some(token) => read_token(&token).ok_or_else(|| Refusal::validation("The provided pagination token is invalid."))?,
        };
        let mut profiles = self.world.models.profiles_in(&self.region.name);
        profiles.retain(|profile| kind.as_deref().is_none_or(|wanted| profile.kind == wanted));
        let next = from.saturating_add(size);
        let next_token = (next < profiles.len()).then(|| write_token(next));
        let inference_profile_summaries = profiles.into_iter().skip(from).take(size).map(Profile::of).collect();
        json(&ProfilePage { inference_profile_summaries, next_token })
    }

    fn profile(&self, label: &str) -> Result<Vec<u8>, Refusal> {
        let found =
            self.world.models.profiles_in(&self.region.name).into_iter().find(|profile| profile.id == label || profile.arn == label);
        let profile = found.ok_or_else(|| {
            refusal(404, "ResourceNotFoundException", &format!("The inference profile you specified could not be found: {label}"))
        })?;
        json(&Profile::of(profile))
    }

    fn offered(&self, id: &str) -> Option<&SimModel> {
        self.world.models.offered_in(&self.region.name).into_iter().find(|model| model.id == id)
    }

    /// Ids of the models that some inference profile of this region reaches.
    fn profiled(&self) -> BTreeSet<String> {
        self.world.models.profiles_in(&self.region.name).into_iter().map(|profile| profile.model_id).collect()
    }

    fn summary<'m>(&self, model: &'m SimModel, profiled: &BTreeSet<String>) -> ModelSummary<'m> {
        let on_demand = self.world.models.resolve(&self.region.name, &model.id).is_ok();
        let mut inference_types_supported = Vec::with_capacity(2);
        if on_demand {
            inference_types_supported.push("ON_DEMAND");
        }
        if profiled.contains(&model.id) {
            inference_types_supported.push("INFERENCE_PROFILE");
        }
        ModelSummary {
            model_arn: model_arn(&self.region.name, &model.id),
            model_id: &model.id,
            model_name: &model.name,
            provider_name: &model.provider,
            input_modalities: &model.input,
            output_modalities: &model.output,
            response_streaming_supported: model.streaming,
            customizations_supported: [],
            inference_types_supported,
            model_lifecycle: Lifecycle { status: &model.lifecycle },
        }
    }
}

impl Profile {
    fn of(profile: SimProfile) -> Self {
        let models = profile.regions.iter().map(|region| ProfileModel { model_arn: model_arn(region, &profile.model_id) }).collect();
        Self {
            description: format!("Routes requests to {} in {}.", profile.model_id, profile.regions.join(", ")),
            inference_profile_name: profile.name,
            created_at: CREATED_AT,
            updated_at: CREATED_AT,
            inference_profile_arn: profile.arn,
            models,
            inference_profile_id: profile.id,
            status: "ACTIVE",
            kind: profile.kind,
        }
    }
}

fn model_arn(region: &str, id: &str) -> String {
    let partition = if region.starts_with("us-gov-") { "aws-us-gov" } else { "aws" };
    format!("arn:{partition}:bedrock:{region}::foundation-model/{id}")
}

/// The id inside a foundation-model ARN, or the label itself.
fn bare_id(label: &str) -> &str {
    label.split_once(":foundation-model/").map_or(label, |(_, id)| id)
}

/// A query value that must be one of a closed list.
fn known_value(query: Option<&str>, name: &str, known: &[&str]) -> Result<Option<String>, Refusal> {
    let value = query_value(query, name);
    match &value {
        Some(text) if !known.contains(&text.as_str()) => Err(Refusal::validation(format!(
            "1 validation error detected: Value at '{name}' failed to satisfy constraint: Member must satisfy enum value set: [{}]",
            known.join(", ")
        ))),
        _ => Ok(value),
    }
}

fn write_token(from: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("from:{from}"))
}

fn read_token(token: &str) -> Option<usize> {
    let decoded = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    decoded.strip_prefix("from:")?.parse().ok()
}
