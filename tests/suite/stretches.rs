//! How long a request of two megabytes keeps the gateway's thread from all others, at a stretch:
//! `cargo test --release --test suite a_history_of_two -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use outcrop_chaos::bench::history::{self, LONG};
use serde_json::Value;
use tokio::runtime;

use crate::support::{CLAUDE, EAST, TestGateway};

/// A model that goes through the hub and takes so long a history.
const NOVA: &str = "amazon.nova-2-lite-v1:0";

/// Requests per dialect. The machine is somebody else's for a moment now and then: the least of the longest stretches counts.
const REPEATS: usize = 20;

/// The longest that any dialect may keep the thread.
const MOST: Duration = Duration::from_millis(1);

fn named(model: &str, mut body: Value) -> Value {
    body["model"] = model.into();
    body
}

/// The gateway has a thread for itself, and a task on it that is asked for as often as it can be: between two of its turns all
/// others had theirs, which is how long a small request would have waited, and no less than any of them took.
#[test]
#[ignore = "a measurement, of a release build"]
#[allow(clippy::print_stdout, reason = "a measurement is there to be read")]
fn a_history_of_two_megabytes_keeps_the_thread_for_a_millisecond_at_most_in_every_dialect() {
    let beside = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ours = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let requests = [
        ("chat", "/v1/chat/completions".to_owned(), named(NOVA, history::chat(LONG))),
        ("Messages, transparent", "/anthropic/v1/messages".to_owned(), named(CLAUDE, history::messages(LONG))),
        ("Messages, translated", "/anthropic/v1/messages".to_owned(), named(NOVA, history::messages(LONG))),
        ("Responses", "/v1/responses".to_owned(), named(NOVA, history::responses(LONG))),
        ("native Converse", format!("/model/us.{NOVA}/converse"), history::converse(LONG)),
        ("native InvokeModel", format!("/model/us.anthropic.{CLAUDE}/invoke"), history::invoke(LONG)),
    ];
    ours.block_on(async {
        let mut stretches = Vec::new();
        let gateway = TestGateway::builder().simulator_on(beside.handle().clone()).regions([EAST]).start().await;
        for (dialect, path, body) in requests {
            let body = bytes::Bytes::from(body.to_string());
            let mut least = Duration::MAX;
            for _ in 0..REPEATS {
                let (client, path, body) = (gateway.client.clone(), path.clone(), body.clone());
                let answer = beside.spawn(async move { client.post_bytes(&path, &[], body).await });
                let mut longest = Duration::ZERO;
                while !answer.is_finished() {
                    let turn = Instant::now();
                    tokio::task::yield_now().await;
                    longest = longest.max(turn.elapsed());
                }
                answer.await.unwrap().ok();
                least = least.min(longest);
            }
            println!("{dialect}: {} KB, at most {:.2} ms at a stretch", body.len() / 1_000, least.as_secs_f64() * 1e3);
            stretches.push((dialect, least));
        }
        gateway.end().await;
        let too_long: Vec<_> = stretches.iter().filter(|(_, least)| *least > MOST).collect();
        assert!(too_long.is_empty(), "more than {MOST:?} at a stretch: {too_long:?}");
    });
}
