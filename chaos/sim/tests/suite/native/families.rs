//! Nova's body, the chat bodies, and bodies that are not answered.

use outcrop_sim::{
    Action, Rule,
    brain::{Block, Turn},
};

use super::*;
use crate::support::{MODEL, simulator, turn};

const GPT_OSS: &str = "openai.gpt-oss-120b-1:0";

fn calling() -> Turn {
    Turn {
        blocks: vec![
            Block::Reasoning { text: "hm, a tool".to_owned(), signature: String::new() },
            Block::Text("I look it up now".to_owned()),
            Block::ToolUse { id: "t1".to_owned(), name: "lookup".to_owned(), input: json!({"q": "é"}) },
            Block::ToolUse { id: "t2".to_owned(), name: "lookup".to_owned(), input: json!({"q": [1, 2]}) },
        ],
        stop_reason: "tool_use",
        ..turn("")
    }
}

#[tokio::test]
async fn nova_answers_as_converse_does_in_its_own_frame() {
    let simulator = simulator().await;
    simulator.script(Rule::always(Action::Answer(calling())));
    let body = json!({"schemaVersion": "messages-v1", "messages": [{"role": "user", "content": [{"text": "hello"}]}]});
    let whole = parsed(&invoke(&simulator, MODEL, &body).await.unwrap());
    assert_eq!((&whole["stopReason"], &whole["output"]["message"]["role"]), (&json!("tool_use"), &json!("assistant")));
    assert_eq!(whole["output"]["message"]["content"][2], json!({"toolUse": {"toolUseId": "t1", "name": "lookup", "input": {"q": "é"}}}));
    assert_eq!(
        whole["usage"],
        json!({"inputTokens": 10, "outputTokens": 100, "totalTokens": 110, "cacheReadInputTokenCount": 0, "cacheWriteInputTokenCount": 0})
    );
    let events: Vec<Value> = stream(&simulator, MODEL, &body).await.iter().map(|bytes| parsed(bytes)).collect();
    let names: Vec<&str> = events.iter().map(|event| event.as_object().unwrap().keys().next().unwrap().as_str()).collect();
    assert_eq!((names[0], names[names.len() - 2]), ("messageStart", "messageStop"));
    let text: String =
        events.iter().filter_map(|event| event.pointer("/contentBlockDelta/delta/text")?.as_str().map(str::to_owned)).collect();
    assert_eq!(text, "I look it up now");
    let last = events.last().unwrap();
    assert_eq!(last["metadata"]["usage"], whole["usage"]);
    assert_eq!(last["amazon-bedrock-invocationMetrics"]["outputTokenCount"], 100);
    assert!(events.iter().all(|event| event.get("p").is_none()), "the padding is outside the native event");
}

#[tokio::test]
async fn nova_thinks_about_what_it_is_asked() {
    let simulator = simulator().await;
    let body =
        json!({"messages": [{"role": "user", "content": [{"text": "say exactly: well done"}]}], "inferenceConfig": {"maxTokens": 50}});
    let whole = parsed(&invoke(&simulator, MODEL, &body).await.unwrap());
    assert_eq!(whole["output"]["message"]["content"][0]["text"], "well done");
    let (code, text) = invoke(&simulator, MODEL, &json!({})).await.unwrap_err();
    assert_eq!((code.as_deref(), text.unwrap().contains("required key [messages] not found")), (Some("ValidationException"), true));
}

/// A chat completion put together from its chunks.
fn completed(chunks: &[Value]) -> Value {
    let (mut content, mut calls, mut finish) = (String::new(), Vec::<Value>::new(), Value::Null);
    for choice in chunks.iter().filter_map(|chunk| chunk["choices"].get(0)) {
        content.push_str(choice["delta"]["content"].as_str().unwrap_or(""));
        for part in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(part["index"].as_u64().unwrap()).unwrap();
            if part.get("id").is_some() {
                assert_eq!(index, calls.len());
                calls.push(json!({"id": part["id"], "type": part["type"], "function": part["function"]}));
            } else {
                let joined =
                    calls[index]["function"]["arguments"].as_str().unwrap().to_owned() + part["function"]["arguments"].as_str().unwrap();
                calls[index]["function"]["arguments"] = json!(joined);
            }
        }
        if !choice["finish_reason"].is_null() {
            finish = choice["finish_reason"].clone();
        }
    }
    json!({"message": {"role": "assistant", "content": content, "tool_calls": calls}, "finish_reason": finish, "index": 0})
}

/// Arguments as values: some streams escape what others do not.
fn with_values(mut choice: Value) -> Value {
    for call in choice["message"]["tool_calls"].as_array_mut().unwrap() {
        let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
        call["function"]["arguments"] = arguments;
    }
    choice
}

#[tokio::test]
async fn open_weight_models_answer_as_chat_completions() {
    let simulator = simulator().await;
    simulator.script(Rule::always(Action::Answer(calling())));
    let mut body = json!({"messages": [{"role": "user", "content": "hello"}], "stream_options": {"include_usage": true}});
    let whole = parsed(&invoke(&simulator, GPT_OSS, &body).await.unwrap());
    assert_eq!((&whole["object"], &whole["model"]), (&json!("chat.completion"), &json!(GPT_OSS)));
    assert!(whole["id"].as_str().unwrap().starts_with("chatcmpl-") && whole["created"].as_i64().unwrap() > 1_700_000_000);
    assert_eq!(whole["usage"], json!({"prompt_tokens": 10, "completion_tokens": 100, "total_tokens": 110}));
    let choice = &whole["choices"][0];
    assert_eq!(choice["message"]["content"], "<reasoning>hm, a tool</reasoning>I look it up now");
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["tool_calls"][1]["function"]["arguments"]),
        (&json!("tool_calls"), &json!("{\"q\":[1,2]}"))
    );
    let chunks: Vec<Value> = stream(&simulator, GPT_OSS, &body).await.iter().map(|bytes| parsed(bytes)).collect();
    assert_eq!(with_values(completed(&chunks)), with_values(choice.clone()));
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["id"] == chunks[0]["id"]));
    let last = chunks.last().unwrap();
    assert_eq!((&last["usage"], &last["choices"]), (&whole["usage"], &json!([])));
    assert_eq!(last["amazon-bedrock-invocationMetrics"]["inputTokenCount"], 10);
    body.as_object_mut().unwrap().remove("stream_options");
    let chunks = stream(&simulator, GPT_OSS, &body).await;
    let last = parsed(chunks.last().unwrap());
    assert!(last.get("usage").is_none() && last["amazon-bedrock-invocationMetrics"].is_object());
}

#[tokio::test]
async fn open_weight_models_call_tools_and_read_their_results() {
    let simulator = simulator().await;
    let function = json!({"name": "get_weather", "description": "Weather of a city", "parameters": weather()["input_schema"]});
    let tools = json!([{"type": "function", "function": function}]);
    let mut messages = vec![json!({"role": "user", "content": "What is the weather in Paris?"})];
    let ask =
        async |messages: &[Value]| parsed(&invoke(&simulator, GPT_OSS, &json!({"messages": messages, "tools": tools})).await.unwrap());
    let first = ask(&messages).await;
    let message = first["choices"][0]["message"].clone();
    let call = &message["tool_calls"][0];
    assert_eq!((&call["function"]["name"], &call["function"]["arguments"]), (&json!("get_weather"), &json!("{\"city\":\"Paris\"}")));
    let answer = json!({"role": "tool", "tool_call_id": call["id"], "content": "18 degrees"});
    messages.extend([message.clone(), answer]);
    let second = ask(&messages).await;
    assert_eq!(second["choices"][0]["finish_reason"], "stop");
    assert!(second["choices"][0]["message"]["content"].as_str().unwrap().contains("18 degrees"), "{second}");
}

#[tokio::test]
async fn bodies_without_a_simulated_answer_are_refused_clearly() {
    let simulator = simulator().await;
    let llama = "us.meta.llama3-3-70b-instruct-v1:0";
    let (code, text) = invoke(&simulator, llama, &json!({"messages": []})).await.unwrap_err();
    assert_eq!((code.as_deref(), text.unwrap().contains("required key [prompt] not found")), (Some("ValidationException"), true));
    for (id, body) in [(llama, json!({"prompt": "hello"})), ("amazon.titan-embed-text-v2:0", json!({"inputText": "x"}))] {
        let (code, text) = invoke(&simulator, id, &body).await.unwrap_err();
        assert_eq!(code.as_deref(), Some("UnsupportedOperationException"), "{text:?}");
        assert!(text.unwrap().contains("only answered by this simulator when an answer is scripted"));
    }
}
