//! What operators see and do: request lines, health, metrics, reload, drain; and the lists of models.

use std::{sync::Arc, time::Duration};

use http::Method;
use outcrop::http::{Connections, ServerOptions, admin, serve};
use outcrop_gateway::record::JobOutcome;
use outcrop_sim::{Action, Operation, Pace, Rule, ScriptedError};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    chat::says,
    support::{CLAUDE, Client, EAST, EUROPE, KEY, Numbers, TestGateway, WEST, eventually},
};

#[tokio::test]
async fn each_request_writes_one_line_with_everything() {
    let gateway = TestGateway::start().await;
    gateway.simulator.script(Rule::once(Action::Error(ScriptedError::throttling())).region(EAST));
    let mut request = says("count to 20");
    request["logit_bias"] = json!({"1": 1});
    let answer = gateway.chat(&request).await;
    let body = answer.ok();
    let line = gateway.records.only().await;
    assert_eq!(Some(line.id.as_str()), answer.header("x-request-id"));
    let edge = line.edge.unwrap();
    assert_eq!((edge.method, edge.path.as_ref(), edge.status, edge.client_gone), ("POST", "/v1/chat/completions", 200, false));
    assert_eq!((edge.sent_bytes, edge.key.unwrap().as_str()), (answer.body.len() as u64, "tester"));
    let job = line.job.unwrap();
    assert_eq!((job.outcome, job.error_class, job.attempts), (JobOutcome::Completed, None, 2));
    assert_eq!((job.model_asked.as_str(), job.model.unwrap().as_str()), (CLAUDE, "anthropic.claude-sonnet-4-6"));
    assert_eq!(job.regions_tried.iter().map(|region| region.as_str()).collect::<Vec<_>>(), [EAST, WEST]);
    assert_eq!(job.adjusted, answer.header("x-outcrop-adjusted").unwrap());
    let usage = job.usage.unwrap();
    assert_eq!(
        (body["usage"]["prompt_tokens"].as_u64(), body["usage"]["completion_tokens"].as_u64()),
        (Some(usage.input), Some(usage.output))
    );
    assert!(job.cost.unwrap().0 > 0);
    assert_eq!(job.upstream_request_id.as_deref(), Some(gateway.calls()[1].request_id.as_str()));
    assert!(job.first_event.unwrap() <= line.duration && job.queue_wait <= line.duration);
    gateway.end().await;
}

#[tokio::test]
async fn streams_refusals_and_unknown_paths_write_one_line_each() {
    let gateway = TestGateway::start().await;
    gateway.streamed(&says("count to 5")).await;
    gateway.chat(&json!({"model": "nobody", "messages": [{"role": "user", "content": "hi"}]})).await;
    gateway.get("/nowhere").await;
    Client { address: gateway.address, key: None }.get("/v1/models").await;
    gateway.get("/health/live").await;
    let lines = gateway.records.first(5).await;
    let statuses: Vec<u16> = lines.iter().map(|line| line.edge.as_ref().unwrap().status).collect();
    assert_eq!(statuses, [200, 404, 404, 401, 200]);
    let outcomes: Vec<_> = lines.iter().map(|line| line.job.as_ref().map(|job| (job.outcome, job.error_class))).collect();
    assert_eq!(outcomes, [Some((JobOutcome::Completed, None)), Some((JobOutcome::Failed, Some("model_not_found"))), None, None, None]);
    assert!(lines[0].edge.as_ref().unwrap().sent_bytes > 100);
    assert!(lines[0].job.as_ref().unwrap().usage.unwrap().output > 0);
    gateway.end().await;
}

#[tokio::test]
async fn health_is_live_at_once_and_ready_when_models_are_known() {
    let gateway = TestGateway::builder()
        .prepare(|sim| {
            sim.script(Rule::always(Action::Error(ScriptedError::unavailable())));
        })
        .not_waiting()
        .start()
        .await;
    let stranger = Client { address: gateway.address, key: None };
    for path in ["/health", "/health/live"] {
        assert_eq!((stranger.get(path).await.status, stranger.get(path).await.json()), (200, json!({"status": "live"})));
    }
    let waiting = stranger.get("/health/ready").await;
    assert_eq!((waiting.status, waiting.json()["status"].as_str()), (503, Some("not ready")));
    assert!(waiting.text().contains("no models discovered yet"), "{}", waiting.text());
    // Nobody is told that a model does not exist while nobody knows.
    let early = gateway.chat(&says("hello")).await;
    early.refusal(503, "server_error", None);
    assert!(early.header("retry-after").is_some());

    gateway.simulator.clear_script();
    gateway.ports().tree.refresh_models();
    eventually("the gateway is ready", async || stranger.get("/health/ready").await.status == 200).await;
    assert_eq!(stranger.get("/health/ready").await.json(), json!({"status": "ready"}));
    assert_eq!(gateway.chat(&says("hello")).await.status, 200);
    gateway.end().await;
}

#[tokio::test]
async fn the_admin_port_tells_numbers_and_state_and_obeys() {
    let numbers = Numbers::start();
    let gateway = TestGateway::start().await;
    let reload = Arc::new(|| Err("line 3: no such setting".to_owned()));
    let admin = admin::Admin { gateway: gateway.ports().clone(), edge: gateway.edge.clone(), metrics: Some(numbers.handle()), reload };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let operator = Client { address: listener.local_addr().unwrap(), key: None };
    let connections = Connections::default();
    let serving = serve(listener, admin::router(admin, "/numbers"), gateway.edge.clone(), ServerOptions::default(), connections.clone());
    let serving = tokio::spawn(serving);

    gateway.simulator.script(Rule::once(Action::Error(ScriptedError::throttling())).region(EAST));
    gateway.chat(&says("hello")).await.ok();
    gateway.streamed(&says("count to 9")).await;
    gateway.chat(&json!({"model": "made-up-by-the-caller", "messages": [{"role": "user", "content": "hi"}]})).await;
    gateway.records.first(3).await;
    gateway.idle().await;
    let text = operator.get("/numbers").await.text().to_owned();
    let (model, west) = (r#"model="anthropic.claude-sonnet-4-6""#, r#"region="us-west-2""#);
    let has = |name: &str, labels: &[&str]| {
        text.lines().any(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)) && !line.ends_with(" 0"))
    };
    for (name, labels) in [
        ("outcrop_http_responses_total", vec![r#"status="200""#]),
        ("outcrop_http_responses_total", vec![r#"status="404""#]),
        ("outcrop_requests_total", vec![model, r#"outcome="completed""#]),
        ("outcrop_requests_total", vec![r#"outcome="failed""#, "model_not_found"]),
        ("outcrop_request_duration_seconds_bucket", vec!["le=\"0.25\""]),
        ("outcrop_time_to_first_event_seconds_bucket", vec!["le=\"0.25\""]),
        ("outcrop_lane_wait_seconds_bucket", vec![r#"lane="chat""#, "le=\"0.1\""]),
        ("outcrop_upstream_attempts_total", vec![model]),
        ("outcrop_tokens_total", vec![model, west, r#"kind="output""#]),
        ("outcrop_cost_micro_usd_total", vec![model, west]),
        ("outcrop_target_open", vec![model, r#"region="us-east-1""#]),
        ("outcrop_target_trips_total", vec![model, "throttled"]),
    ] {
        assert!(has(name, &labels), "no {name} with {labels:?}:\n{text}");
    }
    for gauge in ["outcrop_lane_running", "outcrop_lane_queued", "outcrop_target_in_flight"] {
        assert!(text.contains(gauge), "no {gauge}:\n{text}");
    }
    assert!(!text.contains("made-up-by-the-caller"), "a caller's word became a label");
    assert!(text.contains("# TYPE outcrop_request_duration_seconds histogram"), "{text}");

    let state = operator.get("/state").await.json();
    assert_eq!((state["calls_in_flight"].as_u64(), state["targets"].as_array().map(Vec::len)), (Some(0), Some(3)), "{state}");
    assert!(!state.to_string().contains(KEY), "the state shows a key");
    let refused = operator.method(Method::POST, "/reload").await;
    assert_eq!((refused.status, refused.text()), (400, "line 3: no such setting"));
    let before = gateway.simulator.journal().calls().iter().filter(|call| call.operation == Operation::ListFoundationModels).count();
    assert_eq!(operator.method(Method::POST, "/models/refresh").await.status, 202);
    eventually("models are asked for again", async || {
        gateway.simulator.journal().calls().iter().filter(|call| call.operation == Operation::ListFoundationModels).count() == before + 3
    })
    .await;
    assert!(connections.drain(Duration::from_secs(5)).await);
    serving.await.unwrap().unwrap();
    gateway.end().await;
}

#[tokio::test]
async fn a_reload_changes_what_can_change_and_no_running_stream() {
    let slowly = Pace::fixed(Duration::ZERO, Duration::from_millis(5));
    let mut gateway = TestGateway::builder().simulator(move |sim| sim.pace(slowly)).start().await;
    let mut running = gateway.open(&says("count to 60")).await;
    running.chunk().await;
    let stranger = Client { address: gateway.address, key: Some("sk-new".to_owned()) };
    assert_eq!(stranger.chat(&says("hello")).await.status, 401);
    gateway.reload(&[
        "keys.secrets=sk-new",
        "models.aliases={ \"gpt-4o\" = \"claude-haiku-4-5\" }",
        "server.body_limit=8 KiB",
        "chat.default_max_tokens=33",
    ]);
    eventually("the new key is known", async || stranger.chat(&says("hello")).await.status == 200).await;
    gateway.chat(&says("hello")).await.refusal(401, "invalid_request_error", Some("invalid_api_key"));
    let aliased = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]});
    eventually("the alias is known", async || {
        stranger.chat(&aliased).await.header("x-outcrop-model") == Some("anthropic.claude-haiku-4-5-20251001-v1:0")
    })
    .await;
    assert_eq!(gateway.bodies().pop().unwrap()["inferenceConfig"]["maxTokens"], 33);
    stranger.chat(&says(&"x".repeat(10_000))).await.refusal(413, "invalid_request_error", Some("request_too_large"));
    let rest = running.fold().await;
    assert_eq!((rest.done, rest.error), (1, None));
    gateway.end().await;
}

#[tokio::test]
async fn a_drain_lets_running_requests_finish_and_takes_no_new_ones() {
    let slowly = Pace::fixed(Duration::ZERO, Duration::from_millis(20));
    let gateway = TestGateway::builder().simulator(move |sim| sim.pace(slowly)).start().await;
    let (address, client) = (gateway.address, gateway.client.clone());
    let mut running = client.open(&says("count to 40")).await;
    running.chunk().await;
    gateway.simulator.script(Rule::once(Action::DelayHead(Duration::from_millis(300))).operation(Operation::Converse));
    let asking = {
        let client = client.clone();
        tokio::spawn(async move { client.chat(&says("say exactly: still here")).await })
    };
    gateway.calls_until(|calls| calls.len() == 2).await;
    // An idle connection of a client that keeps it open must not hold the end.
    let _idle = TcpStream::connect(address).await.unwrap();
    let ((), rest, answer) = tokio::join!(
        gateway.drain(Duration::from_secs(10)),
        async {
            eventually("no connection is taken", async || TcpStream::connect(address).await.is_err()).await;
            running.fold().await
        },
        asking,
    );
    assert_eq!((rest.done, rest.error.is_none(), rest.text().ends_with("39, 40")), (1, true, true), "{}", rest.text());
    assert_eq!(answer.unwrap().ok()["choices"][0]["message"]["content"], "still here");
}

#[tokio::test]
async fn a_drain_ends_at_its_grace_period() {
    let slowly = Pace::fixed(Duration::ZERO, Duration::from_millis(100));
    let gateway = TestGateway::builder().simulator(move |sim| sim.pace(slowly)).start().await;
    let mut running = gateway.open(&says("count to 9000")).await;
    running.chunk().await;
    let began = std::time::Instant::now();
    gateway.drain(Duration::from_millis(200)).await;
    // The rest is the simulator's end and a busy machine: actors that need longer than the grace period are not waited for.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let rest = running.fold().await;
    assert!(rest.done == 0 && (rest.error.is_some() || rest.broken.is_some()), "an answer that was cut looks complete");
}

#[tokio::test]
async fn a_full_lane_refuses_at_once_and_a_long_wait_ends() {
    let gateway = TestGateway::builder()
        .regions([EAST])
        .set("lanes.chat.concurrency=1")
        .set("lanes.chat.queue_limit=1")
        .set("lanes.chat.queue_wait=300ms")
        .start()
        .await;
    gateway.simulator.script(Rule::once(Action::DelayHead(Duration::from_secs(60))).operation(Operation::Converse));
    let client = gateway.client.clone();
    let holding = tokio::spawn(async move { client.chat(&says("hold")).await });
    gateway.calls_until(|calls| calls.len() == 1).await;
    let client = gateway.client.clone();
    let waiting = tokio::spawn(async move { client.chat(&says("wait")).await });
    eventually("one waits", async || gateway.ports().describe().await.chat_lane.is_some_and(|lane| lane.queued == 1)).await;
    let refused = gateway.chat(&says("too many")).await;
    assert!(refused.refusal(503, "server_error", None).contains("too many requests"));
    assert!(refused.header("retry-after").is_some());
    let late = waiting.await.unwrap();
    assert!(late.refusal(503, "server_error", None).contains("queue"));
    assert_eq!(gateway.calls().len(), 1);
    // The place becomes free with its holder's departure.
    holding.abort();
    eventually("a request is served", async || gateway.chat(&says("hello")).await.status == 200).await;
    gateway.end().await;
}

#[tokio::test]
async fn models_are_listed_found_and_described() {
    let gateway = TestGateway::builder().regions([EAST, EUROPE]).start().await;
    let list = gateway.get("/v1/models").await.ok();
    assert_eq!(list["object"], "list");
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"claude-sonnet-4-6") && ids.contains(&"anthropic.claude-sonnet-4-6"), "{ids:?}");
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len(), "an id is listed twice");
    // What is listed can be found.
    for id in &ids {
        let model = gateway.get(&format!("/v1/models/{id}")).await.ok();
        assert_eq!((model["id"].as_str(), model["object"].as_str()), (Some(*id), Some("model")));
        assert!(model["created"].is_i64() && model["owned_by"].is_string(), "{model}");
    }
    assert_eq!(gateway.get("/v1/models/anthropic/claude-sonnet-4.6").await.ok()["id"], "anthropic/claude-sonnet-4.6");
    assert_eq!(gateway.get("/v1/models/us.anthropic.claude-sonnet-4-6").await.status, 200);
    for id in ["gpt-17", "claude", "%20", "..%2f..%2fetc"] {
        gateway.get(&format!("/v1/models/{id}")).await.refusal(404, "invalid_request_error", Some("model_not_found"));
    }
    gateway.get("/v1/models/%ff").await.refusal(400, "invalid_request_error", None);
    gateway.end().await;
}

#[tokio::test]
async fn available_models_are_filtered_and_bad_filters_named() {
    let gateway = TestGateway::builder().regions([EAST, EUROPE]).start().await;
    let list = async |query: &str| {
        let body = gateway.get(&format!("/v1/available_models{query}")).await.ok();
        body["data"].as_array().unwrap().clone()
    };
    let all = list("").await;
    let holds = |models: &[Value], member: &str, value: &str| {
        models.iter().all(|model| model[member].as_array().unwrap().iter().any(|item| item == value))
    };
    for (query, member, value) in [
        ("?input_modalities=IMAGE", "input_modalities", "IMAGE"),
        ("?output_modalities=EMBEDDING", "output_modalities", "EMBEDDING"),
        ("?region=eu-west-1", "regions", "eu-west-1"),
    ] {
        let some = list(query).await;
        assert!(!some.is_empty() && some.len() < all.len(), "{query}: {} of {}", some.len(), all.len());
        assert!(holds(&some, member, value) || holds(&some, member, &value.to_lowercase()), "{query}: {some:?}");
    }
    let chat = list("?route=/v1/chat/completions&streaming=true&legacy=false").await;
    assert!(chat.iter().any(|model| model["id"] == "anthropic.claude-sonnet-4-6"));
    assert!(chat.iter().all(|model| model["streaming"] == true && model["legacy"] == false));
    for query in ["?colour=red", "?region=mars-1", "?legacy=perhaps", "?input_modalities=SMELL", "?route=/v1/nothing"] {
        gateway.get(&format!("/v1/available_models{query}")).await.refusal(400, "invalid_request_error", Some("invalid_value"));
    }
    gateway.end().await;
}

#[tokio::test]
async fn explain_tells_the_exact_request_and_sends_nothing() {
    let gateway = TestGateway::start().await;
    let request = json!({"model": CLAUDE, "stream": true, "temperature": 0.5, "top_p": 0.5, "logit_bias": {"1": 1},
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [
            {"type": "text", "text": "hello"}, {"type": "image_url", "image_url": {"url": "http://10.0.0.1/never-asked.png"}}]}]});
    let explained = gateway.post("/v1/explain/chat/completions", &request).await.ok();
    assert_eq!(
        (explained["model"].as_str(), explained["operation"].as_str()),
        (Some("anthropic.claude-sonnet-4-6"), Some("ConverseStream"))
    );
    let targets: Vec<&str> = explained["targets"].as_array().unwrap().iter().map(|target| target["region"].as_str().unwrap()).collect();
    assert_eq!(targets, [EAST, WEST, EUROPE]);
    assert_eq!(explained["body"]["system"], json!([{"text": "Be brief."}]));
    assert!(explained["adjusted"].as_array().unwrap().iter().any(|change| change["field"] == "logit_bias"), "{explained}");
    gateway.untouched().await;
    // What it says is what is sent.
    let mut sent = request.clone();
    sent["messages"][1]["content"] = json!("hello");
    let explained = gateway.post("/v1/explain/chat/completions", &sent).await.ok();
    gateway.streamed(&sent).await;
    assert_eq!(gateway.body(), explained["body"]);
    let call = gateway.calls().remove(0);
    assert_eq!(format!("POST {}", call.target.trim_start_matches("POST ")), explained["targets"][0]["request"]);
    gateway
        .post("/v1/explain/chat/completions", &json!({"model": "nobody", "messages": [{"role": "user", "content": "hi"}]}))
        .await
        .refusal(404, "invalid_request_error", Some("model_not_found"));
    gateway.end().await;
}

#[tokio::test]
async fn a_region_is_drained_and_restored_by_its_operator() {
    let gateway = TestGateway::start().await;
    let admin = admin::Admin {
        gateway: gateway.edge.gateway().clone(),
        edge: gateway.edge.clone(),
        metrics: None,
        reload: Arc::new(|| Err("not here".to_owned())),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let operator = Client { address: listener.local_addr().unwrap(), key: None };
    let serving = serve(listener, admin::router(admin, "/metrics"), gateway.edge.clone(), ServerOptions::default(), Connections::default());
    let serving = tokio::spawn(serving);

    let region = |action: &str, name: &str| format!("/routing/regions/{name}/{action}");
    let told = operator.method(Method::POST, &region("drain", EAST)).await;
    assert_eq!(told.ok(), json!({"region": EAST, "drained": true, "changed": true}));
    assert_eq!(operator.method(Method::POST, &region("drain", EAST)).await.ok()["changed"], false);
    assert_eq!(operator.method(Method::POST, &region("drain", "mars-1")).await.status, 404);
    assert_eq!(gateway.chat(&says("hello")).await.header("x-outcrop-region"), Some(WEST));
    let health = gateway.get("/health/regions").await.ok();
    assert_eq!((&health["status"], &health["regions"][0]["status"]), (&json!("degraded"), &json!("drained")));
    operator.method(Method::POST, &region("restore", EAST)).await.ok();
    assert_eq!(gateway.chat(&says("hello")).await.header("x-outcrop-region"), Some(EAST));
    assert_eq!(gateway.get("/health/regions").await.ok()["status"], "healthy");
    serving.abort();
    gateway.end().await;
}

#[tokio::test]
async fn regions_that_cannot_be_called_are_told_with_their_cause() {
    let gateway = TestGateway::start().await;
    gateway.simulator.script(Rule::always(Action::Error(ScriptedError::unavailable())).region(EAST));
    gateway.chat(&says("hello")).await.ok();
    let health = gateway.get("/health/regions").await.ok();
    let east = &health["regions"][0];
    assert_eq!((&health["status"], &east["status"], &east["models"]), (&json!("degraded"), &json!("closed"), &json!(1)));
    assert_eq!((&east["closed"][0]["model"], &east["closed"][0]["cause"]), (&json!("anthropic.claude-sonnet-4-6"), &json!("unavailable")));
    for region in [WEST, EUROPE] {
        gateway.simulator.script(Rule::always(Action::Error(ScriptedError::unavailable())).region(region));
    }
    // A backoff may end between the answer and the question; the failure after it doubles it.
    let all_closed = async {
        loop {
            assert_ne!(gateway.chat(&says("hello")).await.status, 200);
            if gateway.get("/health/regions").await.status == 503 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all_closed).await.expect("all regions are closed at the same time");
    gateway.end().await;
}

#[tokio::test]
async fn a_region_whose_models_are_not_known_is_not_told_to_be_healthy() {
    let gateway = TestGateway::builder()
        .regions([EAST, WEST])
        .prepare(|sim| {
            sim.script(Rule::always(Action::Error(ScriptedError::unavailable())));
        })
        .not_waiting()
        .start()
        .await;
    let health = gateway.get("/health/regions").await;
    let status = |region: usize| health.json()["regions"][region]["status"].clone();
    assert_eq!((health.status, status(0), status(1)), (503, json!("undiscovered"), json!("undiscovered")), "no region can be called");

    gateway.simulator.clear_script();
    gateway.simulator.script(Rule::always(Action::Error(ScriptedError::unavailable())).region(WEST));
    gateway.ports().tree.refresh_models();
    eventually("one region is discovered", async || gateway.get("/health/regions").await.status == 200).await;
    let health = gateway.get("/health/regions").await.json();
    let [east, west] = [&health["regions"][0], &health["regions"][1]];
    assert_eq!((&health["status"], &east["status"], &west["status"]), (&json!("degraded"), &json!("healthy"), &json!("undiscovered")));
    // Nobody has asked for one of them yet.
    assert!(east["models"] == 0 && east["offered"].as_u64() > Some(10), "{health}");
    assert_eq!((&west["models"], &west["offered"]), (&json!(0), &json!(0)));

    gateway.simulator.clear_script();
    gateway.ports().tree.refresh_models();
    eventually("both are", async || gateway.get("/health/regions").await.json()["status"] == "healthy").await;
    gateway.end().await;
}

#[tokio::test]
async fn region_and_attempts_are_told_unless_the_settings_say_otherwise() {
    for told in [true, false] {
        let gateway = TestGateway::builder().set(format!("routing.report={told}")).start().await;
        let answer = gateway.chat(&says("hello")).await;
        assert_eq!((answer.header("x-outcrop-region").is_some(), answer.header("x-outcrop-attempts").is_some()), (told, told));
        assert!(answer.header("x-outcrop-model").is_some());
        gateway.simulator.script(Rule::always(Action::Error(ScriptedError::unavailable())));
        let failed = gateway.chat(&says("hello")).await;
        assert_eq!((failed.header("x-outcrop-region").is_some(), failed.header("x-outcrop-attempts").is_some()), (told, told));
        gateway.end().await;
    }
}
