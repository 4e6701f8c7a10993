//! The SDK's own client beside ours, on the same bytes.

use aws_sdk_bedrockruntime::{
    Client, Config,
    config::{BehaviorVersion, IdentityCache, Region as SdkRegion, StalledStreamProtectionConfig},
    error::SdkError,
    types::{ContentBlock, ContentBlockDelta, ConversationRole, ConverseStreamOutput, Message},
};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_types::retry::RetryConfig;

use super::*;
use crate::aws::{clock::SharedSigningClock, credentials::KeptCredentials, sdk};

fn sdk_client(server: &FakeServer) -> Client {
    let Access::Keys(keeper) = keys(still(), Some("session-token")) else {
        unreachable!("keys are keys");
    };
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(SdkRegion::new("eu-west-1"))
        .endpoint_url("http://bedrock.test")
        .http_client(sdk::http_client(&server.transport()))
        .sleep_impl(TokioSleep::new())
        .time_source(SharedSigningClock(Arc::clone(keeper.clock())))
        .credentials_provider(KeptCredentials(keeper))
        .identity_cache(IdentityCache::no_cache())
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Client::from_conf(config)
}

fn hello() -> Message {
    Message::builder().role(ConversationRole::User).content(ContentBlock::Text("hi".to_owned())).build().unwrap()
}

/// What the SDK signs beyond us: headers that only the SDK sends, about itself.
const SDK_ONLY: [&str; 4] = ["amz-sdk-invocation-id", "amz-sdk-request", "content-length", "x-amz-user-agent"];

fn assert_same_signing(ours: &Received, theirs: &Received) {
    assert_eq!(ours.path_and_query, theirs.path_and_query);
    assert_eq!(ours.method, theirs.method);
    assert_eq!(ours.header("host"), theirs.header("host"));
    assert_eq!(ours.header("content-type"), theirs.header("content-type"));
    for name in ["x-amz-date", "x-amz-security-token"] {
        assert_eq!(ours.header(name), theirs.header(name), "{name}");
    }
    let (our_authorization, their_authorization) = (Authorization::of(ours), Authorization::of(theirs));
    assert_eq!(our_authorization.scope, their_authorization.scope);
    assert_eq!(our_authorization.access_key, their_authorization.access_key);
    let comparable: Vec<&String> = their_authorization.signed_headers.iter().filter(|name| !SDK_ONLY.contains(&name.as_str())).collect();
    assert_eq!(our_authorization.signed_headers.iter().collect::<Vec<_>>(), comparable);
    // Both pass the same independent verifier.
    assert_eq!(our_authorization.signature, expected_signature(ours, SECRET));
    assert_eq!(their_authorization.signature, expected_signature(theirs, SECRET));
}

#[tokio::test]
async fn our_signed_requests_agree_with_the_sdks_in_path_scope_and_signed_headers() {
    const BODY: &str = r#"{"output":{"message":{"role":"assistant","content":[{"text":"Hello"}]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5},"metrics":{"latencyMs":7}}"#;
    for id in ["us.anthropic.claude-sonnet-4-6-v1:0", ARN] {
        let server = FakeServer::answering(200, &[("content-type", "application/json")], BODY);
        let answer =
            runtime(&server).call(RuntimeCall { invoke_id: InvokeId::from(id), ..call(RuntimeOperation::Converse) }).await.unwrap();
        let typed = sdk_client(&server).converse().model_id(id).messages(hello()).send().await.unwrap();
        let [ours, theirs] = <[Received; 2]>::try_from(server.received()).unwrap();
        assert_same_signing(&ours, &theirs);
        let tree: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let text = typed.output().unwrap().as_message().unwrap().content()[0].as_text().unwrap();
        assert_eq!(tree["output"]["message"]["content"][0]["text"], *text);
        assert_eq!(tree["usage"]["totalTokens"], typed.usage().unwrap().total_tokens());
    }
}

fn stream_server() -> FakeServer {
    FakeServer::new(|_| async {
        let (feed, response) = streaming(200, &[("content-type", "application/vnd.amazon.eventstream")]);
        tokio::spawn(async move {
            // Cut where it hurts: inside preludes, headers and payloads.
            for piece in events().concat().chunks(23) {
                feed.send(Ok(Bytes::copy_from_slice(piece))).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        response
    })
}

#[tokio::test]
async fn our_decoder_reads_what_the_sdks_reads() {
    let server = stream_server();
    let mut ours = String::new();
    let mut our_events = 0;
    let mut stream = runtime(&server).open_stream(call(RuntimeOperation::ConverseStream)).await.unwrap();
    while let Some(frame) = stream.next().await {
        let frame = frame.unwrap();
        our_events += 1;
        if frame.event_type == EventType::ContentBlockDelta {
            let tree: serde_json::Value = serde_json::from_slice(&frame.payload).unwrap();
            ours.push_str(tree["delta"]["text"].as_str().unwrap());
        }
    }
    let mut theirs = String::new();
    let mut their_events = 0;
    let mut typed =
        sdk_client(&server).converse_stream().model_id("us.anthropic.claude-sonnet-4-6-v1:0").messages(hello()).send().await.unwrap();
    while let Some(event) = typed.stream.recv().await.unwrap() {
        their_events += 1;
        if let ConverseStreamOutput::ContentBlockDelta(event) = event
            && let Some(ContentBlockDelta::Text(text)) = event.delta
        {
            theirs.push_str(&text);
        }
    }
    assert_eq!((ours.as_str(), our_events), ("Hello", 6));
    assert_eq!((ours, our_events), (theirs, their_events));
    let [ours, theirs] = <[Received; 2]>::try_from(server.received()).unwrap();
    assert_same_signing(&ours, &theirs);
}

#[tokio::test]
async fn a_refusal_reads_the_same_through_both() {
    let server = FakeServer::answering(
        400,
        &[("x-amzn-errortype", "ValidationException"), ("x-amzn-requestid", "r-7")],
        r#"{"message":"The provided model identifier is invalid."}"#,
    );
    let ours = runtime(&server).call(call(RuntimeOperation::Converse)).await.unwrap_err();
    let theirs = sdk_client(&server).converse().model_id("x").messages(hello()).send().await.unwrap_err();
    assert!(matches!(theirs, SdkError::ServiceError(_)));
    let theirs = sdk::failure_of(theirs, &Region::from("eu-west-1"), SystemTime::UNIX_EPOCH);
    assert_eq!(ours, theirs);
    assert_eq!(ours.cause, Cause::ModelMissing);
}
