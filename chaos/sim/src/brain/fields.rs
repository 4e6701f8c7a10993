//! `additionalModelResponseFields`: members of the model's native response, picked by JSON Pointer.

use serde::Serialize;
use serde_json::{Map, Value};

use super::TurnUsage;
use super::finish::Done;
use super::memory::Call;
use crate::models::{Dialect, SimModel, Traits};
use crate::validate::shape::Request;

/// The parts of an Anthropic response that Converse does not show by itself.
#[derive(Serialize)]
struct Native<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'a str,
    stop_reason: &'a str,
    stop_sequence: Option<&'a str>,
    usage: NativeUsage,
}

#[derive(Serialize)]
struct NativeUsage {
    input_tokens: u64,
    output_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_creation: CacheCreation,
    output_tokens_details: OutputDetails,
}

#[derive(Serialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    thinking_tokens: u64,
}

/// The asked members that exist; `None` when there are none. Unknown pointers are ignored.
pub(super) fn select(
    model: &SimModel,
    traits: &Traits,
    request: &Request<'_>,
    done: &Done,
    usage: &TurnUsage,
    call: Call,
) -> Option<Value> {
    if request.response_paths.is_empty() || traits.dialect != Dialect::Claude {
        return None;
    }
    let native = Native {
        id: call.message_id(),
        kind: "message",
        role: "assistant",
        model: &model.id,
        stop_reason: done.stop_reason,
        stop_sequence: done.stop_sequence.as_deref(),
        usage: NativeUsage {
            input_tokens: usage.input,
            output_tokens: usage.output,
            cache_read_input_tokens: usage.cache_read,
            cache_creation_input_tokens: usage.cache_write_5m + usage.cache_write_1h,
            cache_creation: CacheCreation {
                ephemeral_5m_input_tokens: usage.cache_write_5m,
                ephemeral_1h_input_tokens: usage.cache_write_1h,
            },
            output_tokens_details: OutputDetails { thinking_tokens: usage.thinking },
        },
    };
    let native = serde_json::to_value(native).ok()?;
    let mut picked = Map::new();
    for path in &request.response_paths {
        if let Some(value) = native.pointer(path) {
            let steps: Vec<String> = path.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
            place(&mut picked, &steps, value.clone());
        }
    }
    (!picked.is_empty()).then_some(Value::Object(picked))
}

fn place(target: &mut Map<String, Value>, steps: &[String], value: Value) {
    match steps {
        [] => {}
        [last] => {
            target.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let inner = target.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                place(inner, rest, value);
            }
        }
    }
}
