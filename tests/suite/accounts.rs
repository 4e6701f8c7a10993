//! What is written down of requests that end badly, what explanations hide, and what is asked of AWS only once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use outcrop::http::{Connections, ServerOptions, admin, serve};
use outcrop_domain::clock::{Blocking, Ports};
use outcrop_gateway::record::JobOutcome;
use outcrop_sim::{Action, Operation, Pace, Rule};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    chat::says,
    support::{Client, EAST, Numbers, TestGateway},
};

const GUARDRAIL: &str = "arn:aws:bedrock:us-east-1:123456789012:guardrail/gr1a2b3c";
const PROFILE: &str = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/app1claude";

#[tokio::test]
async fn a_stream_that_its_client_leaves_is_booked_by_an_estimate_and_counted_apart() {
    let numbers = Numbers::start();
    let slowly = Pace::fixed(Duration::ZERO, Duration::from_millis(10));
    let gateway = TestGateway::builder().simulator(move |sim| sim.pace(slowly)).start().await;
    let mut stream = gateway.open(&says("count to 5000")).await;
    for _ in 0..10 {
        stream.chunk().await;
    }
    drop(stream);
    let job = gateway.records.only().await.job.unwrap();
    let usage = job.usage.unwrap();
    assert_eq!((job.outcome, job.estimated, job.attempts), (JobOutcome::Cancelled, true, 1));
    assert!((4..100).contains(&usage.input) && (1..500).contains(&usage.output), "{usage:?}");
    assert!(job.cost.unwrap().0 > 0);
    let totals = gateway.idle().await.ledger.unwrap().all;
    assert_eq!((totals.calls, totals.estimated, totals.estimated_usage), (1, 1, usage));
    let (told, estimated) = ([r#"metered="told""#], [r#"metered="estimated""#]);
    for (name, expected) in [("outcrop_tokens_total", usage.total() as f64), ("outcrop_cost_micro_usd_total", job.cost.unwrap().0 as f64)] {
        assert_eq!((numbers.sum(name, &estimated), numbers.sum(name, &told)), (expected, 0.0), "{name}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_leaves_its_attempt_in_the_line() {
    let gateway = TestGateway::start().await;
    gateway.simulator.script(Rule::always(Action::DelayHead(Duration::from_secs(60))).model("anthropic.claude-sonnet-4-6"));
    let client = gateway.client.clone();
    let asking = tokio::spawn(async move { client.chat(&says("hello")).await });
    gateway.calls_until(|calls| calls.len() == 1).await;
    asking.abort();
    let job = gateway.records.only().await.job.unwrap();
    let regions: Vec<&str> = job.regions_tried.iter().map(|region| region.as_str()).collect();
    assert_eq!((job.outcome, job.attempts, regions), (JobOutcome::Cancelled, 1, vec![EAST]));
    gateway.end().await;
}

#[tokio::test]
async fn a_large_prompt_arrives_whole() {
    let gateway = TestGateway::start().await;
    // Far above the size from which requests are translated on another thread.
    let mut request = says(&format!("Hello! {}", "Grüße ".repeat(80_000)));
    let whole = gateway.completion(&request).await["usage"]["prompt_tokens"].as_u64().unwrap();
    request["stream_options"] = json!({"include_usage": true});
    let streamed = gateway.streamed(&request).await.usage()["prompt_tokens"].as_u64().unwrap();
    assert!(whole > 80_000, "{whole} tokens of 80,000 words");
    assert_eq!(whole, streamed);
    gateway.end().await;
}

/// Passes blocking work on, and counts it.
#[derive(Debug)]
struct Counted(Arc<dyn Blocking>, Arc<AtomicUsize>);

impl Blocking for Counted {
    fn run(&self, work: Box<dyn FnOnce() + Send>) {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.run(work);
    }
}

#[tokio::test]
async fn large_explanations_are_made_off_the_runtimes_threads_and_small_ones_are_not() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let gateway = TestGateway::builder().regions([EAST]);
    let gateway = gateway.world(|ports| Ports { blocking: Arc::new(Counted(ports.blocking, counter)), ..ports }).start().await;
    let explained = async |words: &str| {
        let before = count.load(Ordering::Relaxed);
        let explained = gateway.post("/v1/explain/chat/completions", &says(words)).await.ok();
        assert!(explained["body"].to_string().contains(words));
        count.load(Ordering::Relaxed) - before
    };
    assert_eq!(explained("hello").await, 0);
    // Decoded, translated, checked, written.
    assert_eq!(explained(&"x".repeat(300 << 10)).await, 4);
    gateway.end().await;
}

#[tokio::test]
async fn explanations_hide_from_callers_what_operators_configured() {
    let gateway = TestGateway::builder()
        .set(format!("chat.guardrail={{ identifier = \"{GUARDRAIL}\", version = \"1\" }}"))
        .set(format!("models.aliases={{ house = \"{PROFILE}\" }}"))
        .set(format!("models.inference_profiles={{ \"{PROFILE}\" = \"anthropic.claude-sonnet-4-6\" }}"))
        .start()
        .await;
    let request = json!({"model": "house", "messages": [{"role": "user", "content": "hello"}]});
    let caller = gateway.post("/v1/explain/chat/completions", &request).await;
    assert_eq!(caller.ok()["body"]["guardrailConfig"]["guardrailIdentifier"], "(configured)");
    assert_eq!(caller.ok()["targets"][0]["request"], "POST /model/(configured)/converse");
    assert!(!caller.text().contains("123456789012"), "{}", caller.text());

    let reload = Arc::new(|| Err("not here".to_owned()));
    let admin = admin::Admin { gateway: gateway.ports().clone(), edge: gateway.edge.clone(), metrics: None, reload };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let operator = Client { address: listener.local_addr().unwrap(), key: None };
    let connections = Connections::default();
    let serving = serve(listener, admin::router(admin, "/metrics"), gateway.edge.clone(), ServerOptions::default(), connections.clone());
    let serving = tokio::spawn(serving);
    let told = operator.post("/explain/chat/completions", &request).await.ok();
    assert_eq!(told["body"]["guardrailConfig"]["guardrailIdentifier"], GUARDRAIL);
    assert_eq!(told["targets"][0]["request"], format!("POST /model/{PROFILE}/converse"));
    let wrong = operator.post("/explain/chat/completions", &json!({"messages": []})).await;
    assert_eq!(wrong.status, 400, "{}", wrong.text());
    assert!(connections.drain(Duration::from_secs(5)).await);
    serving.await.unwrap().unwrap();
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn a_profile_that_does_not_exist_is_one_question_to_aws() {
    let gateway = TestGateway::start().await;
    let unknown = json!({"model": PROFILE.replace("app1claude", "nobody"), "messages": [{"role": "user", "content": "hello"}]});
    let asked = (0..8).map(|_| gateway.chat(&unknown));
    for answer in futures_util::future::join_all(asked).await {
        answer.refusal(404, "invalid_request_error", Some("model_not_found"));
    }
    let questions = gateway.simulator.journal().calls().into_iter().filter(|call| call.operation == Operation::GetInferenceProfile);
    assert_eq!(questions.count(), 1);
    gateway.end().await;
}
