//! What is left of a model's quotas, as the headers of each dialect tell it.

use serde_json::json;

use crate::{
    chat::says,
    support::{CLAUDE, EAST, TestGateway, WEST},
};

const ADAPTIVE: &str = "routing.strategy=adaptive";

fn quotas(region: &str) -> [String; 2] {
    [format!("routing.quotas.{region}.requests_per_minute=60"), format!("routing.quotas.{region}.tokens_per_minute=600000")]
}

async fn with_known_quotas() -> TestGateway {
    let mut builder = TestGateway::builder().regions([EAST, WEST]).set(ADAPTIVE);
    for setting in [EAST, WEST].into_iter().flat_map(quotas) {
        builder = builder.set(setting);
    }
    builder.start().await
}

#[tokio::test]
async fn openais_clients_read_what_is_left_in_all_regions_together() {
    let gateway = with_known_quotas().await;
    let answer = gateway.chat(&says("hello")).await;
    answer.ok();
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("120"));
    assert_eq!(answer.header("x-ratelimit-limit-tokens"), Some("1200000"));
    let left: u64 = answer.header("x-ratelimit-remaining-requests").unwrap().parse().unwrap();
    assert!((1..120).contains(&left), "{left}");
    assert!(answer.header("x-ratelimit-reset-requests").unwrap().ends_with('s'));
    assert_eq!(answer.header("anthropic-ratelimit-requests-limit"), None);
    gateway.end().await;
}

#[tokio::test]
async fn anthropics_clients_read_it_in_their_own_headers() {
    let gateway = with_known_quotas().await;
    let body = json!({"model": CLAUDE, "max_tokens": 200, "messages": [{"role": "user", "content": "hello"}]});
    let answer = gateway.post("/anthropic/v1/messages", &body).await;
    answer.ok();
    assert_eq!(answer.header("anthropic-ratelimit-requests-limit"), Some("120"));
    assert_eq!(answer.header("anthropic-ratelimit-tokens-limit"), Some("1200000"));
    let reset = answer.header("anthropic-ratelimit-tokens-reset").unwrap();
    assert!(reset.len() == 20 && reset.ends_with('Z'), "{reset}");
    assert_eq!(answer.header("x-ratelimit-limit-requests"), None);
    gateway.end().await;
}

#[tokio::test]
async fn clients_of_aws_are_told_nothing_since_aws_tells_nothing() {
    let gateway = with_known_quotas().await;
    let converse = json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}]});
    let invoke = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 200, "messages": [{"role": "user", "content": "hello"}]});
    for (operation, body) in
        [("converse", &converse), ("converse-stream", &converse), ("invoke", &invoke), ("invoke-with-response-stream", &invoke)]
    {
        let answer = gateway.post(&format!("/model/{CLAUDE}/{operation}"), body).await;
        assert_eq!(answer.status, 200, "{operation}: {}", answer.text());
        let told = answer.headers.keys().filter(|name| name.as_str().contains("ratelimit")).count();
        assert_eq!(told, 0, "{operation}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn nothing_is_told_of_quotas_that_nobody_knows_or_that_are_switched_off() {
    let unknown = TestGateway::builder().regions([EAST, WEST]).set(ADAPTIVE).start().await;
    assert_eq!(unknown.chat(&says("hello")).await.header("x-ratelimit-limit-tokens"), None);
    unknown.end().await;
    let ordered = TestGateway::start().await;
    assert_eq!(ordered.chat(&says("hello")).await.header("x-ratelimit-limit-tokens"), None, "nobody keeps quotas");
    ordered.end().await;
    let mut known = with_known_quotas().await;
    known.reload(&["routing.report_limits=false"]);
    let answer = known.chat(&says("hello")).await;
    answer.ok();
    assert_eq!(answer.header("x-ratelimit-limit-tokens"), None);
    known.end().await;
}
