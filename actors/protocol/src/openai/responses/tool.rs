//! Tools and the choice among them, as clients send them: flat, unlike chat's.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::openai::{
    chat::{CacheControl, CustomFormat},
    loose::TextOr,
};

/// `tool_choice`: a word or an object.
pub type ToolChoiceParam = TextOr<ToolChoiceObject>;

/// One entry of `tools`, of any kind.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ToolParam {
    /// `function`, `custom`, `namespace`, or a tool that the provider runs.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// `function`: JSON Schema, as the client wrote it.
    pub parameters: Option<Box<RawValue>>,
    /// `function`: keep to the schema exactly.
    pub strict: Option<bool>,
    /// `function`: JSON Schema of what it returns.
    pub output_schema: Option<IgnoredAny>,
    /// `custom`: form of its text.
    pub format: Option<CustomFormat>,
    /// Shown to the model only once it has been searched for.
    pub defer_loading: Option<bool>,
    /// Who may call it: the model, or programs the model writes.
    pub allowed_callers: Option<Vec<String>>,
    /// `namespace`: its functions and custom tools.
    pub tools: Option<Vec<ToolParam>>,
    /// `tool_search`: `server` or `client`.
    pub execution: Option<String>,
    /// `web_search`: where the user is.
    pub user_location: Option<IgnoredAny>,
    /// `web_search`: `low`, `medium`, `high`.
    pub search_context_size: Option<String>,
    /// `web_search`: domains to keep to.
    pub filters: Option<IgnoredAny>,
    /// `web_search`: whether pages are fetched anew, or only what is kept of them.
    pub external_web_access: Option<bool>,
    /// `code_interpreter`: its container, with files.
    pub container: Option<TextOr<ContainerObject>>,
    /// Cache mark after this tool.
    pub cache_control: Option<CacheControl>,
    /// As `cache_control`, OpenAI's form.
    pub prompt_cache_breakpoint: Option<CacheControl>,
}

/// `container` of a code interpreter.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ContainerObject {
    /// `auto`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Uploaded files to put into it.
    pub file_ids: Option<Vec<String>>,
}

/// `tool_choice` as an object.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ToolChoiceObject {
    /// `function`, `custom`, `allowed_tools`, or the type of a tool that the provider runs.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The tool.
    pub name: Option<String>,
    /// The namespace that the tool lies in.
    pub namespace: Option<String>,
    /// `allowed_tools`: `auto` or `required`.
    pub mode: Option<String>,
    /// `allowed_tools`: the tools.
    pub tools: Option<Vec<AllowedTool>>,
}

/// A tool that a model may choose.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct AllowedTool {
    /// As in [`ToolChoiceObject`].
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// As in [`ToolChoiceObject`].
    pub name: Option<String>,
    /// As in [`ToolChoiceObject`].
    pub namespace: Option<String>,
}
