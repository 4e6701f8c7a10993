use std::{
    io,
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use bytes::Bytes;
use http::HeaderValue;
use outcrop_domain::{clock::Clock, ids::InvokeId, secret::SecretString};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::*;
use crate::{
    aws::{Aws, BearerToken, CredentialsKeeper, clock::tests::HandClock, credentials::tests::CountingProvider},
    eventstream::encode_frame,
    frames::EventType,
    ports::RuntimeOperation,
    testkit::{Authorization, FakeServer, Received, StillClock, answer, expected_signature, streaming},
    transport::{Connector, TransportSettings},
};

mod oracle;

const ARN: &str = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123";
const SECRET: &str = "secret-of-the-test";
/// 2026-11-20T12:00:00Z
const NOW: u64 = 1_795_176_000;

fn call(operation: RuntimeOperation) -> RuntimeCall {
    RuntimeCall {
        operation,
        invoke_id: InvokeId::from("us.anthropic.claude-sonnet-4-6-v1:0"),
        body: Bytes::from_static(br#"{"messages":[],"unknown_field":1}"#),
        headers: HeaderMap::new(),
        first_byte: Duration::from_secs(10),
        total: Duration::from_secs(60),
        idle: Duration::from_secs(30),
    }
}

fn keys(clock: Arc<dyn Clock>, token: Option<&str>) -> Access {
    let mut credentials = Credentials::builder().access_key_id("AKIDTEST").secret_access_key(SECRET).provider_name("test");
    credentials.set_session_token(token.map(str::to_owned));
    let provider = SharedCredentialsProvider::new(credentials.build());
    Access::Keys(Arc::new(CredentialsKeeper::over(provider, Arc::new(SigningClock::new(clock)))))
}

fn still() -> Arc<dyn Clock> {
    Arc::new(StillClock(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)))
}

fn runtime_with(transport: Transport, access: Access) -> AwsRuntime {
    Aws::new(AwsSettings::default(), transport, access, still()).runtime(&Region::from("eu-west-1")).unwrap()
}

/// TLS lies inside the connector, so one in memory speaks plain text whatever the scheme.
fn runtime(server: &FakeServer) -> AwsRuntime {
    let settings = AwsSettings { runtime_endpoint: Some("http://bedrock.test".to_owned()), ..AwsSettings::default() };
    Aws::new(settings, server.transport(), keys(still(), Some("session-token")), still()).runtime(&Region::from("eu-west-1")).unwrap()
}

fn events() -> Vec<Bytes> {
    [
        ("messageStart", r#"{"role":"assistant"}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hel"}}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"lo"}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        ("messageStop", r#"{"stopReason":"end_turn"}"#),
        ("metadata", r#"{"usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5},"metrics":{"latencyMs":7}}"#),
    ]
    .into_iter()
    .map(|(name, payload)| {
        encode_frame(&[(":event-type", name), (":content-type", "application/json"), (":message-type", "event")], payload.as_bytes())
    })
    .collect()
}

#[tokio::test]
async fn a_call_sends_our_bytes_unchanged_to_the_encoded_path() {
    let server = FakeServer::answering(200, &[("x-amzn-requestid", "r-1")], r#"{"output":1}"#);
    let runtime = runtime(&server);
    let answer = runtime.call(RuntimeCall { invoke_id: InvokeId::from(ARN), ..call(RuntimeOperation::Converse) }).await.unwrap();
    assert_eq!((answer.body.as_ref(), answer.request_id.as_deref()), (br#"{"output":1}"#.as_slice(), Some("r-1")));
    let received = server.received().remove(0);
    assert_eq!(received.method, "POST");
    assert_eq!(
        received.path_and_query,
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc123/converse"
    );
    assert_eq!(received.body, call(RuntimeOperation::Converse).body);
    assert_eq!(received.header("content-type"), "application/json");
    assert_eq!(received.header("host"), "bedrock.test");
    assert!(received.header("user-agent").starts_with("outcrop/"));
    assert_eq!(received.header("accept-encoding"), "");
}

#[tokio::test]
async fn each_operation_has_its_path() {
    let server = FakeServer::answering(200, &[], "{}");
    let runtime = runtime(&server);
    for (operation, end) in [
        (RuntimeOperation::Converse, "/converse"),
        (RuntimeOperation::ConverseStream, "/converse-stream"),
        (RuntimeOperation::InvokeModel, "/invoke"),
        (RuntimeOperation::InvokeModelWithResponseStream, "/invoke-with-response-stream"),
        (RuntimeOperation::CountTokens, "/count-tokens"),
    ] {
        runtime.call(call(operation)).await.unwrap();
        assert!(server.received().last().unwrap().path_and_query.ends_with(&format!("v1%3A0{end}")));
    }
    assert_eq!(server.connections(), 1, "one connection is used again and again");
}

#[tokio::test]
async fn the_signature_is_what_the_server_computes_and_covers_awss_headers() {
    let server = FakeServer::answering(200, &[], "{}");
    let runtime = runtime(&server);
    let mut headers = HeaderMap::new();
    headers.insert("x-amzn-bedrock-guardrailidentifier", HeaderValue::from_static("g-1"));
    headers.insert("x-amzn-trace-id", HeaderValue::from_static("Root=1"));
    headers.insert("x-custom", HeaderValue::from_static("kept"));
    headers.insert("authorization", HeaderValue::from_static("Bearer stolen"));
    headers.insert("x-amz-date", HeaderValue::from_static("19700101T000000Z"));
    headers.insert("host", HeaderValue::from_static("elsewhere"));
    runtime.call(RuntimeCall { headers, ..call(RuntimeOperation::InvokeModel) }).await.unwrap();
    let received = server.received().remove(0);
    let authorization = Authorization::of(&received);
    assert_eq!(authorization.access_key, "AKIDTEST");
    assert_eq!(authorization.scope, "20261120/eu-west-1/bedrock/aws4_request");
    assert_eq!(
        authorization.signed_headers,
        ["content-type", "host", "x-amz-date", "x-amz-security-token", "x-amzn-bedrock-guardrailidentifier"]
    );
    assert_eq!(authorization.signature, expected_signature(&received, SECRET));
    assert_eq!(received.header("x-amz-security-token"), "session-token");
    assert_eq!(received.header("x-amz-date"), "20261120T120000Z");
    assert_eq!(received.header("x-custom"), "kept");
    assert_eq!(received.header("host"), "bedrock.test");
}

#[tokio::test]
async fn an_api_key_is_sent_as_it_is_and_nothing_is_signed() {
    let server = FakeServer::answering(200, &[], "{}");
    let settings = AwsSettings { runtime_endpoint: Some("http://bedrock.test".to_owned()), ..AwsSettings::default() };
    let token = BearerToken::new(SecretString::new("bedrock-key".to_owned())).unwrap();
    let runtime = Aws::new(settings, server.transport(), Access::Bearer(token), still()).runtime(&Region::from("eu-west-1")).unwrap();
    runtime.call(call(RuntimeOperation::Converse)).await.unwrap();
    let received = server.received().remove(0);
    assert_eq!(received.header("authorization"), "Bearer bedrock-key");
    assert_eq!(received.header("x-amz-date"), "");
    assert!(!format!("{runtime:?}").contains("bedrock-key"));
}

#[tokio::test]
async fn a_refusal_keeps_upstreams_words_and_advice() {
    let server = FakeServer::answering(
        429,
        &[("x-amzn-errortype", "ThrottlingException:http://x/"), ("x-amz-retry-after", "1500"), ("x-amzn-requestid", "r-9")],
        r#"{"message":"Too many tokens, please wait before trying again."}"#,
    );
    let failure = runtime(&server).call(call(RuntimeOperation::Converse)).await.unwrap_err();
    assert_eq!(
        failure,
        UpstreamFailure {
            cause: Cause::Throttled,
            status: 429,
            code: "ThrottlingException".to_owned(),
            message: "Too many tokens, please wait before trying again.".to_owned(),
            request_id: Some("r-9".to_owned()),
            retry_after: Some(Duration::from_millis(1500)),
            region: Some(Region::from("eu-west-1")),
            model_error: None,
        }
    );
}

#[tokio::test]
async fn a_model_error_keeps_what_it_tells_of_the_model() {
    let body = r#"{"message":"the model failed","originalStatusCode":503,"resourceName":"arn:x"}"#;
    let server = FakeServer::answering(424, &[("x-amzn-errortype", "ModelErrorException")], body);
    let failure = runtime(&server).call(call(RuntimeOperation::Converse)).await.unwrap_err();
    let told = failure.model_error.unwrap();
    assert_eq!((told.original_status, told.original_message, told.resource_name.as_deref()), (Some(503), None, Some("arn:x")));
}

#[tokio::test]
async fn a_refusal_without_a_header_is_read_from_its_body_or_its_status() {
    let typed = FakeServer::answering(400, &[], r#"{"__type":"com.amazon#ValidationException","Message":"prompt is too long: 2 > 1"}"#);
    let failure = runtime(&typed).call(call(RuntimeOperation::Converse)).await.unwrap_err();
    assert_eq!((failure.cause, failure.message.as_str()), (Cause::ContextOverflow, "prompt is too long: 2 > 1"));
    let page = FakeServer::answering(503, &[("retry-after", "7")], "<html>busy</html>");
    let failure = runtime(&page).open_stream(call(RuntimeOperation::ConverseStream)).await.unwrap_err();
    assert_eq!((failure.cause, failure.code.as_str(), failure.message.as_str()), (Cause::Unavailable, "Http503", "<html>busy</html>"));
    assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
    let empty = FakeServer::answering(500, &[], "");
    assert_eq!(runtime(&empty).call(call(RuntimeOperation::Converse)).await.unwrap_err().message, "Internal Server Error");
    let moved = FakeServer::answering(301, &[("location", "http://elsewhere/")], "");
    assert_eq!(runtime(&moved).call(call(RuntimeOperation::Converse)).await.unwrap_err().cause, Cause::Malformed);
}

#[tokio::test(start_paused = true)]
async fn no_head_within_the_first_byte_limit_is_a_timeout() {
    let server = FakeServer::new(|_| std::future::pending());
    let runtime = runtime(&server);
    let started = Instant::now();
    let failure = runtime.call(call(RuntimeOperation::Converse)).await.unwrap_err();
    assert_eq!((failure.cause, failure.code.as_str(), failure.status), (Cause::Timeout, "FirstByteTimeout", 0));
    assert_eq!(started.elapsed(), Duration::from_secs(10));
    let short = RuntimeCall { total: Duration::from_secs(3), ..call(RuntimeOperation::Converse) };
    assert_eq!(runtime.open_stream(short).await.unwrap_err().code, "TotalTimeout");
    assert_eq!(started.elapsed(), Duration::from_secs(13));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_within_the_total_limit_is_a_timeout() {
    let (feed, response) = streaming(200, &[("x-amzn-requestid", "r-2")]);
    let response = Mutex::new(Some(response));
    let server = FakeServer::new(move |_| std::future::ready(response.lock().unwrap().take().unwrap()));
    feed.send(Ok(Bytes::from_static(b"{"))).await.unwrap();
    let failure = runtime(&server).call(call(RuntimeOperation::Converse)).await.unwrap_err();
    assert_eq!((failure.cause, failure.code.as_str()), (Cause::Timeout, "TotalTimeout"));
    assert_eq!(failure.request_id.as_deref(), Some("r-2"));
    feed.closed().await;
}

#[tokio::test]
async fn an_answer_over_the_cap_is_refused_announced_or_not() {
    let settings = AwsSettings { runtime_endpoint: Some("http://bedrock.test".to_owned()), max_answer_bytes: 10, ..AwsSettings::default() };
    let announced = FakeServer::answering(200, &[], "12345678901");
    let unannounced = FakeServer::new(|_| async {
        let (feed, response) = streaming(200, &[]);
        for _ in 0..3 {
            feed.send(Ok(Bytes::from_static(b"1234"))).await.unwrap();
        }
        response
    });
    for server in [announced, unannounced] {
        let aws = Aws::new(settings.clone(), server.transport(), keys(still(), None), still());
        let failure = aws.runtime(&Region::from("eu-west-1")).unwrap().call(call(RuntimeOperation::Converse)).await.unwrap_err();
        assert_eq!((failure.cause, failure.code.as_str()), (Cause::Malformed, "AnswerTooLarge"));
    }
}

#[tokio::test]
async fn an_answer_in_pieces_is_joined() {
    let server = FakeServer::new(|_| async {
        let (feed, response) = streaming(200, &[]);
        for piece in ["{\"a\":", "\"b", "c\"}"] {
            feed.send(Ok(Bytes::from_static(piece.as_bytes()))).await.unwrap();
        }
        response
    });
    assert_eq!(runtime(&server).call(call(RuntimeOperation::Converse)).await.unwrap().body, "{\"a\":\"bc\"}");
}

#[tokio::test]
async fn connections_that_fail_or_break_are_connection_failures() {
    let refused = Transport::over(
        Connector::from_streams(|_| {
            std::future::ready(Err::<tokio::io::DuplexStream, _>(io::Error::from(io::ErrorKind::ConnectionRefused)))
        }),
        &TransportSettings::default(),
    );
    let failure = runtime_with(refused, keys(still(), None)).call(call(RuntimeOperation::Converse)).await.unwrap_err();
    assert_eq!((failure.cause, failure.code.as_str()), (Cause::Connection, "ConnectionFailure"));
    assert!(failure.message.contains("refused"), "{}", failure.message);

    let server = FakeServer::new(|_| std::future::pending());
    let closing = server.clone();
    let runtime = runtime(&server);
    let calling = tokio::spawn(async move { runtime.call(call(RuntimeOperation::Converse)).await });
    while closing.received().is_empty() {
        tokio::task::yield_now().await;
    }
    closing.close_connections();
    let failure = calling.await.unwrap().unwrap_err();
    assert_eq!((failure.cause, failure.code.as_str()), (Cause::Connection, "ConnectionBroken"));
    assert_eq!(server.received().len(), 1, "a request that was sent is never repeated");
}

/// A stream that ends when the flag says so, without waking anybody: the peer's close that has not been noticed yet.
struct Unnoticed(DuplexStream, Arc<AtomicBool>);

impl AsyncRead for Unnoticed {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.1.load(Ordering::SeqCst) { Poll::Ready(Ok(())) } else { Pin::new(&mut self.0).poll_read(context, buffer) }
    }
}

impl AsyncWrite for Unnoticed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[tokio::test]
async fn a_pooled_connection_that_the_server_closed_costs_no_call() {
    let server = FakeServer::answering(200, &[], "{}");
    let runtime = runtime(&server);
    runtime.call(call(RuntimeOperation::Converse)).await.unwrap();
    server.close_connections();
    tokio::task::yield_now().await;
    runtime.call(call(RuntimeOperation::Converse)).await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_request_handed_to_a_connection_that_is_dead_unnoticed_goes_out_on_another() {
    let server = FakeServer::answering(200, &[], "{}");
    let dead = Arc::new(AtomicBool::new(false));
    let (connecting, first) = (server.clone(), Mutex::new(Some(Arc::clone(&dead))));
    let connector = Connector::from_streams(move |_| {
        let flag = first.lock().unwrap().take().unwrap_or_default();
        std::future::ready(Ok(Unnoticed(connecting.connect(), flag)))
    });
    let runtime = runtime_with(Transport::over(connector, &TransportSettings::default()), keys(still(), None));
    runtime.call(call(RuntimeOperation::Converse)).await.unwrap();
    tokio::task::yield_now().await;
    dead.store(true, Ordering::SeqCst);
    runtime.call(call(RuntimeOperation::Converse)).await.unwrap();
    assert_eq!((server.connections(), server.received().len()), (2, 2));
}

#[tokio::test]
async fn a_malformed_head_is_told_as_such() {
    let connector = Connector::from_streams(|_| async {
        let (client, mut server) = tokio::io::duplex(4096);
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut request = [0; 64];
            server.read_exact(&mut request).await.unwrap();
            server.write_all(b"SSH-2.0-OpenSSH\r\n\r\n").await.unwrap();
        });
        Ok(client)
    });
    let settings = AwsSettings { runtime_endpoint: Some("http://bedrock.test".to_owned()), ..AwsSettings::default() };
    let transport = Transport::over(connector, &TransportSettings::default());
    let runtime = Aws::new(settings, transport, keys(still(), None), still()).runtime(&Region::from("eu-west-1")).unwrap();
    let failure = runtime.call(call(RuntimeOperation::Converse)).await.unwrap_err();
    assert_eq!((failure.cause, failure.code.as_str()), (Cause::Malformed, "MalformedResponseHead"));
}

#[tokio::test]
async fn a_stream_gives_its_frames_and_dropping_it_closes_the_connection() {
    let (feed, response) = streaming(200, &[("x-amzn-requestid", "r-3"), ("content-type", "application/vnd.amazon.eventstream")]);
    let response = Mutex::new(Some(response));
    let server = FakeServer::new(move |_| std::future::ready(response.lock().unwrap().take().unwrap()));
    let mut stream = runtime(&server).open_stream(call(RuntimeOperation::ConverseStream)).await.unwrap();
    assert_eq!(stream.request_id(), Some("r-3"));
    assert_eq!(server.received().remove(0).header("accept"), "application/vnd.amazon.eventstream");
    for event in events().into_iter().take(2) {
        feed.send(Ok(event)).await.unwrap();
    }
    assert_eq!(stream.next().await.unwrap().unwrap().event_type, EventType::MessageStart);
    assert_eq!(stream.next().await.unwrap().unwrap().event_type, EventType::ContentBlockDelta);
    drop(stream);
    feed.closed().await;
}

#[tokio::test]
async fn a_stream_whose_connection_breaks_says_so() {
    let (feed, response) = streaming(200, &[]);
    let response = Mutex::new(Some(response));
    let server = FakeServer::new(move |_| std::future::ready(response.lock().unwrap().take().unwrap()));
    let mut stream = runtime(&server).open_stream(call(RuntimeOperation::ConverseStream)).await.unwrap();
    feed.send(Ok(events().remove(0))).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    feed.send(Err(io::Error::other("boom"))).await.unwrap();
    let failure = stream.next().await.unwrap().unwrap_err();
    assert_eq!((failure.cause, failure.code.as_str()), (Cause::BrokenStream, "ConnectionBroken"));
    assert_eq!(failure.region, Some(Region::from("eu-west-1")));
}

#[tokio::test]
async fn ids_that_would_leave_the_path_are_refused_before_anything_is_sent() {
    let server = FakeServer::answering(200, &[], "{}");
    let runtime = runtime(&server);
    for id in ["", ".", ".."] {
        let failure = runtime.call(RuntimeCall { invoke_id: InvokeId::from(id), ..call(RuntimeOperation::Converse) }).await.unwrap_err();
        assert_eq!((failure.cause, failure.code.as_str()), (Cause::BadRequest, "InvalidModelId"));
    }
    for id in ["../../admin", "a?b#c d", "ü"] {
        runtime.call(RuntimeCall { invoke_id: InvokeId::from(id), ..call(RuntimeOperation::Converse) }).await.unwrap();
    }
    let paths: Vec<String> = server.received().into_iter().map(|received| received.path_and_query).collect();
    assert_eq!(paths, ["/model/..%2F..%2Fadmin/converse", "/model/a%3Fb%23c%20d/converse", "/model/%C3%BC/converse"]);
    assert!(server.received().iter().all(|received| Authorization::of(received).signature == expected_signature(received, SECRET)));
}

/// Refuses requests whose date is further than five minutes from its own clock.
fn strict_server(server_now: u64) -> FakeServer {
    FakeServer::new(move |received: Received| {
        let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(server_now));
        let expected = expected_signature(&received, SECRET) == Authorization::of(&received).signature;
        let in_time = received.header("x-amz-date") == "20261120T140000Z";
        std::future::ready(if in_time && expected {
            answer(200, &[], "{}")
        } else {
            answer(
                403,
                &[("x-amzn-errortype", "InvalidSignatureException"), ("date", &date)],
                r#"{"message":"Signature expired: 20261120T120000Z is now earlier than 20261120T135500Z"}"#,
            )
        })
    })
}

#[tokio::test]
async fn a_wrong_clock_costs_one_refusal_and_is_then_corrected() {
    let server = strict_server(NOW + 2 * 3600);
    let runtime = runtime(&server);
    let failure = runtime.call(call(RuntimeOperation::Converse)).await.unwrap_err();
    assert_eq!(failure.cause, Cause::Credentials);
    runtime.call(call(RuntimeOperation::Converse)).await.unwrap();
}

#[tokio::test]
async fn refused_credentials_are_fetched_anew_for_the_next_call() {
    let hand = HandClock::at(NOW);
    let provider = CountingProvider::lasting(Duration::from_secs(3600), hand.clone());
    let keeper =
        Arc::new(CredentialsKeeper::over(SharedCredentialsProvider::new(provider.clone()), Arc::new(SigningClock::new(hand.clone()))));
    let server = FakeServer::new(|received: Received| {
        std::future::ready(if Authorization::of(&received).access_key == "AKID1" {
            answer(
                403,
                &[("x-amzn-errortype", "ExpiredTokenException")],
                r#"{"message":"The security token included in the request is expired"}"#,
            )
        } else {
            answer(200, &[], "{}")
        })
    });
    let settings = AwsSettings { runtime_endpoint: Some("http://bedrock.test".to_owned()), ..AwsSettings::default() };
    let runtime = Aws::new(settings, server.transport(), Access::Keys(keeper), hand.clone()).runtime(&Region::from("eu-west-1")).unwrap();
    assert_eq!(runtime.call(call(RuntimeOperation::Converse)).await.unwrap_err().cause, Cause::Credentials);
    assert_eq!(runtime.call(call(RuntimeOperation::Converse)).await.unwrap_err().cause, Cause::Credentials);
    assert_eq!(provider.calls(), 1, "brand-new credentials are not fetched again at once");
    hand.advance(Duration::from_secs(6));
    assert_eq!(runtime.call(call(RuntimeOperation::Converse)).await.unwrap_err().cause, Cause::Credentials);
    runtime.call(call(RuntimeOperation::Converse)).await.unwrap();
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn dropping_a_call_closes_its_connection() {
    let open = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&open);
    let (gone, mut told) = tokio::sync::mpsc::unbounded_channel();
    let server = FakeServer::new(move |_| {
        struct Tell(tokio::sync::mpsc::UnboundedSender<()>);
        impl Drop for Tell {
            fn drop(&mut self) {
                self.0.send(()).unwrap();
            }
        }
        seen.fetch_add(1, Ordering::SeqCst);
        let tell = Tell(gone.clone());
        async move {
            let _tell = tell;
            std::future::pending().await
        }
    });
    let runtime = runtime(&server);
    let calling = tokio::spawn(async move { runtime.call(call(RuntimeOperation::Converse)).await });
    while open.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    calling.abort();
    told.recv().await.unwrap();
}
