//! What the writer did to a request that the readers must undo in its answer.

use std::collections::HashMap;

use outcrop_domain::chat::{ReasoningVisibility, StopReason};

/// Made by the writer, needed by the readers of the same call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyContext {
    /// Tools that had to be renamed: name on the wire to the client's name.
    pub tool_names: HashMap<String, String>,
    /// The tool whose call is the answer, when a schema is enforced by a tool.
    pub format_tool: Option<FormatTool>,
    /// Whether the client may see calls of its tools.
    pub tool_calls: ToolCalls,
    /// Tag names that enclose reasoning in this model's text.
    pub reasoning_tags: Vec<String>,
    /// Whether reasoning text is shown.
    pub reasoning: ReasoningVisibility,
    /// The text that ends the answer, when there is only one: whatever the model tells, it must have been this.
    pub only_stop_text: Option<String>,
}

impl ReplyContext {
    /// The client's name of a tool.
    #[must_use]
    pub fn client_name(&self, wire: String) -> String {
        match self.tool_names.get(&wire) {
            Some(name) => name.clone(),
            None => wire,
        }
    }

    /// The text that ended an answer: as the model told it, else the only one that can have.
    #[must_use]
    pub fn stop_sequence(&self, reason: StopReason, told: Option<String>) -> Option<String> {
        told.or_else(|| self.only_stop_text.clone().filter(|_| reason == StopReason::StopSequence))
    }

    /// True when `name` is the tool whose call is the answer.
    #[must_use]
    pub fn is_format_tool(&self, name: &str) -> bool {
        self.format_tool.as_ref().is_some_and(|tool| tool.name == name)
    }
}

/// The tool whose call is the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatTool {
    /// Its name on the wire.
    pub name: String,
    /// The schema was no object schema: the answer is the member [`FormatTool::MEMBER`] of the arguments.
    pub wrapped: bool,
}

impl FormatTool {
    /// Member that holds an answer that is no object.
    pub const MEMBER: &'static str = "answer";
}

/// Whether the client may see tool calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ToolCalls {
    /// Yes.
    #[default]
    Passed,
    /// No: tools stand in the request only because its history needs them. A call that the model makes all the
    /// same is left out.
    Withheld,
}
