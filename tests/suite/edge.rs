//! What the edge does by itself: handlers that panic, the lines and headers of requests that fail, settings
//! that change how models are called.

use std::time::Duration;

use axum::routing::get;
use http::Method;
use outcrop::http::{Connections, NativeRoutes, Prefixes, ServerOptions, router, serve};
use outcrop_gateway::record::{Interest, JobOutcome};
use outcrop_sim::{Action, Operation, Rule, ScriptedError};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    bad_input::CHAT,
    chat::says,
    support::{Answer, CLAUDE, Client, EAST, EUROPE, Numbers, Raw, TestGateway, WEST, eventually},
};

// ---- Handlers that panic ---------------------------------------------------------------------------------------------

async fn broken() -> &'static str {
    panic!("a secret word of request {}", std::hint::black_box(7))
}

#[tokio::test]
async fn a_handler_that_panics_answers_500_and_its_connection_lives_on() {
    let numbers = Numbers::start();
    let gateway = TestGateway::builder().regions([EAST]).start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (routes, connections) = (
        router(gateway.edge.clone(), Prefixes { openai: "/v1", anthropic: "/anthropic", native: NativeRoutes::Served })
            .route("/broken", get(broken)),
        Connections::default(),
    );
    let serving = tokio::spawn(serve(listener, routes, gateway.edge.clone(), ServerOptions::default(), connections.clone()));
    let mut raw = Raw::connect(address).await;
    for _ in 0..2 {
        raw.send("GET /broken HTTP/1.1\r\nhost: x\r\n\r\nGET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let answer = raw.answer().await.expect("an answer");
        let message = answer.refusal(500, "server_error", None);
        assert!(!message.contains("secret") && message.contains("gateway failed"), "{message}");
        assert_eq!(raw.answer().await.map(|answer| answer.status), Some(200));
    }
    let line = gateway.records.first(1).await.remove(0);
    let edge = line.edge.as_ref().unwrap();
    assert_eq!((edge.status, edge.error_class, line.outcome), (500, Some("internal"), JobOutcome::Failed));
    assert_eq!(numbers.sum("outcrop_handler_panics_total", &[]), 2.0);
    raw.finish().await;
    assert!(connections.drain(Duration::from_secs(5)).await);
    serving.await.unwrap().unwrap();
    gateway.end().await;
}

// ---- Lines and headers -----------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_line_names_route_key_and_outcome_whatever_was_asked() {
    let gateway = TestGateway::builder().regions([EAST]).start().await;
    let long = format!("/nowhere/{}", "é".repeat(300));
    let unknown = json!({"model": "nobody", "messages": [{"role": "user", "content": "hi"}]});
    gateway.get("/v1/models").await.ok();
    gateway.get("/v1/models/anthropic/claude-sonnet-4.6").await.ok();
    gateway.post("/v1/explain/chat/completions", &says("hello")).await.ok();
    gateway.post("/v1/explain/chat/completions", &unknown).await;
    gateway.post_bytes(CHAT, &[], "{").await;
    gateway.method(Method::DELETE, "/v1/models/some-id").await;
    Client { address: gateway.address, key: Some("sk-wrong".to_owned()) }.get("/v1/models/another-id").await;
    gateway.get(&long.replace('é', "%C3%A9")).await;
    gateway.get("/health/ready").await;
    let lines = gateway.records.first(9).await;
    let facts: Vec<_> = lines
        .iter()
        .map(|line| {
            let edge = line.edge.as_ref().unwrap();
            (edge.path.as_ref(), edge.status, edge.key.as_ref().map(|key| key.as_str()), line.outcome.as_str(), line.error_class)
        })
        .collect();
    let (explain, completed, failed, tester) = ("/v1/explain/chat/completions", "completed", "failed", Some("tester"));
    assert_eq!(
        facts[..7],
        [
            ("/v1/models", 200, tester, completed, None),
            ("/v1/models/{*id}", 200, tester, completed, None),
            (explain, 200, tester, completed, None),
            (explain, 404, tester, failed, Some("model_not_found")),
            (CHAT, 400, tester, failed, Some("invalid_request")),
            ("/v1/models/{*id}", 405, None, failed, Some("invalid_request")),
            ("/v1/models/{*id}", 401, None, failed, Some("unauthenticated")),
        ]
    );
    assert!(facts[7].0.starts_with("/nowhere/%C3") && facts[7].0.len() == 200, "{:?}", facts[7]);
    assert_eq!((facts[7].1, facts[7].4), (404, Some("not_found")));
    assert_eq!((facts[8].0, facts[8].1), ("/health/ready", 200));
    let of_interest: Vec<bool> = lines.iter().map(|line| line.edge.as_ref().unwrap().interest == Interest::Usual).collect();
    assert_eq!(of_interest, [true, true, true, true, true, true, true, true, false]);
    gateway.end().await;
}

/// The headers about the work on a request: model, region, attempts.
fn work(answer: &Answer) -> (Option<&str>, Option<&str>, Option<&str>) {
    (answer.header("x-outcrop-model"), answer.header("x-outcrop-region"), answer.header("x-outcrop-attempts"))
}

const CLAUDE_ID: &str = "anthropic.claude-sonnet-4-6";

#[tokio::test]
async fn errors_tell_model_region_and_attempts_as_far_as_they_came() {
    let numbers = Numbers::start();
    let narrow = r#"keys.key=[{ id = "narrow", secret = "sk-narrow", models = ["amazon.nova-*"] }]"#;
    let gateway = TestGateway::builder().set("routing.max_wait=0s").set("routing.backoff.throttled.first=1m").set(narrow);
    let gateway = gateway.set("routing.backoff.unavailable.first=1m").start().await;
    // Nothing was resolved, then nothing was called.
    let unknown = gateway.chat(&json!({"model": "nobody", "messages": [{"role": "user", "content": "hi"}]})).await;
    assert_eq!((unknown.status, work(&unknown)), (404, (None, None, Some("0"))));
    // The model was resolved, then the request was refused.
    let mut wrong = says("hello");
    wrong["messages"][0]["role"] = "nobody".into();
    let untranslatable = gateway.chat(&wrong).await;
    assert_eq!((untranslatable.status, work(&untranslatable)), (400, (Some(CLAUDE_ID), None, Some("0"))));
    let forbidden = Client { address: gateway.address, key: Some("sk-narrow".to_owned()) }.chat(&says("hello")).await;
    assert_eq!((forbidden.status, work(&forbidden)), (403, (Some(CLAUDE_ID), None, Some("0"))));
    for error in ["invalid_request", "forbidden"] {
        let (model, error) = (format!("model=\"{CLAUDE_ID}\""), format!("error=\"{error}\""));
        assert_eq!(numbers.sum("outcrop_requests_total", &[&model, &error]), 1.0, "{error}");
    }
    let malformed = gateway.post_bytes(CHAT, &[], "{").await;
    assert_eq!((malformed.status, work(&malformed)), (400, (None, None, None)));
    // The first region is out, the second says what is wrong with the request.
    gateway.simulator.script(Rule::once(Action::Error(ScriptedError::unavailable())).region(EAST));
    gateway.simulator.script(Rule::once(Action::Error(ScriptedError::new(400, "ValidationException", "not like this"))).region(WEST));
    let mut adjusted = says("hello");
    adjusted["logit_bias"] = json!({"1": 1});
    let refused = gateway.chat(&adjusted).await;
    assert_eq!((refused.status, work(&refused)), (400, (Some(CLAUDE_ID), Some(WEST), Some("2"))));
    assert!(refused.header("x-outcrop-adjusted").is_some_and(|list| list.contains("logit_bias")), "{:?}", refused.headers);
    // Nobody answers: the region whose words are told.
    gateway.simulator.script(Rule::always(Action::Error(ScriptedError::throttling())));
    let throttled = gateway.chat(&says("hello")).await;
    assert_eq!((throttled.status, work(&throttled)), (429, (Some(CLAUDE_ID), Some(EUROPE), Some("2"))), "{:?}", throttled.headers);
    // By now every region is closed: none is called, so none is named.
    let closed = gateway.open(&says("hello")).await.answer().await;
    assert_eq!((closed.status, work(&closed)), (429, (Some(CLAUDE_ID), None, Some("0"))), "{:?}", closed.headers);
    gateway.end().await;
}

#[tokio::test]
async fn what_the_lane_refuses_is_logged_with_outcome_model_and_reason() {
    let gateway = TestGateway::builder().regions([EAST]).set("lanes.chat.concurrency=1").set("lanes.chat.queue_limit=0").start().await;
    gateway.simulator.script(Rule::once(Action::DelayHead(Duration::from_secs(60))).operation(Operation::Converse));
    let client = gateway.client.clone();
    let holding = tokio::spawn(async move { client.chat(&says("hold")).await });
    gateway.calls_until(|calls| calls.len() == 1).await;
    let refused = gateway.chat(&says("too many")).await;
    assert_eq!((refused.status, work(&refused)), (503, (None, None, Some("0"))));
    let line = gateway.records.only().await;
    let job = line.job.as_ref().expect("a report");
    assert_eq!((line.outcome, line.error_class, job.model_asked.as_str()), (JobOutcome::Failed, Some("overloaded"), CLAUDE));
    assert!(job.error_detail.as_ref().unwrap().contains("too many requests"), "{job:?}");
    assert_eq!(line.edge.as_ref().unwrap().status, 503);
    holding.abort();
    gateway.end().await;
}

// ---- Settings of the catalogue ---------------------------------------------------------------------------------------

/// The call that a request for this model would become in the first region.
async fn first_call(gateway: &TestGateway, model: &str) -> Result<String, u16> {
    let request = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    let explained = gateway.post("/v1/explain/chat/completions", &request).await;
    match explained.status {
        200 => Ok(explained.json()["targets"][0]["request"].as_str().expect("a call").to_owned()),
        status => Err(status),
    }
}

#[tokio::test]
async fn profiles_are_preferred_and_prefixes_taken_as_the_settings_say() {
    let mut gateway = TestGateway::builder().regions([EAST, EUROPE]).start().await;
    let of = async |gateway: &TestGateway, model: &str| first_call(gateway, model).await.expect("a call");
    assert!(of(&gateway, CLAUDE).await.contains("/us.anthropic"), "the near profile first");
    assert!(of(&gateway, "global.anthropic.claude-sonnet-4-6").await.contains("/global.anthropic"), "the prefix is honoured");
    gateway.reload(&["models.prefixed_names=remap"]);
    eventually("prefixes say nothing", async || of(&gateway, "global.anthropic.claude-sonnet-4-6").await.contains("/us.anthropic")).await;
    gateway.reload(&["models.prefer=global"]);
    eventually("the wide profile goes first", async || of(&gateway, CLAUDE).await.contains("/global.anthropic")).await;
    gateway.end().await;
}

#[tokio::test]
async fn legacy_models_are_served_unless_the_settings_refuse_them() {
    let mut gateway = TestGateway::builder().regions([EAST]).set("models.retired_fallback=false").start().await;
    const OLD: &str = "anthropic.claude-opus-4-1-20250805-v1:0";
    assert!(first_call(&gateway, OLD).await.is_ok_and(|call| call.contains("claude-opus-4-1")));
    gateway.reload(&["models.legacy=refuse"]);
    eventually("legacy models are refused", async || first_call(&gateway, OLD).await == Err(404)).await;
    gateway.end().await;
}
