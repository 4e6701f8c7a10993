//! What the router learns and does, as scrapers read it: quotas and tests of them, moves, waits, copies, fallbacks, resumed streams.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use outcrop::http::{Connections, ServerOptions, admin, serve};
use outcrop_sim::{Action, CutManner, Operation, Pace, Quota, Rule, ScriptedError};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    chat::says,
    support::{CLAUDE, Client, EAST, Numbers, TestGateway, WEST, eventually},
};

const ADAPTIVE: &str = "routing.strategy=adaptive";

/// As labels have them.
const CLAUDE_LABEL: &str = r#"model="anthropic.claude-sonnet-4-6""#;
const NOVA_LABEL: &str = r#"model="amazon.nova-lite-v1:0""#;
const IN_EAST: &str = r#"region="us-east-1""#;
const IN_WEST: &str = r#"region="us-west-2""#;

/// What a scraper reads.
async fn page(gateway: &TestGateway, numbers: &Numbers) -> String {
    let reload = Arc::new(|| Err("not here".to_owned()));
    let admin = admin::Admin { gateway: gateway.ports().clone(), edge: gateway.edge.clone(), metrics: Some(numbers.handle()), reload };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scraper = Client { address: listener.local_addr().unwrap(), key: None };
    let router = admin::router(admin, "/metrics");
    let serving = tokio::spawn(serve(listener, router, gateway.edge.clone(), ServerOptions::default(), Connections::default()));
    let page = scraper.get("/metrics").await.text().to_owned();
    serving.abort();
    page
}

/// Each of these is on the page and says what it is.
async fn described(gateway: &TestGateway, numbers: &Numbers, kind: &str, names: &[&str]) {
    let page = page(gateway, numbers).await;
    for name in names {
        assert!(page.contains(&format!("# HELP {name} ")) && page.contains(&format!("# TYPE {name} {kind}\n")), "{name}:\n{page}");
    }
}

/// A region of which the settings tell that it grants four calls a minute.
async fn told_four_a_minute() -> TestGateway {
    let told = format!("routing.quotas.{EAST}.requests_per_minute=4");
    TestGateway::builder().regions([EAST]).set(ADAPTIVE).set("routing.max_wait=0s").set(told).start().await
}

#[tokio::test]
async fn a_quota_shows_its_level_its_rate_its_refusals_and_the_tests_of_it() {
    let four = Quota { requests_per_minute: Some(4), ..Quota::default() };
    for (truly, found) in [(Quota::default(), "granted"), (four, "refused")] {
        let numbers = Numbers::start();
        let gateway = told_four_a_minute().await;
        gateway.simulator.quota(EAST, "anthropic.claude-sonnet-4-6", truly).unwrap();
        let place = [CLAUDE_LABEL, IN_EAST];
        let of = |name: &str, more: &str| numbers.sum(name, &[&place[..], &[more]].concat());
        let requests = r#"resource="requests""#;
        eventually("the quota is tested", async || {
            gateway.chat(&says("hello")).await;
            of("outcrop_target_probes_total", &format!(r#"outcome="{found}""#)) > 0.0
        })
        .await;
        eventually("what is known of it is told", async || of("outcrop_target_rate_per_minute", requests) > 0.0).await;
        let (level, rate) = (of("outcrop_target_level_ratio", requests), of("outcrop_target_rate_per_minute", requests));
        assert!((0.0..0.9).contains(&level), "{level}");
        let refused = numbers.sum("outcrop_target_refused_total", &place);
        if found == "granted" {
            assert!(rate >= 4.0 && refused == 0.0, "{rate} {refused}");
            described(&gateway, &numbers, "counter", &["outcrop_target_probes_total"]).await;
        } else {
            // What was told is true, and learned to be about that.
            assert!((2.0..6.0).contains(&rate), "{rate}");
            assert!(refused >= 1.0 && refused == of("outcrop_target_refused_total", requests), "{refused}");
            described(&gateway, &numbers, "counter", &["outcrop_target_refused_total"]).await;
        }
        described(&gateway, &numbers, "gauge", &["outcrop_target_level_ratio", "outcrop_target_rate_per_minute"]).await;
        gateway.end().await;
    }
}

/// Nearly all of the tokens a minute that the settings tell of a region.
fn nearly_all(text: &str) -> Value {
    let mut request = says(text);
    request["max_tokens"] = json!(9_000);
    request
}

#[tokio::test]
async fn a_wait_in_line_tells_which_region_had_room_or_that_none_had() {
    for (max_wait, ended_by) in [("1s", r#"region="none""#), ("10s", IN_EAST)] {
        let numbers = Numbers::start();
        let told = format!("routing.quotas.{EAST}.tokens_per_minute=10000");
        let slowly = Pace::fixed(Duration::ZERO, Duration::from_millis(20));
        let builder = TestGateway::builder().regions([EAST]).set(ADAPTIVE).set(format!("routing.max_wait={max_wait}")).set(told);
        let gateway = builder.simulator(move |sim| sim.pace(slowly)).start().await;
        let mut holds = gateway.open(&nearly_all("count to 9000")).await;
        holds.chunk().await;
        let client = gateway.client.clone();
        let waiting = tokio::spawn(async move { client.chat(&nearly_all("say exactly: at last")).await });
        if ended_by == IN_EAST {
            eventually("it stands in line", async || {
                gateway.ports().describe().await.waiting.is_some_and(|line| line.waiting.iter().any(|(_, requests)| *requests == 1))
            })
            .await;
            drop(holds);
            let answer = waiting.await.unwrap();
            assert_eq!(answer.ok()["choices"][0]["message"]["content"], "at last");
        } else {
            waiting.await.unwrap().refusal(429, "rate_limit_error", Some("rate_limit_exceeded"));
            drop(holds);
        }
        let waits = |labels: &[&str]| numbers.sum("outcrop_routing_wait_seconds_count", labels);
        assert_eq!((waits(&[CLAUDE_LABEL, ended_by]), waits(&[])), (1.0, 1.0), "{ended_by}");
        described(&gateway, &numbers, "histogram", &["outcrop_routing_wait_seconds"]).await;
        gateway.end().await;
    }
}

#[tokio::test]
async fn a_conversation_that_moves_is_counted_where_it_went() {
    let numbers = Numbers::start();
    let gateway = TestGateway::builder().regions([EAST, WEST]).set(ADAPTIVE).start().await;
    let manual = "All work and no play makes the reader skip this manual. ".repeat(300);
    let turn = json!({"model": CLAUDE, "messages": [
        {"role": "system", "content": [{"type": "text", "text": manual, "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": "hello"},
    ]});
    let ask = async || {
        let answer = gateway.post_with("/v1/chat/completions", &[("x-outcrop-session", "one")], &turn).await;
        answer.ok();
        answer.header("x-outcrop-region").unwrap().to_owned()
    };
    let home = ask().await;
    assert_eq!((ask().await, numbers.sum("outcrop_target_moves_total", &[])), (home.clone(), 0.0));
    assert_eq!(gateway.ports().tree.drain_region(&home.as_str().into(), true), Some(true));
    let there = ask().await;
    assert_ne!(there, home);
    let moves = |region: &str| numbers.sum("outcrop_target_moves_total", &[CLAUDE_LABEL, &format!(r#"region="{region}""#)]);
    assert_eq!((moves(&there), moves(&home)), (1.0, 0.0));
    assert_eq!(ask().await, there);
    assert_eq!(moves(&there), 1.0, "it stays there");
    described(&gateway, &numbers, "counter", &["outcrop_target_moves_total"]).await;
    gateway.end().await;
}

#[tokio::test]
async fn a_copy_of_a_late_call_is_counted() {
    let numbers = Numbers::start();
    // So slow that silence is no sooner than lateness.
    let usually = Pace::fixed(Duration::from_millis(900), Duration::ZERO);
    let builder = TestGateway::builder().regions([EAST, WEST]).set("routing.hedge_percent=10");
    let gateway = builder.simulator(move |sim| sim.pace(usually)).start().await;
    // Ten calls earn a copy.
    let request = says("hello");
    join_all((0..10).map(|_| gateway.streamed(&request))).await;
    assert_eq!(numbers.sum("outcrop_hedges_total", &[]), 0.0);
    let late = Rule::always(Action::DelayHead(Duration::from_secs(60))).operation(Operation::ConverseStream).region(EAST);
    gateway.simulator.script(late);
    let answer = gateway.streamed(&says("say exactly: from elsewhere")).await;
    assert_eq!((answer.text().as_str(), answer.headers["x-outcrop-region"].to_str().unwrap()), ("from elsewhere", WEST));
    assert_eq!(numbers.sum("outcrop_hedges_total", &[CLAUDE_LABEL]), 1.0);
    described(&gateway, &numbers, "counter", &["outcrop_hedges_total"]).await;
    gateway.end().await;
}

#[tokio::test]
async fn a_model_that_stands_in_is_counted() {
    let numbers = Numbers::start();
    let alias = r#"models.aliases.smart={model = "claude-sonnet-4-6", fallback = ["nova-lite"]}"#;
    let gateway = TestGateway::builder().regions([EAST]).set("routing.max_wait=0s").set(alias).start().await;
    gateway.simulator.script(Rule::always(Action::Error(ScriptedError::throttling())).model("anthropic.claude-sonnet-4-6"));
    let mut request = says("hello");
    request["model"] = Value::from("smart");
    assert_eq!(gateway.chat(&request).await.ok()["model"], "amazon.nova-lite-v1:0");
    let fallbacks = |labels: &[&str]| numbers.sum("outcrop_fallbacks_total", labels);
    assert_eq!((fallbacks(&[r#"model="nova-lite""#]), fallbacks(&[])), (1.0, 1.0), "by the name that the alias has for it");
    described(&gateway, &numbers, "counter", &["outcrop_fallbacks_total"]).await;
    gateway.end().await;
}

#[tokio::test]
async fn a_stream_that_went_on_elsewhere_is_counted() {
    let numbers = Numbers::start();
    let gateway = TestGateway::builder().regions([EAST, WEST]).set("routing.resume=true").start().await;
    gateway.simulator.script(Rule::once(Action::CutAfterEvents { events: 6, manner: CutManner::Close }).region(EAST));
    let mut request = says("count to 30");
    request["model"] = Value::from("nova-lite");
    let stream = gateway.open(&request).await.fold().await;
    assert!(stream.done == 1 && stream.text().ends_with("29, 30"), "{:?}", stream.text());
    assert_eq!(numbers.sum("outcrop_streams_resumed_total", &[NOVA_LABEL]), 1.0);
    let said = |region: &str| numbers.sum("outcrop_tokens_total", &[NOVA_LABEL, region, r#"kind="output""#]);
    assert!(said(IN_EAST) > 0.0 && said(IN_WEST) > 0.0, "both calls are on the bill");
    described(&gateway, &numbers, "counter", &["outcrop_streams_resumed_total"]).await;
    gateway.end().await;
}
