//! Tools and the choice among them, as clients send them.

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::CacheControl;

/// One entry of `tools`: a function of the client's (`custom`, or no type), or a tool that Anthropic has defined.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ToolParam {
    /// `custom`, or a dated type such as `web_search_20250305`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Name, any length and characters.
    pub name: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of its input, as the client wrote it.
    pub input_schema: Option<Box<RawValue>>,
    /// Keep to the schema exactly.
    pub strict: Option<bool>,
    /// Cache mark after this tool.
    pub cache_control: Option<CacheControl>,
    /// Leave it out of the prompt until it is searched for.
    pub defer_loading: Option<bool>,
    /// Stream its input unbuffered.
    pub eager_input_streaming: Option<bool>,
    /// Inputs that show how it is used.
    pub input_examples: Option<Vec<Box<RawValue>>>,
    /// Who may call it: `direct`, and versions of code execution.
    pub allowed_callers: Option<Vec<String>>,
    /// Everything else: parameters of the tools that Anthropic has defined.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// `tool_choice`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ToolChoice {
    /// `auto`, `any`, `tool` or `none`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// With `tool`: which.
    pub name: Option<String>,
    /// At most one call.
    pub disable_parallel_tool_use: Option<bool>,
}
