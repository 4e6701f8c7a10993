//! CountTokens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::kit::{Faults, Object, Path, wrong_type};
use super::{Case, Refusal, conversation, media, pairing, shape, tools};
use crate::models::{Dialect, SimModel};

/// Largest native body, in bytes of the decoded JSON.
const MAX_BODY: usize = 25_000_000;

/// Checks the body of a CountTokens call.
pub(super) fn check(model: &SimModel, body: &Value) -> Result<(), Refusal> {
    let faults = Faults::default();
    let top = Object::open(body, Path::Root, &faults, &["input"])?;
    let Some(input) = top.raw("input") else {
        top.missing("input");
        return faults.verdict();
    };
    let path = top.path.key("input");
    let (key, inner) = Object::union(input, path, &faults, ("CountTokensInput", &["converse", "invokeModel"]))?;
    let traits = model.chat()?;
    if !traits.count_tokens {
        return Err(Refusal::validation("The provided model doesn't support counting tokens."));
    }
    if key == "converse" {
        let request = shape::countable(inner)?;
        let case = Case { model, traits, request: &request, streaming: false };
        conversation::check(&case)?;
        pairing::check(&case)?;
        tools::check(&case)?;
        return media::check(&case);
    }
    let at = path.key(key);
    let object = Object::open(inner, at, &faults, &["body"])?;
    match object.raw("body") {
        Some(Value::String(text)) => native(text, traits.dialect),
        Some(other) => Err(wrong_type(other, "Blob", at.key("body"))),
        None => {
            object.missing("body");
            faults.verdict()
        }
    }
}

fn native(text: &str, dialect: Dialect) -> Result<(), Refusal> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| Refusal::serialization("Unable to deserialize blob: invalid base64 (at 'input.invokeModel.body')"))?;
    if bytes.len() > MAX_BODY {
        return Err(Refusal::validation(format!(
            "1 validation error detected: Value at 'input.invokeModel.body' failed to satisfy constraint: Member must have length less than or equal to {MAX_BODY}"
        )));
    }
    let malformed = |what: &str| Refusal::validation(format!("Malformed input request: {what}, please reformat your input and try again."));
    let body: Value = serde_json::from_slice(&bytes).map_err(|_| malformed("the body is not valid JSON"))?;
    let Value::Object(body) = &body else { return Err(malformed("#: expected type: JSONObject")) };
    let required: &[&str] = if dialect == Dialect::Claude { &["anthropic_version", "max_tokens", "messages"] } else { &["messages"] };
    match required.iter().find(|key| !body.contains_key(**key)) {
        Some(key) => Err(malformed(&format!("#: required key [{key}] not found"))),
        None => Ok(()),
    }
}
