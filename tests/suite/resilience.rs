//! Actors that die, and many clients at once.

use std::time::Duration;

use futures_util::future::join_all;
use outcrop_sim::{Action, Operation, Pace, Rule, ScriptedError};

use crate::{
    chat::says,
    support::{Answer, Client, Folded, TestGateway, eventually},
};

fn counted(to: u32) -> String {
    (1..=to).map(|number| number.to_string()).collect::<Vec<_>>().join(", ")
}

/// A stream that runs, and the request that waits beside it.
async fn load(client: &Client) -> (Vec<tokio::task::JoinHandle<Folded>>, Vec<tokio::task::JoinHandle<Answer>>) {
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = client.open(&says("count to 50")).await;
        let first = stream.chunk().await;
        streams.push(tokio::spawn(async move {
            let mut folded = stream.fold().await;
            folded.chunks.insert(0, first);
            folded
        }));
    }
    let whole = |_| {
        let client = client.clone();
        tokio::spawn(async move { client.chat(&says("say exactly: whole")).await })
    };
    (streams, (0..5).map(whole).collect())
}

async fn slow_gateway() -> TestGateway {
    let slowly = Pace::fixed(Duration::from_millis(30), Duration::from_millis(3));
    TestGateway::builder().simulator(move |sim| sim.pace(slowly)).start().await
}

/// Kills an actor by name while requests run; all of them must be answered, and the actor must come back.
async fn kill_under_load(gateway: &TestGateway, name: &str) {
    let before = gateway.calls().len();
    let (streams, wholes) = load(&gateway.client).await;
    gateway.calls_until(|calls| calls.len() >= before + 10).await;
    let (_, victim) = gateway.ports().tree.killables().into_iter().find(|(known, _)| known == name).expect("the actor is there");
    let old = victim.get_id();
    victim.kill();
    // Not even the lane takes requests with it: they run in actors of their own, and the next lane takes them over.
    for stream in join_all(streams).await.into_iter().map(Result::unwrap) {
        assert_eq!((&stream.error, &stream.broken), (&None, &None), "{name}");
        stream.check();
        assert_eq!(stream.text(), counted(50), "{name}");
    }
    for answer in join_all(wholes).await.into_iter().map(Result::unwrap) {
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }
    eventually(&format!("{name} is back"), async || {
        gateway.ports().tree.killables().iter().any(|(known, cell)| known == name && cell.get_id() != old)
    })
    .await;
    eventually("the gateway is ready", async || gateway.get("/health/ready").await.status == 200).await;
    assert_eq!(gateway.streamed(&says("count to 9")).await.text(), counted(9), "{name}");
}

/// The supervisors below the root.
const SUPERVISORS: [&str; 6] = ["foundation", "admission", "catalogue", "targets", "lanes", "jobs"];

#[tokio::test]
async fn any_actor_that_is_killed_under_load_comes_back_and_costs_no_request() {
    let gateway = slow_gateway().await;
    let names: Vec<String> = gateway.ports().tree.killables().into_iter().map(|(name, _)| name).collect();
    let workers: Vec<&String> = names.iter().filter(|name| !SUPERVISORS.contains(&name.as_str())).collect();
    assert_eq!((workers.len(), names.len()), (19, 25), "{names:?}");
    for name in workers {
        kill_under_load(&gateway, name).await;
    }
    gateway.end().await;
}

#[tokio::test]
async fn any_supervisor_that_is_killed_under_load_comes_back_and_costs_no_request() {
    for name in SUPERVISORS {
        // Each has a tree of its own: the root gives up after more than three within a minute.
        let gateway = slow_gateway().await;
        kill_under_load(&gateway, name).await;
        gateway.end().await;
    }
}

#[tokio::test]
async fn a_lane_that_dies_again_and_again_keeps_its_requests() {
    let slowly = Pace::fixed(Duration::from_millis(50), Duration::from_millis(4));
    let gateway = TestGateway::builder().simulator(move |sim| sim.pace(slowly)).set("lanes.chat.concurrency=8").start().await;
    // Ten run and wait: a lane's death must lose neither.
    let (streams, wholes) = load(&gateway.client).await;
    for _ in 0..4 {
        let (_, lane) = gateway.ports().tree.killables().into_iter().find(|(name, _)| name.contains("chat")).unwrap();
        lane.kill();
        let old = lane.get_id();
        eventually("the lane is back", async || {
            gateway.ports().tree.killables().iter().any(|(name, cell)| name.contains("chat") && cell.get_id() != old)
        })
        .await;
    }
    for stream in join_all(streams).await {
        assert_eq!(stream.unwrap().text(), counted(50));
    }
    assert!(join_all(wholes).await.into_iter().all(|answer| answer.unwrap().status == 200));
    gateway.end().await;
}

#[tokio::test]
async fn two_hundred_streams_at_once_lose_no_word() {
    let gateway = TestGateway::start().await;
    let before = gateway.simulator.accepted_connections("us-east-1");
    let requests: Vec<_> = (0..200).map(|number| says(&format!("count from {number} to {}", number + 60))).collect();
    let streams = join_all(requests.iter().map(|request| gateway.streamed(request))).await;
    for (number, stream) in streams.iter().enumerate() {
        let words: Vec<String> = (number..=number + 60).map(|number| number.to_string()).collect();
        assert_eq!(stream.text(), words.join(", "));
    }
    assert!(gateway.simulator.accepted_connections("us-east-1") - before <= 200);
    gateway.end().await;
}

#[tokio::test]
async fn under_load_a_failing_region_costs_no_request() {
    let gateway = TestGateway::builder().set("routing.backoff.throttled.first=100ms").start().await;
    let failing = Rule::always(Action::Error(ScriptedError::throttling())).region("us-east-1").share(0.3);
    gateway.simulator.script(failing);
    gateway.simulator.script(
        Rule::always(Action::Error(ScriptedError::unavailable())).region("us-west-2").operation(Operation::ConverseStream).share(0.3),
    );
    for _ in 0..4 {
        let request = says("count to 20");
        let streams = join_all((0..40).map(|_| gateway.streamed(&request))).await;
        assert!(streams.iter().all(|stream| stream.text() == counted(20)));
    }
    let regions: std::collections::BTreeSet<String> = gateway.regions().into_iter().collect();
    assert!(regions.len() >= 2, "{regions:?}");
    gateway.end().await;
}
