//! What happens to connections: reuse, refusals before the body, old clients, clients that leave within an answer.

use outcrop_sim::Pace;
use std::time::Duration;

use http::Method;

use crate::{
    chat::says,
    support::{Client, EAST, KEY, Raw, TestGateway, eventually},
};

const CHAT: &str = "/v1/chat/completions";

async fn gateway() -> TestGateway {
    TestGateway::builder().regions([EAST]).start().await
}

fn request(key: &str, more: &str, body: &str) -> String {
    format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n{more}content-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn one_connection_carries_many_requests_good_and_bad() {
    let gateway = gateway().await;
    let mut raw = Raw::connect(gateway.address).await;
    let good = says("say exactly: fine").to_string();
    for round in 0..3 {
        assert!(raw.send(request(KEY, "", &good)).await, "round {round}");
        assert_eq!(raw.answer().await.expect("an answer").ok()["choices"][0]["message"]["content"], "fine");
        assert!(raw.send(request(KEY, "", "{ not json")).await, "round {round}");
        raw.answer().await.expect("an answer").refusal(400, "invalid_request_error", None);
    }
    assert_eq!(gateway.connections.open(), 1);
    // Both at once: answered in order.
    raw.send(format!("{}{}", request(KEY, "", &good), "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    let both = [raw.answer().await.expect("an answer"), raw.answer().await.expect("an answer")];
    assert_eq!(both.map(|answer| (answer.status, answer.text().contains("live"))), [(200, false), (200, true)]);
    raw.finish().await;
    raw.rest().await;
    gateway.end().await;
}

#[tokio::test]
async fn the_body_of_a_refused_request_is_never_taken_for_the_next_request() {
    let gateway = gateway().await;
    let hidden = request(KEY, "", &says("say exactly: smuggled").to_string());
    for more in ["", "content-encoding: gzip\r\n", "x-amzn-bedrock-guardrailidentifier: alone\r\n"] {
        for key in [KEY, "sk-wrong"] {
            for path in ["", "GET /v1/models HTTP/1.1\r\nhost: x\r\n"] {
                let mut raw = Raw::connect(gateway.address).await;
                let whole = if path.is_empty() {
                    request(key, more, &hidden)
                } else {
                    format!("{path}content-length: {}\r\n\r\n{hidden}", hidden.len())
                };
                raw.send(whole).await;
                let first = raw.answer().await.expect("an answer");
                assert!((400..500).contains(&first.status), "{}", first.text());
                raw.finish().await;
                let rest = raw.rest().await;
                assert!(rest.is_empty(), "a second answer came: {}", String::from_utf8_lossy(&rest));
            }
        }
    }
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn a_large_body_that_is_refused_early_still_lets_the_refusal_through() {
    let gateway = TestGateway::builder().regions([EAST]).set("server.body_limit=1 MiB").start().await;
    let large = vec![b' '; 24 << 20];
    for _ in 0..5 {
        let answer = gateway.post_bytes(CHAT, &[], large.clone()).await;
        answer.refusal(413, "invalid_request_error", Some("request_too_large"));
        let stranger = Client { address: gateway.address, key: Some("sk-wrong".to_owned()) };
        stranger.post_bytes(CHAT, &[], large.clone()).await.refusal(401, "invalid_request_error", Some("invalid_api_key"));
    }
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_is_told_to_go_on() {
    let gateway = gateway().await;
    let body = says("say exactly: go on").to_string();
    let mut raw = Raw::connect(gateway.address).await;
    let whole = request(KEY, "expect: 100-continue\r\n", &body);
    let (head, body) = whole.split_at(whole.len() - body.len());
    raw.send(head).await;
    assert_eq!(raw.answer().await.map(|answer| answer.status), Some(100));
    raw.send(body).await;
    assert_eq!(raw.answer().await.expect("an answer").ok()["choices"][0]["message"]["content"], "go on");
    raw.finish().await;
    gateway.end().await;
}

#[tokio::test]
async fn old_clients_are_answered_whole_and_streamed() {
    let gateway = gateway().await;
    for streaming in [false, true] {
        let mut body = says("say exactly: as in the old days");
        body["stream"] = streaming.into();
        let body = body.to_string();
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(format!("POST {CHAT} HTTP/1.0\r\nauthorization: Bearer {KEY}\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
        let answer = String::from_utf8(raw.rest().await).unwrap();
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
        assert!(!answer.contains("transfer-encoding"), "an old client cannot read chunks: {answer}");
        assert!(if streaming { answer.ends_with("data: [DONE]\n\n") } else { answer.contains("as in the old days") }, "{answer}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_head_request_has_no_body_and_any_content_type_is_read() {
    let gateway = gateway().await;
    let head = gateway.method(Method::HEAD, "/v1/models").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8", ""] {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(request(KEY, &format!("content-type: {kind}\r\n"), &says("hello").to_string())).await;
        assert_eq!(raw.answer().await.expect("an answer").status, 200, "{kind}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_anywhere_within_its_answer_leaves_nothing_behind() {
    let slowly = Pace::fixed(Duration::ZERO, Duration::from_millis(2));
    let gateway = TestGateway::builder().regions([EAST]).simulator(move |sim| sim.pace(slowly)).start().await;
    for chunks in 0..25 {
        let mut stream = gateway.open(&says("count to 400")).await;
        for _ in 0..chunks {
            stream.chunk().await;
        }
        drop(stream);
    }
    let lines = gateway.records.first(25).await;
    assert!(lines.iter().all(|line| line.edge.as_ref().unwrap().client_gone), "{lines:?}");
    gateway.idle().await;
    eventually("every connection is closed", async || gateway.connections.open() == 0).await;
    assert_eq!(gateway.calls().len(), 25);
    gateway.end().await;
}
