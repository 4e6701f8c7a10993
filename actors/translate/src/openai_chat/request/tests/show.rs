//! A hub request as JSON, defaults left out: what the snapshots show. The hub's own `Debug` hides content.

use outcrop_domain::chat::{
    CacheMark, ChatRequest, Content, GuardQualifier, Media, MediaSource, Message, ParallelToolCalls, Reasoning, ReasoningRequest,
    ResponseFormat, Sampling, SystemBlock, Tool, ToolChoice, ToolResultPart, ToolResultStatus,
};
use serde_json::{Map, Value, json};

use crate::openai_chat::{
    AnswerShape,
    request::{Delivery, ReadChat},
};

pub(super) fn chat(chat: &ReadChat) -> Value {
    let mut shown = request(&chat.model, &chat.request);
    let mut put = |name: &str, value: Value| {
        shown.insert(name.to_owned(), value);
    };
    if !chat.adjustments.is_empty() {
        put("adjusted", json!(chat.adjustments.to_string()));
    }
    if chat.choices != 1 {
        put("choices", json!(chat.choices));
    }
    if chat.delivery != Delivery::Whole {
        put("delivery", json!(format!("{:?}", chat.delivery)));
    }
    if chat.shape != AnswerShape::default() {
        put("shape", json!(format!("{:?}", chat.shape)));
    }
    Value::Object(shown)
}

/// Model and request.
pub(crate) fn request(model: &str, request: &ChatRequest) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| {
        shown.insert(name.to_owned(), value);
    };
    put("model", json!(model));
    if !request.system.is_empty() {
        put("system", request.system.iter().map(system).collect());
    }
    put("messages", request.messages.iter().map(message).collect());
    if !request.tools.is_empty() {
        put("tools", request.tools.iter().map(tool).collect());
    }
    if request.tool_choice != ToolChoice::Auto {
        put("tool_choice", json!(format!("{:?}", request.tool_choice)));
    }
    if request.parallel_tool_calls != ParallelToolCalls::ModelDecides {
        put("parallel_tool_calls", json!("Forbidden"));
    }
    if let Some(most) = request.max_tokens {
        put("max_tokens", json!(most));
    }
    if request.sampling != Sampling::default() {
        put("sampling", sampling(&request.sampling));
    }
    if request.reasoning != ReasoningRequest::default() {
        put("reasoning", json!(format!("{:?}", request.reasoning)));
    }
    if let Some(format) = format(&request.format) {
        put("format", format);
    }
    if request.cache != Default::default() {
        put("cache", json!(format!("{:?}", request.cache)));
    }
    if let Some(guardrail) = &request.guardrail {
        put("guardrail", json!(guardrail));
    }
    if let Some(tier) = request.service_tier {
        put("service_tier", json!(tier));
    }
    if let Some(latency) = request.latency {
        put("latency", json!(latency));
    }
    if !request.metadata.is_empty() {
        put("metadata", json!(request.metadata));
    }
    if !request.extra.is_empty() {
        put("extra", json!(request.extra));
    }
    if !request.beta_flags.is_empty() {
        put("beta_flags", json!(request.beta_flags));
    }
    shown
}

fn system(block: &SystemBlock) -> Value {
    match block {
        SystemBlock::Text(text) => json!(text),
        SystemBlock::Guarded { text, qualifiers } => guarded(text, qualifiers),
        SystemBlock::CachePoint(mark) => cache_point(*mark),
    }
}

fn message(message: &Message) -> Value {
    json!({"role": format!("{:?}", message.role), "content": message.content.iter().map(content).collect::<Value>()})
}

fn content(block: &Content) -> Value {
    match block {
        Content::Text(text) => json!(text),
        Content::Media(found) => media(found),
        Content::ToolUse { id, name, input, origin } => {
            json!({"tool_use": id, "name": name, "input_bytes": input.get(), "origin": format!("{origin:?}")})
        }
        Content::ToolResult { id, parts, status } => {
            let parts: Value = parts.iter().map(result_part).collect();
            match status {
                ToolResultStatus::Unstated => json!({"tool_result": id, "parts": parts}),
                stated => json!({"tool_result": id, "parts": parts, "status": format!("{stated:?}")}),
            }
        }
        Content::Reasoning(Reasoning::Text { text, signature }) => json!({"reasoning": text, "signature": signature}),
        Content::Reasoning(Reasoning::Redacted(data)) => json!({"reasoning_redacted": data}),
        Content::Guarded { text, qualifiers } => guarded(text, qualifiers),
        Content::Cited { text, citations } => json!({"cited": text, "citations": citations.len()}),
        Content::CachePoint(mark) => cache_point(*mark),
    }
}

fn result_part(part: &ToolResultPart) -> Value {
    match part {
        ToolResultPart::Text(text) => json!(text),
        ToolResultPart::Json(text) => json!({"json_bytes": text.get()}),
        ToolResultPart::Media(found) => media(found),
    }
}

fn media(media: &Media) -> Value {
    let source = match &media.source {
        MediaSource::Base64(text) => json!({"base64": text}),
        MediaSource::S3 { uri, bucket_owner } => json!({"s3": uri, "owner": bucket_owner}),
        MediaSource::Text(text) => json!({"text": text}),
    };
    json!({"media": format!("{:?} {}", media.format.kind, media.format.name), "source": source, "name": media.name})
}

fn guarded(text: &str, qualifiers: &[GuardQualifier]) -> Value {
    json!({"guarded": text, "qualifiers": qualifiers})
}

fn cache_point(mark: CacheMark) -> Value {
    json!({"cache_point": mark.ttl})
}

fn tool(tool: &Tool) -> Value {
    match tool {
        Tool::Function { name, description, schema, strict } => {
            json!({"function": name, "description": description, "schema_bytes": schema.get(), "strict": strict})
        }
        Tool::System(system) => json!({"system_tool": system.name}),
        Tool::CachePoint(mark) => cache_point(*mark),
    }
}

fn sampling(sampling: &Sampling) -> Value {
    json!({
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "stop": sampling.stop,
        "optional": sampling.optional,
    })
}

fn format(format: &ResponseFormat) -> Option<Value> {
    match format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(json!("json_object")),
        ResponseFormat::JsonSchema { name, description, schema, strict } => {
            Some(json!({"name": name, "description": description, "schema_bytes": schema.get(), "strict": strict}))
        }
    }
}
