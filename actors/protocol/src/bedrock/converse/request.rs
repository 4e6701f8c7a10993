//! Bodies of Converse and ConverseStream.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use super::{CachePoint, ContentBlock, GuardContent};

/// Body of both operations. `messages` comes last, so that the body of one turn is a byte prefix of the next one's.
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConverseRequest<'a> {
    /// Tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_config: Option<ToolConfig<'a>>,
    /// Instructions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<SystemBlock<'a>>,
    /// Limits and sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference_config: Option<InferenceConfig<'a>>,
    /// Shape of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_config: Option<OutputConfig<'a>>,
    /// Members merged into the model's own body.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub additional_model_request_fields: Map<String, Value>,
    /// JSON pointers into the model's own answer, at most ten.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_model_response_field_paths: Vec<&'static str>,
    /// Guardrail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardrail_config: Option<GuardrailConfig<'a>>,
    /// Latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performance_config: Option<PerformanceConfig>,
    /// Tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier>,
    /// Labels for invocation logs, at most sixteen.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub request_metadata: BTreeMap<String, String>,
    /// The conversation: roles alternate, the first is the user.
    pub messages: Vec<Message<'a>>,
}

/// One turn.
#[derive(Clone, Serialize)]
pub struct Message<'a> {
    /// Who speaks.
    pub role: Role,
    /// At least one block.
    pub content: Vec<ContentBlock<'a>>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The user.
    User,
    /// The model.
    Assistant,
    /// Instructions in mid-conversation; only some models take it.
    System,
}

/// A block of instructions.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SystemBlock<'a> {
    /// Text, never empty.
    Text(Cow<'a, str>),
    /// Text for the guardrail.
    GuardContent(GuardContent<'a>),
    /// End of a cacheable prefix.
    CachePoint(CachePoint),
}

/// Limits and sampling.
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InferenceConfig<'a> {
    /// Most tokens to produce, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// 0..1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// 0..1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Texts that end the answer, none empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<&'a str>,
}

/// Tools and which to call.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolConfig<'a> {
    /// At least one.
    pub tools: Vec<ToolEntry<'a>>,
    /// Absent means `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice<'a>>,
}

/// A member of `toolConfig.tools`.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ToolEntry<'a> {
    /// A function of the client's.
    ToolSpec(ToolSpec<'a>),
    /// A tool that Bedrock runs.
    SystemTool(NamedTool<'a>),
    /// End of a cacheable prefix.
    CachePoint(CachePoint),
}

/// A function of the client's.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolSpec<'a> {
    /// 1..64 of `[a-zA-Z0-9_-]`.
    pub name: Cow<'a, str>,
    /// Not empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'a, str>>,
    /// Its arguments.
    pub input_schema: InputSchema<'a>,
    /// Keep to the schema exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// Schema of a tool's arguments.
#[derive(Clone, Serialize)]
pub struct InputSchema<'a> {
    /// A JSON schema whose top type is `object`.
    pub json: Cow<'a, RawValue>,
}

/// A tool by its name.
#[derive(Clone, Serialize)]
pub struct NamedTool<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
}

/// An empty object.
#[derive(Clone, Copy, Serialize)]
pub struct Empty {}

/// Which tool to call.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ToolChoice<'a> {
    /// The model decides.
    Auto(Empty),
    /// Some tool.
    Any(Empty),
    /// This tool.
    Tool(NamedTool<'a>),
}

/// Shape of the answer.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputConfig<'a> {
    /// Format of its text.
    pub text_format: TextFormat<'a>,
}

/// Format of the answer's text.
#[derive(Clone, Serialize)]
pub struct TextFormat<'a> {
    /// Always `json_schema`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The schema.
    pub structure: TextFormatStructure<'a>,
}

/// Holder of the schema.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TextFormatStructure<'a> {
    /// The schema.
    pub json_schema: JsonSchema<'a>,
}

/// A JSON schema with its name.
#[derive(Clone, Serialize)]
pub struct JsonSchema<'a> {
    /// The schema as a string of JSON.
    pub schema: Cow<'a, str>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'a, str>>,
}

/// Guardrail to apply.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardrailConfig<'a> {
    /// Id or ARN.
    pub guardrail_identifier: &'a str,
    /// `DRAFT` or a number.
    pub guardrail_version: &'a str,
    /// `enabled`, `disabled` or `enabled_full`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<&'static str>,
    /// `sync` or `async`; ConverseStream only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_processing_mode: Option<&'static str>,
}

/// Latency wish.
#[derive(Clone, Copy, Serialize)]
pub struct PerformanceConfig {
    /// `standard` or `optimized`.
    pub latency: &'static str,
}

/// Tier wish.
#[derive(Clone, Copy, Serialize)]
pub struct ServiceTier {
    /// `priority`, `default`, `flex` or `reserved`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}
