//! What is on a request's account when it does not end as it should.

use std::time::Duration;

use outcrop_domain::error::Cause;
use outcrop_gateway::{
    foundation::LedgerTotals,
    ports::{ChatAnswer, StreamItem},
    record::{JobOutcome, JobReport},
    settings::{LiveSettings, Timeouts},
};
use tokio::sync::mpsc;

use super::kit::{LIMITS, Step, TestTree, drain, end_events, event, exception, hello, settings, start_event, text_event};

const TWO: [&str; 2] = ["us-east-1", "us-west-2"];

/// Forty bytes: ten tokens by the rule.
const FORTY: &str = "forty characters are ten tokens, or so..";

async fn open(tree: &TestTree) -> mpsc::Receiver<StreamItem> {
    match tree.ask(&hello(true)).await.unwrap() {
        ChatAnswer::Stream { events, .. } => events,
        _ => panic!("answered whole"),
    }
}

/// A stream that has begun, and what feeds it.
async fn begun(tree: &TestTree) -> (mpsc::Sender<Result<bytes::Bytes, String>>, mpsc::Receiver<StreamItem>) {
    let (feed, chunks) = mpsc::channel(16);
    tree.regions[0].then(Step::Feed(chunks));
    feed.send(Ok(start_event())).await.unwrap();
    let mut events = open(tree).await;
    feed.send(Ok(text_event(FORTY))).await.unwrap();
    while let Some(item) = events.recv().await {
        if format!("{item:?}").contains("forty") {
            return (feed, events);
        }
    }
    panic!("the text never came");
}

async fn settled(tree: &TestTree) -> (JobReport, LedgerTotals) {
    tree.until(|| !tree.reports.0.lock().unwrap().is_empty()).await;
    (tree.last_report(), tree.gateway.ports().describe().await.ledger.unwrap().all)
}

fn regions(report: &JobReport) -> Vec<&str> {
    report.regions_tried.iter().map(|region| region.as_str()).collect()
}

/// One row, of an estimate by `hello` and [`FORTY`].
fn is_estimated((report, totals): &(JobReport, LedgerTotals), outcome: JobOutcome) {
    let usage = report.usage.unwrap();
    assert_eq!((report.outcome, report.estimated), (outcome, true));
    assert_eq!((usage.input, usage.output, usage.cache_read), (2 + 4, 10, 0), "`hello` and the frame of a turn; forty bytes");
    assert!(report.cost.unwrap().0 > 0);
    assert_eq!((totals.calls, totals.estimated, totals.estimated_usage), (1, 1, usage));
    assert_eq!(Some(totals.cost), report.cost);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_before_the_answer_leaves_an_attempt_with_its_region() {
    for stream in [false, true] {
        let tree = TestTree::start(&TWO).await;
        tree.regions[0].then(Step::Fail(Cause::Throttled, "Too many requests"));
        tree.regions[1].then(Step::Hang);
        let body = hello(stream);
        tokio::select! {
            _ = tree.ask(&body) => panic!("answered"),
            () = tree.regions[1].called.notified() => {}
        }
        let (report, _) = settled(&tree).await;
        assert_eq!((report.outcome, report.attempts, regions(&report)), (JobOutcome::Cancelled, 2, TWO.to_vec()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_runs_out_of_time_tells_its_attempts() {
    let settings = LiveSettings { timeouts: Timeouts { total: Duration::from_secs(30), ..Timeouts::default() }, ..settings() };
    let tree = TestTree::with(&TWO, settings, LIMITS).await;
    tree.regions[0].then(Step::Hang);
    assert_eq!(tree.ask_text().await.unwrap_err().class(), "deadline_exceeded");
    let (report, _) = settled(&tree).await;
    assert_eq!((report.outcome, report.attempts, regions(&report)), (JobOutcome::Failed, 1, vec!["us-east-1"]));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_dies_over_its_call_tells_its_attempt() {
    let tree = TestTree::start(&TWO).await;
    tree.regions[0].then(Step::Panic);
    tree.ask_text().await.unwrap_err();
    let (report, totals) = settled(&tree).await;
    assert_eq!((report.outcome, report.attempts, regions(&report)), (JobOutcome::Lost, 1, vec!["us-east-1"]));
    assert_eq!(totals.calls, 0, "nothing was answered");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_the_client_cuts_is_booked_by_an_estimate() {
    let tree = TestTree::start(&TWO).await;
    let (feed, events) = begun(&tree).await;
    drop(events);
    feed.closed().await;
    is_estimated(&settled(&tree).await, JobOutcome::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_is_booked_by_an_estimate() {
    let tree = TestTree::start(&TWO).await;
    let (feed, mut events) = begun(&tree).await;
    feed.send(Ok(exception("modelStreamErrorException", "the model stopped"))).await.unwrap();
    drain(&mut events).await;
    is_estimated(&settled(&tree).await, JobOutcome::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_job_is_killed_is_booked_by_an_estimate() {
    let tree = TestTree::start(&TWO).await;
    let (_feed, mut events) = begun(&tree).await;
    assert!(tree.gateway.ports().chat.kill_one_job().await);
    drain(&mut events).await;
    is_estimated(&settled(&tree).await, JobOutcome::Lost);
}

#[tokio::test(start_paused = true)]
async fn a_complete_stream_whose_tokens_were_not_told_is_booked_by_an_estimate() {
    let tree = TestTree::start(&TWO).await;
    let (feed, mut events) = begun(&tree).await;
    feed.send(Ok(event("messageStop", serde_json::json!({"stopReason": "end_turn"})))).await.unwrap();
    drop(feed);
    assert_eq!(drain(&mut events).await, ["done"]);
    is_estimated(&settled(&tree).await, JobOutcome::Completed);
}

/// Batches that a stream's channel takes before upstream is held back.
const UNREAD: usize = 16;

#[tokio::test(start_paused = true)]
async fn tokens_that_were_told_are_booked_as_told_though_the_client_left() {
    let tree = TestTree::start(&TWO).await;
    let (feed, events) = begun(&tree).await;
    let taken = || feed.capacity() == feed.max_capacity();
    // The client reads no more: the end of the answer is read from upstream, and finds no room on its way to the client.
    for _ in 0..UNREAD {
        feed.send(Ok(text_event("unread"))).await.unwrap();
        tree.until(taken).await;
    }
    feed.send(Ok(end_events().concat().into())).await.unwrap();
    tree.until(taken).await;
    drop(events);
    let (report, totals) = settled(&tree).await;
    let usage = report.usage.unwrap();
    assert_eq!((report.outcome, usage.input, usage.output), (JobOutcome::Cancelled, 11, 7));
    assert_eq!((report.estimated, totals.calls, totals.cancelled, totals.estimated), (false, 1, 1, 0));
}
