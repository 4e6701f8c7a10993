//! What one run leaves to the next: spent days and drained regions.

use std::{sync::Arc, time::Duration};

use outcrop_domain::{
    error::{Cause, GatewayError},
    routing::{Gate, strategy::Strategy},
};
use outcrop_gateway::{
    settings::{LiveSettings, RoutingPolicy},
    targets::RegionStatus,
};
use outcrop_store::{MemorySnapshot, Snapshots};

use super::kit::{LIMITS, Step, TestTree, settings};

const EAST: &str = "us-east-1";
const WEST: &str = "us-west-2";
const DAY: &str = "Too many tokens per day, please wait before trying again.";
/// Between two probes of a spent day.
const QUARTER: Duration = Duration::from_secs(900);

async fn run_of(names: &[&str], store: &Arc<MemorySnapshot>) -> TestTree {
    let routing = RoutingPolicy { strategy: Strategy::RoundRobin, max_wait: Duration::ZERO, ..RoutingPolicy::default() };
    TestTree::remembering(names, LiveSettings { routing, ..settings() }, LIMITS, Some(Arc::clone(store) as Arc<dyn Snapshots>)).await
}

/// Ends a run as a deploy does it.
async fn end(tree: TestTree) {
    tree.gateway.drain(Duration::from_secs(5)).await;
}

fn served(tree: &TestTree) -> Vec<usize> {
    tree.regions.iter().map(|region| region.calls()).collect()
}

/// Each region's turn comes, and comes again.
async fn ask_around(tree: &TestTree) {
    for _ in 0..4 {
        tree.ask_text().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_spent_day_is_neither_asked_nor_forgotten_after_a_restart() {
    let store = Arc::default();
    let tree = run_of(&[EAST, WEST], &store).await;
    tree.regions[0].then(Step::Fail(Cause::QuotaExhausted, DAY));
    ask_around(&tree).await;
    assert_eq!(served(&tree), [1, 4]);
    end(tree).await;

    // Twice: what a run has only read is kept as well as what it learned.
    for _ in 0..2 {
        let tree = run_of(&[EAST, WEST], &store).await;
        ask_around(&tree).await;
        assert_eq!(served(&tree), [0, 4]);
        let health = tree.gateway.ports().tree.region_health();
        let closed = &health[0].closed[0];
        assert!(closed.cause == "quota" && (800_000..=900_000).contains(&closed.opens_in_ms), "{health:?}");
        end(tree).await;
    }

    // And then as without a restart: a probe in a quarter of an hour.
    let tree = run_of(&[EAST, WEST], &store).await;
    ask_around(&tree).await;
    tokio::time::sleep(QUARTER).await;
    tree.regions[0].then(Step::Fail(Cause::QuotaExhausted, DAY));
    ask_around(&tree).await;
    assert_eq!(served(&tree), [1, 8], "one probe found it spent");
    tokio::time::sleep(QUARTER).await;
    ask_around(&tree).await;
    assert!(served(&tree)[0] > 2, "one probe found it open for everybody: {:?}", served(&tree));
    let health = tree.gateway.ports().describe().await.targets[0].targets[0].clone();
    assert_eq!(health.gate, Gate::Closed, "{health:?}");
    end(tree).await;

    let tree = run_of(&[EAST, WEST], &store).await;
    ask_around(&tree).await;
    assert!(served(&tree)[0] > 0, "the next run knows that it is open: {:?}", served(&tree));
}

#[tokio::test(start_paused = true)]
async fn whose_every_region_was_spent_before_a_restart_is_told_so() {
    let store = Arc::default();
    let tree = run_of(&[EAST], &store).await;
    tree.regions[0].then(Step::Fail(Cause::QuotaExhausted, DAY));
    tree.ask_text().await.unwrap_err();
    end(tree).await;

    let tree = run_of(&[EAST], &store).await;
    let error = tree.ask_text().await.unwrap_err();
    let GatewayError::Upstream(failure) = &error else { panic!("{error:?}") };
    assert_eq!((failure.cause, failure.region.as_ref().map(|region| region.as_str())), (Cause::QuotaExhausted, Some(EAST)));
    assert!(failure.retry_after.is_some_and(|after| after > Duration::from_secs(800) && after <= QUARTER), "{failure:?}");
    assert_eq!(served(&tree), [0]);
}

/// Are these the drained regions in the file?
fn keeps(store: &MemorySnapshot, drained: &[&str]) -> bool {
    let file: Option<serde_json::Value> = store.load().unwrap().map(|bytes| serde_json::from_slice(&bytes).unwrap());
    file.is_some_and(|file| match file.get("drained") {
        Some(written) => *written == serde_json::json!(drained),
        None => drained.is_empty(),
    })
}

fn status(tree: &TestTree, region: usize) -> RegionStatus {
    tree.gateway.ports().tree.region_health()[region].status
}

#[tokio::test(start_paused = true)]
async fn a_drain_and_its_end_are_kept_at_once_and_hold_in_the_next_run() {
    let store = Arc::default();
    let tree = run_of(&[EAST, WEST], &store).await;
    let began = tokio::time::Instant::now();
    assert_eq!(tree.gateway.ports().tree.drain_region(&EAST.into(), true), Some(true));
    tree.until(|| keeps(&store, &[EAST])).await;
    assert!(began.elapsed() < Duration::from_secs(1), "it waited for the timer");
    end(tree).await;

    let tree = run_of(&[EAST, WEST], &store).await;
    assert_eq!((status(&tree, 0), status(&tree, 1)), (RegionStatus::Drained, RegionStatus::Healthy));
    ask_around(&tree).await;
    assert_eq!(served(&tree), [0, 4]);
    let began = tokio::time::Instant::now();
    assert_eq!(tree.gateway.ports().tree.drain_region(&EAST.into(), false), Some(true));
    tree.until(|| keeps(&store, &[])).await;
    assert!(began.elapsed() < Duration::from_secs(1), "it waited for the timer");
    end(tree).await;

    let tree = run_of(&[EAST, WEST], &store).await;
    ask_around(&tree).await;
    assert!(status(&tree, 0) == RegionStatus::Healthy && served(&tree)[0] > 0, "{:?}", served(&tree));
}

#[tokio::test(start_paused = true)]
async fn a_drained_region_that_is_no_longer_configured_is_left_out() {
    let store = Arc::default();
    let tree = run_of(&[EAST, WEST], &store).await;
    for region in [EAST, WEST] {
        assert_eq!(tree.gateway.ports().tree.drain_region(&region.into(), true), Some(true));
    }
    end(tree).await;
    assert!(keeps(&store, &[EAST, WEST]));

    let tree = run_of(&[WEST], &store).await;
    assert_eq!(status(&tree, 0), RegionStatus::Drained);
    end(tree).await;
    assert!(keeps(&store, &[WEST]));
}

#[tokio::test(start_paused = true)]
async fn a_drain_while_the_keeper_is_dead_is_kept_by_the_next_one() {
    let store = Arc::default();
    let tree = run_of(&[EAST, WEST], &store).await;
    tree.cell("routing-keeper").unwrap().kill();
    tree.until(|| tree.cell("routing-keeper").is_none()).await;
    assert_eq!(tree.gateway.ports().tree.drain_region(&EAST.into(), true), Some(true));
    tree.until(|| keeps(&store, &[EAST])).await;
}
