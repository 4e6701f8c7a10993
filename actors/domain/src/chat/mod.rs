//! The chat hub: one representation that every dialect translates into and every model surface out of.
//!
//! Dialects differ in spelling, not in substance; so there is one translation per dialect and one per
//! surface, never one per pair. Content that belongs to the caller (tool schemas, tool inputs, media) is
//! carried as text and not looked into.

mod content;
mod event;
mod request;
mod response;
mod tool;

pub use content::{
    CacheMark, CacheTtl, Citation, CitationPlace, Content, DocumentSource, GuardQualifier, Media, MediaFormat, MediaKind, MediaSource,
    Reasoning, SearchResult, ToolResultPart, ToolResultStatus,
};
pub use event::{BlockKind, ChatEvent};
pub use request::{
    CachePolicy, ChatRequest, Effort, Guardrail, GuardrailStreamMode, GuardrailTrace, Latency, Message, ReasoningMode, ReasoningRequest,
    ReasoningVisibility, ResponseFormat, Role, Sampling, ServiceTier, SystemBlock,
};
pub use response::{ChatResponse, StopReason};
pub use tool::{ParallelToolCalls, SystemTool, Tool, ToolChoice, ToolOrigin};
