use std::time::Duration;

use outcrop_domain::{error::Cause, secret::SecretString};

use super::*;
use crate::{
    aws::{Aws, BearerToken, CredentialSource, CredentialsKeeper, StaticKeys},
    testkit::{FakeServer, Received, StillClock, answer},
};

const MODELS: &str = r#"{"modelSummaries":[
  {"modelArn":"arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-sonnet-4-6","modelId":"anthropic.claude-sonnet-4-6",
   "modelName":"Claude Sonnet 4.6","providerName":"Anthropic","inputModalities":["TEXT","IMAGE"],"outputModalities":["TEXT"],
   "responseStreamingSupported":true,"customizationsSupported":[],"inferenceTypesSupported":["INFERENCE_PROFILE"],
   "modelLifecycle":{"status":"ACTIVE"}},
  {"modelArn":"arn:aws:bedrock:eu-west-1::foundation-model/new.model-v1:0","modelId":"new.model-v1:0","modelName":"New","providerName":"New",
   "inputModalities":["TEXT","SMELL"],"outputModalities":["EMBEDDING"],"responseStreamingSupported":false,
   "inferenceTypesSupported":["ON_DEMAND"],"modelLifecycle":{"status":"LEGACY"}}]}"#;

const SYSTEM_PAGE: &str = r#"{"inferenceProfileSummaries":[{"inferenceProfileName":"EU Claude","inferenceProfileArn":
  "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-6","inferenceProfileId":"eu.anthropic.claude-sonnet-4-6",
  "status":"ACTIVE","type":"SYSTEM_DEFINED","models":[
   {"modelArn":"arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-sonnet-4-6"},
   {"modelArn":"arn:aws:bedrock:eu-north-1::foundation-model/anthropic.claude-sonnet-4-6"},
   {"modelArn":"arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-sonnet-4-6"}]}],"nextToken":"more"}"#;

const SECOND_SYSTEM_PAGE: &str = r#"{"inferenceProfileSummaries":[{"inferenceProfileName":"Global Claude","inferenceProfileArn":
  "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/global.anthropic.claude-sonnet-4-6",
  "inferenceProfileId":"global.anthropic.claude-sonnet-4-6","status":"ACTIVE","type":"SYSTEM_DEFINED","models":[
   {"modelArn":"arn:aws:bedrock:::foundation-model/anthropic.claude-sonnet-4-6"}]}]}"#;

const APPLICATION_ARN: &str = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123";

const APPLICATION: &str = r#"{"inferenceProfileName":"team-a","inferenceProfileArn":
  "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123","inferenceProfileId":"abc123","status":"ACTIVE",
  "type":"APPLICATION","models":[{"modelArn":"arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-sonnet-4-6"}]}"#;

fn control_of(server: &FakeServer, availability: AvailabilityCheck) -> AwsControl {
    let settings = AwsSettings {
        control_endpoint: Some("https://{region}.control.test/".to_owned()),
        availability,
        control_timeout: Duration::from_secs(5),
        ..AwsSettings::default()
    };
    let clock = Arc::new(StillClock(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000)));
    let keys = CredentialSource::Static(StaticKeys {
        access_key_id: "AKIDTEST".to_owned(),
        secret_access_key: SecretString::new("s".to_owned()),
        session_token: None,
    });
    let keeper = CredentialsKeeper::new(keys, &server.transport(), clock.clone());
    Aws::new(settings, server.transport(), Access::Keys(Arc::new(keeper)), clock).control(&Region::from("eu-west-1")).unwrap()
}

/// A region with two models, two pages of profiles and one application profile; `denied` is not for this account.
fn region(received: &Received, denied: &str) -> http::Response<crate::testkit::ServerBody> {
    let path = received.path_and_query.as_str();
    let body = match path {
        _ if path.starts_with("/foundation-models") => MODELS.to_owned(),
        _ if path.starts_with("/inference-profiles?") && path.contains("type=APPLICATION") => {
            format!("{{\"inferenceProfileSummaries\":[{APPLICATION}]}}")
        }
        _ if path.starts_with("/inference-profiles?") && path.contains("nextToken=more") => SECOND_SYSTEM_PAGE.to_owned(),
        _ if path.starts_with("/inference-profiles?") => SYSTEM_PAGE.to_owned(),
        _ if path.starts_with("/inference-profiles/") => APPLICATION.to_owned(),
        _ if path.starts_with("/foundation-model-availability/") => {
            let entitled = if path.contains(denied) { "NOT_AVAILABLE" } else { "AVAILABLE" };
            format!(
                "{{\"modelId\":\"m\",\"agreementAvailability\":{{\"status\":\"AVAILABLE\"}},\"authorizationStatus\":\"AUTHORIZED\",\
                 \"entitlementAvailability\":\"{entitled}\",\"regionAvailability\":\"AVAILABLE\"}}"
            )
        }
        _ => return answer(404, &[], "{}"),
    };
    answer(200, &[("content-type", "application/json")], body)
}

#[tokio::test]
async fn a_region_is_discovered_over_all_pages_and_kinds() {
    let server = FakeServer::new(|received| std::future::ready(region(&received, "new.model")));
    let offer = control_of(&server, AvailabilityCheck::Ask).discover().await.unwrap();
    assert!(offer.problems.is_empty() && !offer.is_partial(), "{:?}", offer.problems);
    let [claude, new] = &offer.models[..] else { panic!("two models, in order") };
    assert_eq!(
        (claude.id.as_str(), claude.on_demand, claude.streaming, claude.available),
        ("anthropic.claude-sonnet-4-6", false, true, true)
    );
    assert_eq!((claude.name.as_str(), claude.provider.as_str(), claude.lifecycle.as_str()), ("Claude Sonnet 4.6", "Anthropic", "ACTIVE"));
    assert_eq!((new.on_demand, new.available, new.lifecycle.as_str()), (true, false, "LEGACY"));
    assert_eq!(new.input, ["TEXT", "SMELL"], "modalities that the SDK does not know pass through");
    let ids: Vec<&str> = offer.profiles.iter().map(|profile| profile.id.as_str()).collect();
    assert_eq!(ids, ["eu.anthropic.claude-sonnet-4-6", "global.anthropic.claude-sonnet-4-6", APPLICATION_ARN]);
    assert_eq!(offer.profiles[0].regions, [Region::from("eu-west-1"), Region::from("eu-north-1")]);
    assert_eq!(offer.profiles[1].regions, []);
    assert_eq!(offer.profiles[2].kind, ProfileKind::Application);
    assert!(offer.profiles.iter().all(|profile| profile.model.as_str() == "anthropic.claude-sonnet-4-6"));
    assert!(server.received().iter().all(|received| received.header("host") == "eu-west-1.control.test"));
}

#[tokio::test]
async fn without_the_question_every_model_counts_as_available() {
    let server = FakeServer::new(|received| std::future::ready(region(&received, "new.model")));
    let offer = control_of(&server, AvailabilityCheck::Assume).discover().await.unwrap();
    assert!(offer.models.iter().all(|model| model.available));
    assert!(server.received().iter().all(|received| !received.path_and_query.contains("availability")));
}

#[tokio::test]
async fn what_fails_is_told_and_the_rest_counts() {
    let server = FakeServer::new(|received: Received| {
        std::future::ready(if received.path_and_query.contains("type=APPLICATION") {
            answer(
                403,
                &[("x-amzn-errortype", "AccessDeniedException")],
                r#"{"message":"not authorized to perform: bedrock:ListInferenceProfiles"}"#,
            )
        } else if received.path_and_query.contains("availability/new") {
            answer(429, &[("x-amzn-errortype", "ThrottlingException")], r#"{"message":"slow down"}"#)
        } else {
            region(&received, "nothing")
        })
    });
    let offer = control_of(&server, AvailabilityCheck::Ask).discover().await.unwrap();
    assert_eq!((offer.models.len(), offer.profiles.len()), (2, 2));
    assert!(offer.models.iter().all(|model| model.available), "an unanswered question denies nothing");
    assert!(offer.is_partial());
    assert_eq!(
        offer.problems.iter().map(|problem| problem.words.as_str()).collect::<Vec<_>>(),
        [
            "ListInferenceProfiles APPLICATION: AccessDeniedException: not authorized to perform: bedrock:ListInferenceProfiles",
            "GetFoundationModelAvailability new.model-v1:0: ThrottlingException: slow down",
        ]
    );
}

#[tokio::test]
async fn a_region_that_answers_nothing_is_a_failure_with_its_cause() {
    let server = FakeServer::answering(
        403,
        &[("x-amzn-errortype", "UnrecognizedClientException"), ("x-amzn-requestid", "r-1")],
        r#"{"message":"The security token included in the request is invalid."}"#,
    );
    let failure = control_of(&server, AvailabilityCheck::Ask).discover().await.unwrap_err();
    assert_eq!((failure.cause, failure.status, failure.request_id.as_deref()), (Cause::Credentials, 403, Some("r-1")));
    assert_eq!(failure.region, Some(Region::from("eu-west-1")));
    assert_eq!(server.received().len(), 3, "no request is repeated");
}

#[tokio::test(start_paused = true)]
async fn a_region_that_never_answers_is_a_timeout() {
    let server = FakeServer::new(|_| std::future::pending());
    let failure = control_of(&server, AvailabilityCheck::Ask).discover().await.unwrap_err();
    assert_eq!(failure.cause, Cause::Timeout);
}

#[tokio::test]
async fn an_application_profile_shows_its_model() {
    let server = FakeServer::new(|received| std::future::ready(region(&received, "nothing")));
    let profile = control_of(&server, AvailabilityCheck::Ask).profile(APPLICATION_ARN).await.unwrap();
    assert_eq!((profile.id.as_str(), profile.name.as_str()), (APPLICATION_ARN, "team-a"));
    assert_eq!(profile.model.as_str(), "anthropic.claude-sonnet-4-6");
    let nameless = FakeServer::answering(
        200,
        &[],
        r#"{"inferenceProfileName":"x","inferenceProfileArn":"a","inferenceProfileId":"x","status":"ACTIVE","type":"APPLICATION","models":[]}"#,
    );
    let failure = control_of(&nameless, AvailabilityCheck::Ask).profile("x").await.unwrap_err();
    assert_eq!((failure.cause, failure.code.as_str()), (Cause::Malformed, "ProfileWithoutModel"));
}

#[tokio::test]
async fn an_api_key_serves_the_control_plane_too() {
    let server = FakeServer::new(|received| std::future::ready(region(&received, "nothing")));
    let settings = AwsSettings { control_endpoint: Some("https://control.test".to_owned()), ..AwsSettings::default() };
    let clock = Arc::new(StillClock(SystemTime::UNIX_EPOCH));
    let token = BearerToken::new(SecretString::new("bedrock-key".to_owned())).unwrap();
    let control = Aws::new(settings, server.transport(), Access::Bearer(token), clock).control(&Region::from("eu-west-1")).unwrap();
    control.discover().await.unwrap();
    assert!(server.received().iter().all(|received| received.header("authorization") == "Bearer bedrock-key"));
    assert!(!format!("{control:?}").contains("bedrock-key"));
}

#[test]
fn model_arns_are_read_with_and_without_a_region() {
    let parsed = |arn: &str| parse_model_arn(arn).map(|(region, id)| (region.to_string(), id.to_string()));
    assert_eq!(
        parsed("arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/meta.llama3-v1:0"),
        Some(("us-gov-west-1".to_owned(), "meta.llama3-v1:0".to_owned()))
    );
    assert_eq!(parsed("arn:aws:bedrock:::foundation-model/a.b"), Some((String::new(), "a.b".to_owned())));
    for wrong in ["", "arn:aws:bedrock:us-east-1", "arn:aws:bedrock:us-east-1:1:custom-model/x"] {
        assert_eq!(parsed(wrong), None, "{wrong}");
    }
}
