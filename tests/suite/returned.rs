//! What a client sends back of a response's output, as OpenAI's guides show it: `input += response.output`.

use serde_json::{Value, json};

use crate::{
    responses::{RESPONSES, asks, events, with},
    support::{Client, TestGateway},
};

/// A request whose model thinks and calls a tool.
fn thinking(input: impl Into<Value>) -> Value {
    let city = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let tools = json!([{"type": "function", "name": "get_weather", "description": "The weather of a city.", "parameters": city}]);
    with(with(asks(input), "tools", tools), "reasoning", json!({"effort": "low"}))
}

fn question() -> Value {
    json!({"role": "user", "content": r#"call get_weather with {"city": "Oslo"}"#})
}

/// The question, what came of it, and the tool's answer.
fn history(output: &[Value]) -> Vec<Value> {
    assert_eq!(output[0]["type"], "reasoning", "{output:?}");
    let call = output.iter().find(|item| item["type"] == "function_call").unwrap_or_else(|| panic!("{output:?}"));
    let result = json!({"type": "function_call_output", "call_id": call["call_id"], "output": "hail"});
    [question()].into_iter().chain(output.iter().cloned()).chain([result]).collect()
}

fn without_seal(output: &[Value]) -> Vec<Value> {
    let mut output = output.to_vec();
    output[0].as_object_mut().unwrap().remove("encrypted_content").expect("sealed");
    output
}

/// Is the model given its thoughts again, signed, in the newest call?
fn thoughts_came_back(gateway: &TestGateway) -> bool {
    let body = gateway.bodies().pop().unwrap();
    let blocks = body["messages"].as_array().unwrap().iter().filter_map(|turn| turn["content"].as_array()).flatten();
    blocks.filter(|block| block["reasoningContent"]["reasoningText"]["signature"].is_string()).count() > 0
}

async fn output(gateway: &TestGateway, body: Value) -> Vec<Value> {
    gateway.post(RESPONSES, &body).await.ok()["output"].as_array().unwrap().clone()
}

#[tokio::test]
async fn reasoning_makes_the_round_of_a_client_that_adds_outputs_to_its_input() {
    let gateway = TestGateway::start().await;
    let streamed = events(&gateway.post(RESPONSES, &with(thinking([question()].to_vec()), "stream", true)).await, 0);
    let whole = streamed.last().unwrap()["response"]["output"].as_array().unwrap().clone();
    let done = streamed.iter().filter(|event| event["type"] == "response.output_item.done").map(|event| event["item"].clone());
    let done: Vec<Value> = done.collect();
    assert_eq!(done, whole);
    for output in [done, output(&gateway, thinking([question()].to_vec())).await] {
        let answer = gateway.post(RESPONSES, &thinking(history(&output))).await;
        answer.ok();
        assert!(thoughts_came_back(&gateway), "{}", gateway.bodies().pop().unwrap());
        assert!(!answer.header("x-outcrop-adjusted").is_some_and(|adjusted| adjusted.contains("reasoning")), "{:?}", answer.headers);
    }
    gateway.end().await;
}

#[tokio::test]
async fn reasoning_that_comes_back_unsealed_is_that_of_the_store_or_its_loss_is_told() {
    let gateway = TestGateway::builder().set("keys.secrets=tester:sk-test-key,other:sk-other").start().await;
    let stored = without_seal(&output(&gateway, thinking([question()].to_vec())).await);
    let next = gateway.post(RESPONSES, &thinking(history(&stored))).await.ok();
    assert!(thoughts_came_back(&gateway), "{}", gateway.bodies().pop().unwrap());
    // It is stored whole, for whoever goes on from there.
    let on = with(thinking("say exactly: on"), "previous_response_id", next["id"].clone());
    gateway.post(RESPONSES, &on).await.ok();
    assert!(thoughts_came_back(&gateway), "{}", gateway.bodies().pop().unwrap());

    // Another key's it is not, and what was not stored is lost.
    let others = Client { address: gateway.address, key: Some("sk-other".to_owned()) };
    others.post(RESPONSES, &thinking(history(&stored))).await.ok();
    assert!(!thoughts_came_back(&gateway));
    let lost = without_seal(&output(&gateway, with(thinking([question()].to_vec()), "store", false)).await);
    let answer = gateway.post(RESPONSES, &thinking(history(&lost))).await;
    answer.ok();
    assert!(!thoughts_came_back(&gateway));
    assert!(
        answer.header("x-outcrop-adjusted").is_some_and(|adjusted| adjusted.contains("input.reasoning=dropped")),
        "{:?}",
        answer.headers
    );
    gateway.end().await;
}
