//! Output items, made the same way for whole and streamed answers.

use outcrop_domain::chat::{Citation, CitationPlace, Reasoning, ReasoningVisibility};
use outcrop_protocol::openai::responses::{Annotation, CodeOutput, ItemStatus, MessagePart, OutputItem, SearchAction, SummaryText};
use serde::Deserialize;

use super::{CallKind, ToolForms, sealed::seal_reasoning};
use crate::openai_chat::shape::web_source;

/// A message of one text.
pub(super) fn message(id: String, text: String, annotations: Vec<Annotation>, status: ItemStatus) -> OutputItem {
    let content = vec![MessagePart::OutputText { annotations, logprobs: Vec::new(), text }];
    OutputItem::Message { id, status, role: "assistant".to_owned(), content }
}

/// A message that has no text yet.
pub(super) fn empty_message(id: String) -> OutputItem {
    OutputItem::Message { id, status: ItemStatus::InProgress, role: "assistant".to_owned(), content: Vec::new() }
}

/// The model's reasoning. What it sealed is always in the item; who shows the item leaves it out where it was not asked
/// for.
pub(super) fn reasoning(id: String, blocks: &[Reasoning], visibility: ReasoningVisibility, status: ItemStatus) -> OutputItem {
    let summary = match visibility {
        ReasoningVisibility::Shown => summary_of(blocks),
        ReasoningVisibility::Hidden => String::new(),
    };
    let summary = if summary.is_empty() { Vec::new() } else { vec![SummaryText::SummaryText { text: summary }] };
    let status = (status == ItemStatus::Incomplete).then_some(status);
    OutputItem::Reasoning { id, summary, encrypted_content: seal_reasoning(blocks), status }
}

/// What people may read of reasoning.
pub(super) fn summary_of(blocks: &[Reasoning]) -> String {
    let texts = blocks.iter().filter_map(|block| match block {
        Reasoning::Text { text, .. } => Some(text.as_str()),
        Reasoning::Redacted(_) => None,
    });
    texts.collect()
}

/// A call of a client's tool before it has an id and a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) kind: CallKind,
    pub(super) call_id: String,
    /// As the client knows it.
    pub(super) name: String,
    pub(super) namespace: Option<String>,
}

impl Call {
    /// The call that the model makes of the tool it knows as `name`.
    pub(super) fn of(name: String, call_id: String, forms: &ToolForms) -> Self {
        match forms.get(&name) {
            None => Self { kind: CallKind::Function, call_id, name, namespace: None },
            Some(form) => Self { kind: form.kind, call_id, name: form.name.clone(), namespace: form.namespace.clone() },
        }
    }

    /// The item. `text` is what the client shall read: a function's arguments, or a custom tool's input.
    pub(super) fn item(self, id: String, text: String, status: ItemStatus) -> OutputItem {
        let Self { kind, call_id, name, namespace } = self;
        match kind {
            CallKind::Function => OutputItem::FunctionCall { id, status, arguments: text, call_id, name, namespace },
            CallKind::Custom => OutputItem::CustomToolCall { id, status, call_id, input: text, name, namespace },
        }
    }
}

/// A web search by the input that the model gave it.
pub(super) fn search(id: String, input: &str, status: ItemStatus) -> OutputItem {
    #[derive(Deserialize)]
    struct Input {
        query: String,
    }
    let query = serde_json::from_str::<Input>(input).map(|input| input.query).unwrap_or_default();
    OutputItem::WebSearchCall { id, status, action: SearchAction::Search { query } }
}

/// The program in the input that the model gave to the interpreter: the member that holds it, or all of it when the
/// model wrote something else.
pub(super) fn code_of(input: &str) -> String {
    #[derive(Deserialize)]
    struct Input {
        #[serde(alias = "snippet")]
        code: String,
    }
    serde_json::from_str::<Input>(input).map_or_else(|_| input.to_owned(), |input| input.code)
}

/// Adds what a program printed; `continues` the last text of it. Bedrock's sandbox wraps that in an object, which may come
/// in pieces: once it is whole, only what was printed remains.
pub(super) fn add_logs(outputs: &mut Vec<CodeOutput>, text: &str, continues: bool) {
    match outputs.last_mut() {
        Some(CodeOutput::Logs { logs }) if continues => logs.push_str(text),
        _ => outputs.push(CodeOutput::Logs { logs: text.to_owned() }),
    }
    // Looked at only where it may be whole: a program may print megabytes, in thousands of pieces.
    if let Some(CodeOutput::Logs { logs }) = outputs.last_mut()
        && logs.starts_with('{')
        && logs.trim_end().ends_with('}')
        && let Some(printed) = printed(logs)
    {
        *logs = printed;
    }
}

/// What a program printed, and what it complained of, in what the sandbox tells. Source: Nova user guide, built-in tools.
fn printed(told: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Told {
        std_out: String,
        std_err: String,
    }
    let Told { mut std_out, std_err } = serde_json::from_str(told).ok()?;
    if !(std_out.is_empty() || std_err.is_empty() || std_out.ends_with('\n')) {
        std_out.push('\n');
    }
    std_out.push_str(&std_err);
    Some(std_out)
}

/// A source of the text between two places of a part, where it has a form here.
pub(super) fn annotation(citation: &Citation, start_index: u64, end_index: u64) -> Option<Annotation> {
    if let Some((title, url)) = web_source(citation) {
        return Some(Annotation::UrlCitation { start_index, end_index, title: title.to_owned(), url: url.to_owned() });
    }
    let index = match citation.place.as_ref()? {
        CitationPlace::DocumentCharacters { document, .. }
        | CitationPlace::DocumentPages { document, .. }
        | CitationPlace::DocumentChunks { document, .. } => *document,
        CitationPlace::Web { .. } | CitationPlace::SearchResult { .. } => return None,
    };
    let file_id = citation.source.clone().unwrap_or_default();
    Some(Annotation::FileCitation { file_id, filename: citation.title.clone().unwrap_or_default(), index })
}
