//! Messages that name pictures and documents by address, over HTTP against the simulated InvokeModel, which takes none.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use outcrop_sim::Operation;
use serde_json::{Value, json};

use crate::support::{Answer, CLAUDE, NOTES, PDF, PNG, TestGateway, WebServer};

const MESSAGES: &str = "/anthropic/v1/messages";
const COUNT: &str = "/anthropic/v1/messages/count_tokens";

async fn gateway(web: &WebServer) -> TestGateway {
    TestGateway::builder().set(format!("fetch.allowed_hosts=127.0.0.1:{}", web.address.port())).start().await
}

/// As an agent writes it in the middle of its work; `blocks` are what its tool has brought.
fn body(blocks: &str, stream: bool) -> String {
    format!(
        r#"{{ "model":"{CLAUDE}", "max_tokens" : 300, "stream":{stream},
  "context_management": {{"edits":[{{"type":"clear_tool_uses_20250919"}}]}}, "anthropic_beta":["context-management-2025-06-27"],
  "tools":[{{"name":"look","input_schema":{{"type":"object"}}}}],
  "messages":[ {{"role":"user","content":"look"}},
    {{"role":"assistant","content":[{{"type":"tool_use","id":"toolu_1","name":"look","input":{{"n":1.50}}}}]}},
    {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"toolu_1","content":[ {blocks} ]}} , {{"text":"say exactly: caf\u00e9","type":"text"}}]}} ] }}"#
    )
}

fn block(kind: &str, source: &str) -> String {
    format!(r#"{{"source" : {source}, "type":"{kind}"}}"#)
}

fn link(kind: &str, url: &str) -> String {
    block(kind, &format!(r#"{{"type":"url", "url":"{url}"}}"#))
}

fn base64(media_type: &str, bytes: &[u8]) -> String {
    format!(r#"{{"type":"base64","media_type":"{media_type}","data":"{}"}}"#, STANDARD.encode(bytes))
}

fn text(words: &str) -> String {
    format!(r#"{{"type":"text","media_type":"text/plain","data":{}}}"#, Value::from(words))
}

/// A body as it reaches the model.
fn sent(body: &str) -> String {
    let body = body.replacen(&format!(r#" "model":"{CLAUDE}", "max"#), r#" "anthropic_version":"bedrock-2023-05-31","max"#, 1);
    body.replacen(r#" "stream":false,"#, "", 1).replacen(r#" "stream":true,"#, "", 1)
}

fn without_space(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).collect()
}

#[tokio::test]
async fn pictures_and_documents_behind_addresses_reach_claude_and_the_rest_is_the_clients() {
    let web = WebServer::plain().await;
    let gateway = gateway(&web).await;
    let (pixel, report, notes) = (web.url("/to-pixel"), web.url("/report.pdf"), web.url("/notes.txt"));
    let asked = [link("image", &pixel), link("document", &report), link("document", &notes), link("image", &pixel)].join(",\n");
    let picture = block("image", &base64("image/png", PNG));
    let expected =
        [picture.clone(), block("document", &base64("application/pdf", PDF)), block("document", &text(NOTES)), picture].join(",\n");
    for stream in [false, true] {
        let answer = gateway.post_bytes(MESSAGES, &[], body(&asked, stream)).await;
        assert_eq!(
            (answer.status, answer.header("x-outcrop-adjusted")),
            (200, Some("messages.content.source=fetched")),
            "{}",
            answer.text()
        );
        let call = gateway.calls().pop().unwrap();
        let operation = if stream { Operation::InvokeModelWithResponseStream } else { Operation::InvokeModel };
        assert_eq!(call.operation, operation);
        let written = std::str::from_utf8(&call.body).unwrap();
        assert_eq!(without_space(written), without_space(&sent(&body(&expected, stream))));
        assert!(written.contains(r#"{"n":1.50}"#) && written.contains(r"caf\u00e9"), "{written}");
        // What only a body that passes keeps.
        if stream {
            let start: Value = answer.text().lines().find_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).unwrap();
            assert_eq!(start["message"]["usage"]["input_tokens"].as_u64(), Some(call.billed.unwrap().input), "{start}");
        } else {
            assert_eq!(answer.json()["context_management"], json!({"applied_edits": []}));
        }
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_body_with_addresses_counts_what_its_answer_is_billed_for() {
    let web = WebServer::plain().await;
    let gateway = gateway(&web).await;
    let asked = body(&[link("image", &web.url("/pixel.png")), link("document", &web.url("/report.pdf"))].join(","), false);
    let counted = gateway.post_bytes(COUNT, &[], asked.replace(r#""stream":false,"#, "")).await;
    assert_eq!(counted.header("x-outcrop-adjusted"), Some("messages.content.source=fetched"));
    let message = gateway.post_bytes(MESSAGES, &[], asked).await.ok();
    assert_eq!(counted.ok()["input_tokens"], message["usage"]["input_tokens"]);
    gateway.end().await;
}

/// The words of a refusal.
fn refusal(answer: &Answer) -> String {
    assert_eq!(answer.status, 400, "{}", answer.text());
    let body = answer.json();
    assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!("invalid_request_error")), "{body}");
    body["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn addresses_that_must_not_or_cannot_be_fetched_are_refused_with_their_field() {
    let web = WebServer::plain().await;
    let gateway = gateway(&web).await;
    let pixel = web.url("/pixel.png");
    for (kind, url) in [
        ("image", "http://127.0.0.1:1/x.png".to_owned()),
        ("image", "http://169.254.169.254/latest/meta-data/iam".to_owned()),
        ("document", "http://[::ffff:127.0.0.1]/x.pdf".to_owned()),
        ("image", web.url("/missing.png")),
        ("image", web.url("/to-metadata")),
        ("image", web.url("/page.html")),
        ("image", web.url("/large.png?30000000")),
        ("document", pixel.clone()),
    ] {
        let asked = body(&[link("image", &pixel), link(kind, &url)].join(","), false);
        for path in [MESSAGES, COUNT] {
            let message = refusal(&gateway.post_bytes(path, &[], asked.clone()).await);
            assert!(message.contains("messages.2.content.0.content.1.source.url"), "{url}: {message}");
            assert!(!message.contains("meta-data"), "{message}");
        }
    }
    gateway.untouched().await;
    gateway.end().await;
}
