//! Tools: called, called in parallel, forced, forbidden, answered.

use serde_json::{Value, json};

use crate::support::{CLAUDE, TestGateway};

pub fn weather(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}})
}

pub fn asking(text: &str, tools: &[Value]) -> Value {
    json!({"model": CLAUDE, "tools": tools, "messages": [{"role": "user", "content": text}]})
}

/// Name and decoded arguments of each call.
pub fn calls(message: &Value) -> Vec<(String, Value)> {
    let one = |call: &Value| {
        let function = &call["function"];
        let arguments = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
        (function["name"].as_str().unwrap().to_owned(), arguments)
    };
    message["tool_calls"].as_array().map(|calls| calls.iter().map(one).collect()).unwrap_or_default()
}

#[tokio::test]
async fn a_tool_is_called_and_its_answer_used_whole_and_streamed() {
    let gateway = TestGateway::start().await;
    for streaming in [false, true] {
        let mut request = asking("What is the weather in Paris?", &[weather("get_weather")]);
        let (message, finish) = if streaming {
            let stream = gateway.streamed(&request).await;
            (stream.message(), stream.finish(0))
        } else {
            let body = gateway.completion(&request).await;
            (body["choices"][0]["message"].clone(), body["choices"][0]["finish_reason"].as_str().unwrap().to_owned())
        };
        assert_eq!(finish, "tool_calls");
        assert_eq!(calls(&message), [("get_weather".to_owned(), json!({"city": "Paris"}))]);
        let id = message["tool_calls"][0]["id"].clone();
        let turns = request["messages"].as_array_mut().unwrap();
        turns.extend([message, json!({"role": "tool", "tool_call_id": id, "content": "rain"})]);
        let body = gateway.completion(&request).await;
        assert_eq!(body["choices"][0]["message"]["content"], "Here is what I found. get_weather answered: rain");
    }
    gateway.end().await;
}

#[tokio::test]
async fn parallel_calls_are_told_apart_and_can_be_switched_off() {
    let gateway = TestGateway::start().await;
    let mut request = asking("What is the weather in Paris, London and Rome?", &[weather("get_weather")]);
    let cities = |message: &Value| {
        calls(message).into_iter().map(|(_, arguments)| arguments["city"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let body = gateway.completion(&request).await;
    let stream = gateway.streamed(&request).await;
    for message in [&body["choices"][0]["message"], &stream.message()] {
        assert_eq!(cities(message), ["Paris", "London", "Rome"]);
        let ids: std::collections::BTreeSet<&str> =
            message["tool_calls"].as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 3, "{message}");
    }
    request["parallel_tool_calls"] = json!(false);
    assert_eq!(cities(&gateway.completion(&request).await["choices"][0]["message"]).len(), 1);
    gateway.end().await;
}

#[tokio::test]
async fn a_choice_of_tool_is_obeyed() {
    let gateway = TestGateway::start().await;
    let tools = [weather("get_weather"), weather("get_tide")];
    let ask = async |choice: Value| {
        let mut request = asking("Tell me a joke", &tools);
        request["tool_choice"] = choice;
        gateway.completion(&request).await["choices"][0]["message"].clone()
    };
    assert_eq!(calls(&ask(json!("none")).await).len(), 0);
    assert_eq!(calls(&ask(json!("auto")).await).len(), 0);
    assert_eq!(calls(&ask(json!("required")).await).len(), 1);
    let named = ask(json!({"type": "function", "function": {"name": "get_tide"}})).await;
    assert_eq!(calls(&named)[0].0, "get_tide");
    gateway.end().await;
}

#[tokio::test]
async fn the_legacy_functions_work_as_they_did() {
    let gateway = TestGateway::start().await;
    let request = json!({"model": CLAUDE, "functions": [weather("get_weather")["function"]], "function_call": {"name": "get_weather"},
        "messages": [{"role": "user", "content": "weather in Oslo"}]});
    let body = gateway.completion(&request).await;
    let choice = &body["choices"][0];
    assert_eq!(
        (choice["finish_reason"].as_str(), choice["message"]["function_call"]["name"].as_str()),
        (Some("function_call"), Some("get_weather"))
    );
    assert!(choice["message"].get("tool_calls").is_none(), "{body}");
    gateway.end().await;
}
