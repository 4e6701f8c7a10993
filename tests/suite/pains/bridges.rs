//! Bodies of one API that clients send to another.

use serde_json::{Value, json};

use crate::support::{CLAUDE, TestGateway, png_data_url};

/// A body as Cursor sends it to the chat path: items, flat tools, parts by their Responses names.
fn cursors(text: &str) -> Value {
    json!({
        "model": CLAUDE,
        "instructions": "Be brief.",
        "input": [
            {"role": "system", "content": "You edit code."},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]},
        ],
        "tools": [{"type": "function", "name": "get_weather", "description": "The weather of a city.", "strict": false,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}],
        "tool_choice": "auto",
        "store": false,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "low", "summary": "auto"},
        "prompt_cache_key": "c0ffee",
        "max_output_tokens": 4_000,
        "text": {"verbosity": "medium"},
    })
}

#[tokio::test]
async fn pain_34_a_responses_body_on_the_chat_path_is_answered_in_chat_chunks() {
    let gateway = TestGateway::start().await;
    let stream = gateway.streamed(&cursors("say exactly: Good morning")).await;
    assert_eq!((stream.text().as_str(), stream.finish(0).as_str()), ("Good morning", "stop"));
    assert!(stream.usage()["total_tokens"].as_u64().is_some());
    let sent = gateway.body();
    assert_eq!((&sent["system"][0]["text"], &sent["system"][1]["text"]), (&json!("Be brief."), &json!("You edit code.")), "{sent}");
    assert_eq!(sent["toolConfig"]["tools"][0]["toolSpec"]["name"], "get_weather");
    assert_eq!(sent["inferenceConfig"]["maxTokens"], 4_000);
    let adjusted = stream.headers.get("x-outcrop-adjusted").map(|told| told.to_str().unwrap().to_owned()).unwrap_or_default();
    assert!(adjusted.contains("include=ignored") && !adjusted.contains("input"), "{adjusted}");
    let whole = gateway.completion(&cursors("say exactly: Good morning")).await;
    assert!(whole["object"] == "chat.completion" && whole["choices"][0]["message"]["content"] == "Good morning", "{whole}");
    gateway.end().await;
}

#[tokio::test]
async fn pain_34_a_responses_body_calls_tools_and_brings_their_outputs_back() {
    let gateway = TestGateway::start().await;
    let mut asks = cursors(r#"call get_weather with {"city": "Oslo"}"#);
    let stream = gateway.streamed(&asks).await;
    let calls = stream.tool_calls();
    assert_eq!((stream.finish(0).as_str(), calls.len(), &calls[0]["function"]["name"]), ("tool_calls", 1, &json!("get_weather")));
    let id = calls[0]["id"].clone();
    asks["input"].as_array_mut().unwrap().extend([
        json!({"type": "function_call", "call_id": id, "name": "get_weather", "arguments": calls[0]["function"]["arguments"]}),
        json!({"type": "function_call_output", "call_id": id, "output": "hail"}),
    ]);
    let stream = gateway.streamed(&asks).await;
    assert!(stream.text().contains("get_weather answered: hail"), "{}", stream.text());
    gateway.end().await;
}

#[tokio::test]
async fn pain_34_pictures_in_a_responses_body_reach_the_model_and_bad_items_are_named() {
    let gateway = TestGateway::start().await;
    let mut asks = cursors("hello");
    asks["input"][1]["content"].as_array_mut().unwrap().push(json!({"type": "input_image", "image_url": png_data_url()}));
    gateway.streamed(&asks).await;
    assert!(gateway.body().to_string().contains(r#""format":"png""#), "{}", gateway.body());
    let calls = gateway.calls().len();
    for (member, value, param) in [
        ("previous_response_id", json!("resp_1"), "previous_response_id"),
        ("input", json!([]), "input"),
        ("input", json!([{"role": "wizard", "content": "x"}]), "input[0].role"),
        ("input", json!([{"type": "function_call_output", "output": "x"}]), "input[0].call_id"),
        ("input", json!(7), "input"),
    ] {
        let mut wrong = cursors("hello");
        // Instructions alone would do: they become the user's words.
        wrong["instructions"] = Value::Null;
        wrong[member] = value;
        let answer = gateway.chat(&wrong).await;
        let code = answer.json()["error"]["code"].as_str().map(str::to_owned);
        answer.refusal(400, "invalid_request_error", code.as_deref());
        assert_eq!(answer.param().as_deref(), Some(param), "{wrong}");
    }
    assert_eq!(gateway.calls().len(), calls);
    gateway.end().await;
}
