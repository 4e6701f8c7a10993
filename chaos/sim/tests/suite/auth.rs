//! Signatures and API keys over the wire, made by the SDK.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    Client,
    error::ProvideErrorMetadata,
    types::{ContentBlock, ConversationRole, Message},
};
use outcrop_sim::{
    AuthKind, AuthMode, Credential, DEFAULT_ACCESS_KEY, DEFAULT_BEARER_TOKEN, DEFAULT_SECRET_KEY, SimClock, Simulator, Skew,
};

use crate::support::{EAST, HELLO, MODEL, WEST, credentials, exchange, path, post, runtime, runtime_with, simulator};

async fn code(client: Client) -> Result<(), (u16, String)> {
    let hello = Message::builder().role(ConversationRole::User).content(ContentBlock::Text("hello".to_owned())).build().unwrap();
    match client.converse().model_id(MODEL).messages(hello).send().await {
        Ok(_) => Ok(()),
        Err(fault) => {
            let status = fault.raw_response().unwrap().status().as_u16();
            Err((status, fault.into_service_error().code().unwrap().to_owned()))
        }
    }
}

fn key(id: &str, secret: &str, token: Option<&str>) -> Credentials {
    Credentials::new(id, secret, token.map(str::to_owned), None, "test")
}

#[tokio::test]
async fn a_good_signature_is_accepted_and_recorded() {
    let simulator = simulator().await;
    assert_eq!(code(runtime(&simulator, EAST)).await, Ok(()));
    let auth = simulator.journal().call(1).unwrap().auth;
    assert_eq!(auth, Some(AuthKind::SigV4 { access_key: DEFAULT_ACCESS_KEY.to_owned() }));
}

#[tokio::test]
async fn wrong_secrets_keys_and_regions_are_refused() {
    let simulator = simulator().await;
    let refused = |credentials, scope| code(runtime_with(&simulator, EAST, scope, credentials));
    assert_eq!(refused(key(DEFAULT_ACCESS_KEY, "wrong", None), EAST).await, Err((403, "InvalidSignatureException".to_owned())));
    assert_eq!(refused(key("AKIDNOBODY", DEFAULT_SECRET_KEY, None), EAST).await, Err((403, "UnrecognizedClientException".to_owned())));
    assert_eq!(
        refused(key(DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Some("t")), EAST).await,
        Err((403, "UnrecognizedClientException".to_owned()))
    );
    assert_eq!(refused(credentials(), WEST).await, Err((403, "InvalidSignatureException".to_owned())));
    assert!(simulator.journal().calls().iter().all(|call| call.auth.is_none() && call.billed.is_none()));
}

#[tokio::test]
async fn temporary_credentials_expire_and_can_be_renewed() {
    let simulator = simulator().await;
    simulator.put_credential(Credential::new("ASIA", "secret").with_session_token("token"));
    let call = || code(runtime_with(&simulator, EAST, EAST, key("ASIA", "secret", Some("token"))));
    assert_eq!(call().await, Ok(()));
    assert!(simulator.expire_key("ASIA"));
    assert_eq!(call().await, Err((403, "ExpiredTokenException".to_owned())));
    simulator.put_credential(Credential::new("ASIA", "secret").with_session_token("token"));
    assert_eq!(call().await, Ok(()));
    assert!(simulator.revoke_key("ASIA"));
    assert_eq!(call().await, Err((403, "UnrecognizedClientException".to_owned())));
}

#[tokio::test]
async fn a_skewed_region_refuses_and_says_its_own_time() {
    let simulator = simulator().await;
    simulator.set_skew(EAST, Duration::from_secs(4 * 60), Skew::Ahead).unwrap();
    assert_eq!(code(runtime(&simulator, EAST)).await, Ok(()));
    simulator.set_skew(EAST, Duration::from_secs(7 * 60), Skew::Behind).unwrap();
    assert_eq!(code(runtime(&simulator, EAST)).await, Err((403, "InvalidSignatureException".to_owned())));
    assert_eq!(code(runtime(&simulator, WEST)).await, Ok(()));
}

#[tokio::test]
async fn the_date_header_is_the_clock_of_the_region() {
    let clock = SimClock::starting_at(UNIX_EPOCH + Duration::from_secs(1_795_184_229));
    let simulator = Simulator::builder().regions([EAST, WEST]).clock(clock).start().await.unwrap();
    simulator.set_skew(WEST, Duration::from_secs(3600), Skew::Behind).unwrap();
    let date = async |region| exchange(&simulator, region, &post(&path("converse"), HELLO)).await.unwrap().header("date").unwrap();
    assert!(date(EAST).await.starts_with("Fri, 20 Nov 2026 14:17:"));
    assert!(date(WEST).await.starts_with("Fri, 20 Nov 2026 13:17:"));
}

#[tokio::test]
async fn api_keys_replace_signatures() {
    let simulator = simulator().await;
    let seen = exchange(&simulator, EAST, &post(&path("converse"), HELLO)).await.unwrap();
    assert_eq!(seen.status, 200);
    assert_eq!(simulator.journal().call(1).unwrap().auth, Some(AuthKind::Bearer));
    assert!(simulator.revoke_key(DEFAULT_BEARER_TOKEN));
    let seen = exchange(&simulator, EAST, &post(&path("converse"), HELLO)).await.unwrap();
    assert_eq!(
        (seen.status, seen.json()["Message"].as_str()),
        (403, Some("Authentication failed: Please make sure your API Key is valid."))
    );
    assert!(seen.header("x-amzn-errortype").unwrap().starts_with("AccessDeniedException:"));
    assert!(seen.header("x-amzn-requestid").is_some());
}

#[tokio::test]
async fn unsigned_calls_are_refused_unless_checks_are_off() {
    let request = format!("POST {} HTTP/1.1\r\nhost: sim\r\ncontent-length: {}\r\n\r\n{HELLO}", path("converse"), HELLO.len());
    let checked = simulator().await;
    let seen = exchange(&checked, EAST, request.as_bytes()).await.unwrap();
    assert_eq!((seen.status, seen.json()["message"].as_str()), (403, Some("Missing Authentication Token")));
    let open = Simulator::builder().region(EAST, 0).auth(AuthMode::Off).start().await.unwrap();
    assert_eq!(exchange(&open, EAST, request.as_bytes()).await.unwrap().status, 200);
    assert_eq!(open.journal().call(1).unwrap().auth, Some(AuthKind::Unchecked));
}
