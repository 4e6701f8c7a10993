//! What clients keep of a conversation and send again.

use serde_json::{Value, json};

use super::{blocks, called, chat, result, user};
use crate::{
    chat::base64_of,
    support::{CLAUDE, TestGateway, png_data_url},
    tools::{asking, calls, weather},
};

#[tokio::test]
async fn pain_02_reasoning_without_a_signature_is_never_sent_and_never_refused() {
    let gateway = TestGateway::start().await;
    let mut turn = json!({"role": "assistant", "content": "It is sunny.", "reasoning_content": "I looked out of the window."});
    turn["reasoning_details"] = json!([{"type": "reasoning.text", "text": "I looked out of the window.", "index": 0}]);
    let mut request = chat(&[user("How is the weather?"), turn, user("And tomorrow?")]);
    request["reasoning_effort"] = json!("low");
    let answer = gateway.chat(&request).await;
    answer.ok();
    assert!(!gateway.body().to_string().contains("reasoningContent"), "{}", gateway.body());
    assert!(answer.header("x-outcrop-adjusted").is_some_and(|adjusted| adjusted.contains("reasoning")), "{:?}", answer.headers);
    gateway.end().await;
}

#[tokio::test]
async fn pain_02_redacted_reasoning_makes_the_round() {
    let gateway = TestGateway::start().await;
    let mut request = asking("REDACTED_THINKING What is the weather in Paris?", &[weather("get_weather")]);
    request["reasoning_effort"] = json!("low");
    for streaming in [false, true] {
        let message = if streaming {
            gateway.streamed(&request).await.message()
        } else {
            gateway.completion(&request).await["choices"][0]["message"].clone()
        };
        let kinds: Vec<&str> =
            message["reasoning_details"].as_array().unwrap().iter().map(|detail| detail["type"].as_str().unwrap()).collect();
        assert!(kinds.contains(&"reasoning.encrypted"), "{message}");
        let mut next = request.clone();
        let id = message["tool_calls"][0]["id"].clone();
        next["messages"].as_array_mut().unwrap().extend([message, json!({"role": "tool", "tool_call_id": id, "content": "hail"})]);
        gateway.completion(&next).await;
        let sent = blocks(&gateway.bodies().pop().unwrap(), 1);
        assert!(sent.iter().any(|block| block["reasoningContent"]["redactedContent"].is_string()), "{sent:?}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn pain_03_tool_history_without_tools_is_answered_and_no_call_leaks() {
    let gateway = TestGateway::start().await;
    let history = [
        user("weather in Paris?"),
        called("get_weather", r#"{"city":"Paris"}"#, &["c1"]),
        result("c1", "sunny"),
        user("Summarise the weather talk"),
    ];
    for tools in [None, Some(json!([]))] {
        let mut request = chat(&history);
        if let Some(tools) = tools {
            request["tools"] = tools;
        }
        let body = gateway.completion(&request).await;
        assert_eq!(
            (body["choices"][0]["finish_reason"].as_str(), calls(&body["choices"][0]["message"]).len()),
            (Some("stop"), 0),
            "{body}"
        );
        let stream = gateway.streamed(&request).await;
        assert_eq!((stream.finish(0).as_str(), stream.tool_calls().len()), ("stop", 0));
    }
    assert!(gateway.bodies().iter().all(|body| body["toolConfig"]["tools"][0]["toolSpec"]["name"] == "get_weather"));
    gateway.end().await;
}

#[tokio::test]
async fn pain_04_empty_texts_are_removed() {
    let gateway = TestGateway::start().await;
    let mut turn = called("get_weather", r#"{"city":"Paris"}"#, &["c1"]);
    turn["content"] = json!("");
    let mut request = asking("", &[weather("get_weather")]);
    request["messages"] =
        json!([user("hello"), {"role": "assistant", "content": ""}, user("  \n "), user("weather in Paris?"), turn, result("c1", "")]);
    gateway.completion(&request).await;
    assert!(!gateway.body().to_string().contains(r#""text":"""#), "{}", gateway.body());
    gateway.end().await;
}

#[tokio::test]
async fn pain_05_parallel_results_share_one_turn_and_missing_ones_are_added() {
    let gateway = TestGateway::start().await;
    let mut request = asking("", &[weather("get_weather")]);
    let turn = called("get_weather", r#"{"city":"x"}"#, &["c1", "c2", "c3"]);
    request["messages"] =
        json!([user("weather?"), turn, result("c3", "three"), result("c1", "one"), result("ghost", "boo"), user("go on")]);
    let answer = gateway.chat(&request).await;
    answer.ok();
    let body = gateway.body();
    assert_eq!(body["messages"].as_array().unwrap().len(), 3, "{body}");
    let sent = blocks(&body, 2);
    let ids: Vec<&str> = sent.iter().filter_map(|block| block["toolResult"]["toolUseId"].as_str()).collect();
    assert_eq!(ids, ["c1", "c2", "c3"]);
    assert_eq!(sent[1]["toolResult"]["status"], "error");
    assert!(answer.header("x-outcrop-adjusted").is_some(), "{:?}", answer.headers);
    gateway.end().await;
}

#[tokio::test]
async fn pain_06_a_long_tool_name_goes_out_short_and_comes_back_whole() {
    let gateway = TestGateway::start().await;
    let name = format!("mcp__weather.station__{}", "x".repeat(45));
    assert_eq!(name.len(), 67);
    let mut request = asking("What is the weather in Paris?", &[weather(&name), weather("has space")]);
    request["tool_choice"] = json!({"type": "function", "function": {"name": name}});
    let body = gateway.completion(&request).await;
    let message = body["choices"][0]["message"].clone();
    assert_eq!(calls(&message)[0].0, name);
    let stream = gateway.streamed(&request).await;
    assert_eq!(stream.tool_calls()[0]["function"]["name"], *name);
    let id = message["tool_calls"][0]["id"].as_str().unwrap().to_owned();
    request["messages"].as_array_mut().unwrap().extend([message, result(&id, "fog")]);
    request["tool_choice"] = json!("auto");
    gateway.completion(&request).await;
    let bodies = gateway.bodies();
    let short = bodies[0]["toolConfig"]["tools"][0]["toolSpec"]["name"].as_str().unwrap();
    assert!(short.len() <= 64 && !short.contains('.'), "{short}");
    assert_eq!(bodies[0]["toolConfig"]["toolChoice"]["tool"]["name"], short);
    assert!(blocks(&bodies[2], 1).iter().any(|block| block["toolUse"]["name"] == short), "{}", bodies[2]);
    gateway.end().await;
}

#[tokio::test]
async fn pain_07_malformed_old_arguments_never_break_a_conversation() {
    let gateway = TestGateway::start().await;
    for arguments in ["", "{\"city\": \"Par", "not json", "[1]", "\"text\"", "null", "{\"a\":1}{\"b\":2}", "\u{0}"] {
        let mut request = asking("", &[weather("get_weather")]);
        request["messages"] = json!([user("weather?"), called("get_weather", arguments, &["c1"]), result("c1", "sunny")]);
        gateway.completion(&request).await;
        let input = blocks(&gateway.bodies().pop().unwrap(), 1)[0]["toolUse"]["input"].clone();
        assert!(input.is_object(), "{arguments:?}: {input}");
        assert_eq!(matches!(arguments, "" | "null"), input == json!({}), "{arguments:?}: {input}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn pain_13_instructions_in_mid_conversation_keep_the_prefix() {
    let gateway = TestGateway::start().await;
    let mut messages = vec![json!({"role": "system", "content": "Be brief."}), user("hello")];
    gateway.completion(&chat(&messages)).await;
    messages.extend([
        json!({"role": "assistant", "content": "Hi."}),
        json!({"role": "system", "content": "Now be long."}),
        user("Tell me more"),
    ]);
    gateway.completion(&chat(&messages)).await;
    messages.extend([json!({"role": "assistant", "content": "More."}), user("And more")]);
    gateway.completion(&chat(&messages)).await;
    let bodies = gateway.bodies();
    for pair in bodies.windows(2) {
        assert_eq!(pair[0]["system"], pair[1]["system"], "the front of the prompt moved");
        let (before, after) = (pair[0]["messages"].as_array().unwrap(), pair[1]["messages"].as_array().unwrap());
        assert_eq!(before[..], after[..before.len()], "an earlier turn changed");
    }
    assert!(bodies[1]["messages"].to_string().contains("Now be long."), "{}", bodies[1]);
    gateway.end().await;
}

#[tokio::test]
async fn pain_35_structured_output_and_thinking_go_together() {
    let gateway = TestGateway::start().await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false});
    for model in [CLAUDE, "claude-3-7-sonnet", "claude-opus-5", "amazon.nova-2-lite-v1:0"] {
        let request = json!({"model": model, "reasoning_effort": "low", "messages": [user("I live in Paris")],
            "response_format": {"type": "json_schema", "json_schema": {"name": "home", "schema": schema}}});
        let body = gateway.completion(&request).await;
        let stream = gateway.streamed(&request).await;
        let texts = [body["choices"][0]["message"]["content"].as_str().unwrap().to_owned(), stream.text()];
        for text in texts {
            assert_eq!(
                serde_json::from_str::<Value>(&text).unwrap_or_else(|fault| panic!("{model}: {fault}: {text}"))["city"],
                "Paris",
                "{model}"
            );
        }
        assert_eq!((body["choices"][0]["finish_reason"].as_str(), stream.finish(0).as_str()), (Some("stop"), "stop"), "{model}");
        assert_eq!((calls(&body["choices"][0]["message"]).len(), stream.tool_calls().len()), (0, 0), "{model}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn pain_36_document_names_are_made_fit() {
    let gateway = TestGateway::start().await;
    let file = |name: &str| json!({"type": "file", "file": {"filename": name, "file_data": format!("data:text/plain;base64,{}", base64_of(b"text"))}});
    let names = ["Übersicht_2026 (final)  v2.txt", "Übersicht_2026 (final)  v2.txt", "../../etc/passwd", "🎉.txt"];
    let mut content: Vec<Value> = names.iter().map(|name| file(name)).collect();
    content.push(json!({"type": "text", "text": "What do they say?"}));
    gateway.completion(&json!({"model": CLAUDE, "messages": [{"role": "user", "content": content}]})).await;
    let sent: std::collections::BTreeSet<String> =
        blocks(&gateway.body(), 0).iter().filter_map(|block| block["document"]["name"].as_str().map(str::to_owned)).collect();
    assert_eq!(sent.len(), names.len(), "{sent:?}");
    gateway.end().await;
}

#[tokio::test]
async fn pain_37_a_picture_that_is_too_large_is_named_before_it_is_sent() {
    let gateway = TestGateway::start().await;
    let mut large = crate::support::PNG.to_vec();
    large[16..20].copy_from_slice(&9000u32.to_be_bytes());
    let part = |url: String| json!({"type": "image_url", "image_url": {"url": url}});
    let content =
        json!([{"type": "text", "text": "Compare"}, part(png_data_url()), part(format!("data:image/png;base64,{}", base64_of(&large)))]);
    let answer = gateway.chat(&json!({"model": CLAUDE, "messages": [{"role": "user", "content": content}]})).await;
    let code = answer.json()["error"]["code"].as_str().map(str::to_owned);
    let message = answer.refusal(400, "invalid_request_error", code.as_deref());
    assert!(message.contains("9000") || message.contains("8000") || message.contains("dimensions"), "{message}");
    gateway.end().await;
}
