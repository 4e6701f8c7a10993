//! Quotas: learned, shared out, waited for.

use std::{sync::Arc, time::Duration};

use outcrop_domain::{
    error::{Cause, GatewayError},
    routing::{Gate, quota::Priors, strategy::Strategy},
};
use outcrop_gateway::{
    ports::ChatAnswer,
    settings::{LiveSettings, RegionQuotas, RoutingPolicy},
    targets::TargetHealth,
};

use outcrop_store::{MemorySnapshot, Snapshots};

use super::kit::{LIMITS, MODEL, Step, TestTree, settings};

const TWO: [&str; 2] = ["us-east-1", "us-west-2"];
const TOKENS: &str = "Too many tokens, please wait before trying again.";
const REQUESTS: &str = "Too many requests, please wait before trying again.";

fn adaptive(wait: u64, tokens_per_minute: &[(&str, f64)]) -> LiveSettings {
    let quotas = tokens_per_minute.iter().map(|(region, tokens)| {
        let each = Priors { tokens_per_minute: Some(*tokens), ..Priors::default() };
        ((*region).into(), RegionQuotas { each, ..RegionQuotas::default() })
    });
    let routing = RoutingPolicy {
        strategy: Strategy::Adaptive,
        max_wait: Duration::from_secs(wait),
        quotas: quotas.collect(),
        ..RoutingPolicy::default()
    };
    LiveSettings { routing, ..settings() }
}

/// Reserves about so many tokens.
fn asks(max_tokens: u32) -> String {
    format!(r#"{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "hello"}}], "max_tokens": {max_tokens}}}"#)
}

async fn health(tree: &TestTree, region: usize) -> TargetHealth {
    tree.gateway.ports().describe().await.targets[region].targets[0].clone()
}

fn served(tree: &TestTree) -> Vec<usize> {
    tree.regions.iter().map(|region| region.calls()).collect()
}

/// Until the level of a region's tokens is back where it began.
async fn refilled(tree: &TestTree, region: usize) {
    for _ in 0..200 {
        let level = health(tree, region).await.tokens_per_minute.map(|quota| quota.level_ratio);
        if level.is_none_or(|level| level >= 1.0) {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("a reservation never came back: {:?}", health(tree, region).await);
}

/// A region's reservations have come back, and not by refilling: that takes a minute, and this a second.
async fn given_back(tree: &TestTree, region: usize) {
    let began = tree.world.clock.now();
    let level = async || health(tree, region).await.tokens_per_minute.map(|quota| quota.level_ratio);
    while level().await.is_none_or(|level| level < 0.95) {
        assert!(tree.world.clock.now().since(began) < Duration::from_secs(1), "{:?}", health(tree, region).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttle_moves_the_request_and_is_learned_as_a_quota_not_as_an_outage() {
    let tree = TestTree::with(&TWO, adaptive(10, &[]), LIMITS).await;
    tree.regions[0].then(Step::Fail(Cause::Throttled, TOKENS));
    tree.regions[1].then(Step::Fail(Cause::Throttled, TOKENS));
    let asked = tree.ask(&asks(4_000)).await;
    assert!(asked.is_ok(), "it waited for room: {asked:?}");
    for region in 0..2 {
        let target = health(&tree, region).await;
        assert_eq!((target.gate, target.cause, target.failure_windows), (Gate::Closed, None, 0));
        assert!(target.tokens_per_minute.is_some() && target.requests_per_minute.is_none(), "{target:?}");
        refilled(&tree, region).await;
    }
}

#[tokio::test(start_paused = true)]
async fn known_quotas_are_used_up_before_anybody_waits_and_nobody_is_refused() {
    let tree = Arc::new(TestTree::with(&TWO, adaptive(10, &[("us-east-1", 10_000.0), ("us-west-2", 20_000.0)]), LIMITS).await);
    // Each reserves about a tenth of the smaller bucket, and uses almost nothing of it.
    let asking: Vec<_> = (0..40)
        .map(|_| {
            let tree = Arc::clone(&tree);
            tokio::spawn(async move { tree.ask(&asks(1_000)).await })
        })
        .collect();
    for asked in asking {
        assert!(asked.await.unwrap().is_ok());
    }
    assert_eq!(served(&tree).iter().sum::<usize>(), 40);
    for region in 0..2 {
        refilled(&tree, region).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_wait_a_full_quota_is_refused_from_our_own_view() {
    let tree = TestTree::with(&["us-east-1"], adaptive(0, &[("us-east-1", 10_000.0)]), LIMITS).await;
    tree.regions[0].then(Step::Hang);
    let body = asks(9_000);
    let holding = tree.ask(&body);
    let refused = async {
        tree.until(|| tree.regions[0].calls() == 1).await;
        // One probe may be paid; it is refused.
        tree.regions[0].then(Step::Fail(Cause::Throttled, TOKENS));
        let first = tree.ask(&asks(9_000)).await;
        (first, tree.ask(&asks(9_000)).await)
    };
    let (first, second) = tokio::select! {
        _ = holding => panic!("answered"),
        refused = refused => refused,
    };
    for error in [first.unwrap_err(), second.unwrap_err()] {
        let seconds = error.retry_after().unwrap().as_secs();
        assert!((1..=60).contains(&seconds), "{error:?}");
        match error {
            GatewayError::Upstream(failure) => assert_eq!(failure.message, TOKENS),
            GatewayError::RateLimited { message, .. } => assert!(message.contains("used up in every region"), "{message}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(tree.regions[0].calls() <= 2, "{}", tree.regions[0].calls());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_no_bucket_holds_is_told_so() {
    let tree = TestTree::with(&["us-east-1"], adaptive(10, &[("us-east-1", 2_000.0)]), LIMITS).await;
    tree.ask(&asks(10)).await.unwrap();
    refilled(&tree, 0).await;
    // Once in a while the largest bucket is asked all the same: its depth may be wrong.
    tree.regions[0].then(Step::Fail(Cause::Throttled, TOKENS));
    let began = tree.world.clock.now();
    for _ in 0..2 {
        let error = tree.ask(&asks(9_000)).await.unwrap_err();
        assert!(error.to_string().contains("lower max_tokens"), "{error}");
    }
    let took = tree.world.clock.now().since(began);
    assert!(took < Duration::from_secs(1), "waiting would be in vain: {took:?}");
    assert_eq!(tree.regions[0].calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_killed_waiting_room_sends_those_who_wait_to_the_next_one() {
    let tree = Arc::new(TestTree::with(&["us-east-1"], adaptive(30, &[("us-east-1", 6_000.0)]), LIMITS).await);
    let asking: Vec<_> = (0..3)
        .map(|_| {
            let tree = Arc::clone(&tree);
            tokio::spawn(async move { tree.ask(&asks(5_000)).await })
        })
        .collect();
    let waiting = || tree.gateway.ports().describe();
    while waiting().await.waiting.is_none_or(|report| report.waiting.is_empty()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tree.kill("waiting-room").await;
    for asked in asking {
        assert!(asked.await.unwrap().is_ok());
    }
    given_back(&tree, 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_the_line_leaves_nothing_behind() {
    let tree = TestTree::with(&["us-east-1"], adaptive(30, &[("us-east-1", 6_000.0)]), LIMITS).await;
    tree.regions[0].then(Step::Hang);
    let body = asks(5_000);
    let gone =
        tokio::time::timeout(Duration::from_secs(5), async { tokio::join!(tree.ask(&body), tree.ask(&body), tree.ask(&body)) }).await;
    assert!(gone.is_err(), "answered");
    tree.until(|| tree.gateway.ports().tree.not_ready().is_empty()).await;
    given_back(&tree, 0).await;
    // Within its second it has looked who still waits.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let report = tree.gateway.ports().describe().await;
    assert_eq!((report.waiting.unwrap().waiting, report.calls_in_flight), (Vec::new(), 0));
    assert!(tree.ask(&body).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_target_that_dies_with_reports_unread_leaks_no_reservation() {
    let tree = TestTree::with(&TWO, adaptive(10, &[("us-east-1", 10_000.0), ("us-west-2", 10_000.0)]), LIMITS).await;
    for _ in 0..4 {
        tree.ask(&asks(2_000)).await.unwrap();
        // It may have learned of the last call or not.
        tree.kill("target-us-east-1").await;
        tree.kill("target-us-west-2").await;
        let asked = usize::from(served(&tree)[1] > 0);
        given_back(&tree, asked).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_drained_region_gets_no_call_until_it_is_restored() {
    for strategy in [Strategy::Ordered, Strategy::Adaptive, Strategy::RoundRobin, Strategy::LowestLatency] {
        let settings = LiveSettings { routing: RoutingPolicy { strategy, ..RoutingPolicy::default() }, ..settings() };
        let tree = TestTree::with(&TWO, settings, LIMITS).await;
        let handle = &tree.gateway.ports().tree;
        assert_eq!(handle.drain_region(&"us-east-1".into(), true), Some(true));
        assert_eq!(handle.drain_region(&"mars-1".into(), true), None);
        for _ in 0..4 {
            tree.ask_text().await.unwrap();
        }
        assert_eq!(served(&tree), [0, 4], "{strategy:?}");
        assert!(tree.gateway.ports().describe().await.targets[0].drained);
        assert_eq!(handle.drain_region(&"us-east-1".into(), false), Some(true));
        for _ in 0..8 {
            tree.ask_text().await.unwrap();
        }
        assert!(served(&tree)[0] > 0, "{strategy:?}: {:?}", served(&tree));
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_stays_where_its_prompt_cache_is() {
    let tree = TestTree::with(&TWO, adaptive(10, &[("us-east-1", 1e6), ("us-west-2", 1e6)]), LIMITS).await;
    let turn = |conversation: u32, turn: u32| {
        let system = "You are patient. ".repeat(400);
        format!(
            r#"{{"model": "{MODEL}", "prompt_cache_key": "c{conversation}", "max_tokens": 100, "messages": [
            {{"role": "system", "content": [{{"type": "text", "text": "{system}", "cache_control": {{"type": "ephemeral"}}}}]}},
            {{"role": "user", "content": "turn {turn}"}}]}}"#
        )
    };
    let mut homes = Vec::new();
    for conversation in 0..12 {
        for number in 0..3 {
            let ChatAnswer::Whole { about, .. } = tree.ask(&turn(conversation, number)).await.unwrap() else { panic!("streamed") };
            homes.push((conversation, about.region));
        }
    }
    let moved = homes.windows(2).filter(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1).count();
    assert_eq!(moved, 0);
    assert!(served(&tree).iter().all(|calls| *calls >= 3), "conversations are spread: {:?}", served(&tree));
    // A throttle moves one, once.
    let home = homes[0].1.clone();
    let (old, new) = if home.as_str() == TWO[0] { (0, 1) } else { (1, 0) };
    tree.regions[old].then(Step::Fail(Cause::Throttled, REQUESTS));
    for number in 3..6 {
        let ChatAnswer::Whole { about, .. } = tree.ask(&turn(0, number)).await.unwrap() else { panic!("streamed") };
        assert_eq!(about.region.as_str(), TWO[new], "turn {number}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_chooses_its_own_way() {
    let tree = TestTree::start(&TWO).await;
    for _ in 0..4 {
        let mut job = tree.job(&asks(10));
        let mut principal = (*job.principal).clone();
        principal.strategy = Some(Strategy::RoundRobin);
        job.principal = Arc::new(principal);
        tree.gateway.ports().chat.submit(job).await.unwrap();
    }
    assert_eq!(served(&tree), [2, 2]);
    tree.ask(&asks(10)).await.unwrap();
    assert_eq!(served(&tree), [3, 2], "the settings say: in order");
}

#[tokio::test(start_paused = true)]
async fn the_next_run_begins_with_what_the_last_one_learned() {
    let store = Arc::new(MemorySnapshot::default());
    let remembering = || TestTree::remembering(&TWO, adaptive(0, &[]), LIMITS, Some(Arc::clone(&store) as Arc<dyn Snapshots>));
    let tree = remembering().await;
    tree.regions[0].then(Step::Fail(Cause::Throttled, TOKENS));
    tree.ask(&asks(4_000)).await.unwrap();
    tree.regions[1].then(Step::Fail(Cause::Unavailable, "down"));
    tree.ask(&asks(60_000)).await.unwrap_err();
    let learned = health(&tree, 0).await.tokens_per_minute.unwrap();
    let saved = || async { tree.gateway.ports().describe().await.memory.is_some_and(|memory| memory.saves > 0) };
    while !saved().await {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // A deploy: the last save comes with the end.
    tree.gateway.drain(Duration::from_secs(5)).await;

    let tree = remembering().await;
    tree.ask(&asks(10)).await.unwrap();
    let first = health(&tree, 0).await;
    assert!((first.tokens_per_minute.unwrap().rate - learned.rate).abs() < 0.2 * learned.rate, "{first:?}, {learned:?}");
    // The one that was down is found well by one call, as soon as one has to go there; nobody was failed by it.
    tree.ask(&asks(60_000)).await.unwrap();
    let second = health(&tree, 1).await;
    assert_eq!((second.gate, second.failed), (Gate::Closed, 0), "{second:?}");
}
