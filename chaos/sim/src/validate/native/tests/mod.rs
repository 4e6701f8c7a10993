//! One refused body and one accepted neighbour for every rule of the native bodies.

use serde_json::{Value, json};

use super::*;
use crate::validate::tests::{OPUS_47, OPUS_48, OPUS_55, SONNET_5, SONNET_35, SONNET_45, SONNET_46, model, patch, png};

mod broken;
mod chat;
mod members;
mod nova;
mod sources;
mod thinking;
mod tools;
mod turns;

const ANSWER: Purpose = Purpose::Answer { streaming: false };

/// A minimal Messages body with `change` merged over it (null removes).
fn claude(change: Value) -> Value {
    let mut body = json!({
        "anthropic_version": "bedrock-2023-05-31", "max_tokens": 4096, "messages": [{"role": "user", "content": "hello"}],
    });
    patch(&mut body, change);
    body
}

/// A Messages body of these turns.
fn turns(messages: Value) -> Value {
    claude(json!({"messages": messages}))
}

/// A Messages body whose only turn has this content.
fn content(blocks: Value) -> Value {
    turns(json!([{"role": "user", "content": blocks}]))
}

fn verdict(id: &str, body: &Value) -> Result<Option<Body>, Refusal> {
    read(&model(id), body.clone(), ANSWER)
}

#[track_caller]
fn accepted(id: &str, body: &Value) {
    match verdict(id, body) {
        Ok(read) => assert!(read.is_some(), "{id} is not simulated"),
        Err(refusal) => panic!("{id} refused {body}: {refusal}"),
    }
}

#[track_caller]
fn refused(id: &str, body: &Value, fragment: &str) {
    match verdict(id, body) {
        Ok(_) => panic!("{id} accepted {body}, expected `{fragment}`"),
        Err(refusal) => {
            assert_eq!((refusal.status, refusal.error_type), (400, "ValidationException"), "{refusal}");
            assert!(refusal.message.contains(fragment), "expected `{fragment}` in `{}`", refusal.message);
            assert!(!refusal.message.contains("The model returned"), "{refusal}");
        }
    }
}

#[test]
fn every_model_with_a_native_body_accepts_a_plain_question() {
    let mut seen = [0; 3];
    for model in crate::models::ModelBook::builtin().all() {
        let Some(traits) = &model.traits else { continue };
        let body = match traits.invoke {
            Invoke::Messages => claude(json!({})),
            Invoke::Nova => json!({"schemaVersion": "messages-v1", "messages": [{"role": "user", "content": [{"text": "hello"}]}]}),
            Invoke::Chat => json!({"max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]}),
            Invoke::Prompt | Invoke::None => continue,
        };
        for streaming in [false, true] {
            let body = read(model, body.clone(), Purpose::Answer { streaming }).unwrap_or_else(|refusal| panic!("{}: {refusal}", model.id));
            let body = body.unwrap_or_else(|| panic!("{} has no native body", model.id));
            assert_eq!(body.request().unwrap().messages.len(), 1);
            seen[body.manner as usize] += 1;
        }
    }
    assert!(seen[0] >= 40 && seen[1] == 8 && seen[2] >= 60, "{seen:?}");
}

#[test]
fn prompt_bodies_are_judged_and_not_answered() {
    let llama = "meta.llama3-3-70b-instruct-v1:0";
    assert!(verdict(llama, &json!({"prompt": "x", "max_gen_len": 4})).unwrap().is_none());
    refused(llama, &json!({"messages": []}), "#: required key [prompt] not found#: extraneous key [messages] is not permitted");
    refused(llama, &json!({"prompt": "x", "max_tokens": 4}), "extraneous key [max_tokens]");
    refused("mistral.mistral-7b-instruct-v0:2", &json!({"prompt": 1}), "#/prompt: expected type: String, found: Integer");
    assert!(verdict("deepseek.r1-v1:0", &json!({"prompt": "x", "max_tokens": 4, "stop": []})).unwrap().is_none());
}

#[test]
fn models_without_a_known_native_body_have_none() {
    for id in ["amazon.titan-embed-text-v2:0", "openai.gpt-5.6-sol", "writer.palmyra-x5-v1:0"] {
        assert!(verdict(id, &json!({})).unwrap().is_none(), "{id}");
    }
}

#[test]
fn what_is_no_json_object_is_malformed() {
    refused(SONNET_45, &json!([1]), "Malformed input request: #: expected type: JSONObject, found: JSONArray");
    let refusal = parse(b"{").unwrap_err();
    assert_eq!((refusal.status, refusal.error_type), (400, "ValidationException"));
    assert!(refusal.message.contains("the body is not valid JSON"), "{refusal}");
    assert!(parse(&vec![b' '; MAX_BODY + 1]).unwrap_err().message.contains("less than or equal to 25000000"));
}

#[test]
fn anthropics_own_names_have_neither_provider_nor_version() {
    assert_eq!(native_name(SONNET_45), "claude-sonnet-4-5-20250929");
    assert_eq!(native_name(SONNET_46), "claude-sonnet-4-6");
    assert_eq!(native_name("anthropic.claude-opus-4-6-v1"), "claude-opus-4-6");
}
