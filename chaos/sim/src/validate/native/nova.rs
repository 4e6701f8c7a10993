//! Nova's own body, `messages-v1`: Converse in other words.

use serde_json::{Map, Value};

use super::super::converse;
use super::{Body, Content, Manner, Purpose, Refusal, extraneous, kind_of, malformed};
use crate::models::SimModel;

const MEMBERS: [&str; 6] = ["schemaVersion", "messages", "system", "inferenceConfig", "toolConfig", "reasoningConfig"];

/// Members of `inferenceConfig`: the name here, another one that is taken too, and the one of Converse. `topK` has none there.
const INFERENCE: [(&str, &str, &str); 4] = [
    ("maxTokens", "max_new_tokens", "maxTokens"),
    ("temperature", "temperature", "temperature"),
    ("topP", "top_p", "topP"),
    ("stopSequences", "stopSequences", "stopSequences"),
];

/// Judges a body.
pub(super) fn read(model: &SimModel, mut body: Map<String, Value>, purpose: Purpose) -> Result<Body, Refusal> {
    if let Some(key) = body.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
        return Err(extraneous("#", key));
    }
    match body.remove("schemaVersion") {
        None => {}
        Some(Value::String(version)) if version == "messages-v1" => {}
        Some(other) => return Err(malformed(&format!("#/schemaVersion: {other} is not a valid enum value"))),
    }
    if !body.contains_key("messages") {
        return Err(malformed("#: required key [messages] not found"));
    }
    let mut additional = Map::new();
    if let Some(config) = body.remove("inferenceConfig") {
        let (config, top_k) = inference(config)?;
        body.insert("inferenceConfig".to_owned(), Value::Object(config));
        if let Some(top_k) = top_k {
            let config = Map::from_iter([("topK".to_owned(), top_k)]);
            additional.insert("inferenceConfig".to_owned(), Value::Object(config));
        }
    }
    if let Some(config) = body.remove("reasoningConfig") {
        additional.insert("reasoningConfig".to_owned(), config);
    }
    if !additional.is_empty() {
        body.insert("additionalModelRequestFields".to_owned(), Value::Object(additional));
    }
    let body = Value::Object(body);
    if let Purpose::Answer { streaming } = purpose {
        converse(model, &body, streaming).map_err(Refusal::plain)?;
    }
    Ok(Body { manner: Manner::Nova, content: Content::Converse(body), asks: super::Asks::default() })
}

/// The members Converse knows, and `topK`.
fn inference(config: Value) -> Result<(Map<String, Value>, Option<Value>), Refusal> {
    let Value::Object(mut config) = config else {
        return Err(malformed(&format!("#/inferenceConfig: expected type: JSONObject, found: {}", kind_of(&config))));
    };
    let mut known = Map::new();
    for (name, other, converse) in INFERENCE {
        if let Some(value) = config.remove(name).or_else(|| config.remove(other)) {
            known.insert(converse.to_owned(), value);
        }
    }
    let top_k = config.remove("topK").or_else(|| config.remove("top_k"));
    match config.keys().next() {
        Some(key) => Err(extraneous("#/inferenceConfig", key)),
        None => Ok((known, top_k)),
    }
}
