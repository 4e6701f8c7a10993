//! Calls that nobody waits for any more: what targets learn of them, and whether their probes come back.

use std::{sync::Arc, time::Duration};

use outcrop_domain::{error::Cause, routing::Gate};
use outcrop_gateway::{
    ports::ChatAnswer,
    settings::{LiveSettings, RoutingPolicy, Timeouts},
    targets::TargetHealth,
};
use tokio::sync::mpsc;

use super::kit::{LIMITS, Step, TestTree, hello, settings, start_event};

const TWO: [&str; 2] = ["us-east-1", "us-west-2"];

/// With nowhere else to go, a call stays where it is however silent its target.
const ONE: [&str; 1] = ["us-east-1"];

async fn health(tree: &TestTree) -> TargetHealth {
    tree.gateway.ports().describe().await.targets[0].targets[0].clone()
}

/// Asks the first region, which says nothing, and gives up after so long.
async fn give_up_after(tree: &TestTree, seconds: u64, stream: bool) {
    tree.regions[0].then(Step::Hang);
    let body = hello(stream);
    let asked = tokio::time::timeout(Duration::from_secs(seconds), tree.ask(&body)).await;
    assert!(asked.is_err(), "answered: {asked:?}");
    tree.regions[0].dropped.notified().await;
    tree.until(|| tree.reports.0.lock().unwrap().last().is_some_and(|report| report.as_ref().unwrap().usage.is_none())).await;
}

/// Lets the first region answer once, so that its usual time is known.
async fn acquainted(tree: &TestTree, stream: bool) {
    tree.regions[0].then(Step::Text("well"));
    if let ChatAnswer::Stream { mut events, .. } = tree.ask(&hello(stream)).await.unwrap() {
        while events.recv().await.is_some() {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_region_that_swallows_calls_is_found_out_by_clients_that_lose_patience() {
    for (stream, patience) in [(true, 3), (false, 61)] {
        let tree = TestTree::start(&ONE).await;
        acquainted(&tree, stream).await;
        give_up_after(&tree, patience, stream).await;
        let first = health(&tree).await;
        assert!(matches!(first.gate, Gate::Open { .. }), "{first:?}");
        assert_eq!((first.cause, first.failure_windows, first.in_flight, first.failed), (Some("timeout"), 1, 0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_leaves_a_silent_region_long_before_its_timeout() {
    for (stream, patience) in [(true, 2), (false, 60)] {
        let tree = TestTree::start(&TWO).await;
        acquainted(&tree, stream).await;
        tree.regions[0].then(Step::Hang);
        let began = tree.world.clock.now();
        tree.ask(&hello(stream)).await.unwrap();
        let took = tree.world.clock.now().since(began);
        assert!(took >= Duration::from_secs(patience) && took < Duration::from_secs(patience + 1), "{took:?}");
        assert_eq!((tree.regions[0].calls(), tree.regions[1].calls()), (2, 1));
        let first = health(&tree).await;
        assert_eq!((first.cause, first.failure_windows, first.in_flight), (Some("timeout"), 1, 0));
        tree.ask(&hello(stream)).await.unwrap();
        assert_eq!(tree.regions[0].calls(), 2, "nobody else finds out the same way");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_has_nowhere_else_to_go_waits_for_its_answer() {
    let tree = TestTree::start(&TWO).await;
    acquainted(&tree, true).await;
    tree.regions[0].then(Step::Fail(Cause::Unavailable, "down"));
    tree.regions[1].then(Step::Fail(Cause::AccessDenied, "no access"));
    // The first region is asked again after its backoff, says nothing for a minute, and is the only one there is.
    let (feed, chunks) = mpsc::channel(4);
    tree.regions[0].then(Step::Feed(chunks));
    let asking = async { tree.ask(&hello(true)).await };
    let feeding = async {
        tree.until(|| tree.regions[0].calls() == 3).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        feed.send(Ok(start_event())).await.unwrap();
    };
    let (answer, ()) = tokio::join!(asking, feeding);
    assert!(answer.is_ok(), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_early_teaches_nothing() {
    for (stream, patience) in [(true, 1), (false, 59)] {
        let tree = TestTree::start(&ONE).await;
        acquainted(&tree, stream).await;
        give_up_after(&tree, patience, stream).await;
        let first = health(&tree).await;
        assert_eq!((first.gate, first.failed), (Gate::Closed, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn before_the_first_answer_the_first_byte_timeout_is_the_measure() {
    let settings = LiveSettings { timeouts: Timeouts { first_byte: Duration::from_secs(20), ..Timeouts::default() }, ..settings() };
    let tree = TestTree::with(&ONE, settings, LIMITS).await;
    give_up_after(&tree, 19, true).await;
    assert_eq!(health(&tree).await.gate, Gate::Closed);
    give_up_after(&tree, 21, true).await;
    assert_eq!(health(&tree).await.cause, Some("timeout"));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_answers_others_meanwhile_is_not_silent() {
    let tree = Arc::new(TestTree::start(&ONE).await);
    acquainted(&tree, true).await;
    let hanging = tokio::spawn({
        let tree = Arc::clone(&tree);
        async move { give_up_after(&tree, 10, true).await }
    });
    tree.until(|| tree.regions[0].calls() == 2).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    acquainted(&tree, true).await;
    hanging.await.unwrap();
    assert_eq!(health(&tree).await.gate, Gate::Closed);
}

#[tokio::test(start_paused = true)]
async fn our_own_deadline_teaches_when_the_silence_was_long() {
    let settings = LiveSettings { timeouts: Timeouts { total: Duration::from_secs(70), ..Timeouts::default() }, ..settings() };
    let tree = TestTree::with(&ONE, settings, LIMITS).await;
    acquainted(&tree, false).await;
    tree.regions[0].then(Step::Hang);
    assert_eq!(tree.ask_text().await.unwrap_err().class(), "deadline_exceeded");
    tree.until(|| tree.gateway.ports().tree.not_ready().is_empty()).await;
    assert_eq!(health(&tree).await.cause, Some("timeout"));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_given_up_at_any_point_can_be_tried_again() {
    for point in [Point::Called, Point::Opening, Point::BeforeFirstEvent, Point::Streaming] {
        for end in [End::ClientLeaves, End::JobKilled] {
            let tree = Arc::new(TestTree::start(&TWO).await);
            tree.regions[0].then(Step::Fail(Cause::Unavailable, "down"));
            tree.ask_text().await.unwrap();
            tokio::time::sleep(Duration::from_secs(2)).await;
            let _feed = probe_and_end(&tree, point, end).await;
            tree.until(|| tree.reports.0.lock().unwrap().len() == 2).await;
            tree.regions[0].then(Step::Text("back"));
            assert!(tree.ask_text().await.unwrap().contains("back"), "{point:?} {end:?}: the probe was not given back");
        }
    }
}

/// Where a probe is when it is given up.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Point {
    Called,
    Opening,
    BeforeFirstEvent,
    Streaming,
}

#[derive(Debug, Clone, Copy)]
enum End {
    ClientLeaves,
    JobKilled,
}

async fn probe_and_end(tree: &Arc<TestTree>, point: Point, end: End) -> mpsc::Sender<Result<bytes::Bytes, String>> {
    let (feed, chunks) = mpsc::channel(4);
    tree.regions[0].then(match point {
        Point::Called | Point::Opening => Step::Hang,
        Point::BeforeFirstEvent | Point::Streaming => Step::Feed(chunks),
    });
    if point == Point::Streaming {
        feed.send(Ok(start_event())).await.unwrap();
    }
    let asking = tokio::spawn({
        let tree = Arc::clone(tree);
        async move {
            let answer = tree.ask(&hello(point != Point::Called)).await;
            // Held as a client holds it that reads on.
            std::future::pending::<()>().await;
            drop(answer);
        }
    });
    tree.until(|| tree.regions[0].calls() == 2).await;
    // What is under way after the call (its answer, the first event) happens without any time passing.
    tokio::time::sleep(Duration::from_millis(10)).await;
    match end {
        End::ClientLeaves => asking.abort(),
        End::JobKilled => assert!(tree.gateway.ports().chat.kill_one_job().await),
    }
    feed
}

#[tokio::test(start_paused = true)]
async fn a_late_first_byte_is_hedged_where_the_settings_allow_it_and_the_first_to_begin_wins() {
    for (thousandths, expected) in [(1_000, 1), (0, 0)] {
        let routing = RoutingPolicy { hedge_thousandths: thousandths, ..RoutingPolicy::default() };
        let tree = TestTree::with(&TWO, LiveSettings { routing, ..settings() }, LIMITS).await;
        // Its usual first byte takes a second: late is after two, silent is after three.
        let (feed, chunks) = mpsc::channel(4);
        tree.regions[0].then(Step::Feed(chunks));
        let slow = async {
            tree.until(|| tree.regions[0].calls() == 1).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            feed.send(Ok(start_event())).await.unwrap();
        };
        let body = hello(true);
        let (answer, ()) = tokio::join!(tree.ask(&body), slow);
        drop((answer, feed));
        let (feed, chunks) = mpsc::channel(4);
        tree.regions[0].then(Step::Feed(chunks));
        let began = tree.world.clock.now();
        let late = async {
            tree.until(|| tree.regions[0].calls() == 2).await;
            tokio::time::sleep(Duration::from_millis(2_500)).await;
            // Nobody listens any more when the copy has won.
            let _heard = feed.send(Ok(start_event())).await;
        };
        let (answer, ()) = tokio::join!(tree.ask(&body), late);
        let ChatAnswer::Stream { about, .. } = answer.unwrap() else { panic!("whole") };
        assert_eq!((about.region.as_str(), tree.regions[1].calls()), (TWO[expected], expected));
        assert!(tree.world.clock.now().since(began) < Duration::from_secs(3));
        assert_eq!(health(&tree).await.failed, 0, "a target that was overtaken is not a failed one");
    }
}
