//! One item of `input`, of any kind.
//!
//! One struct with every member optional, not a tagged enum: a tagged enum would buffer the item (copying images) and
//! lose the path of an error. Which members belong together is the translator's rule.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::openai::{
    chat::ContentPart,
    loose::{LooseText, TextOrList, TextOrRaw},
};

/// An item as a client sends it, or as it was stored.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct InputItem {
    /// `message` (also where it is left out beside a `role`), `function_call`, `reasoning`, and so on.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The item's own id.
    pub id: Option<String>,
    /// `message`: `user`, `assistant`, `system`, `developer`.
    pub role: Option<String>,
    /// `message`: text or parts. `reasoning`: the raw reasoning.
    pub content: Option<TextOrList<ContentPart>>,
    /// `message`: `commentary` or `final_answer`.
    pub phase: Option<String>,
    /// `in_progress`, `completed`, `incomplete`, `failed`.
    pub status: Option<String>,
    /// Calls and their outputs: which call it is.
    pub call_id: Option<String>,
    /// Calls: the tool.
    pub name: Option<String>,
    /// Calls: the namespace that the tool lies in.
    pub namespace: Option<String>,
    /// `function_call`, `mcp_call`, `tool_search_call`: a string of JSON; an object with some clients.
    pub arguments: Option<LooseText>,
    /// `custom_tool_call`: free text.
    pub input: Option<LooseText>,
    /// Outputs: text, parts, or an object, by kind.
    pub output: Option<TextOrRaw>,
    /// `reasoning`: for people.
    pub summary: Option<Vec<SummaryPart>>,
    /// `reasoning`, `compaction`: opaque.
    pub encrypted_content: Option<String>,
    /// `local_shell_call`, `shell_call`, `computer_call`, `web_search_call`: what is done.
    pub action: Option<Box<RawValue>>,
    /// `computer_call`: several things that are done.
    pub actions: Option<Box<RawValue>>,
    /// `apply_patch_call`: what is done.
    pub operation: Option<Box<RawValue>>,
    /// `code_interpreter_call`, `program`: the code.
    pub code: Option<String>,
    /// `code_interpreter_call`: what it printed and drew.
    pub outputs: Option<TextOrRaw>,
    /// `file_search_call`: what was looked for.
    pub queries: Option<Vec<String>>,
    /// `file_search_call`: what was found.
    pub results: Option<Vec<SearchResult>>,
    /// `image_generation_call`: the image, base64. `program_output`: what it returned.
    pub result: Option<String>,
    /// `additional_tools`, `tool_search_output`, `mcp_list_tools`: tools.
    pub tools: Option<Vec<Box<RawValue>>>,
    /// `mcp_*`: the server.
    pub server_label: Option<String>,
    /// `mcp_call`: what went wrong.
    pub error: Option<TextOrRaw>,
    /// `agent_message`: who speaks.
    pub author: Option<String>,
    /// Members we do not know, by name.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, IgnoredAny>,
}

/// A paragraph of a reasoning summary.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct SummaryPart {
    /// `summary_text`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The text.
    pub text: Option<String>,
}

/// A file that a search found.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct SearchResult {
    /// Its name.
    pub filename: Option<String>,
    /// The passage.
    pub text: Option<String>,
}

/// What a command of `shell_call` printed.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ShellOutput {
    /// To standard output.
    pub stdout: Option<String>,
    /// To standard error.
    pub stderr: Option<String>,
    /// How it ended.
    pub outcome: Option<Box<RawValue>>,
}
