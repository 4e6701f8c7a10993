//! What a gateway still knows when it is started again with the same state file.

use std::time::Duration;

use outcrop_sim::{Action, Quota, Rule, ScriptedError};

use crate::{
    chat::says,
    support::{EAST, TestGateway, WEST, eventually},
};

/// AWS's id of the model that [`says`] asks for.
const CLAUDE_ID: &str = "anthropic.claude-sonnet-4-6";

#[tokio::test]
async fn a_region_whose_day_was_spent_is_not_asked_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("routing.state_file={}", directory.path().join("routing.json").display());
    let started = || TestGateway::builder().regions([EAST, WEST]).set("routing.strategy=round_robin").set(file.clone()).start();
    let ask_around = async |gateway: &TestGateway| {
        for _ in 0..4 {
            gateway.chat(&says("hello")).await.ok();
        }
    };
    let gateway = started().await;
    gateway.simulator.quota(EAST, CLAUDE_ID, Quota { tokens_per_day: Some(1), ..Quota::default() }).unwrap();
    ask_around(&gateway).await;
    assert_eq!(gateway.regions().iter().filter(|region| *region == EAST).count(), 1, "{:?}", gateway.regions());
    gateway.end().await;

    // Its AWS would answer in both regions; nobody finds that out before the quarter of an hour is over.
    let gateway = started().await;
    ask_around(&gateway).await;
    assert_eq!(gateway.regions(), [WEST; 4]);
    let health = gateway.get("/health/regions").await.json();
    let [east, west] = [&health["regions"][0], &health["regions"][1]];
    assert_eq!((&east["closed"][0]["cause"], west["status"].as_str()), (&"quota".into(), Some("healthy")), "{health}");
    gateway.end().await;
}

#[tokio::test]
async fn an_outage_is_found_out_by_one_request_after_a_restart_and_costs_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("routing.state_file={}", directory.path().join("routing.json").display());
    let started = || TestGateway::builder().regions([EAST, WEST]).set(file.clone()).start();
    let gateway = started().await;
    gateway.simulator.script(Rule::always(Action::Error(ScriptedError::unavailable())).region(EAST));
    assert_eq!(gateway.chat(&says("hello")).await.header("x-outcrop-attempts"), Some("2"));
    gateway.end().await;

    // The region is silent now: whoever was sent there would wait.
    let gateway = started().await;
    gateway.simulator.script(Rule::always(Action::DelayHead(Duration::from_secs(60))).region(EAST).model(CLAUDE_ID));
    let client = gateway.client.clone();
    let finds_out = tokio::spawn(async move { client.chat(&says("hello")).await });
    gateway.calls_until(|calls| calls.len() == 1).await;
    for _ in 0..4 {
        let answer = gateway.chat(&says("hello")).await;
        answer.ok();
        assert_eq!((answer.header("x-outcrop-region"), answer.header("x-outcrop-attempts")), (Some(WEST), Some("1")));
    }
    assert_eq!(gateway.regions(), [EAST, WEST, WEST, WEST, WEST]);
    let health = gateway.get("/health/regions").await.json();
    let east = &health["regions"][0];
    assert_eq!((&east["closed"][0]["cause"], &east["status"]), (&"unavailable".into(), &"degraded".into()), "{health}");

    // Who found out leaves, and the next one finds it well.
    finds_out.abort();
    gateway.simulator.clear_script();
    eventually("the region serves again", async || gateway.chat(&says("hello")).await.header("x-outcrop-region") == Some(EAST)).await;
    let status = gateway.get("/health/regions").await.json()["status"].clone();
    assert_eq!(status, "healthy");
    gateway.end().await;
}
