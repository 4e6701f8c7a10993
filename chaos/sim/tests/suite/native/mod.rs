//! InvokeModel and its stream: as the SDK's typed client sees them, and as the models' own clients do.

mod accounts;
mod compaction;
mod families;
mod messages;
mod session;

use aws_sdk_bedrockruntime::{error::ProvideErrorMetadata, primitives::Blob};
use outcrop_sim::{Simulator, brain::TurnUsage};
use serde_json::{Value, json};

use crate::support::{CLAUDE, EAST, Seen, claude_path, exchange_on, post, runtime};

/// A Messages body of these turns with further members.
fn claude(messages: Value, members: Value) -> Value {
    let mut body = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 4000, "messages": messages});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body
}

fn hello() -> Value {
    claude(json!([{"role": "user", "content": "hello"}]), json!({}))
}

fn weather() -> Value {
    json!({"name": "get_weather", "description": "Weather of a city",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}})
}

fn blob(body: &Value) -> Blob {
    Blob::new(body.to_string().into_bytes())
}

/// The bytes the SDK hands to its caller.
async fn invoke(simulator: &Simulator, id: &str, body: &Value) -> Result<Vec<u8>, (Option<String>, Option<String>)> {
    match runtime(simulator, EAST).invoke_model().model_id(id).body(blob(body)).send().await {
        Ok(answer) => Ok(answer.body.into_inner()),
        Err(fault) => {
            let fault = fault.into_service_error();
            Err((fault.code().map(str::to_owned), fault.message().map(str::to_owned)))
        }
    }
}

/// The bytes of each chunk the SDK hands to its caller.
async fn stream(simulator: &Simulator, id: &str, body: &Value) -> Vec<Vec<u8>> {
    let call = runtime(simulator, EAST).invoke_model_with_response_stream().model_id(id).body(blob(body));
    let mut output = call.send().await.unwrap();
    let mut chunks = Vec::new();
    while let Some(event) = output.body.recv().await.unwrap() {
        chunks.push(event.as_chunk().unwrap().bytes.clone().unwrap().into_inner());
    }
    chunks
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// One call in memory.
async fn ask(simulator: &Simulator, operation: &str, body: &Value) -> Seen {
    exchange_on(&mut simulator.connect(EAST).await.unwrap(), &post(&claude_path(operation), &body.to_string())).await.unwrap()
}

/// What a client of Anthropic's stream puts together: the Message, with the largest count of each kind.
fn gathered(events: &[Value]) -> Value {
    let mut message = json!({});
    let mut arguments = String::new();
    for event in events {
        match event["type"].as_str().unwrap() {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                assert_eq!(event["index"], message["content"].as_array().unwrap().len());
                message["content"].as_array_mut().unwrap().push(event["content_block"].clone());
                arguments.clear();
            }
            "content_block_delta" => {
                let block = &mut message["content"][usize::try_from(event["index"].as_u64().unwrap()).unwrap()];
                let delta = &event["delta"];
                let mut add = |key: &str, text: &Value| {
                    let joined = format!("{}{}", block[key].as_str().unwrap(), text.as_str().unwrap());
                    block[key] = json!(joined);
                };
                match delta["type"].as_str().unwrap() {
                    "text_delta" => add("text", &delta["text"]),
                    "thinking_delta" => add("thinking", &delta["thinking"]),
                    "signature_delta" => add("signature", &delta["signature"]),
                    "citations_delta" => block["citations"].as_array_mut().unwrap().push(delta["citation"].clone()),
                    "input_json_delta" => arguments.push_str(delta["partial_json"].as_str().unwrap()),
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" => {
                if !arguments.is_empty() {
                    let index = usize::try_from(event["index"].as_u64().unwrap()).unwrap();
                    message["content"][index]["input"] = serde_json::from_str(&arguments).unwrap();
                    arguments.clear();
                }
            }
            "message_delta" => {
                for key in ["stop_reason", "stop_sequence"] {
                    message[key] = event["delta"][key].clone();
                }
                for (key, value) in event["usage"].as_object().unwrap() {
                    message["usage"][key] = value.clone();
                }
            }
            "message_stop" | "ping" => {}
            other => panic!("{other}"),
        }
    }
    message
}

/// Counts as they stand in a Message.
fn counts(usage: &TurnUsage) -> [u64; 4] {
    [usage.input, usage.output, usage.cache_read, usage.cache_write_5m + usage.cache_write_1h]
}

fn counts_of(usage: &Value) -> [u64; 4] {
    ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"].map(|key| usage[key].as_u64().unwrap())
}

/// The id of the model behind the profile.
fn bare() -> &'static str {
    CLAUDE.trim_start_matches("us.")
}
