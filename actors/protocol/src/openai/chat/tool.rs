//! Tools and the choice among them, as clients send them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::CacheControl;
use crate::openai::loose::TextOr;

/// `tool_choice`: a word or an object.
pub type ToolChoiceParam = TextOr<ToolChoiceObject>;

/// `function_call`: a word or `{name}`.
pub type FunctionChoice = TextOr<NamedReference>;

/// One entry of `tools`. The members of `function` may also stand flat beside `type`, as Responses clients write them.
#[derive(Clone, Deserialize)]
pub struct ToolParam {
    /// `function`, `custom`, or a tool that the provider runs.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Nested function.
    #[serde(default)]
    pub function: Option<FunctionParam>,
    /// Nested custom tool.
    #[serde(default)]
    pub custom: Option<CustomToolParam>,
    /// Flat: name.
    #[serde(default)]
    pub name: Option<String>,
    /// Flat: description.
    #[serde(default)]
    pub description: Option<String>,
    /// Flat: JSON Schema.
    #[serde(default)]
    pub parameters: Option<Box<RawValue>>,
    /// Flat: strictness.
    #[serde(default)]
    pub strict: Option<bool>,
    /// Flat: format of a custom tool's text.
    #[serde(default)]
    pub format: Option<CustomFormat>,
    /// Cache mark after this tool.
    #[serde(default)]
    pub cache_control: Option<CacheControl>,
    /// As `cache_control`, OpenAI's form.
    #[serde(default)]
    pub prompt_cache_breakpoint: Option<CacheControl>,
}

/// A function. Source: `FunctionObject`, `ChatCompletionFunctions`.
#[derive(Clone, Deserialize)]
pub struct FunctionParam {
    /// Name, any length and characters.
    #[serde(default)]
    pub name: Option<String>,
    /// What it does.
    #[serde(default)]
    pub description: Option<String>,
    /// JSON Schema, as the client wrote it.
    #[serde(default)]
    pub parameters: Option<Box<RawValue>>,
    /// Keep to the schema exactly.
    #[serde(default)]
    pub strict: Option<bool>,
    /// Cache mark (some clients put it inside).
    #[serde(default)]
    pub cache_control: Option<CacheControl>,
}

/// A tool that takes free text.
#[derive(Clone, Deserialize)]
pub struct CustomToolParam {
    /// Name.
    #[serde(default)]
    pub name: Option<String>,
    /// What it does.
    #[serde(default)]
    pub description: Option<String>,
    /// Form of its text.
    #[serde(default)]
    pub format: Option<CustomFormat>,
}

/// Form of a custom tool's text. Chat nests the grammar, Responses writes it flat.
#[derive(Clone, Deserialize)]
pub struct CustomFormat {
    /// `text` or `grammar`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Nested grammar.
    #[serde(default)]
    pub grammar: Option<CustomGrammar>,
    /// Flat: `lark` or `regex`.
    #[serde(default)]
    pub syntax: Option<String>,
    /// Flat: the grammar.
    #[serde(default)]
    pub definition: Option<String>,
}

/// A grammar.
#[derive(Clone, Deserialize)]
pub struct CustomGrammar {
    /// `lark` or `regex`.
    #[serde(default)]
    pub syntax: Option<String>,
    /// The grammar.
    #[serde(default)]
    pub definition: Option<String>,
}

/// `{name}`.
#[derive(Clone, Deserialize)]
pub struct NamedReference {
    /// Name.
    #[serde(default)]
    pub name: Option<String>,
}

/// `tool_choice` as an object.
#[derive(Clone, Deserialize)]
pub struct ToolChoiceObject {
    /// `function`, `custom`, `allowed_tools`; `auto`, `any`, `none`, `tool` with some clients.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// The function.
    #[serde(default)]
    pub function: Option<NamedReference>,
    /// The custom tool.
    #[serde(default)]
    pub custom: Option<NamedReference>,
    /// Flat: the name.
    #[serde(default)]
    pub name: Option<String>,
    /// The allowed ones.
    #[serde(default)]
    pub allowed_tools: Option<AllowedTools>,
    /// Flat: mode of the allowed ones.
    #[serde(default)]
    pub mode: Option<String>,
    /// Flat: the allowed ones.
    #[serde(default)]
    pub tools: Option<Vec<ToolChoiceObject>>,
}

/// The tools a model may choose from.
#[derive(Clone, Deserialize)]
pub struct AllowedTools {
    /// `auto` or `required`.
    #[serde(default)]
    pub mode: Option<String>,
    /// The tools, in the form of `tool_choice` objects.
    #[serde(default)]
    pub tools: Option<Vec<ToolChoiceObject>>,
}
