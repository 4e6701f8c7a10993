//! `POST /v1/messages`: request, answer and stream events.

mod answer;
mod content;
mod event;
mod request;
mod tool;

pub use answer::{AnswerBlock, CacheCreation, CitationOut, Message, MessageUsage, OutputTokensDetails, StopDetails};
pub use content::{
    BlockContent, BlockSource, CacheControl, CitationIn, CitationSwitch, Citations, Content, ContentBlock, MessageParam, SourceObject,
};
pub use event::{BlockDelta, BlockStart, EventUsage, StartedMessage, StopDelta, StreamEvent};
pub use request::{ContextEdit, ContextManagement, MessagesRequest, OutputConfig, OutputFormat, ThinkingConfig};
pub use tool::{ToolChoice, ToolParam};

#[cfg(test)]
mod tests;
