//! The memory that requests take: bodies, and what is fetched for them, share a budget of what has arrived.

use std::time::Duration;

use http::Method;
use outcrop_sim::{Action, Operation, Rule};
use serde_json::{Value, json};

use crate::{
    bad_input::{CHAT, INVALID},
    chat::says,
    support::{Answer, CLAUDE, EAST, KEY, Numbers, Raw, TestGateway, WebServer, eventually},
};

/// Bytes of all requests that are held.
fn held(numbers: &Numbers) -> usize {
    numbers.sum("outcrop_body_bytes_held", &[]) as usize
}

/// More than half of the budget of these tests: two do not fit.
const LARGE: usize = 700 << 10;

/// A chat request of so many bytes.
fn padded(words: &str, bytes: usize) -> String {
    let body = says(words).to_string();
    let padding = " ".repeat(bytes - body.len());
    body + &padding
}

async fn crowded() -> TestGateway {
    let gateway = TestGateway::builder().regions([EAST]).set("server.body_limit=1 MiB").set("server.body_memory=1 MiB");
    let gateway = gateway.set("lanes.chat.concurrency=2").start().await;
    gateway.simulator.script(Rule::once(Action::DelayHead(Duration::from_secs(60))).operation(Operation::Converse));
    gateway
}

#[track_caller]
fn assert_no_room(answer: &Answer) {
    let message = answer.refusal(503, "server_error", None);
    assert!(message.contains("large request bodies"), "{message}");
    assert_eq!(answer.header("retry-after"), Some("2"));
}

#[tokio::test]
async fn large_bodies_share_a_budget_until_their_answers_begin() {
    let numbers = Numbers::start();
    let gateway = crowded().await;
    let client = gateway.client.clone();
    let holding = tokio::spawn(async move { client.post_bytes(CHAT, &[], padded("hold", LARGE)).await });
    gateway.calls_until(|calls| calls.len() == 1).await;
    assert_eq!(held(&numbers), LARGE);
    // Of declared length: refused before any of it is read. Of unknown length: as it grows.
    assert_no_room(&gateway.post_bytes(CHAT, &[], padded("one too many", LARGE)).await);
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ntransfer-encoding: chunked\r\n\r\n")).await;
    let piece = "x".repeat(64 << 10);
    for _ in 0..6 {
        raw.send(format!("{:x}\r\n{piece}\r\n", piece.len())).await;
    }
    assert_no_room(&raw.answer().await.expect("an answer"));
    // Small ones pass by.
    assert_eq!(gateway.chat(&says("hello")).await.status, 200);
    holding.abort();
    eventually("there is room again", async || gateway.post_bytes(CHAT, &[], padded("hello", LARGE)).await.status == 200).await;
    gateway.end().await;
    assert_eq!(held(&numbers), 0);
}

#[tokio::test]
async fn a_body_whose_client_left_counts_while_its_job_waits() {
    let gateway = crowded().await;
    gateway.simulator.script(Rule::once(Action::DelayHead(Duration::from_secs(60))).operation(Operation::Converse));
    let small = gateway.client.clone();
    let running = tokio::spawn(async move {
        let (one, other) = (says("hold"), says("hold, too"));
        tokio::join!(small.chat(&one), small.chat(&other))
    });
    gateway.calls_until(|calls| calls.len() == 2).await;
    let client = gateway.client.clone();
    let waiting = tokio::spawn(async move { client.post_bytes(CHAT, &[], padded("wait", LARGE)).await });
    eventually("one waits", async || gateway.ports().describe().await.chat_lane.is_some_and(|lane| lane.queued == 1)).await;
    waiting.abort();
    eventually("its client is gone", async || gateway.connections.open() == 2).await;
    // Its job is still in the queue, and with it what was made of the body.
    assert_no_room(&gateway.post_bytes(CHAT, &[], padded("one too many", LARGE)).await);
    running.abort();
    eventually("there is room again", async || gateway.post_bytes(CHAT, &[], padded("hello", LARGE)).await.status == 200).await;
    gateway.end().await;
}

#[tokio::test]
async fn a_streamed_request_gives_its_room_back_with_the_first_event() {
    let gateway = TestGateway::builder().regions([EAST]).set("server.body_limit=1 MiB").set("server.body_memory=1 MiB").start().await;
    let pause = Action::DelayBetweenEvents(Duration::from_millis(50));
    gateway.simulator.script(Rule::once(pause).operation(Operation::ConverseStream));
    let mut body = says("count to 400");
    body["stream"] = true.into();
    let body = body.to_string() + &" ".repeat(LARGE);
    let mut running = gateway.send(Method::POST, CHAT, &[("content-type", "application/json")], body.into()).await;
    running.chunk().await;
    assert_eq!(gateway.post_bytes(CHAT, &[], padded("hello", LARGE)).await.status, 200);
    drop(running);
    gateway.end().await;
}

/// The head of a chat request that announces so many bytes.
fn announcing(bytes: usize) -> String {
    format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {bytes}\r\n\r\n")
}

#[tokio::test]
async fn a_body_that_was_announced_and_does_not_come_holds_only_what_came() {
    let numbers = Numbers::start();
    let gateway = TestGateway::builder().regions([EAST]).set("server.body_limit=1 MiB").set("server.body_memory=1 MiB").start().await;
    let mut promising = Vec::new();
    for _ in 0..4 {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(announcing(LARGE)).await;
        raw.send("x".repeat(20 << 10)).await;
        promising.push(raw);
    }
    // A step of room each, of 2.8 MiB that were announced.
    eventually("all of it has come", async || held(&numbers) == 4 * (64 << 10)).await;
    assert_eq!(gateway.post_bytes(CHAT, &[], padded("hello", LARGE)).await.status, 200);
    drop(promising);
    eventually("their room is free again", async || held(&numbers) == 0).await;
    gateway.end().await;
}

#[tokio::test]
async fn a_client_that_falls_silent_within_a_body_is_cut_off_long_before_its_time_is_up() {
    let gateway = TestGateway::builder().regions([EAST]).limits(|limits| limits.body_idle = Duration::from_millis(100)).start().await;
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(announcing(1000)).await;
    raw.send("{").await;
    // The whole time is a minute: nothing in this suite waits that long.
    raw.answer().await.expect("an answer").refusal(408, INVALID, Some("request_timeout"));
    // One that goes on sending is not silent, however long it takes.
    let body = says("hello").to_string();
    let mut slow = Raw::connect(gateway.address).await;
    slow.send(announcing(body.len())).await;
    for piece in body.as_bytes().chunks(body.len().div_ceil(10)) {
        assert!(slow.is_silent_for(Duration::from_millis(20)).await);
        slow.send(piece).await;
    }
    assert_eq!(slow.answer().await.expect("an answer").status, 200);
    gateway.end().await;
}

#[tokio::test]
async fn what_is_read_of_stored_things_takes_room_until_it_is_sent() {
    let numbers = Numbers::start();
    let gateway = crowded().await;
    let words = "x".repeat(500 << 10);
    let items = json!({"items": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}]});
    let made = gateway.post("/v1/conversations", &items).await.ok();
    let items = format!("/v1/conversations/{}/items", made["id"].as_str().unwrap());
    eventually("it is stored, and no longer in hand", async || held(&numbers) == 0).await;
    assert_eq!(gateway.get(&items).await.ok()["data"][0]["content"][0]["text"], words);
    eventually("it is sent", async || held(&numbers) == 0).await;
    let client = gateway.client.clone();
    let holding = tokio::spawn(async move { client.post_bytes(CHAT, &[], padded("hold", LARGE)).await });
    gateway.calls_until(|calls| calls.len() == 1).await;
    assert_no_room(&gateway.get(&items).await);
    assert_eq!(held(&numbers), LARGE, "what was refused holds nothing");
    gateway.get(&items.replace("/items", "")).await.ok();
    holding.abort();
    eventually("there is room again", async || gateway.get(&items).await.status == 200).await;
    gateway.end().await;
    assert_eq!(held(&numbers), 0);
}

fn picture(url: &str) -> Value {
    json!({"model": CLAUDE, "messages": [{"role": "user", "content": [
        {"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}},
    ]}]})
}

#[tokio::test]
async fn what_is_fetched_for_a_request_takes_room_like_its_body() {
    let numbers = Numbers::start();
    let web = WebServer::plain().await;
    let gateway = TestGateway::builder().regions([EAST]).set("server.body_limit=1 MiB").set("server.body_memory=1 MiB");
    let gateway = gateway.set(format!("fetch.allowed_hosts=127.0.0.1:{}", web.address.port())).start().await;
    gateway.simulator.script(Rule::once(Action::DelayHead(Duration::from_secs(60))).operation(Operation::Converse));
    let large = picture(&web.url("/large.png?540000"));
    let (client, holding) = (gateway.client.clone(), large.clone());
    let holding = tokio::spawn(async move { client.chat(&holding).await });
    gateway.calls_until(|calls| calls.len() == 1).await;
    // In base64, up to the end of a step.
    let room = held(&numbers);
    assert!((720_000..=720_000 + (64 << 10)).contains(&room), "{room}");
    assert_no_room(&gateway.chat(&large).await);
    assert_eq!(held(&numbers), room, "what the refused one had taken is free again");
    gateway.chat(&picture(&web.url("/pixel.png"))).await.ok();
    holding.abort();
    eventually("there is room again", async || gateway.chat(&large).await.status == 200).await;
    gateway.end().await;
    assert_eq!(held(&numbers), 0);
}

#[tokio::test]
async fn the_urls_of_one_request_are_read_no_further_than_all_of_them_may_be() {
    let web = WebServer::plain().await;
    let gateway = TestGateway::builder().regions([EAST]).set("fetch.max_bytes=100 MiB");
    let gateway = gateway.set(format!("fetch.allowed_hosts=127.0.0.1:{}", web.address.port())).start().await;
    let answer = gateway.chat(&picture(&web.url("/endless.png"))).await;
    let message = answer.refusal(400, INVALID, Some("failed_to_download"));
    assert!(message.contains("more than 64 MiB together"), "{message}");
    assert!(answer.param().is_some_and(|param| param.starts_with("messages.0.content.1")), "{:?}", answer.param());
    gateway.untouched().await;
    gateway.end().await;
}
