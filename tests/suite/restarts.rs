//! What a gateway still knows when it is started again with the same state file.

use outcrop_sim::Quota;

use crate::{
    chat::says,
    support::{EAST, TestGateway, WEST},
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
