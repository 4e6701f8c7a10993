//! The Anthropic dialect over HTTP: messages whole and streamed, tools, thinking, models, errors.

use std::time::Duration;

use http::Method;
use outcrop_sim::{Action, CutManner, Rule, ScriptedError};
use serde_json::{Value, json};

use crate::support::{Answer, CLAUDE, Client, TestGateway};

pub(crate) const MESSAGES: &str = "/anthropic/v1/messages";

fn says(text: &str) -> Value {
    json!({"model": CLAUDE, "max_tokens": 200, "messages": [{"role": "user", "content": text}]})
}

/// The events of a stream: name and data, which must agree.
pub(crate) fn events(answer: &Answer) -> Vec<Value> {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream; charset=utf-8")), "{}", answer.text());
    let event = |text: &str| {
        let (name, data) = text.strip_prefix("event: ").and_then(|rest| rest.split_once("\ndata: ")).unwrap_or_else(|| panic!("{text:?}"));
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["type"], name, "{text}");
        data
    };
    answer.text().split_terminator("\n\n").map(event).collect()
}

pub(crate) fn types(events: &[Value]) -> Vec<&str> {
    let all = events.iter().map(|event| event["type"].as_str().unwrap());
    // Upstream and we send signs of life wherever we like.
    let mut types: Vec<&str> = all.filter(|name| *name != "ping").collect();
    types.dedup();
    types
}

/// The message of a refusal of this status and type, in Anthropic's envelope.
#[track_caller]
pub(crate) fn refusal(answer: &Answer, status: u16, kind: &str) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    let body = answer.json();
    assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!(kind)), "{body}");
    assert_eq!(body["request_id"].as_str(), answer.header("request-id"), "{body}");
    assert!(answer.header("request-id").is_some_and(|id| id.starts_with("req_")));
    body["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_message_has_everything_a_client_reads() {
    let gateway = TestGateway::start().await;
    for path in [MESSAGES, "/v1/messages", "/anthropic/v1/messages?beta=true"] {
        let answer = gateway.post(path, &says("say exactly: Good morning")).await;
        let body = answer.ok();
        assert!(body["id"].as_str().unwrap().starts_with("msg_"), "{body}");
        assert_eq!((&body["type"], &body["role"], &body["stop_reason"]), (&json!("message"), &json!("assistant"), &json!("end_turn")));
        assert_eq!(body["content"], json!([{"type": "text", "text": "Good morning"}]));
        let billed = gateway.calls().last().unwrap().billed.clone().unwrap();
        assert_eq!(
            (body["usage"]["input_tokens"].as_u64(), body["usage"]["output_tokens"].as_u64()),
            (Some(billed.input), Some(billed.output))
        );
        assert_eq!(answer.header("request-id"), answer.header("x-request-id"));
        assert_eq!(answer.header("x-outcrop-model"), Some("anthropic.claude-sonnet-4-6"));
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_streamed_message_comes_in_the_order_that_clients_insist_on() {
    let gateway = TestGateway::start().await;
    let mut asks = says("say exactly: one two three four five");
    asks["stream"] = true.into();
    let events = events(&gateway.post(MESSAGES, &asks).await);
    let order = ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"];
    assert_eq!(types(&events), order);
    let text: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(text, "one two three four five");
    let billed = gateway.calls()[0].billed.clone().unwrap();
    let told = &events[events.len() - 2];
    assert_eq!((&told["delta"]["stop_reason"], told["usage"]["output_tokens"].as_u64()), (&json!("end_turn"), Some(billed.output)));
    assert_eq!(events[0]["message"]["usage"]["input_tokens"].as_u64(), Some(billed.input));
    gateway.end().await;
}

#[tokio::test]
async fn the_stop_text_is_told_by_every_model_where_there_was_only_one() {
    let gateway = TestGateway::start().await;
    for (model, stops, expected) in [
        (CLAUDE, json!(["7,"]), json!("7,")),
        (CLAUDE, json!(["none", "7,"]), json!("7,")),
        ("nova-lite", json!(["7,"]), json!("7,")),
        // Bedrock does not say which of them it was.
        ("nova-lite", json!(["none", "7,"]), Value::Null),
    ] {
        let mut asks = says("count to 100");
        (asks["model"], asks["stop_sequences"]) = (model.into(), stops);
        let whole = gateway.post(MESSAGES, &asks).await.ok();
        let told = |end: &Value| (end["stop_reason"].clone(), end["stop_sequence"].clone());
        assert_eq!(told(&whole), (json!("stop_sequence"), expected.clone()), "{model}: {whole}");
        asks["stream"] = true.into();
        let events = events(&gateway.post(MESSAGES, &asks).await);
        let delta = events.iter().find(|event| event["type"] == "message_delta").unwrap();
        assert_eq!(told(&delta["delta"]), (json!("stop_sequence"), expected), "{model}: {delta}");
        asks["messages"][0]["content"] = "count to 3".into();
        asks["stream"] = false.into();
        assert_eq!(told(&gateway.post(MESSAGES, &asks).await.ok()), (json!("end_turn"), Value::Null), "{model}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn tools_are_called_and_their_results_are_read_in_both_forms() {
    let gateway = TestGateway::start().await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let mut asks = says("call weather with {\"city\": \"Oslo\"}");
    asks["tools"] = json!([{"name": "weather", "description": "The weather of a city.", "input_schema": schema}]);
    asks["tool_choice"] = json!({"type": "tool", "name": "weather"});
    let called = gateway.post(MESSAGES, &asks).await.ok();
    assert_eq!(called["stop_reason"], "tool_use");
    let call = called["content"].as_array().unwrap().iter().find(|block| block["type"] == "tool_use").unwrap().clone();
    assert!(call["name"] == "weather" && call["input"]["city"].is_string(), "{call}");
    let mut streamed = asks.clone();
    streamed["stream"] = true.into();
    let events = events(&gateway.post(MESSAGES, &streamed).await);
    let input: String = events.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert!(serde_json::from_str::<Value>(&input).unwrap()["city"].is_string(), "{input}");
    let mut goes_on = asks.clone();
    goes_on["tool_choice"] = json!({"type": "auto"});
    goes_on["messages"] = json!([
        asks["messages"][0],
        {"role": "assistant", "content": called["content"]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call["id"], "content": [{"type": "text", "text": "rain"}], "is_error": false},
            {"type": "text", "text": "And what now?"},
        ]},
    ]);
    let answer = gateway.post(MESSAGES, &goes_on).await.ok();
    assert!(answer["content"][0]["text"].as_str().unwrap().contains("weather answered: rain"), "{answer}");
    gateway.end().await;
}

#[tokio::test]
async fn signed_thinking_survives_a_round_trip_to_the_letter() {
    let gateway = TestGateway::start().await;
    let mut asks = says("say exactly: thought through");
    asks["max_tokens"] = 4_000.into();
    asks["thinking"] = json!({"type": "enabled", "budget_tokens": 1_024});
    let answer = gateway.post(MESSAGES, &asks).await.ok();
    let thinking = &answer["content"][0];
    assert!(thinking["type"] == "thinking" && thinking["signature"].as_str().is_some_and(|signature| !signature.is_empty()), "{answer}");
    let mut streamed = asks.clone();
    streamed["stream"] = true.into();
    let events = events(&gateway.post(MESSAGES, &streamed).await);
    assert!(events.iter().any(|event| event["delta"]["type"] == "signature_delta"), "{events:?}");
    let mut next = asks.clone();
    next["messages"] = json!([
        asks["messages"][0],
        {"role": "assistant", "content": answer["content"]},
        {"role": "user", "content": "say exactly: again"},
    ]);
    // The simulator refuses signatures that it did not write.
    assert!(gateway.post(MESSAGES, &next).await.ok()["content"].as_array().unwrap().iter().any(|block| block["text"] == "again"));
    gateway.end().await;
}

#[tokio::test]
async fn bad_requests_are_told_in_anthropics_envelope() {
    let gateway = TestGateway::start().await;
    let without = |field: &str| {
        let mut body = says("hello");
        body.as_object_mut().unwrap().remove(field);
        body
    };
    for (body, word) in [
        (without("max_tokens"), "max_tokens"),
        (without("model"), "model"),
        (without("messages"), "messages"),
        (json!({"model": CLAUDE, "max_tokens": 0, "messages": [{"role": "user", "content": "x"}]}), "max_tokens"),
        (json!({"model": CLAUDE, "max_tokens": 9, "messages": [{"role": "robot", "content": "x"}]}), "messages.0"),
        (
            json!({"model": CLAUDE, "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "hologram"}]}]}),
            "messages.0.content.0",
        ),
        (json!([1, 2]), "object"),
    ] {
        let message = refusal(&gateway.post(MESSAGES, &body).await, 400, "invalid_request_error");
        assert!(message.contains(word), "{word}: {message}");
    }
    for bytes in ["", "{", "{\"model\": 1}", "\u{0}"] {
        refusal(&gateway.post_bytes(MESSAGES, &[], bytes).await, 400, "invalid_request_error");
    }
    refusal(
        &gateway.post(MESSAGES, &json!({"model": "no-such-model", "max_tokens": 9, "messages": says("x")["messages"]})).await,
        404,
        "not_found_error",
    );
    refusal(&gateway.method(Method::GET, MESSAGES).await, 405, "invalid_request_error");
    for path in ["/anthropic/v1/nothing", "/v1/messages/nothing", "/anthropic/v1/messages/batches"] {
        refusal(&gateway.post(path, &says("x")).await, 404, "not_found_error");
    }
    refusal(&gateway.post("/anthropic", &says("x")).await, 405, "invalid_request_error");
    let stranger = Client { key: Some("wrong".to_owned()), ..Client::clone(&gateway) };
    refusal(&stranger.post(MESSAGES, &says("x")).await, 401, "authentication_error");
    let nobody = Client { key: None, ..Client::clone(&gateway) };
    refusal(&nobody.get("/anthropic/v1/models").await, 401, "authentication_error");
    assert!(gateway.calls().iter().all(|call| call.billed.is_none()), "what Claude is asked it refuses itself");
    gateway.end().await;
}

#[tokio::test]
async fn upstreams_words_and_times_reach_the_client() {
    let gateway = TestGateway::builder().set("routing.max_wait=0s").start().await;
    gateway.simulator.script(Rule::once(Action::Error(ScriptedError::new(
        400,
        "ValidationException",
        "messages.3: words that agents match",
    ))));
    let message = refusal(&gateway.post(MESSAGES, &says("x")).await, 400, "invalid_request_error");
    assert_eq!(message, "messages.3: words that agents match");
    gateway.simulator.script(Rule::always(Action::Error(ScriptedError::throttling())));
    let throttled = gateway.post(MESSAGES, &says("x")).await;
    refusal(&throttled, 429, "rate_limit_error");
    assert!(throttled.header("retry-after").is_some());
    assert_eq!(throttled.header("x-outcrop-attempts"), Some("3"));
    gateway.end().await;
}

#[tokio::test]
async fn models_are_listed_page_by_page_and_shown_one_by_one() {
    let gateway = TestGateway::start().await;
    let all = gateway.get("/anthropic/v1/models?limit=1000").await.ok();
    let ids: Vec<&str> = all["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&CLAUDE) && all["has_more"] == false, "{ids:?}");
    let mut walked = Vec::new();
    let mut path = "/anthropic/v1/models?limit=7".to_owned();
    loop {
        let page = gateway.get(&path).await.ok();
        walked.extend(page["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()));
        if page["has_more"] == false {
            break;
        }
        path = format!("/anthropic/v1/models?limit=7&after_id={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(walked, ids);
    let one = gateway.get(&format!("/anthropic/v1/models/{CLAUDE}")).await.ok();
    assert_eq!((&one["type"], &one["id"]), (&json!("model"), &json!(CLAUDE)));
    refusal(&gateway.get("/anthropic/v1/models/nothing").await, 404, "not_found_error");
    refusal(&gateway.get("/anthropic/v1/models?limit=0").await, 400, "invalid_request_error");
    gateway.end().await;
}

#[tokio::test]
async fn a_stream_that_breaks_ends_in_an_error_event_and_a_silent_one_is_kept_alive_by_pings() {
    let gateway = TestGateway::builder().set("server.keep_alive_interval=1s").start().await;
    let mut asks = says("say exactly: one two three four five six seven eight nine ten");
    asks["stream"] = true.into();
    gateway.simulator.script(Rule::once(Action::CutAfterEvents { events: 4, manner: CutManner::Close }));
    let broken = events(&gateway.post(MESSAGES, &asks).await);
    let last = broken.last().unwrap();
    assert_eq!((&last["type"], &last["error"]["type"]), (&json!("error"), &json!("api_error")), "{broken:?}");
    assert!(!types(&broken).contains(&"message_stop"), "{broken:?}");
    gateway.simulator.script(Rule::once(Action::StallAfterEvents { events: 4, pause: Duration::from_millis(2_500) }));
    let stalled = events(&gateway.post(MESSAGES, &asks).await);
    assert!(stalled.iter().filter(|event| event["type"] == "ping").count() >= 2, "{stalled:?}");
    assert_eq!(stalled.last().unwrap()["type"], "message_stop");
    gateway.end().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_told_so() {
    let gateway = TestGateway::builder().set("server.body_limit=2KiB").start().await;
    refusal(&gateway.post(MESSAGES, &says(&"x".repeat(4_096))).await, 413, "request_too_large");
    gateway.end().await;
}

#[tokio::test]
async fn the_dialect_is_at_its_prefix_and_at_the_root_whatever_the_prefix() {
    for (prefix, elsewhere) in [("/anthropic", "/claude"), ("/claude", "/anthropic"), ("/deep/er", "/deep"), ("", "/anthropic")] {
        for openai in ["/v1", "/openai/v1", ""] {
            let gateway = TestGateway::builder()
                .set(format!("server.anthropic_prefix={prefix}"))
                .set(format!("server.openai_prefix={openai}"))
                .start()
                .await;
            let nobody = Client { key: None, ..Client::clone(&gateway) };
            for base in [prefix, ""] {
                let context = format!("{base} of {prefix:?} beside {openai:?}");
                let message = gateway.post(&format!("{base}/v1/messages?beta=true"), &says("say exactly: here")).await.ok();
                assert_eq!(message["content"][0]["text"], "here", "{context}");
                let counted = gateway.post(&format!("{base}/v1/messages/count_tokens"), &says("hello")).await.ok();
                assert!(counted["input_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{context}: {counted}");
                refusal(&gateway.post(&format!("{base}/v1/messages/nothing"), &says("x")).await, 404, "not_found_error");
                refusal(&gateway.get(&format!("{base}/v1/messages")).await, 405, "invalid_request_error");
                let alive = nobody.method(Method::HEAD, &format!("{base}/")).await;
                assert_eq!((alive.status, alive.body.len()), (200, 0), "{context}");

                let version = [("anthropic-version", "2023-06-01")];
                let models = format!("{base}/v1/models");
                let listed = gateway.get_with(&format!("{models}?limit=1"), &version).await.ok();
                assert_eq!((&listed["data"][0]["type"], &listed["has_more"]), (&json!("model"), &json!(true)), "{context}: {listed}");
                let one = gateway.get_with(&format!("{models}/{CLAUDE}"), &version).await.ok();
                assert_eq!((&one["type"], &one["id"]), (&json!("model"), &json!(CLAUDE)), "{context}");
                refusal(&gateway.get_with(&format!("{models}/nothing"), &version).await, 404, "not_found_error");
                refusal(&nobody.get_with(&models, &version).await, 401, "authentication_error");
                // Who names no version speaks the dialect whose path it is.
                let shape = if base.is_empty() && openai == "/v1" { ("object", "list") } else { ("has_more", "false") };
                let listed = gateway.get(&format!("{models}?limit=1000")).await.ok();
                assert_eq!(listed[shape.0].to_string().trim_matches('"'), shape.1, "{context}: {listed}");
            }
            let alive = nobody.method(Method::HEAD, if prefix.is_empty() { "/" } else { prefix }).await;
            assert_eq!((alive.status, alive.body.len()), (200, 0), "{prefix:?}");
            assert_eq!(gateway.get(&format!("{openai}/models")).await.ok()["object"], "list", "{prefix:?} {openai:?}");
            gateway.get("/").await.refusal(404, "invalid_request_error", None);
            assert_eq!(gateway.post(&format!("{elsewhere}/v1/messages"), &says("x")).await.status, 404, "{prefix:?}");
            gateway.end().await;
        }
    }
}
