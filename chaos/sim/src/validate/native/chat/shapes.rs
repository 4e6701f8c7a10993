//! The parts of a Converse body that a chat body is turned into.

use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) messages: Vec<Message>,
    pub(super) system: Vec<SystemText>,
    pub(super) inference_config: Inference,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_config: Option<ToolConfig>,
    pub(super) additional_model_request_fields: Map<String, Value>,
}

#[derive(Serialize)]
pub(super) struct Message {
    pub(super) role: &'static str,
    pub(super) content: Vec<Block>,
}

#[derive(Serialize)]
pub(super) struct SystemText {
    pub(super) text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Inference {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_p: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) stop_sequences: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block {
    Text(String),
    Image {
        format: String,
        source: Bytes,
    },
    #[serde(rename_all = "camelCase")]
    ToolUse {
        tool_use_id: String,
        name: String,
        input: Value,
    },
    #[serde(rename_all = "camelCase")]
    ToolResult {
        tool_use_id: String,
        content: Vec<SystemText>,
    },
    #[serde(rename_all = "camelCase")]
    ReasoningContent {
        reasoning_text: SystemText,
    },
}

#[derive(Serialize)]
pub(super) struct Bytes {
    pub(super) bytes: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig {
    pub(super) tools: Vec<Tool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_choice: Option<Choice>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tool {
    pub(super) tool_spec: Spec,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) input_schema: Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strict: Option<bool>,
}

#[derive(Serialize)]
pub(super) struct Schema {
    pub(super) json: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Choice {
    Auto {},
    Any {},
    Tool { name: String },
}

/// The schema of any object.
pub(super) fn any_object() -> Value {
    let members = [("type", Value::String("object".to_owned())), ("properties", Value::Object(Map::new()))];
    Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// `output_config` with this schema: where the mock model looks for the schema of its answer.
pub(super) fn output_config(schema: Value) -> Value {
    ["schema", "format"].into_iter().fold(schema, |inner, key| Value::Object(Map::from_iter([(key.to_owned(), inner)])))
}
