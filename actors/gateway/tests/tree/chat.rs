//! Chat jobs: failover by cause, streams, cancellation, death.

use std::{sync::Arc, time::Duration};

use outcrop_domain::error::{Cause, GatewayError};
use outcrop_gateway::{
    ports::{ChatAnswer, Disclosure, StreamItem},
    record::JobOutcome,
    settings::{LiveSettings, Timeouts},
};
use outcrop_supervision::IntakeLimits;
use tokio::sync::mpsc;

use super::kit::{LIMITS, Step, TestTree, drain, end_events, exception, hello, settings, start_event, text_event};

const TWO: [&str; 2] = ["us-east-1", "us-west-2"];

#[tokio::test(start_paused = true)]
async fn an_answer_is_settled_with_its_usage() {
    let tree = TestTree::start(&TWO).await;
    tree.regions[0].then(Step::Text("hi there"));
    assert!(tree.ask_text().await.unwrap().contains("hi there"));
    let report = tree.last_report();
    assert_eq!(report.outcome, JobOutcome::Completed);
    let usage = report.usage.unwrap();
    assert_eq!((usage.input, usage.output, report.attempts), (11, 7, 1));
    assert!(report.cost.is_some());
    let ledger = tree.gateway.ports().describe().await.ledger.unwrap();
    assert_eq!((ledger.all.calls, ledger.all.usage.output), (1, 7));
}

#[tokio::test(start_paused = true)]
async fn every_cause_that_may_pass_elsewhere_fails_over_and_the_client_never_knows() {
    let causes = [
        Cause::Throttled,
        Cause::QuotaExhausted,
        Cause::Unavailable,
        Cause::NotReady,
        Cause::Timeout,
        Cause::Connection,
        Cause::AccessDenied,
        Cause::ModelMissing,
        Cause::Malformed,
    ];
    for cause in causes {
        let tree = TestTree::start(&TWO).await;
        tree.regions[0].then(Step::Fail(cause, "no"));
        tree.regions[1].then(Step::Text("from the second"));
        assert!(tree.ask_text().await.unwrap().contains("from the second"), "{cause:?}");
        assert_eq!(tree.last_report().regions_tried.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_request_comes_straight_back_word_for_word_without_health_effect() {
    for cause in [Cause::BadRequest, Cause::ContextOverflow] {
        let tree = TestTree::start(&TWO).await;
        tree.regions[0].then(Step::Fail(cause, "messages.3: upstream's own words"));
        let error = tree.ask_text().await.unwrap_err();
        assert!(matches!(&error, GatewayError::Upstream(failure) if failure.message == "messages.3: upstream's own words"), "{error}");
        assert_eq!(tree.regions[1].calls(), 0);
        tree.regions[0].then(Step::Text("well"));
        assert!(tree.ask_text().await.unwrap().contains("well"), "the target was not benched");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_region_is_left_alone_for_its_backoff_and_then_probed() {
    let tree = TestTree::start(&TWO).await;
    tree.regions[0].then(Step::Fail(Cause::Throttled, "Too many requests"));
    tree.ask_text().await.unwrap();
    for _ in 0..5 {
        tree.ask_text().await.unwrap();
    }
    assert_eq!((tree.regions[0].calls(), tree.regions[1].calls()), (1, 6));
    tokio::time::sleep(Duration::from_secs(3)).await;
    tree.ask_text().await.unwrap();
    assert_eq!(tree.regions[0].calls(), 2, "the preferred region is probed after its backoff");
    tree.ask_text().await.unwrap();
    assert_eq!(tree.regions[0].calls(), 3, "and used again once the probe was answered");
}

#[tokio::test(start_paused = true)]
async fn when_all_throttle_the_request_waits_for_the_first_to_reopen() {
    let tree = TestTree::start(&TWO).await;
    for region in &tree.regions {
        region.then(Step::Fail(Cause::Throttled, "Too many requests"));
    }
    tree.regions[0].then(Step::Text("second round"));
    assert!(tree.ask_text().await.unwrap().contains("second round"));
    assert_eq!(tree.last_report().attempts, 3);
}

#[tokio::test(start_paused = true)]
async fn when_nothing_reopens_in_time_the_throttle_is_told_with_retry_after() {
    let tree = TestTree::start(&["us-east-1"]).await;
    for _ in 0..20 {
        tree.regions[0].then(Step::Fail(Cause::Throttled, "Too many tokens, please wait before trying again."));
    }
    let error = tree.ask_text().await.unwrap_err();
    assert_eq!(error.to_string(), "ScriptedException: Too many tokens, please wait before trying again.");
    assert!(error.retry_after().unwrap() >= Duration::from_secs(1));
    assert!(tree.regions[0].calls() <= 5, "the wait is bounded, and so are the attempts: {}", tree.regions[0].calls());
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_tried_once_more_on_the_same_target() {
    let tree = TestTree::start(&TWO).await;
    tree.regions[0].then(Step::Fail(Cause::Credentials, "expired"));
    tree.regions[0].then(Step::Text("refreshed"));
    assert!(tree.ask_text().await.unwrap().contains("refreshed"));
    assert_eq!((tree.regions[0].calls(), tree.regions[1].calls()), (2, 0));
    assert_eq!(tree.last_report().attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_drops_the_upstream_call() {
    let tree = TestTree::start(&TWO).await;
    tree.regions[0].then(Step::Hang);
    let asking = tree.ask_text();
    tokio::select! {
        _ = asking => panic!("answered"),
        () = tree.regions[0].called.notified() => {}
    }
    tokio::time::timeout(Duration::from_secs(1), tree.regions[0].dropped.notified()).await.unwrap();
    tree.reports.1.notified().await;
    assert_eq!(tree.last_report().outcome, JobOutcome::Cancelled);
    assert_eq!(tree.gateway.ports().describe().await.calls_in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_job_fails_alone() {
    let tree = TestTree::start(&TWO).await;
    tree.regions[0].then(Step::Panic);
    assert_eq!(tree.ask_text().await.unwrap_err(), GatewayError::WorkerLost);
    assert_eq!(tree.last_report().outcome, JobOutcome::Lost);
    assert!(tree.ask_text().await.is_ok());
    assert_eq!(tree.gateway.ports().describe().await.calls_in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_has_a_deadline_over_all_attempts() {
    let settings = LiveSettings { timeouts: Timeouts { total: Duration::from_secs(30), ..Timeouts::default() }, ..settings() };
    let tree = TestTree::with(&["us-east-1"], settings, LIMITS).await;
    tree.regions[0].then(Step::Hang);
    let began = tokio::time::Instant::now();
    let error = tree.ask_text().await.unwrap_err();
    assert_eq!((error.class(), began.elapsed()), ("deadline_exceeded", Duration::from_secs(30)));
    tree.regions[0].then(Step::Text("well"));
    assert!(tree.ask_text().await.is_ok(), "our own deadline is not the target's failure");
}

async fn open(tree: &TestTree) -> mpsc::Receiver<StreamItem> {
    match tree.ask(&hello(true)).await.unwrap() {
        ChatAnswer::Stream { events, .. } => events,
        _ => panic!("answered whole"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_arrives_in_order_and_ends_with_done() {
    let tree = TestTree::start(&TWO).await;
    let (feed, chunks) = mpsc::channel(16);
    tree.regions[0].then(Step::Feed(chunks));
    feed.send(Ok(start_event())).await.unwrap();
    let mut events = open(&tree).await;
    for word in ["one", "two", "three"] {
        feed.send(Ok(text_event(word))).await.unwrap();
    }
    for chunk in end_events() {
        feed.send(Ok(chunk)).await.unwrap();
    }
    drop(feed);
    assert_eq!(drain(&mut events).await, ["one", "two", "three", "done"]);
    assert_eq!(tree.last_report().usage.unwrap().output, 7);
}

#[tokio::test(start_paused = true)]
async fn a_stream_fails_over_until_its_first_event() {
    let tree = TestTree::start(&TWO).await;
    let (feed, chunks) = mpsc::channel(16);
    tree.regions[0].then(Step::Feed(chunks));
    feed.send(Ok(exception("throttlingException", "Too many requests"))).await.unwrap();
    tree.regions[1].then(Step::Text("from the second"));
    let mut events = open(&tree).await;
    assert_eq!(drain(&mut events).await, ["from the second", "done"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_any_event_in_time_is_left_for_the_next_region() {
    let tree = TestTree::start(&TWO).await;
    let (_feed, chunks) = mpsc::channel(16);
    tree.regions[0].then(Step::Feed(chunks));
    tree.regions[1].then(Step::Text("from the second"));
    let mut events = open(&tree).await;
    assert_eq!(drain(&mut events).await, ["from the second", "done"]);
}

#[tokio::test(start_paused = true)]
async fn pain_21_a_failure_in_mid_stream_is_told_in_band_and_not_retried() {
    let tree = TestTree::start(&TWO).await;
    let (feed, chunks) = mpsc::channel(16);
    tree.regions[0].then(Step::Feed(chunks));
    feed.send(Ok(start_event())).await.unwrap();
    let mut events = open(&tree).await;
    feed.send(Ok(text_event("one"))).await.unwrap();
    feed.send(Ok(exception("modelStreamErrorException", "the model stopped"))).await.unwrap();
    let words = drain(&mut events).await;
    assert_eq!(words[0], "one");
    assert!(words[1].starts_with("failed: ") && words[1].ends_with("the model stopped"), "{words:?}");
    assert_eq!(words.len(), 2);
    assert_eq!(tree.regions[1].calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn pain_21_a_stream_that_just_ends_is_an_error() {
    let tree = TestTree::start(&TWO).await;
    let (feed, chunks) = mpsc::channel(16);
    tree.regions[0].then(Step::Feed(chunks));
    feed.send(Ok(start_event())).await.unwrap();
    let mut events = open(&tree).await;
    feed.send(Ok(text_event("one"))).await.unwrap();
    drop(feed);
    let words = drain(&mut events).await;
    assert!(words.last().unwrap().starts_with("failed: "), "{words:?}");
}

#[tokio::test(start_paused = true)]
async fn pain_25_a_reader_that_leaves_closes_the_stream_and_is_booked_as_cancelled() {
    let tree = TestTree::start(&TWO).await;
    let (feed, chunks) = mpsc::channel(16);
    tree.regions[0].then(Step::Feed(chunks));
    feed.send(Ok(start_event())).await.unwrap();
    let events = open(&tree).await;
    drop(events);
    tokio::time::timeout(Duration::from_secs(1), feed.closed()).await.unwrap();
    tree.reports.1.notified().await;
    assert_eq!(tree.last_report().outcome, JobOutcome::Cancelled);
    assert_eq!(tree.gateway.ports().describe().await.ledger.unwrap().all.cancelled, 1);
}

#[tokio::test(start_paused = true)]
async fn several_choices_are_several_calls() {
    let tree = TestTree::start(&TWO).await;
    let body = hello(false).replace("\"stream\": false", "\"n\": 3");
    let ChatAnswer::Whole { choices, about } = tree.ask(&body).await.unwrap() else { panic!("streamed") };
    assert_eq!((choices.len(), about.attempts, tree.regions[0].calls()), (3, 3, 3));
    assert_eq!(tree.last_report().usage.unwrap().output, 21);
}

#[tokio::test(start_paused = true)]
async fn a_full_lane_refuses_and_a_long_wait_is_cut() {
    let limits = IntakeLimits { running: 1, queued: 1, max_wait: Duration::from_secs(2) };
    let tree = Arc::new(TestTree::with(&["us-east-1"], settings(), limits).await);
    tree.regions[0].then(Step::Hang);
    let running = tokio::spawn({
        let tree = Arc::clone(&tree);
        async move { tree.ask_text().await }
    });
    tree.regions[0].called.notified().await;
    let waiting = tokio::spawn({
        let tree = Arc::clone(&tree);
        async move { tree.ask_text().await }
    });
    tokio::task::yield_now().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(tree.ask_text().await.unwrap_err().class(), "overloaded");
    let waited = waiting.await.unwrap().unwrap_err();
    assert!(waited.to_string().contains("waited"), "{waited}");
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn explaining_sends_nothing() {
    let tree = TestTree::start(&TWO).await;
    let explanation = tree.gateway.ports().chat.explain(tree.job(&hello(true)), Disclosure::Operator).await.unwrap();
    assert_eq!(explanation.operation, "ConverseStream");
    assert_eq!(explanation.targets.len(), 2);
    assert!(explanation.body.get().contains("hello"));
    assert_eq!(tree.regions[0].calls() + tree.regions[1].calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_model_and_a_forbidden_one_never_reach_aws() {
    let tree = TestTree::start(&TWO).await;
    let error = tree.ask(r#"{"model": "no-such", "messages": [{"role": "user", "content": "x"}]}"#).await.unwrap_err();
    assert_eq!(error.class(), "model_not_found");
    let mut job = tree.job(&hello(false));
    job.principal =
        Arc::new(outcrop_gateway::admission::Principal { key: "narrow".into(), models: vec!["claude-*".to_owned()], strategy: None });
    assert_eq!(tree.gateway.ports().chat.submit(job).await.unwrap_err().class(), "forbidden");
    assert_eq!(tree.regions[0].calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_profile_nobody_listed_is_looked_up_once_and_then_known() {
    let tree = TestTree::start(&TWO).await;
    let arn = "arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/abc123";
    let body = format!(r#"{{"model": "{arn}", "messages": [{{"role": "user", "content": "x"}}]}}"#);
    tree.regions[1].then(Step::Text("through the profile"));
    assert!(tree.ask(&body).await.is_ok());
    assert!(tree.ask(&body).await.is_ok());
    assert_eq!((tree.regions[0].calls(), tree.regions[1].calls()), (0, 2));
    assert_eq!(tree.controls[1].looked_up.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_dies_in_mid_stream_is_booked_and_told() {
    let tree = TestTree::start(&TWO).await;
    let (feed, chunks) = mpsc::channel(16);
    tree.regions[0].then(Step::Feed(chunks));
    feed.send(Ok(start_event())).await.unwrap();
    let mut events = open(&tree).await;
    feed.send(Ok(text_event("one"))).await.unwrap();
    assert!(matches!(events.recv().await, Some(StreamItem::Events { .. })));
    let killed = tree.gateway.ports().chat.kill_one_job().await;
    assert!(killed);
    while let Some(item) = events.recv().await {
        assert!(!matches!(item, StreamItem::Done), "a killed stream must not look complete");
    }
    tree.reports.1.notified().await;
    assert_eq!(tree.last_report().outcome, JobOutcome::Lost);
    let report = tree.gateway.ports().describe().await;
    assert_eq!((report.ledger.unwrap().all.calls, report.calls_in_flight), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_is_given_up_and_its_upstream_closed() {
    let tree = TestTree::start(&TWO).await;
    let (feed, chunks) = mpsc::channel(1024);
    tree.regions[0].then(Step::Feed(chunks));
    feed.send(Ok(start_event())).await.unwrap();
    let mut events = open(&tree).await;
    tokio::time::timeout(Duration::from_secs(600), async {
        while feed.send(Ok(text_event("more"))).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
    .await
    .unwrap();
    tree.reports.1.notified().await;
    assert_eq!(tree.last_report().outcome, JobOutcome::Cancelled);
    while let Some(item) = events.recv().await {
        assert!(!matches!(item, StreamItem::Done), "an answer that was given up must not look complete");
    }
}

#[tokio::test(start_paused = true)]
async fn a_region_that_breaks_its_streams_is_left_for_a_while() {
    let tree = TestTree::start(&TWO).await;
    let (feed, chunks) = mpsc::channel(16);
    tree.regions[0].then(Step::Feed(chunks));
    feed.send(Ok(start_event())).await.unwrap();
    feed.send(Ok(exception("serviceUnavailableException", "capacity"))).await.unwrap();
    let mut events = open(&tree).await;
    drain(&mut events).await;
    tree.ask_text().await.unwrap();
    assert_eq!((tree.regions[0].calls(), tree.regions[1].calls()), (1, 1));
}
