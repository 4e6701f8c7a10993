//! Tools the model may call.

use crate::json::JsonText;

/// A tool on offer, in the client's order. A cache mark stands after the tool it covers.
#[derive(Debug, Clone, PartialEq)]
pub enum Tool {
    /// A function the client runs.
    Function {
        /// Name as the client knows it: any length, any characters.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// JSON Schema of the arguments, an object schema.
        schema: JsonText,
        /// The model must keep to the schema exactly.
        strict: Option<bool>,
    },
    /// A tool that the model's provider runs.
    System(SystemTool),
    /// End of a cacheable prefix.
    CachePoint(super::CacheMark),
}

/// Tools that Bedrock runs itself, by Converse's name. Source: `systemTool` of the Converse API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemTool {
    /// E.g. `nova_grounding`.
    pub name: String,
}

/// Who runs a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolOrigin {
    /// The client.
    Client,
    /// The provider (`server_tool_use`).
    Server,
}

/// Which tool the model shall call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No tool, though tools may be described.
    None,
    /// Some tool.
    Any,
    /// This tool.
    Named(String),
}

/// Whether the model may ask for several tools at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ParallelToolCalls {
    /// As the model likes.
    #[default]
    ModelDecides,
    /// One at a time.
    Forbidden,
}
