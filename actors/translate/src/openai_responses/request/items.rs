//! The kinds of items.

use outcrop_protocol::openai::responses::InputItem;

/// The type of the item that wishes for a summary.
pub(super) const TRIGGER: &str = "compaction_trigger";

/// What an item is to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Somebody speaks.
    Message,
    /// The id of a stored item stands for it.
    Reference,
    /// The client's tool is called, and answers.
    Call(CallIn),
    Output,
    /// A call that holds its own answer.
    Answered(Answered),
    Reasoning,
    /// The conversation up to here, in short.
    Compaction,
    /// The wish for such a summary, in place of an answer.
    CompactionTrigger,
    /// Tools that join the offer.
    MoreTools,
    /// Another agent speaks.
    AgentMessage,
    /// Nothing that a model could use.
    Unused,
}

/// Which member of a call holds its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallIn {
    /// `arguments`, a JSON object as text.
    Arguments,
    /// `input`, free text.
    Text,
    /// `action` or `actions`; the tool has this name.
    Action(&'static str),
    /// `operation`.
    Operation,
    /// `code`.
    Code,
}

/// Calls that the provider ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    Mcp,
    Program,
    FileSearch,
    Image,
}

/// Tells what an item is. `type` may be left out of messages and references; `None` when nothing tells.
pub(super) fn kind_of(item: &InputItem) -> Option<Kind> {
    let Some(kind) = item.kind.as_deref() else {
        let reference = is_reference(None, item.role.as_deref(), item.id.as_deref());
        return if reference { Some(Kind::Reference) } else { item.role.as_ref().map(|_| Kind::Message) };
    };
    Some(match kind {
        "message" => Kind::Message,
        "item_reference" => Kind::Reference,
        "function_call" | "tool_search_call" => Kind::Call(CallIn::Arguments),
        "custom_tool_call" => Kind::Call(CallIn::Text),
        "local_shell_call" => Kind::Call(CallIn::Action("local_shell")),
        "shell_call" => Kind::Call(CallIn::Action("shell")),
        "computer_call" => Kind::Call(CallIn::Action("computer")),
        "apply_patch_call" => Kind::Call(CallIn::Operation),
        "program" => Kind::Call(CallIn::Code),
        "function_call_output"
        | "custom_tool_call_output"
        | "local_shell_call_output"
        | "shell_call_output"
        | "computer_call_output"
        | "apply_patch_call_output"
        | "program_output"
        | "tool_search_output" => Kind::Output,
        "mcp_call" => Kind::Answered(Answered::Mcp),
        "code_interpreter_call" => Kind::Answered(Answered::Program),
        "file_search_call" => Kind::Answered(Answered::FileSearch),
        "image_generation_call" => Kind::Answered(Answered::Image),
        "reasoning" => Kind::Reasoning,
        // Codex's names for what the API calls a compaction.
        "compaction" | "compaction_summary" | "context_compaction" => Kind::Compaction,
        TRIGGER => Kind::CompactionTrigger,
        "additional_tools" => Kind::MoreTools,
        "agent_message" => Kind::AgentMessage,
        _ => Kind::Unused,
    })
}

/// True for an item of such a type, role and id that stands for a stored one.
pub(super) fn is_reference(kind: Option<&str>, role: Option<&str>, id: Option<&str>) -> bool {
    kind == Some("item_reference") || (kind.is_none() && role.is_none() && id.is_some())
}
