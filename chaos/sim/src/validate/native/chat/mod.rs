//! OpenAI's chat-completions body, as the open-weight families take it: read into the Converse body with the same meaning, and
//! judged as that.

use serde_json::{Map, Value};

use super::super::converse;
use super::{Asks, Body, Content, Manner, Purpose, Refusal, kind_of, malformed};
use crate::models::{SimModel, Traits};

mod said;
mod shapes;
mod tools;

use shapes::{Inference, Request};

/// Members that are read here; all others go to the model as they are.
const READ: [&str; 13] = [
    "model",
    "messages",
    "tools",
    "tool_choice",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "stream",
    "stream_options",
    "response_format",
    "n",
];

/// Judges a body.
pub(super) fn read(model: &SimModel, traits: &Traits, body: Map<String, Value>, purpose: Purpose) -> Result<Body, Refusal> {
    let told = said::read(&body)?;
    let mut additional: Map<String, Value> = body
        .iter()
        .filter(|(key, value)| !READ.contains(&key.as_str()) && !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some(format) = format(&body)? {
        additional.insert("output_config".to_owned(), format);
    }
    let tool_config = tools::read(&body, traits, &told.used, &mut additional)?;
    let request = Request {
        messages: told.messages,
        system: told.system,
        inference_config: inference(&body)?,
        tool_config,
        additional_model_request_fields: additional,
    };
    let asks = Asks { usage_chunk: usage_chunk(&body)?, ..Asks::default() };
    let body = serde_json::to_value(&request).map_err(|fault| malformed(&format!("#: {fault}")))?;
    if let Purpose::Answer { streaming } = purpose {
        converse(model, &body, streaming).map_err(Refusal::plain)?;
    }
    Ok(Body { manner: Manner::Chat, content: Content::Converse(body), asks })
}

/// A member that is there.
fn member<'a>(body: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    body.get(key).filter(|value| !value.is_null())
}

/// The refusal of a member of the wrong type.
fn wrong(at: &str, wanted: &str, value: &Value) -> Refusal {
    malformed(&format!("{at}: expected type: {wanted}, found: {}", kind_of(value)))
}

fn inference(body: &Map<String, Value>) -> Result<Inference, Refusal> {
    let within = |key: &str, most: f64| -> Result<Option<f64>, Refusal> {
        let Some(value) = member(body, key) else { return Ok(None) };
        let number = value.as_f64().ok_or_else(|| wrong(&format!("#/{key}"), "Number", value))?;
        if (0.0..=most).contains(&number) {
            Ok(Some(number))
        } else {
            Err(malformed(&format!("#/{key}: {number} is not between 0 and {most}")))
        }
    };
    if let Some(n) = member(body, "n")
        && n.as_u64() != Some(1)
    {
        return Err(malformed(&format!("#/n: {n} is not a valid enum value")));
    }
    if let Some(stream) = member(body, "stream").filter(|stream| !stream.is_boolean()) {
        return Err(wrong("#/stream", "Boolean", stream));
    }
    let key = ["max_completion_tokens", "max_tokens"].into_iter().find(|key| member(body, key).is_some());
    let max_tokens = match key.and_then(|key| Some((key, member(body, key)?))) {
        None => None,
        Some((key, value)) => Some(value.as_u64().filter(|count| *count > 0).ok_or_else(|| wrong(&format!("#/{key}"), "Integer", value))?),
    };
    Ok(Inference {
        max_tokens,
        // Converse takes 1 at most, the models themselves 2.
        temperature: within("temperature", 2.0)?.map(|temperature| temperature.min(1.0)),
        top_p: within("top_p", 1.0)?,
        stop_sequences: stops(body)?,
    })
}

fn stops(body: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    match member(body, "stop") {
        None => Ok(Vec::new()),
        Some(Value::String(stop)) => Ok(vec![stop.clone()]),
        Some(Value::Array(stops)) => {
            stops.iter().map(|stop| stop.as_str().map(str::to_owned).ok_or_else(|| wrong("#/stop", "String", stop))).collect()
        }
        Some(other) => Err(wrong("#/stop", "JSONArray", other)),
    }
}

fn usage_chunk(body: &Map<String, Value>) -> Result<bool, Refusal> {
    match member(body, "stream_options") {
        None => Ok(false),
        Some(Value::Object(options)) => Ok(options.get("include_usage") == Some(&Value::Bool(true))),
        Some(other) => Err(wrong("#/stream_options", "JSONObject", other)),
    }
}

/// `response_format` as the mock model reads an answer schema.
fn format(body: &Map<String, Value>) -> Result<Option<Value>, Refusal> {
    let Some(format) = member(body, "response_format") else { return Ok(None) };
    let Value::Object(format) = format else { return Err(wrong("#/response_format", "JSONObject", format)) };
    let schema = match format.get("type").and_then(Value::as_str) {
        Some("text") => return Ok(None),
        Some("json_object") => shapes::any_object(),
        Some("json_schema") => {
            let schema = format.get("json_schema").and_then(|inner| inner.get("schema")).filter(|schema| schema.is_object());
            schema.cloned().ok_or_else(|| malformed("#/response_format/json_schema: required key [schema] not found"))?
        }
        _ => return Err(malformed("#/response_format/type: the value is not one of text, json_object, json_schema")),
    };
    Ok(Some(shapes::output_config(schema)))
}
