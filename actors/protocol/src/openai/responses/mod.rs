//! `POST /v1/responses` and what belongs to it. Source: `CreateResponse`, `Response`, `ResponseStreamEvent`, `InputItem`
//! and `OutputItem` of the published schema, and what real clients send beside them.
//!
//! Items come in as raw JSON and are read one by one ([`InputItem`]): they are stored as they were written, a kind that
//! nobody knows yet survives, and what was stored comes back through the same door.

mod answer;
mod event;
mod item;
mod object;
mod output;
mod request;
mod tool;

pub use answer::{
    Compaction, Conversation, ConversationBody, ConversationDeleted, InputMessage, InputTextPart, InputTokens, ItemList, ResponseDeleted,
};
pub use event::{CallEvent, ItemEvent, PartEvent, ResponseEvent, StreamEvent, SummaryEvent};
pub use item::{InputItem, SearchResult, ShellOutput, SummaryPart};
pub use object::{
    ConversationEcho, IncompleteDetails, ReasoningEcho, ResponseError, ResponseObject, ResponseUsage, Status, UsageInput, UsageOutput,
};
pub use output::{Annotation, CodeOutput, ItemStatus, MessagePart, OutputItem, SearchAction, SummaryText};
pub use request::{ContextManagement, ConversationParam, ConversationReference, InputParam, ReasoningParam, ResponsesRequest, TextParam};
pub use tool::{AllowedTool, ContainerObject, ToolChoiceObject, ToolChoiceParam, ToolParam};
