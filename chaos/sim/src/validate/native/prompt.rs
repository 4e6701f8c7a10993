//! Bodies of a prompt and its parameters (Llama, older Mistral, DeepSeek R1): their schema, and no answer.

use serde_json::{Map, Value};

use super::{Refusal, malformed};
use crate::models::Traits;

/// All that is wrong with the body, in one refusal, as the schema check tells it.
pub(super) fn check(traits: &Traits, body: &Map<String, Value>) -> Result<(), Refusal> {
    let mut wrong = Vec::new();
    match body.get("prompt") {
        None => wrong.push("#: required key [prompt] not found".to_owned()),
        Some(Value::String(_)) => {}
        Some(other) => wrong.push(format!("#/prompt: expected type: String, found: {}", super::kind_of(other))),
    }
    let unknown = body.keys().filter(|key| *key != "prompt" && !traits.prompt_fields.contains(key));
    wrong.extend(unknown.map(|key| format!("#: extraneous key [{key}] is not permitted")));
    if wrong.is_empty() { Ok(()) } else { Err(malformed(&wrong.concat())) }
}
