//! Events of a streamed response, as this gateway writes them. Source: `ResponseStreamEvent`.
//!
//! The deltas, which are many, are not here: the writer puts them together from prepared bytes.

use serde::Serialize;

use super::{Annotation, OutputItem, ResponseObject};

/// One event. `sequence_number` counts from 0, without a gap.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type")]
pub enum StreamEvent<'a> {
    /// First of all.
    #[serde(rename = "response.created")]
    Created(ResponseEvent<'a>),
    /// In the background: it waits for its turn.
    #[serde(rename = "response.queued")]
    Queued(ResponseEvent<'a>),
    /// The model is at work.
    #[serde(rename = "response.in_progress")]
    InProgress(ResponseEvent<'a>),
    /// The end: it is whole.
    #[serde(rename = "response.completed")]
    Completed(ResponseEvent<'a>),
    /// The end: it was cut off.
    #[serde(rename = "response.incomplete")]
    Incomplete(ResponseEvent<'a>),
    /// The end: it broke.
    #[serde(rename = "response.failed")]
    Failed(ResponseEvent<'a>),
    /// The end: there is no response.
    #[serde(rename = "error")]
    Error {
        /// In order.
        sequence_number: u64,
        /// Machine-readable code.
        code: Option<&'a str>,
        /// For people.
        message: &'a str,
        /// The field at fault.
        param: Option<&'a str>,
    },
    /// An item begins.
    #[serde(rename = "response.output_item.added")]
    ItemAdded(ItemEvent<'a>),
    /// An item is whole.
    #[serde(rename = "response.output_item.done")]
    ItemDone(ItemEvent<'a>),
    /// A part of a message begins.
    #[serde(rename = "response.content_part.added")]
    PartAdded(PartEvent<'a>),
    /// A part of a message is whole.
    #[serde(rename = "response.content_part.done")]
    PartDone(PartEvent<'a>),
    /// The text of a part is whole.
    #[serde(rename = "response.output_text.done")]
    TextDone {
        /// In order.
        sequence_number: u64,
        /// The item.
        item_id: &'a str,
        /// Its place in `output`.
        output_index: u32,
        /// The part's place in `content`.
        content_index: u32,
        /// The text.
        text: &'a str,
        /// Always empty.
        logprobs: [(); 0],
    },
    /// A source of the text so far.
    #[serde(rename = "response.output_text.annotation.added")]
    AnnotationAdded {
        /// In order.
        sequence_number: u64,
        /// The item.
        item_id: &'a str,
        /// Its place in `output`.
        output_index: u32,
        /// The part's place in `content`.
        content_index: u32,
        /// Its place in `annotations`.
        annotation_index: usize,
        /// The source.
        annotation: &'a Annotation,
    },
    /// A paragraph of a reasoning summary begins.
    #[serde(rename = "response.reasoning_summary_part.added")]
    SummaryPartAdded(SummaryEvent<'a>),
    /// A paragraph of a reasoning summary is whole.
    #[serde(rename = "response.reasoning_summary_part.done")]
    SummaryPartDone(SummaryEvent<'a>),
    /// The text of a paragraph is whole.
    #[serde(rename = "response.reasoning_summary_text.done")]
    SummaryTextDone {
        /// In order.
        sequence_number: u64,
        /// The item.
        item_id: &'a str,
        /// Its place in `output`.
        output_index: u32,
        /// The paragraph's place in `summary`.
        summary_index: u32,
        /// The text.
        text: &'a str,
    },
    /// The arguments of a call are whole.
    #[serde(rename = "response.function_call_arguments.done")]
    ArgumentsDone {
        /// In order.
        sequence_number: u64,
        /// The item.
        item_id: &'a str,
        /// Its place in `output`.
        output_index: u32,
        /// The function.
        name: &'a str,
        /// JSON text.
        arguments: &'a str,
    },
    /// The text of a custom call is whole.
    #[serde(rename = "response.custom_tool_call_input.done")]
    CustomInputDone {
        /// In order.
        sequence_number: u64,
        /// The item.
        item_id: &'a str,
        /// Its place in `output`.
        output_index: u32,
        /// Free text.
        input: &'a str,
    },
    /// A web search begins.
    #[serde(rename = "response.web_search_call.in_progress")]
    SearchInProgress(CallEvent<'a>),
    /// A web search is at work.
    #[serde(rename = "response.web_search_call.searching")]
    Searching(CallEvent<'a>),
    /// A web search is done.
    #[serde(rename = "response.web_search_call.completed")]
    SearchCompleted(CallEvent<'a>),
    /// A program begins.
    #[serde(rename = "response.code_interpreter_call.in_progress")]
    CodeInProgress(CallEvent<'a>),
    /// A program runs.
    #[serde(rename = "response.code_interpreter_call.interpreting")]
    Interpreting(CallEvent<'a>),
    /// A program is done.
    #[serde(rename = "response.code_interpreter_call.completed")]
    CodeCompleted(CallEvent<'a>),
    /// A program's text is whole.
    #[serde(rename = "response.code_interpreter_call_code.done")]
    CodeDone {
        /// In order.
        sequence_number: u64,
        /// The item.
        item_id: &'a str,
        /// Its place in `output`.
        output_index: u32,
        /// The program.
        code: &'a str,
    },
}

impl StreamEvent<'_> {
    /// The event's type: what its `event:` line says.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created(_) => "response.created",
            Self::Queued(_) => "response.queued",
            Self::InProgress(_) => "response.in_progress",
            Self::Completed(_) => "response.completed",
            Self::Incomplete(_) => "response.incomplete",
            Self::Failed(_) => "response.failed",
            Self::Error { .. } => "error",
            Self::ItemAdded(_) => "response.output_item.added",
            Self::ItemDone(_) => "response.output_item.done",
            Self::PartAdded(_) => "response.content_part.added",
            Self::PartDone(_) => "response.content_part.done",
            Self::TextDone { .. } => "response.output_text.done",
            Self::AnnotationAdded { .. } => "response.output_text.annotation.added",
            Self::SummaryPartAdded(_) => "response.reasoning_summary_part.added",
            Self::SummaryPartDone(_) => "response.reasoning_summary_part.done",
            Self::SummaryTextDone { .. } => "response.reasoning_summary_text.done",
            Self::ArgumentsDone { .. } => "response.function_call_arguments.done",
            Self::CustomInputDone { .. } => "response.custom_tool_call_input.done",
            Self::SearchInProgress(_) => "response.web_search_call.in_progress",
            Self::Searching(_) => "response.web_search_call.searching",
            Self::SearchCompleted(_) => "response.web_search_call.completed",
            Self::CodeInProgress(_) => "response.code_interpreter_call.in_progress",
            Self::Interpreting(_) => "response.code_interpreter_call.interpreting",
            Self::CodeCompleted(_) => "response.code_interpreter_call.completed",
            Self::CodeDone { .. } => "response.code_interpreter_call_code.done",
        }
    }
}

/// An event about the whole response.
#[derive(Debug, Clone, Serialize)]
pub struct ResponseEvent<'a> {
    /// In order.
    pub sequence_number: u64,
    /// The response as it is now.
    pub response: &'a ResponseObject<'a>,
}

/// An event about an item.
#[derive(Debug, Clone, Serialize)]
pub struct ItemEvent<'a> {
    /// In order.
    pub sequence_number: u64,
    /// Its place in `output`.
    pub output_index: u32,
    /// The item as it is now.
    pub item: &'a OutputItem,
}

/// An event about a part of a message.
#[derive(Debug, Clone, Serialize)]
pub struct PartEvent<'a> {
    /// In order.
    pub sequence_number: u64,
    /// The item.
    pub item_id: &'a str,
    /// Its place in `output`.
    pub output_index: u32,
    /// The part's place in `content`.
    pub content_index: u32,
    /// The part as it is now.
    pub part: &'a super::MessagePart,
}

/// An event about a paragraph of a reasoning summary.
#[derive(Debug, Clone, Serialize)]
pub struct SummaryEvent<'a> {
    /// In order.
    pub sequence_number: u64,
    /// The item.
    pub item_id: &'a str,
    /// Its place in `output`.
    pub output_index: u32,
    /// The paragraph's place in `summary`.
    pub summary_index: u32,
    /// The paragraph as it is now.
    pub part: &'a super::SummaryText,
}

/// An event about a call that the provider runs.
#[derive(Debug, Clone, Serialize)]
pub struct CallEvent<'a> {
    /// In order.
    pub sequence_number: u64,
    /// The item.
    pub item_id: &'a str,
    /// Its place in `output`.
    pub output_index: u32,
}
