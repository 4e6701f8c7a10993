//! CountTokens.

use serde_json::Value;

use super::kit::{Faults, Object, Path, wrong_type};
use super::{Case, Refusal, conversation, media, native, pairing, shape, tools};
use crate::models::{SimModel, uncounted};

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
        return Err(uncounted());
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
        Some(Value::String(text)) => native::counted(model, text).map(|_| ()),
        Some(other) => Err(wrong_type(other, "Blob", at.key("body"))),
        None => {
            object.missing("body");
            faults.verdict()
        }
    }
}
