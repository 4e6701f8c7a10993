//! One refused body and one accepted neighbour for every rule. Each row: model, base body, change, expected type and fragment.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::models::ModelBook;

mod additional;
mod config;
mod counting;
mod dialogue;
mod documents;
mod thinking_rules;
mod tooling;

pub(super) const SONNET_45: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
pub(super) const SONNET_46: &str = "anthropic.claude-sonnet-4-6";
pub(super) const SONNET_37: &str = "anthropic.claude-3-7-sonnet-20250219-v1:0";
pub(super) const SONNET_35: &str = "anthropic.claude-3-5-sonnet-20241022-v2:0";
pub(super) const OPUS_47: &str = "anthropic.claude-opus-4-7";
pub(super) const OPUS_48: &str = "anthropic.claude-opus-4-8";
pub(super) const OPUS_55: &str = "anthropic.claude-opus-5-5";
pub(super) const SONNET_5: &str = "anthropic.claude-sonnet-5";
pub(super) const SONNET_55: &str = "anthropic.claude-sonnet-5-5";
pub(super) const NOVA: &str = "amazon.nova-lite-v1:0";
pub(super) const NOVA_MICRO: &str = "amazon.nova-micro-v1:0";
pub(super) const NOVA_2: &str = "amazon.nova-2-lite-v1:0";
pub(super) const GPT_OSS: &str = "openai.gpt-oss-120b-1:0";
pub(super) const GPT: &str = "openai.gpt-5.6-sol";
pub(super) const LLAMA: &str = "meta.llama3-3-70b-instruct-v1:0";
pub(super) const LLAMA_3: &str = "meta.llama3-8b-instruct-v1:0";
pub(super) const MISTRAL_7B: &str = "mistral.mistral-7b-instruct-v0:2";
pub(super) const MISTRAL_LARGE: &str = "mistral.mistral-large-2407-v1:0";
pub(super) const DEEPSEEK_R1: &str = "deepseek.r1-v1:0";
pub(super) const DEEPSEEK_V3: &str = "deepseek.v3.2";
pub(super) const KIMI: &str = "moonshotai.kimi-k3";
pub(super) const GROK: &str = "xai.grok-4.6";
pub(super) const PALMYRA: &str = "writer.palmyra-x5-v1:0";

/// Parsed once: the file is long.
static BOOK: LazyLock<ModelBook> = LazyLock::new(ModelBook::builtin);

pub(super) fn model(id: &str) -> SimModel {
    BOOK.all().iter().find(|model| model.id == id).unwrap_or_else(|| panic!("no model {id}")).clone()
}

/// A minimal body with `change` merged over it (RFC 7396: null removes).
pub(super) fn body(change: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}]});
    patch(&mut body, change);
    body
}

pub(super) fn patch(target: &mut Value, change: Value) {
    let Value::Object(change) = change else {
        *target = change;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in change {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(&key);
        } else {
            patch(target.as_object_mut().unwrap().entry(key).or_insert(Value::Null), value);
        }
    }
}

/// A body whose only message has this content.
pub(super) fn content(blocks: Value) -> Value {
    json!({"messages": [{"role": "user", "content": blocks}]})
}

/// A body that asks for a weather tool.
pub(super) fn tools() -> Value {
    json!({"tools": [{"toolSpec": {"name": "get_weather", "description": "Weather of a city",
        "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}}]})
}

/// A tool exchange: question, call (blocks before it), result (blocks after it).
pub(super) fn exchange(before: Vec<Value>, result: Value) -> Value {
    let mut call = before;
    call.push(json!({"toolUse": {"toolUseId": "tool_1", "name": "get_weather", "input": {"city": "Paris"}}}));
    json!({"toolConfig": tools(), "messages": [
        {"role": "user", "content": [{"text": "Weather in Paris?"}]},
        {"role": "assistant", "content": call},
        {"role": "user", "content": result},
    ]})
}

pub(super) fn result(id: &str) -> Value {
    json!({"toolResult": {"toolUseId": id, "content": [{"text": "18 degrees"}]}})
}

pub(super) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR".to_vec();
    bytes.extend_from_slice(&width.to_be_bytes());
    bytes.extend_from_slice(&height.to_be_bytes());
    bytes.extend_from_slice(&[8, 2, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

pub(super) fn image(format: &str, bytes: &[u8]) -> Value {
    json!({"image": {"format": format, "source": {"bytes": STANDARD.encode(bytes)}}})
}

pub(super) fn document(name: &str, format: &str, bytes: &[u8]) -> Value {
    json!({"document": {"name": name, "format": format, "source": {"bytes": STANDARD.encode(bytes)}}})
}

#[track_caller]
pub(super) fn accepted(id: &str, body: &Value) {
    if let Err(refusal) = converse(&model(id), body, false) {
        panic!("{id} refused {body}: {refusal}");
    }
}

#[track_caller]
pub(super) fn refused(id: &str, body: &Value, fragment: &str) {
    refused_as(id, body, "ValidationException", fragment);
}

#[track_caller]
pub(super) fn refused_as(id: &str, body: &Value, error_type: &str, fragment: &str) {
    match converse(&model(id), body, false) {
        Ok(()) => panic!("{id} accepted {body}, expected `{fragment}`"),
        Err(refusal) => {
            assert_eq!(refusal.error_type, error_type, "{refusal}");
            assert!(refusal.message.contains(fragment), "expected `{fragment}` in `{}`", refusal.message);
        }
    }
}

#[test]
fn every_chat_model_accepts_a_plain_question() {
    let chat: Vec<_> = BOOK.all().iter().filter(|model| model.traits.is_some()).collect();
    assert!(chat.len() > 70, "{}", chat.len());
    for model in chat {
        for streaming in [false, true] {
            let verdict = converse(model, &body(json!({"inferenceConfig": {"maxTokens": 64}})), streaming);
            assert_eq!(verdict, Ok(()), "{}", model.id);
        }
    }
}

#[test]
fn models_without_chat_refuse_converse() {
    refused("amazon.titan-embed-text-v2:0", &body(json!({})), "This action doesn't support the model that you provided.");
}
