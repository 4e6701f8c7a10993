//! Streams that break and go on in another region.

use std::time::Duration;

use bytes::Bytes;
use outcrop_domain::{chat::ChatEvent, error::Cause};
use outcrop_gateway::{
    ports::{ChatAnswer, StreamItem},
    record::JobOutcome,
    settings::{LiveSettings, RoutingPolicy},
};
use tokio::sync::mpsc;

use super::kit::{LIMITS, MODEL, Step, TestTree, drain, end_events, exception, settings, start_event, text_event};

const TWO: [&str; 2] = ["us-east-1", "us-west-2"];

async fn tree(resume: bool) -> TestTree {
    tree_in(&TWO, |routing| RoutingPolicy { resume, ..routing }).await
}

async fn tree_in(regions: &[&str], how: impl FnOnce(RoutingPolicy) -> RoutingPolicy) -> TestTree {
    let settings = settings();
    let routing = how(RoutingPolicy { resume: true, ..settings.routing.clone() });
    TestTree::with(regions, LiveSettings { routing, ..settings }, LIMITS).await
}

/// A stream in `region` that writes `text` and is cut.
async fn breaks(tree: &TestTree, region: usize, text: &str) {
    let (feed, chunks) = mpsc::channel(16);
    feed.send(Ok(start_event())).await.unwrap();
    feed.send(Ok(text_event(text))).await.unwrap();
    tree.regions[region].then(Step::Feed(chunks));
}

fn asking(more: &str) -> String {
    format!(r#"{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "hello"}}], "stream": true, "max_tokens": 100{more}}}"#)
}

/// A stream that has begun: its events, whether it goes on should it break, and the hose that feeds it.
async fn begun(tree: &TestTree, request: &str) -> (mpsc::Receiver<StreamItem>, bool, mpsc::Sender<Result<Bytes, String>>) {
    let (feed, chunks) = mpsc::channel(16);
    tree.regions[0].then(Step::Feed(chunks));
    feed.send(Ok(start_event())).await.unwrap();
    match tree.ask(request).await.unwrap() {
        ChatAnswer::Stream { events, about } => (events, about.resumes, feed),
        _ => panic!("answered whole"),
    }
}

async fn goes_on(tree: &TestTree, region: usize, texts: &[&str]) {
    let (feed, chunks) = mpsc::channel(16);
    tree.regions[region].then(Step::Feed(chunks));
    feed.send(Ok(start_event())).await.unwrap();
    for text in texts {
        feed.send(Ok(text_event(text))).await.unwrap();
    }
    for chunk in end_events() {
        feed.send(Ok(chunk)).await.unwrap();
    }
}

fn sent(tree: &TestTree, region: usize) -> serde_json::Value {
    serde_json::from_slice(&tree.regions[region].last_call().body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_text_that_breaks_goes_on_elsewhere_with_what_the_client_has() {
    let tree = tree(true).await;
    goes_on(&tree, 1, &[" upon", " a time"]).await;
    let (mut events, resumes, feed) = begun(&tree, &asking("")).await;
    assert!(resumes);
    feed.send(Ok(text_event("Once "))).await.unwrap();
    feed.send(Ok(exception("serviceUnavailableException", "capacity"))).await.unwrap();
    assert_eq!(drain(&mut events).await, ["Once ", "resumed: us-west-2", "upon", " a time", "done"]);
    let body = sent(&tree, 1);
    assert_eq!(body["messages"][1], serde_json::json!({"role": "assistant", "content": [{"text": "Once"}]}));
    assert_eq!(body["inferenceConfig"]["maxTokens"], 98, "what the text so far took is spent");
    let report = tree.last_report();
    assert_eq!((report.outcome, report.attempts, report.adjusted.as_str()), (JobOutcome::Completed, 2, "stream=resumed:us-west-2"));
    assert!(report.estimated, "what the broken call used is not told");
    let booked = report.usage.unwrap();
    let ledger = tree.gateway.ports().describe().await.ledger.unwrap();
    assert_eq!((ledger.all.calls, ledger.all.estimated, ledger.all.usage), (2, 1, booked), "both calls are booked");
    assert!(ledger.by_region.len() == 2 && ledger.all.estimated_usage.output < 7 && booked.output > 7, "{ledger:?}");
}

#[tokio::test(start_paused = true)]
async fn each_time_it_goes_on_where_it_has_not_broken_yet_with_all_that_the_client_has() {
    let tree = tree_in(&["us-east-1", "us-west-2", "eu-west-1"], |routing| routing).await;
    breaks(&tree, 1, " upon").await;
    goes_on(&tree, 2, &[" a time"]).await;
    let (mut events, _, feed) = begun(&tree, &asking("")).await;
    feed.send(Ok(text_event("Once"))).await.unwrap();
    drop(feed);
    let words = drain(&mut events).await;
    assert_eq!(words, ["Once", "resumed: us-west-2", " upon", "resumed: eu-west-1", " a time", "done"]);
    assert_eq!(sent(&tree, 2)["messages"][1]["content"][0]["text"], "Once upon");
    assert_eq!(tree.gateway.ports().describe().await.ledger.unwrap().all.calls, 3);
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_within_the_most_attempts_and_only_where_there_is_another_region() {
    let few = tree_in(&TWO, |routing| RoutingPolicy { max_attempts: 1, ..routing }).await;
    let one = tree_in(&TWO[..1], |routing| routing).await;
    for (tree, says_so) in [(few, true), (one, false)] {
        let (mut events, resumes, feed) = begun(&tree, &asking("")).await;
        feed.send(Ok(text_event("a"))).await.unwrap();
        drop(feed);
        let words = drain(&mut events).await;
        assert!(resumes == says_so && words.len() == 2 && words[1].starts_with("failed: "), "{words:?}");
        assert_eq!(tree.regions.iter().map(|region| region.calls()).sum::<usize>(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_is_told_the_tokens_of_the_whole_answer() {
    let tree = tree(true).await;
    goes_on(&tree, 1, &[" upon"]).await;
    let (mut events, _, feed) = begun(&tree, &asking("")).await;
    feed.send(Ok(text_event("Once "))).await.unwrap();
    drop(feed);
    let mut told = None;
    while let Some(item) = events.recv().await {
        let StreamItem::Events { events, .. } = item else { continue };
        told = events.iter().find_map(|event| if let ChatEvent::Finished { usage, .. } = event { Some(*usage) } else { None }).or(told);
    }
    let told = told.unwrap();
    // The second call read 11 and wrote 7; two of those it read are what the first one wrote.
    assert_eq!((told.input, told.output), (9, 9));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cut_or_silent_goes_on_too() {
    for silent in [false, true] {
        let tree = tree(true).await;
        goes_on(&tree, 1, &["b"]).await;
        let (mut events, _, feed) = begun(&tree, &asking("")).await;
        feed.send(Ok(text_event("a"))).await.unwrap();
        let kept = silent.then_some(feed);
        assert_eq!(drain(&mut events).await, ["a", "resumed: us-west-2", "b", "done"], "silent: {silent}");
        drop(kept);
    }
}

#[tokio::test(start_paused = true)]
async fn unless_it_is_wanted_nothing_goes_on() {
    let tree = tree(false).await;
    let (mut events, resumes, feed) = begun(&tree, &asking("")).await;
    feed.send(Ok(text_event("a"))).await.unwrap();
    drop(feed);
    let words = drain(&mut events).await;
    assert!(!resumes && words[1].starts_with("failed: "), "{words:?}");
    assert_eq!(tree.regions[1].calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn with_stop_sequences_or_tools_or_before_any_text_or_after_the_last_word_a_break_stands() {
    let tools = r#", "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]"#;
    let stops = r#", "stop": ["b"]"#;
    for (more, fed) in [
        (stops, vec![text_event("a")]),
        (tools, vec![text_event("a")]),
        ("", vec![]),
        ("", [vec![text_event("a")], end_events()[..2].to_vec()].concat()),
    ] {
        let tree = tree(true).await;
        let (mut events, _, feed) = begun(&tree, &asking(more)).await;
        for chunk in fed {
            feed.send(Ok(chunk)).await.unwrap();
        }
        feed.send(Ok(exception("modelStreamErrorException", "the model stopped"))).await.unwrap();
        let words = drain(&mut events).await;
        assert!(words.last().unwrap().ends_with("the model stopped"), "{words:?}");
        assert_eq!(tree.regions[1].calls(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_again_and_again_ends() {
    let tree = tree(true).await;
    let (mut events, _, feed) = begun(&tree, &asking("")).await;
    for region in [1, 0, 1, 0] {
        breaks(&tree, region, "b").await;
    }
    feed.send(Ok(text_event("a"))).await.unwrap();
    drop(feed);
    let words = drain(&mut events).await;
    // Where it broke at first is asked again when there is no other.
    assert_eq!(words[..5], ["a", "resumed: us-west-2", "b", "resumed: us-east-1", "b"], "{words:?}");
    assert!(words.len() == 6 && words[5].starts_with("failed: "), "{words:?}");
}

#[tokio::test(start_paused = true)]
async fn the_break_is_told_when_nobody_can_go_on() {
    let tree = tree(true).await;
    let (mut events, _, feed) = begun(&tree, &asking("")).await;
    feed.send(Ok(text_event("a"))).await.unwrap();
    tree.regions[1].then(Step::Fail(Cause::BadRequest, "no such turn"));
    feed.send(Ok(exception("modelStreamErrorException", "the model stopped"))).await.unwrap();
    let words = drain(&mut events).await;
    assert!(words[1].ends_with("the model stopped"), "the first failure, not that of the repair: {words:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_it_goes_on_drops_the_call() {
    let tree = tree(true).await;
    tree.regions[1].then(Step::Hang);
    let (events, _, feed) = begun(&tree, &asking("")).await;
    feed.send(Ok(text_event("a"))).await.unwrap();
    drop(feed);
    tree.regions[1].called.notified().await;
    drop(events);
    tokio::time::timeout(Duration::from_secs(1), tree.regions[1].dropped.notified()).await.unwrap();
    tree.reports.1.notified().await;
    assert_eq!(tree.last_report().outcome, JobOutcome::Cancelled);
    assert_eq!(tree.gateway.ports().describe().await.calls_in_flight, 0);
}
