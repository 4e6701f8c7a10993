//! Clients that leave within a request, or drip it byte by byte: cut off, and nothing of them is left behind.

use std::time::Duration;

use crate::{
    bad_input::{CHAT, INVALID, gateway},
    chat::says,
    support::{EAST, KEY, Raw, TestGateway},
};

#[tokio::test]
async fn a_client_that_leaves_within_its_request_leaves_nothing_behind() {
    let gateway = gateway().await;
    let body = says("hello").to_string();
    let request = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let cuts: Vec<usize> = (0..request.len()).step_by(7).chain([request.len() - 1]).collect();
    for cut in &cuts {
        let mut polite = Raw::connect(gateway.address).await;
        polite.send(&request[..*cut]).await;
        polite.finish().await;
        polite.rest().await;
        let mut rude = Raw::connect(gateway.address).await;
        rude.send(&request[..*cut]).await;
        rude.reset();
    }
    gateway.untouched().await;
    crate::support::eventually("every connection is closed", async || gateway.connections.open() == 0).await;
    // And the gateway is as good as before.
    assert_eq!(gateway.chat(&says("hello")).await.status, 200);
    gateway.end().await;
}

#[tokio::test]
async fn a_client_that_sends_a_byte_now_and_then_is_cut_off() {
    let gateway = TestGateway::builder()
        .regions([EAST])
        .head_timeout(Duration::from_millis(200))
        .limits(|limits| limits.body_timeout = Duration::from_millis(200))
        .start()
        .await;
    // In the head: there is no request to answer yet, so the connection just closes.
    let mut raw = Raw::connect(gateway.address).await;
    let began = std::time::Instant::now();
    let dripped = drip(&mut raw, b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway.example.com\r\nx-more: and more and more").await;
    assert!(dripped < 50, "the head was awaited for {:?}", began.elapsed());
    assert!(raw.answer().await.is_none_or(|answer| answer.status == 408));
    // In the body: the request is known, and refused.
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 1000\r\n\r\n")).await;
    drip(&mut raw, &b"{".repeat(1000)).await;
    let answer = raw.answer().await.expect("an answer");
    answer.refusal(408, INVALID, Some("request_timeout"));
    gateway.untouched().await;
    gateway.end().await;
}

/// Sends one byte at a time, 20 ms apart, until the server says something or closes; tells how many.
async fn drip(raw: &mut Raw, bytes: &[u8]) -> usize {
    for (sent, byte) in bytes.iter().enumerate() {
        if !raw.is_silent_for(Duration::from_millis(20)).await || !raw.send([*byte]).await {
            return sent;
        }
    }
    bytes.len()
}
