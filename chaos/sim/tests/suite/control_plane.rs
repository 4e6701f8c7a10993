//! The control plane as the SDK's typed client sees it.

use std::collections::BTreeSet;

use aws_sdk_bedrock::{
    error::ProvideErrorMetadata,
    types::{
        AuthorizationStatus, EntitlementAvailability, FoundationModelLifecycleStatus, InferenceProfileType, InferenceType, ModelModality,
        RegionAvailability,
    },
};
use outcrop_sim::{Access, Action, Rule, ScriptedError, Simulator};

use crate::support::{EAST, MODEL, control, exchange, simulator};

#[tokio::test]
async fn models_are_listed_with_all_their_members() {
    let simulator = simulator().await;
    let models = control(&simulator, EAST).list_foundation_models().send().await.unwrap().model_summaries.unwrap();
    let nova = models.iter().find(|model| model.model_id == MODEL).unwrap();
    assert_eq!(nova.model_arn, format!("arn:aws:bedrock:{EAST}::foundation-model/{MODEL}"));
    assert_eq!((nova.model_name.as_deref(), nova.provider_name.as_deref()), (Some("Nova Lite"), Some("Amazon")));
    assert!(nova.input_modalities().contains(&ModelModality::Image));
    assert_eq!(nova.output_modalities(), [ModelModality::Text]);
    assert_eq!(nova.response_streaming_supported, Some(true));
    assert!(nova.inference_types_supported().contains(&InferenceType::OnDemand));
    assert!(nova.inference_types_supported().iter().any(|kind| kind.as_str() == "INFERENCE_PROFILE"));
    assert_eq!(nova.model_lifecycle.as_ref().unwrap().status, FoundationModelLifecycleStatus::Active);
}

#[tokio::test]
async fn each_filter_narrows_the_list() {
    let simulator = simulator().await;
    let client = control(&simulator, EAST);
    let all = client.list_foundation_models().send().await.unwrap().model_summaries.unwrap();
    let amazon = client.list_foundation_models().by_provider("amazon").send().await.unwrap().model_summaries.unwrap();
    assert!(!amazon.is_empty() && amazon.len() < all.len());
    assert!(amazon.iter().all(|model| model.provider_name.as_deref() == Some("Amazon")));
    let embedding =
        client.list_foundation_models().by_output_modality(ModelModality::Embedding).send().await.unwrap().model_summaries.unwrap();
    assert!(!embedding.is_empty() && embedding.iter().all(|model| model.output_modalities().contains(&ModelModality::Embedding)));
    let on_demand =
        client.list_foundation_models().by_inference_type(InferenceType::OnDemand).send().await.unwrap().model_summaries.unwrap();
    assert!(!on_demand.is_empty() && on_demand.len() < all.len());
    let provisioned = client.list_foundation_models().by_inference_type(InferenceType::Provisioned).send().await.unwrap();
    assert!(provisioned.model_summaries.unwrap().is_empty());
    let fault = client.list_foundation_models().by_inference_type("SOMETIMES".into()).send().await.unwrap_err();
    assert!(fault.into_service_error().is_validation_exception());
}

#[tokio::test]
async fn one_model_is_found_by_id_or_arn() {
    let simulator = simulator().await;
    let client = control(&simulator, EAST);
    for identifier in [MODEL.to_owned(), format!("arn:aws:bedrock:{EAST}::foundation-model/{MODEL}")] {
        let details = client.get_foundation_model().model_identifier(identifier).send().await.unwrap().model_details.unwrap();
        assert_eq!(details.model_id, MODEL);
    }
    let fault = client.get_foundation_model().model_identifier("no.such-model").send().await.unwrap_err().into_service_error();
    assert!(fault.is_resource_not_found_exception(), "{fault:?}");
}

#[tokio::test]
async fn availability_follows_access_and_region() {
    let simulator = simulator().await;
    let client = control(&simulator, EAST);
    let ask = || client.get_foundation_model_availability().model_id(MODEL).send();
    let before = ask().await.unwrap();
    assert_eq!((before.model_id.as_str(), before.authorization_status), (MODEL, AuthorizationStatus::Authorized));
    assert_eq!(before.region_availability, RegionAvailability::Available);
    simulator.set_access(EAST, MODEL, Access::Denied).unwrap();
    let after = ask().await.unwrap();
    assert_eq!(after.authorization_status, AuthorizationStatus::NotAuthorized);
    assert_eq!(after.entitlement_availability, EntitlementAvailability::NotAvailable);
    simulator.set_access(EAST, MODEL, Access::Granted).unwrap();
    assert_eq!(ask().await.unwrap().authorization_status, AuthorizationStatus::Authorized);
    let fault = client.get_foundation_model_availability().model_id("no.such-model").send().await.unwrap_err();
    assert!(fault.into_service_error().is_resource_not_found_exception());
}

#[tokio::test]
async fn profiles_are_listed_page_by_page_without_loss_or_repetition() {
    let simulator = Simulator::builder().region(EAST, 0).page_size(7).start().await.unwrap();
    let client = control(&simulator, EAST);
    let whole = client.list_inference_profiles().max_results(1000).send().await.unwrap();
    assert_eq!(whole.next_token, None);
    let whole: Vec<String> = whole.inference_profile_summaries.unwrap().into_iter().map(|profile| profile.inference_profile_id).collect();
    let mut pages = client.list_inference_profiles().into_paginator().send();
    let (mut gathered, mut count) = (Vec::new(), 0);
    while let Some(page) = pages.next().await {
        let page = page.unwrap().inference_profile_summaries.unwrap();
        assert!((1..=7).contains(&page.len()));
        gathered.extend(page.into_iter().map(|profile| profile.inference_profile_id));
        count += 1;
    }
    assert_eq!(count, whole.len().div_ceil(7));
    assert!(count > 1);
    assert_eq!(gathered, whole);
    assert_eq!(gathered.iter().collect::<BTreeSet<_>>().len(), whole.len());
}

#[tokio::test]
async fn profiles_are_filtered_by_type_and_found_by_id_or_arn() {
    let simulator = simulator().await;
    let client = control(&simulator, EAST);
    let listed = client.list_inference_profiles().type_equals(InferenceProfileType::Application).send().await.unwrap();
    let listed = listed.inference_profile_summaries.unwrap();
    assert!(!listed.is_empty() && listed.iter().all(|profile| profile.r#type == InferenceProfileType::Application));
    let nova = format!("us.{MODEL}");
    let by_id = client.get_inference_profile().inference_profile_identifier(&nova).send().await.unwrap();
    let by_arn = client.get_inference_profile().inference_profile_identifier(&by_id.inference_profile_arn).send().await.unwrap();
    assert_eq!((&by_id.inference_profile_id, by_id.r#type), (&nova, InferenceProfileType::SystemDefined));
    assert_eq!(by_arn.inference_profile_arn, by_id.inference_profile_arn);
    assert!(by_id.created_at.is_some() && by_id.models.len() > 1);
    assert!(by_id.models.iter().all(|model| model.model_arn.as_deref().unwrap().ends_with(MODEL)));
    let application = client.get_inference_profile().inference_profile_identifier(&listed[0].inference_profile_arn).send().await.unwrap();
    assert_eq!(application.r#type, InferenceProfileType::Application);
    let fault = client.get_inference_profile().inference_profile_identifier("us.no-such").send().await.unwrap_err();
    assert!(fault.into_service_error().is_resource_not_found_exception());
}

#[tokio::test]
async fn bad_pages_are_refused() {
    let simulator = simulator().await;
    let client = control(&simulator, EAST);
    for size in [0, 1001] {
        let fault = client.list_inference_profiles().max_results(size).send().await.unwrap_err().into_service_error();
        assert!(fault.is_validation_exception(), "{fault:?}");
    }
    let fault = client.list_inference_profiles().next_token("bm9uc2Vuc2U").send().await.unwrap_err().into_service_error();
    assert!(fault.is_validation_exception(), "{fault:?}");
}

#[tokio::test]
async fn the_control_plane_can_be_scripted_down() {
    let simulator = simulator().await;
    let down = ScriptedError::new(500, "InternalServerException", "down");
    simulator.script(Rule::once(Action::Error(down)).operation(outcrop_sim::Operation::ListFoundationModels));
    let fault = control(&simulator, EAST).list_foundation_models().send().await.unwrap_err().into_service_error();
    assert_eq!((fault.code(), fault.message()), (Some("InternalServerException"), Some("down")));
    assert!(control(&simulator, EAST).list_foundation_models().send().await.is_ok());
}

#[tokio::test]
async fn unknown_paths_are_unknown_operations() {
    let simulator = simulator().await;
    for request in ["GET /nowhere HTTP/1.1\r\nhost: sim\r\n\r\n", "DELETE /foundation-models HTTP/1.1\r\nhost: sim\r\n\r\n"] {
        let seen = exchange(&simulator, EAST, request.as_bytes()).await.unwrap();
        assert_eq!(seen.status, 404);
        assert!(seen.header("x-amzn-errortype").unwrap().starts_with("UnknownOperationException"));
    }
}
