//! What a region offers: models, inference profiles, and whether this account may use them.

use std::{sync::Arc, time::SystemTime};

use aws_sdk_bedrock::{
    Client, Config,
    config::{BehaviorVersion, IdentityCache, Region as SdkRegion, StalledStreamProtectionConfig, Token},
    types::{
        AuthorizationStatus, EntitlementAvailability, FoundationModelSummary, InferenceProfileModel, InferenceProfileStatus,
        InferenceProfileSummary, InferenceProfileType, InferenceType, RegionAvailability,
    },
};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use futures_util::{StreamExt, stream};
use outcrop_domain::{
    error::UpstreamFailure,
    ids::{InvokeId, ModelId, Region},
    model::{OfferPart, OfferProblem, OfferedModel, OfferedProfile, ProfileKind, RegionOffer},
};

use super::{
    Access, AwsSettings, SigningClock,
    clock::SharedSigningClock,
    credentials::KeptCredentials,
    endpoint::{Endpoint, fill_in},
    sdk,
};
use crate::{
    UpstreamError,
    classify::own_failure,
    ports::{BoxFuture, ControlPlane},
    transport::Transport,
};

/// How many models are asked about at once; the control plane's own limits are low.
const QUESTIONS_AT_ONCE: usize = 6;
/// Most profiles on one page. Source: ListInferenceProfiles, `maxResults`.
const PAGE_SIZE: i32 = 1000;

/// Whether discovery asks `GetFoundationModelAvailability` about every model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AvailabilityCheck {
    /// One question per model: the list is what this account can really call.
    Ask,
    /// No questions: every listed model counts as available.
    Assume,
}

/// Asks the control plane of one region.
#[derive(Debug)]
pub struct AwsControl {
    region: Region,
    client: Client,
    availability: AvailabilityCheck,
    clock: Arc<SigningClock>,
}

impl AwsControl {
    pub(crate) fn new(
        region: Region,
        settings: &AwsSettings,
        transport: &Transport,
        access: &Access,
        clock: &Arc<SigningClock>,
    ) -> Result<Self, UpstreamError> {
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(SdkRegion::new(region.as_str().to_owned()))
            .use_fips(settings.fips)
            .use_dual_stack(settings.dual_stack)
            .http_client(sdk::http_client(transport))
            .sleep_impl(TokioSleep::new())
            .time_source(SharedSigningClock(Arc::clone(clock)))
            // Discovery comes round again on its timer: a retry here would only be a second owner of that rule.
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(settings.control_timeout).build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // Our keeper caches; a second cache would hold refused credentials.
            .identity_cache(IdentityCache::no_cache());
        if let Some(template) = &settings.control_endpoint {
            config = config.endpoint_url(Endpoint::parse(&fill_in(template, &region))?.base);
        }
        config = match access {
            Access::Keys(keeper) => config.credentials_provider(KeptCredentials(Arc::clone(keeper))),
            Access::Bearer(token) => config.bearer_token(Token::new(token.secret().expose().trim(), None)),
        };
        Ok(Self { region, client: Client::from_conf(config.build()), availability: settings.availability, clock: Arc::clone(clock) })
    }

    async fn offer(&self) -> Result<RegionOffer, UpstreamFailure> {
        let (models, system, own) = tokio::join!(
            self.models(),
            self.profiles(InferenceProfileType::SystemDefined),
            self.profiles(InferenceProfileType::Application)
        );
        let mut offer = RegionOffer { region: self.region.clone(), models: Vec::new(), profiles: Vec::new(), problems: Vec::new() };
        let mut first_failure = None;
        let mut answers = 0;
        let mut take = |part: OfferPart, question: &str, failure: UpstreamFailure, problems: &mut Vec<OfferProblem>| {
            problems.push(OfferProblem { part, words: format!("{question}: {failure}") });
            first_failure.get_or_insert(failure);
        };
        match models {
            Ok(models) => (offer.models, answers) = (models, answers + 1),
            Err(failure) => take(OfferPart::Models, "ListFoundationModels", failure, &mut offer.problems),
        }
        for (kind, name, profiles) in
            [(ProfileKind::SystemDefined, "SYSTEM_DEFINED", system), (ProfileKind::Application, "APPLICATION", own)]
        {
            match profiles {
                Ok(profiles) => {
                    offer.profiles.extend(profiles);
                    answers += 1;
                }
                Err(failure) => take(OfferPart::Profiles(kind), &format!("ListInferenceProfiles {name}"), failure, &mut offer.problems),
            }
        }
        match first_failure {
            Some(failure) if answers == 0 => Err(failure),
            _ => {
                self.ask_about_models(&mut offer).await;
                Ok(offer)
            }
        }
    }

    async fn models(&self) -> Result<Vec<OfferedModel>, UpstreamFailure> {
        let answer = self.client.list_foundation_models().send().await.map_err(|error| self.failure(error))?;
        Ok(answer.model_summaries().iter().map(offered_model).collect())
    }

    async fn profiles(&self, kind: InferenceProfileType) -> Result<Vec<OfferedProfile>, UpstreamFailure> {
        let mut profiles = Vec::new();
        let mut pages = self.client.list_inference_profiles().type_equals(kind).max_results(PAGE_SIZE).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failure(error))?;
            profiles.extend(page.inference_profile_summaries().iter().filter_map(offered_profile));
        }
        Ok(profiles)
    }

    /// Marks the models that this account was denied. An unanswered question leaves the model available.
    async fn ask_about_models(&self, offer: &mut RegionOffer) {
        if self.availability == AvailabilityCheck::Assume {
            return;
        }
        let models = std::mem::take(&mut offer.models);
        let answers: Vec<_> = stream::iter(models).map(|model| self.ask_about(model)).buffered(QUESTIONS_AT_ONCE).collect().await;
        for (model, problem) in answers {
            offer.models.push(model);
            offer.problems.extend(problem);
        }
    }

    async fn ask_about(&self, mut model: OfferedModel) -> (OfferedModel, Option<OfferProblem>) {
        match self.client.get_foundation_model_availability().model_id(model.id.as_str()).send().await {
            Ok(answer) => {
                let denied = *answer.authorization_status() == AuthorizationStatus::NotAuthorized
                    || *answer.entitlement_availability() == EntitlementAvailability::NotAvailable
                    || *answer.region_availability() == RegionAvailability::NotAvailable;
                model.available = !denied;
                (model, None)
            }
            Err(error) => {
                let words = format!("GetFoundationModelAvailability {}: {}", model.id, self.failure(error));
                let part = OfferPart::Availability(model.id.clone());
                (model, Some(OfferProblem { part, words }))
            }
        }
    }

    async fn one_profile(&self, id: String) -> Result<OfferedProfile, UpstreamFailure> {
        let answer =
            self.client.get_inference_profile().inference_profile_identifier(&id).send().await.map_err(|error| self.failure(error))?;
        let described = ProfileFacts {
            id: answer.inference_profile_id(),
            arn: answer.inference_profile_arn(),
            name: answer.inference_profile_name(),
            models: answer.models(),
            kind: answer.r#type(),
        };
        described.offered().ok_or_else(|| {
            let mut failure = own_failure(
                outcrop_domain::error::Cause::Malformed,
                "ProfileWithoutModel",
                format!("profile `{id}` names no foundation model"),
            );
            failure.region = Some(self.region.clone());
            failure
        })
    }

    fn failure<E>(
        &self,
        error: aws_smithy_runtime_api::client::result::SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse>,
    ) -> UpstreamFailure
    where
        E: aws_smithy_types::error::metadata::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let now: SystemTime = self.clock.now();
        sdk::failure_of(error, &self.region, now)
    }
}

impl ControlPlane for AwsControl {
    fn region(&self) -> &Region {
        &self.region
    }

    fn discover(&self) -> BoxFuture<'_, Result<RegionOffer, UpstreamFailure>> {
        Box::pin(self.offer())
    }

    fn profile(&self, id: &str) -> BoxFuture<'_, Result<OfferedProfile, UpstreamFailure>> {
        Box::pin(self.one_profile(id.to_owned()))
    }
}

fn offered_model(summary: &FoundationModelSummary) -> OfferedModel {
    let words = |modalities: &[aws_sdk_bedrock::types::ModelModality]| modalities.iter().map(|word| word.as_str().to_owned()).collect();
    OfferedModel {
        id: ModelId::from(summary.model_id()),
        name: summary.model_name().unwrap_or(summary.model_id()).to_owned(),
        provider: summary.provider_name().unwrap_or_default().to_owned(),
        input: words(summary.input_modalities()),
        output: words(summary.output_modalities()),
        streaming: summary.response_streaming_supported().unwrap_or(false),
        lifecycle: summary.model_lifecycle().map_or("ACTIVE", |lifecycle| lifecycle.status().as_str()).to_owned(),
        on_demand: summary.inference_types_supported().contains(&InferenceType::OnDemand),
        available: true,
    }
}

fn offered_profile(summary: &InferenceProfileSummary) -> Option<OfferedProfile> {
    if *summary.status() != InferenceProfileStatus::Active {
        return None;
    }
    let described = ProfileFacts {
        id: summary.inference_profile_id(),
        arn: summary.inference_profile_arn(),
        name: summary.inference_profile_name(),
        models: summary.models(),
        kind: summary.r#type(),
    };
    described.offered()
}

/// A profile as both operations tell it.
struct ProfileFacts<'a> {
    id: &'a str,
    arn: &'a str,
    name: &'a str,
    models: &'a [InferenceProfileModel],
    kind: &'a InferenceProfileType,
}

impl ProfileFacts<'_> {
    /// `None` when no model of it can be read: such a profile cannot be called under a model's name.
    fn offered(&self) -> Option<OfferedProfile> {
        let models: Vec<(Region, ModelId)> = self.models.iter().filter_map(|model| parse_model_arn(model.model_arn()?)).collect();
        let (_, model) = models.first()?.clone();
        let mut regions = Vec::new();
        for (region, _) in models {
            if !region.as_str().is_empty() && !regions.contains(&region) {
                regions.push(region);
            }
        }
        let application = *self.kind == InferenceProfileType::Application;
        let (id, kind) = if application { (self.arn, ProfileKind::Application) } else { (self.id, ProfileKind::SystemDefined) };
        Some(OfferedProfile { id: InvokeId::from(id), arn: self.arn.to_owned(), name: self.name.to_owned(), model, regions, kind })
    }
}

/// `arn:aws:bedrock:{region}::foundation-model/{id}`; the region of a global profile's model is empty.
fn parse_model_arn(arn: &str) -> Option<(Region, ModelId)> {
    let mut fields = arn.splitn(6, ':');
    let region = fields.nth(3)?;
    let resource = fields.nth(1)?;
    let id = resource.strip_prefix("foundation-model/")?;
    Some((Region::from(region), ModelId::from(id)))
}

#[cfg(test)]
mod tests;
