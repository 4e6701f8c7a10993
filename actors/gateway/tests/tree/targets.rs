//! Targets: breakers, probes, and their memory.

use std::{sync::Arc, time::Duration};

use outcrop_domain::{error::Cause, routing::Gate};

use super::kit::{Step, TestTree};

#[tokio::test(start_paused = true)]
async fn fifty_throttles_together_correct_a_target_once() {
    let tree = Arc::new(TestTree::start(&["us-east-1", "us-west-2"]).await);
    for _ in 0..50 {
        tree.regions[0].then(Step::Fail(Cause::Throttled, "Too many requests"));
    }
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let tree = Arc::clone(&tree);
            tokio::spawn(async move { tree.ask_text().await })
        })
        .collect();
    for asked in asking {
        assert!(asked.await.unwrap().is_ok());
    }
    let report = tree.gateway.ports().describe().await;
    assert_eq!(report.targets[0].targets[0].failure_windows, 1);
    assert_eq!(report.calls_in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_killed_target_remembers_its_breakers() {
    let tree = TestTree::start(&["us-east-1", "us-west-2"]).await;
    tree.regions[0].then(Step::Fail(Cause::AccessDenied, "You don't have access to the model with the specified model ID."));
    tree.ask_text().await.unwrap();
    tree.kill("target-us-east-1").await;
    let health = tree.gateway.ports().describe().await.targets[0].targets[0].clone();
    assert!(matches!(health.gate, Gate::Open { .. }), "{health:?}");
    assert_eq!(health.cause, Some("access_denied"));
    tokio::time::sleep(Duration::from_secs(301)).await;
    tree.ask_text().await.unwrap();
    assert_eq!(tree.regions[0].calls(), 2, "after its minutes it is probed");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_probe_does_not_hold_up_other_requests() {
    let tree = Arc::new(TestTree::start(&["us-east-1", "us-west-2"]).await);
    tree.regions[0].then(Step::Fail(Cause::Unavailable, "down"));
    tree.ask_text().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    tree.regions[0].then(Step::Hang);
    let probing = tokio::spawn({
        let tree = Arc::clone(&tree);
        async move { tree.ask_text().await }
    });
    tree.until(|| tree.regions[0].calls() == 2).await;
    tree.ask_text().await.unwrap();
    assert_eq!(tree.regions[0].calls(), 2, "one probe at a time");
    probing.abort();
    tree.regions[0].dropped.notified().await;
    tree.ask_text().await.unwrap();
    assert_eq!(tree.regions[0].calls(), 3, "an abandoned probe is given back");
}

#[tokio::test(start_paused = true)]
async fn a_killed_target_frees_a_probe_that_was_out() {
    let tree = Arc::new(TestTree::start(&["us-east-1", "us-west-2"]).await);
    tree.regions[0].then(Step::Fail(Cause::Unavailable, "down"));
    tree.ask_text().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    tree.regions[0].then(Step::Hang);
    let probing = tokio::spawn({
        let tree = Arc::clone(&tree);
        async move { tree.ask_text().await }
    });
    tree.until(|| tree.regions[0].calls() == 2).await;
    tree.kill("target-us-east-1").await;
    tree.ask_text().await.unwrap();
    assert_eq!(tree.regions[0].calls(), 3, "the next request probes again");
    probing.abort();
}
