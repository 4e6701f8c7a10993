//! Quotas over the wire, under a paused clock.

use std::time::Duration;

use outcrop_sim::{Access, Action, Quota, Rule, ScriptedError, Simulator};
use tokio::io::DuplexStream;

use crate::support::{EAST, HELLO, MODEL, Seen, WEST, exchange_on, path, post, turn};

fn simulator() -> Simulator {
    let simulator = Simulator::builder().regions([EAST, WEST]).seed(7).in_memory().unwrap();
    simulator.script(Rule::always(Action::Answer(turn("ten words"))));
    simulator
}

fn dial(simulator: &Simulator, region: &str) -> DuplexStream {
    let (near, far) = tokio::io::duplex(64 * 1024);
    tokio::spawn(simulator.serve_connection(region, far));
    near
}

async fn call(simulator: &Simulator, region: &str, max_tokens: u64) -> Seen {
    let body = HELLO.replacen('{', &format!("{{\"inferenceConfig\":{{\"maxTokens\":{max_tokens}}},"), 1);
    exchange_on(&mut dial(simulator, region), &post(&path("converse"), &body)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_are_throttled_in_awss_words_until_the_bucket_refills() {
    let simulator = simulator();
    simulator.quota(EAST, MODEL, Quota { requests_per_minute: Some(2), ..Quota::default() }).unwrap();
    for expected in [200, 200, 429] {
        let seen = call(&simulator, EAST, 10).await;
        assert_eq!(seen.status, expected);
        if expected == 429 {
            assert_eq!(seen.json()["message"], "Too many requests, please wait before trying again.");
            assert!(seen.header("x-amzn-errortype").unwrap().starts_with("ThrottlingException:"));
        }
    }
    assert_eq!(call(&simulator, WEST, 10).await.status, 200);
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(call(&simulator, EAST, 10).await.status, 200);
    assert_eq!(call(&simulator, EAST, 10).await.status, 429);
    simulator.clear_quotas();
    assert_eq!(call(&simulator, EAST, 10).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_reserved_with_max_tokens_and_settled_with_burndown() {
    let simulator = simulator();
    simulator.quota(EAST, MODEL, Quota { tokens_per_minute: Some(10_000), burndown: 5, ..Quota::default() }).unwrap();
    let seen = call(&simulator, EAST, 9_999).await;
    assert_eq!((seen.status, seen.json()["message"].as_str()), (429, Some("Too many tokens, please wait before trying again.")));
    assert_eq!(simulator.quota_room(EAST, MODEL).unwrap().tokens, Some(10_000));
    assert_eq!(call(&simulator, EAST, 1_000).await.status, 200);
    // Billed by the scripted turn: 10 of input and 100 of output, the latter five times.
    assert_eq!(simulator.quota_room(EAST, MODEL).unwrap().tokens, Some(10_000 - 10 - 500));
    let recorded = simulator.journal().call(2).unwrap();
    assert!(recorded.reserved_tokens.unwrap() > 1_000);
}

#[tokio::test(start_paused = true)]
async fn refused_and_failed_calls_cost_no_tokens() {
    let simulator = simulator();
    simulator.quota(EAST, MODEL, Quota::per_minute(100, 10_000, 1)).unwrap();
    simulator.clear_script();
    let rule = simulator.script(Rule::always(Action::Error(ScriptedError::unavailable())));
    assert_eq!(call(&simulator, EAST, 10).await.status, 503);
    simulator.unscript(rule);
    simulator.set_access(EAST, MODEL, Access::Denied).unwrap();
    let seen = call(&simulator, EAST, 10).await;
    assert_eq!(
        (seen.status, seen.json()["Message"].as_str()),
        (403, Some("You don't have access to the model with the specified model ID."))
    );
    let room = simulator.quota_room(EAST, MODEL).unwrap();
    assert_eq!((room.requests, room.tokens), (Some(100), Some(10_000)));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_early_settles_what_was_sent() {
    let simulator = simulator();
    simulator.clear_script();
    let stall = Action::StallAfterEvents { events: 1, pause: Duration::from_secs(3600) };
    simulator.script(Rule::once(stall).and(Action::Answer(turn("ten words"))));
    simulator.quota(EAST, MODEL, Quota { tokens_per_minute: Some(20_000), burndown: 5, ..Quota::default() }).unwrap();
    let mut stream = dial(&simulator, EAST);
    let request = post(&path("converse-stream"), HELLO);
    assert!(tokio::time::timeout(Duration::from_millis(1), exchange_on(&mut stream, &request)).await.is_err());
    assert!(simulator.quota_room(EAST, MODEL).unwrap().tokens.unwrap() < 11_000, "the model's largest answer is held");
    drop(stream);
    simulator.journal().wait_for_ended(1, crate::support::LIMIT).await.unwrap();
    let room = simulator.quota_room(EAST, MODEL).unwrap();
    assert_eq!(room.tokens, Some(20_000 - 10));
    assert_eq!(simulator.journal().call(1).unwrap().billed.unwrap().output, 0);
}
