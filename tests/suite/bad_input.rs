//! What clients send by mistake or malice: the right status and OpenAI's envelope, or a closed connection; AWS is never asked
//! and nothing is left running.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::{
    chat::{base64_of, says},
    every_route::{addresses_within, no_json},
    support::{CLAUDE, Client, EAST, KEY, Raw, TestGateway, WebServer},
    tools::weather,
};

pub const CHAT: &str = "/v1/chat/completions";
pub const INVALID: &str = "invalid_request_error";

pub async fn gateway() -> TestGateway {
    TestGateway::builder().regions([EAST]).start().await
}

/// Status, code and field of the refusal of a body.
async fn refused(gateway: &TestGateway, body: impl Into<Vec<u8>>) -> (u16, Option<String>, Option<String>) {
    let answer = gateway.post_bytes(CHAT, &[], body.into()).await;
    let code = answer.json()["error"]["code"].as_str().map(str::to_owned);
    answer.refusal(answer.status, INVALID, code.as_deref());
    (answer.status, code, answer.param())
}

fn refusal(status: u16, code: Option<&str>, param: Option<&str>) -> (u16, Option<String>, Option<String>) {
    (status, code.map(str::to_owned), param.map(str::to_owned))
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused() {
    let gateway = gateway().await;
    let whole = says("hello").to_string();
    for body in no_json(&whole) {
        assert_eq!(refused(&gateway, body).await, refusal(400, None, None), "{:?}", String::from_utf8_lossy(body));
    }
    let mut invalid_utf8 = says("X").to_string().into_bytes();
    let at = invalid_utf8.iter().position(|byte| *byte == b'X').unwrap();
    for bytes in [b"\xff".as_slice(), b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f"] {
        let body = [&invalid_utf8[..at], bytes, &invalid_utf8[at + 1..]].concat();
        assert_eq!(refused(&gateway, body).await, refusal(400, None, None), "{bytes:?}");
    }
    // Half of a pair of surrogates is no character either.
    invalid_utf8.splice(at..=at, *b"\\ud83d");
    assert_eq!(refused(&gateway, invalid_utf8).await, refusal(400, None, None));
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn wrong_types_are_refused_by_name() {
    let gateway = gateway().await;
    let message = json!([{"role": "user", "content": "hello"}]);
    let wrong = [
        (json!({"model": 5, "messages": message}), "model"),
        (json!({"model": CLAUDE, "messages": "hello"}), "messages"),
        (json!({"model": CLAUDE, "messages": {"role": "user"}}), "messages"),
        (json!({"model": CLAUDE, "messages": ["hello"]}), "messages.0"),
        (json!({"model": CLAUDE, "messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}), "messages.0.content.0.text"),
        (json!({"model": CLAUDE, "messages": message, "max_tokens": "many"}), "max_tokens"),
        (json!({"model": CLAUDE, "messages": message, "temperature": {}}), "temperature"),
        (json!({"model": CLAUDE, "messages": message, "stream": "yes"}), "stream"),
        (json!({"model": CLAUDE, "messages": message, "tools": "all"}), "tools"),
    ];
    for (body, field) in wrong {
        assert_eq!(refused(&gateway, body.to_string()).await, refusal(400, Some("invalid_type"), Some(field)), "{body}");
    }
    for body in ["[]", "\"hello\"", "null", "5"] {
        assert_eq!(refused(&gateway, body).await, refusal(400, Some("invalid_type"), None), "{body}");
    }
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn requests_without_their_parts_are_refused_by_name() {
    let gateway = gateway().await;
    let message = json!([{"role": "user", "content": "hello"}]);
    let missing = Some("missing_required_parameter");
    assert_eq!(refused(&gateway, json!({"messages": message}).to_string()).await, refusal(400, missing, Some("model")));
    assert_eq!(refused(&gateway, json!({"model": "", "messages": message}).to_string()).await, refusal(400, missing, Some("model")));
    for (body, field) in [
        (json!({"model": CLAUDE}), "messages"),
        (json!({"model": CLAUDE, "messages": []}), "messages"),
        (json!({"model": CLAUDE, "messages": [{"content": "hello"}]}), "messages.0.role"),
        (json!({"model": CLAUDE, "messages": [{"role": "wizard", "content": "hello"}]}), "messages.0.role"),
        (json!({"model": CLAUDE, "messages": message, "n": 0}), "n"),
        (json!({"model": CLAUDE, "messages": message, "n": -1}), "n"),
        (json!({"model": CLAUDE, "messages": message, "n": 1000}), "n"),
    ] {
        let (status, _, param) = refused(&gateway, body.to_string()).await;
        assert_eq!((status, param.as_deref()), (400, Some(field)), "{body}");
    }
    let unknown = says("hello").to_string().replace(CLAUDE, "gpt-17-ultra");
    assert_eq!(refused(&gateway, unknown).await, refusal(404, Some("model_not_found"), Some("model")));
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn a_stream_that_cannot_begin_is_refused_with_a_true_status() {
    let gateway = gateway().await;
    for (body, status, code) in [
        (json!({"model": "no-such-model", "messages": [{"role": "user", "content": "hi"}]}), 404, Some("model_not_found")),
        (json!({"model": CLAUDE, "messages": []}), 400, None),
    ] {
        let answer = gateway.open(&body).await.answer().await;
        let told = answer.json()["error"]["code"].as_str().map(str::to_owned);
        answer.refusal(status, INVALID, told.as_deref());
        assert!(code.is_none() || told.as_deref() == code, "{told:?}");
    }
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_declared_or_not() {
    let gateway = TestGateway::builder().regions([EAST]).set("server.body_limit=64 KiB").start().await;
    let large = says(&"x".repeat(1 << 20)).to_string();
    let too_large = |answer: crate::support::Answer| {
        let message = answer.refusal(413, INVALID, Some("request_too_large"));
        assert!(message.contains("65536"), "{message}");
    };
    too_large(gateway.post_bytes(CHAT, &[], large.clone()).await);

    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n");
    // A careful client asks before it sends.
    let mut asking = Raw::connect(gateway.address).await;
    asking.send(format!("{head}expect: 100-continue\r\ncontent-length: {}\r\n\r\n", large.len())).await;
    too_large(asking.answer().await.expect("an answer before the body"));
    // A chunked body says nothing of its length.
    let mut chunked = Raw::connect(gateway.address).await;
    chunked.send(format!("{head}transfer-encoding: chunked\r\n\r\n")).await;
    for piece in large.as_bytes().chunks(16 << 10) {
        let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        if !chunked.send(framed).await {
            break;
        }
    }
    too_large(chunked.answer().await.expect("an answer within the body"));
    // A lie about the length is seen at once, whatever follows.
    let mut lying = Raw::connect(gateway.address).await;
    lying.send(format!("{head}content-length: 99999999999999999999\r\n\r\n")).await;
    let refused = lying.answer().await;
    assert!(refused.is_none_or(|answer| answer.status == 400 || answer.status == 413));
    gateway.untouched().await;

    let fits = says(&format!("say exactly: {}", "y".repeat(60 << 10)));
    assert_eq!(gateway.completion(&fits).await["choices"][0]["finish_reason"], "stop");
    gateway.end().await;
}

#[tokio::test]
async fn a_huge_or_endless_head_is_refused() {
    let gateway = TestGateway::builder().regions([EAST]).set("server.header_limit=16 KiB").start().await;
    let long_value = format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "v".repeat(20 << 10));
    let long_path = format!("GET /v1/models/{} HTTP/1.1\r\nhost: x\r\n\r\n", "p".repeat(70_000));
    let lines = |count: usize| {
        let lines: String = (0..count).map(|number| format!("x-{number}: v\r\n")).collect();
        format!("GET /v1/models HTTP/1.1\r\nhost: x\r\n{lines}\r\n")
    };
    for head in [long_value, long_path, lines(101)] {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(&head).await;
        let answer = raw.answer().await;
        assert!(answer.is_none_or(|answer| matches!(answer.status, 414 | 431)), "{}", &head[..60]);
        raw.rest().await;
    }
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(&lines(95)).await;
    assert_eq!(raw.answer().await.unwrap().status, 401, "as many as fit are read, and then the key is missed");
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn what_is_no_http_is_answered_with_400_or_a_closed_connection() {
    let gateway = gateway().await;
    let nonsense: [&[u8]; 8] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS greeting",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"hello, is this a gateway?\r\n\r\n",
        b"GET /v1/models HTTP/7.3\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost x\r\n\r\n",
        b"GET /v1/ models HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    ];
    for bytes in nonsense {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(bytes).await;
        let answer = raw.answer().await;
        let refused = answer.as_ref().is_none_or(|answer| matches!(answer.status, 400 | 401 | 505));
        assert!(refused, "{:?}: {answer:?}", String::from_utf8_lossy(bytes));
        raw.finish().await;
        raw.rest().await;
    }
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn a_wrong_key_and_no_key_are_refused() {
    let gateway = gateway().await;
    let stranger = |key: Option<&str>| Client { address: gateway.address, key: key.map(str::to_owned) };
    for key in [None, Some("sk-wrong"), Some(""), Some("tester:sk-test-key"), Some("sk-test-ke"), Some("sk-test-key2")] {
        for path in [CHAT, "/v1/explain/chat/completions"] {
            let answer = stranger(key).post(path, &says("hello")).await;
            let message = answer.refusal(401, INVALID, Some("invalid_api_key"));
            assert!(!message.contains("sk-"), "the answer shows a key: {message}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
        for path in ["/v1/models", "/v1/models/claude-sonnet-4-6", "/v1/available_models"] {
            stranger(key).get(path).await.refusal(401, INVALID, Some("invalid_api_key"));
        }
    }
    gateway.untouched().await;
    let by_header = stranger(None).post_with(CHAT, &[("x-api-key", KEY)], &says("hello")).await;
    assert_eq!(by_header.status, 200);
    gateway.end().await;
}

#[tokio::test]
async fn a_key_may_be_bound_to_models() {
    let gateway = TestGateway::builder()
        .regions([EAST])
        .set(r#"keys.key=[{ id = "narrow", secret = "sk-narrow", models = ["amazon.nova-*"] }]"#)
        .start()
        .await;
    let narrow = Client { address: gateway.address, key: Some("sk-narrow".to_owned()) };
    narrow.chat(&says("hello")).await.refusal(403, "permission_error", None);
    gateway.untouched().await;
    assert_eq!(narrow.get("/v1/models/claude-sonnet-4-6").await.status, 404);
    let listed = narrow.get("/v1/models").await.ok();
    assert!(listed["data"].as_array().unwrap().iter().all(|model| model["id"].as_str().unwrap().contains("nova")), "{listed}");
    assert_eq!(narrow.chat(&json!({"model": "nova-lite", "messages": [{"role": "user", "content": "hi"}]})).await.status, 200);
    gateway.end().await;
}

fn picture(url: &str) -> Value {
    json!({"model": CLAUDE, "messages": [{"role": "user", "content": [
        {"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}},
    ]}]})
}

#[tokio::test]
async fn addresses_that_must_not_or_cannot_be_fetched_are_refused() {
    let web = WebServer::plain().await;
    let gateway = TestGateway::builder().regions([EAST]).set(format!("fetch.allowed_hosts=127.0.0.1:{}", web.address.port())).start().await;
    let mut urls = addresses_within(web.address.port());
    urls.extend([
        "https://user:secret@example.com/x.png".to_owned(),
        "http://no-such-host.invalid/x.png".to_owned(),
        web.url("/missing.png"),
        web.url("/to-metadata"),
        web.url("/page.html"),
    ]);
    for url in &urls {
        let answer = gateway.chat(&picture(url)).await;
        let message = answer.refusal(400, INVALID, Some("failed_to_download"));
        assert!(answer.param().is_some_and(|param| param.starts_with("messages.0.content.1")), "{url}: {:?}", answer.param());
        assert!(!message.contains("secret") && !message.contains("meta-data"), "{message}");
    }
    for url in [
        "ftp://example.com/x.png",
        "file:///etc/passwd",
        "gopher://x",
        "//example.com/x.png",
        "x.png",
        "",
        "data:",
        "data:image/png;base64,%%%",
    ] {
        let answer = gateway.chat(&picture(url)).await;
        let code = answer.json()["error"]["code"].as_str().map(str::to_owned);
        answer.refusal(400, INVALID, code.as_deref());
        assert!(answer.param().is_some_and(|param| param.starts_with("messages.0.content.1")), "{url}: {:?}", answer.param());
    }
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn what_is_no_picture_is_refused_before_it_is_sent() {
    let gateway = gateway().await;
    for (kind, bytes) in
        [("image/png", b"plain text, no picture".as_slice()), ("image/jpeg", b"\x00\x01\x02\x03"), ("application/x-msdownload", b"MZ\x90")]
    {
        let answer = gateway.chat(&picture(&format!("data:{kind};base64,{}", base64_of(bytes)))).await;
        let code = answer.json()["error"]["code"].as_str().map(str::to_owned);
        answer.refusal(400, INVALID, code.as_deref());
        assert!(answer.param().is_some_and(|param| param.starts_with("messages.0.content.1")), "{kind}: {}", answer.text());
    }
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn ten_thousand_tools_are_refused() {
    let gateway = gateway().await;
    let tools: Vec<Value> = (0..10_000).map(|number| weather(&format!("tool_{number}"))).collect();
    let body = json!({"model": CLAUDE, "tools": tools, "messages": [{"role": "user", "content": "hello"}]});
    let (status, _, param) = refused(&gateway, body.to_string()).await;
    assert_eq!((status, param.as_deref()), (400, Some("tools")));
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn json_nested_a_hundred_thousand_levels_deep_is_refused_wherever_it_stands() {
    let gateway = gateway().await;
    let arrays = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let messages = r#"[{"role":"user","content":"hello"}]"#;
    for deep in [arrays, objects] {
        let bodies = [
            deep.clone(),
            format!(r#"{{"model":"{CLAUDE}","messages":{messages},"metadata":{deep}}}"#),
            format!(r#"{{"model":"{CLAUDE}","messages":{messages},"unheard_of":{deep}}}"#),
            format!(r#"{{"model":"{CLAUDE}","messages":{deep}}}"#),
            format!(r#"{{"model":"{CLAUDE}","messages":[{{"role":"user","content":"hello","unheard_of":{deep}}}]}}"#),
            format!(r#"{{"model":"{CLAUDE}","messages":[{{"role":"user","content":{deep}}}]}}"#),
            format!(
                r#"{{"model":"{CLAUDE}","messages":{messages},"tools":[{{"type":"function","function":{{"name":"f","parameters":{deep}}}}}]}}"#
            ),
            format!(
                r#"{{"model":"{CLAUDE}","messages":{messages},"response_format":{{"type":"json_schema","json_schema":{{"name":"s","schema":{deep}}}}}}}"#
            ),
        ];
        for body in bodies {
            let (status, _, _) = refused(&gateway, body.as_bytes()).await;
            assert_eq!(status, 400, "{}...", &body[..120]);
        }
        // In the text of old arguments, it is only text.
        let arguments = serde_json::to_string(&deep).unwrap();
        let body = format!(
            r#"{{"model":"{CLAUDE}","messages":[{messages},{{"role":"assistant","tool_calls":[{{"id":"c1","type":"function","function":{{"name":"f","arguments":{arguments}}}}}]}},{{"role":"tool","tool_call_id":"c1","content":"x"}}]}}"#
        )
        .replace(&format!("[{messages},"), &format!("[{},", &messages[1..messages.len() - 1]));
        let answer = gateway.post_bytes(CHAT, &[], body).await;
        assert!(matches!(answer.status, 200 | 400), "{}", answer.text());
    }
    gateway.end().await;
}

#[tokio::test]
async fn wrong_methods_and_unknown_urls_are_told_apart() {
    let gateway = gateway().await;
    for (method, path, allowed) in [
        (Method::GET, CHAT, "POST"),
        (Method::DELETE, CHAT, "POST"),
        (Method::PUT, CHAT, "POST"),
        (Method::POST, "/v1/models", "GET,HEAD"),
        (Method::DELETE, "/v1/models/claude-sonnet-4-6", "GET,HEAD"),
    ] {
        let answer = gateway.method(method.clone(), path).await;
        answer.refusal(405, INVALID, Some("method_not_allowed"));
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
    for (method, path) in [
        (Method::GET, "/"),
        (Method::POST, "/v1/chat/completion"),
        (Method::POST, "/chat/completions"),
        (Method::GET, "/v2/models"),
        (Method::GET, "/v1/chat/completions/../../secret"),
        (Method::OPTIONS, "/v1"),
    ] {
        gateway.method(method, path).await.refusal(404, INVALID, None);
    }
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn compressed_bodies_are_refused() {
    let gateway = gateway().await;
    for encoding in ["gzip", "br", "zstd", "deflate"] {
        let answer = gateway.post_bytes(CHAT, &[("content-encoding", encoding)], &b"\x1f\x8b\x08\x00\x00"[..]).await;
        let message = answer.refusal(400, INVALID, None);
        assert!(message.contains("compressed"), "{message}");
    }
    gateway.untouched().await;
    let plain = gateway.post_with(CHAT, &[("content-encoding", "identity")], &says("hello")).await;
    assert_eq!(plain.status, 200);
    gateway.end().await;
}

#[tokio::test]
async fn numbers_out_of_range_are_refused_here_or_by_aws_but_never_break_anything() {
    let gateway = gateway().await;
    for (field, values) in [
        ("max_tokens", ["0", "-1", "1e30", "99999999999999999999", "1.5"]),
        ("temperature", ["-1", "99", "1e308", "1e400", "-0.0001"]),
        ("top_p", ["-1", "2", "1e308", "1e-400", "-5e-324"]),
        ("n", ["1.5", "1e2", "18446744073709551616", "-0", "129"]),
        ("seed", ["1e400", "-1e400", "1e999999", "--1", "01"]),
    ] {
        for value in values {
            let body = format!(r#"{{"model":"{CLAUDE}","messages":[{{"role":"user","content":"hello"}}],"{field}":{value}}}"#);
            let answer = gateway.post_bytes(CHAT, &[], body).await;
            if answer.status != 200 {
                let code = answer.json()["error"]["code"].as_str().map(str::to_owned);
                answer.refusal(400, INVALID, code.as_deref());
            }
        }
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_giant_word_where_a_short_one_belongs_is_refused_without_an_echo() {
    let gateway = gateway().await;
    let giant = "x".repeat(1 << 20);
    let message = json!([{"role": "user", "content": "hello"}]);
    for body in [
        json!({"model": giant, "messages": message}),
        json!({"model": CLAUDE, "messages": [{"role": giant, "content": "hello"}]}),
        json!({"model": CLAUDE, "messages": message, "reasoning_effort": giant}),
        json!({"model": CLAUDE, "messages": message, "service_tier": giant}),
        json!({"model": CLAUDE, "messages": message, "tool_choice": giant}),
        json!({"model": CLAUDE, "messages": message, "response_format": {"type": giant}}),
        json!({"model": CLAUDE, "messages": [{"role": "user", "content": [{"type": giant}]}]}),
        json!({"model": CLAUDE, "messages": message, "tools": [{"type": giant}]}),
        json!({"model": CLAUDE, "messages": message, "tools": [weather("f")], "tool_choice": {"type": "function", "function": {"name": giant}}}),
    ] {
        let answer = gateway.post_bytes(CHAT, &[], body.to_string()).await;
        let shown: String = body.to_string().chars().take(100).collect();
        assert!(matches!(answer.status, 400 | 404), "{}: {shown}", answer.status);
        assert!(answer.body.len() < 4096, "{} bytes of the caller's own words come back: {shown}", answer.body.len());
    }
    for line in gateway.records.lines() {
        let size = format!("{line:?}").len();
        assert!(size < 8192, "a log line of {size} bytes");
    }
    gateway.untouched().await;
    gateway.end().await;
}

#[tokio::test]
async fn odd_names_of_unknown_fields_break_neither_headers_nor_lines() {
    let gateway = gateway().await;
    let giant = "y".repeat(100_000);
    for name in ["x\r\nset-cookie: a=b", "a,b=c,d", "größe", "\u{0}", "", giant.as_str()] {
        let mut message = json!({"role": "user", "content": [{"type": "text", "text": "hello"}]});
        message[name] = json!(1);
        message["content"][0][name] = json!(1);
        let mut tool = weather("get_weather");
        tool[name] = json!(1);
        tool["function"][name] = json!(1);
        let answer = gateway.post_bytes(CHAT, &[], json!({"model": CLAUDE, "messages": [message], "tools": [tool]}).to_string()).await;
        answer.ok();
        assert!(answer.header("set-cookie").is_none());
        let told = answer.header("x-outcrop-adjusted").unwrap_or_default();
        assert!(
            told.len() <= 2048 && told.split(',').all(|change| change.is_empty() || change.matches('=').count() == 1),
            "{name:?}: {told}"
        );
        assert!(gateway.records.lines().pop().unwrap().job.unwrap().adjusted.len() <= 4096, "the log line grows with the caller's words");
    }
    let mut request = says("hello");
    for number in 0..200_000 {
        request["messages"][0][format!("unknown_{number}")] = json!(1);
    }
    // Work that grows with the square of the names would take hours.
    tokio::time::timeout(Duration::from_secs(120), gateway.chat(&request)).await.expect("an answer").ok();
    assert!(gateway.records.lines().pop().unwrap().job.unwrap().adjusted.len() <= 4096, "the log line grows with the caller's words");
    gateway.end().await;
}
