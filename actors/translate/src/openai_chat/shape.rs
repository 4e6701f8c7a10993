//! What request and answer must agree on, and rules that whole and streamed answers share.

use std::collections::BTreeSet;

use outcrop_domain::chat::{Citation, CitationPlace, ReasoningVisibility, StopReason};

/// How the client wants its answer written. Read off the request, used by [`super::response`] and [`super::stream`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerShape {
    /// Form of tool calls.
    pub calls: CallShape,
    /// Names of custom tools: their calls hand back the text instead of the object we asked the model for.
    pub custom_tools: BTreeSet<String>,
    /// Whether reasoning is shown.
    pub reasoning: ReasoningVisibility,
}

/// Form of tool calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallShape {
    /// `tool_calls`.
    #[default]
    ToolCalls,
    /// `function_call`: the client offered `functions`. One call per answer.
    FunctionCall,
}

/// What every answer carries that does not come from the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderMeta {
    /// `chatcmpl-...`.
    pub id: String,
    /// Unix seconds.
    pub created_unix: u64,
    /// The model's name as the client shall see it.
    pub model_shown: String,
}

/// The member that a custom tool's text stands in, in the object that the model writes.
pub(crate) const CUSTOM_INPUT: &str = "input";

/// OpenAI's word for the end of an answer. `calls` counts the tool calls that the client can see: `tool_calls`
/// without one, or `stop` beside one, would leave an agent hanging.
pub(crate) fn finish_reason(stop: StopReason, calls: u32, shape: CallShape) -> &'static str {
    match stop {
        StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => "length",
        StopReason::GuardrailIntervened | StopReason::ContentFiltered => "content_filter",
        _ if calls == 0 => "stop",
        _ => match shape {
            CallShape::ToolCalls => "tool_calls",
            CallShape::FunctionCall => "function_call",
        },
    }
}

/// Title and address of a citation, when it points to the web: the only kind this API can show.
pub(crate) fn web_source(citation: &Citation) -> Option<(&str, &str)> {
    let url = match &citation.place {
        Some(CitationPlace::Web { url, .. }) => url.as_str(),
        _ => citation.source.as_deref().filter(|source| source.starts_with("https://") || source.starts_with("http://"))?,
    };
    Some((citation.title.as_deref().unwrap_or(url), url))
}

/// The text of a custom tool's call: the `input` member of `arguments`, or all of it when the model wrote
/// something else.
pub(crate) fn custom_input(arguments: &str) -> String {
    #[derive(serde::Deserialize)]
    struct CustomArguments {
        input: String,
    }
    match serde_json::from_str::<CustomArguments>(arguments) {
        Ok(CustomArguments { input }) => input,
        Err(_) => arguments.to_owned(),
    }
}
