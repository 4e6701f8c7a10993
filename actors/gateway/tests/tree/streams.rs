//! How streams end: complete, though the connection breaks after the answer; out of time; silent.

use std::time::Duration;

use bytes::Bytes;
use outcrop_domain::routing::Gate;
use outcrop_gateway::{
    ports::{ChatAnswer, StreamItem},
    record::JobOutcome,
    settings::{LiveSettings, Timeouts},
    targets::TargetHealth,
};
use tokio::{sync::mpsc, time::Instant};

use super::kit::{LIMITS, Step, TestTree, drain, end_events, hello, settings, start_event, text_event};

type Feed = mpsc::Sender<Result<Bytes, String>>;

async fn tree(timeouts: Timeouts) -> TestTree {
    TestTree::with(&["us-east-1"], LiveSettings { timeouts, ..settings() }, LIMITS).await
}

/// An open stream with some text in it.
async fn begun(tree: &TestTree) -> (Feed, mpsc::Receiver<StreamItem>) {
    let (feed, chunks) = mpsc::channel(16);
    tree.regions[0].then(Step::Feed(chunks));
    feed.send(Ok(start_event())).await.unwrap();
    let answer = tree.ask(&hello(true)).await.unwrap();
    feed.send(Ok(text_event("words"))).await.unwrap();
    match answer {
        ChatAnswer::Stream { events, .. } => (feed, events),
        _ => panic!("answered whole"),
    }
}

async fn health(tree: &TestTree) -> TargetHealth {
    tree.gateway.ports().describe().await.targets[0].targets[0].clone()
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_reaches_the_limit_of_its_request_is_out_of_time_and_trips_no_target() {
    let tree = tree(Timeouts { total: Duration::from_secs(30), ..Timeouts::default() }).await;
    let (_feed, mut events) = begun(&tree).await;
    assert_eq!(drain(&mut events).await, ["words", "failed: no answer within 30s"]);
    let health = health(&tree).await;
    assert_eq!((health.gate, health.failed, health.failure_windows), (Gate::Closed, 0, 0));
    let report = tree.last_report();
    assert_eq!((report.outcome, report.error_class), (JobOutcome::Failed, Some("deadline_exceeded")));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_falls_silent_before_that_trips_its_target() {
    let timeouts = Timeouts { total: Duration::from_secs(30), idle: Duration::from_secs(10), ..Timeouts::default() };
    let tree = tree(timeouts).await;
    let (_feed, mut events) = begun(&tree).await;
    drain(&mut events).await;
    tree.until(|| !tree.reports.0.lock().unwrap().is_empty()).await;
    let health = health(&tree).await;
    assert_eq!((health.cause, health.failed, health.failure_windows), (Some("timeout"), 1, 1));
    assert_eq!(tree.last_report().error_class, Some("timeout"));
}

/// Whether the reader's channel is just full when the answer is complete makes no difference.
#[tokio::test(start_paused = true)]
async fn a_reader_that_pauses_before_the_end_hears_it_however_much_it_has_not_read() {
    for texts in 10..=16 {
        let tree = tree(Timeouts::default()).await;
        let (feed, mut events) = begun(&tree).await;
        for _ in 0..texts {
            feed.send(Ok(text_event(" more"))).await.unwrap();
            tree.until(|| feed.capacity() == feed.max_capacity()).await;
        }
        for chunk in end_events() {
            feed.send(Ok(chunk)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        let heard = drain(&mut events).await;
        assert_eq!((heard.concat(), tree.last_report().outcome), (format!("words{}done", " more".repeat(texts)), JobOutcome::Completed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_after_the_end_of_the_answer_is_no_error() {
    for together in [true, false] {
        let tree = tree(Timeouts::default()).await;
        let (feed, mut events) = begun(&tree).await;
        for chunk in end_events() {
            feed.send(Ok(chunk)).await.unwrap();
        }
        if !together {
            tree.until(|| feed.capacity() == feed.max_capacity()).await;
        }
        // The job may be through with it by now, and then nobody is there to hear it.
        drop(feed.send(Err("connection reset by peer".to_owned())).await);
        assert_eq!(drain(&mut events).await, ["words", "done"]);
        let report = tree.last_report();
        assert_eq!((report.outcome, report.error_class, report.estimated), (JobOutcome::Completed, None, false));
        assert_eq!(health(&tree).await.failed, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_stays_open_after_the_end_of_the_answer_is_closed_and_holds_nobody_up() {
    let tree = tree(Timeouts::default()).await;
    let (feed, mut events) = begun(&tree).await;
    for chunk in end_events() {
        feed.send(Ok(chunk)).await.unwrap();
    }
    let complete = Instant::now();
    assert_eq!(drain(&mut events).await, ["words", "done"]);
    assert_eq!(complete.elapsed(), Duration::ZERO);
    feed.closed().await;
    assert_eq!(complete.elapsed(), Duration::from_secs(1));
    assert_eq!(tree.gateway.ports().describe().await.calls_in_flight, 0);
}
