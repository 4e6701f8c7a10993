//! Converse, ConverseStream and CountTokens: JSON bodies and event payloads.
//!
//! Requests are only written and borrow their content, because a body may hold megabytes of base64. Answers are
//! only read, and leniently: AWS adds members, union variants, enum values and events without notice, so
//! everything unknown is skipped. A union is read as a struct of optional members for the same reason.
//! Source: service model `bedrock-runtime/2023-09-30`.

mod block;
mod count;
mod request;
mod response;
mod sent;
mod stream;

pub use block::{
    Audio, CachePoint, CitationsSwitch, ContentBlock, Document, DocumentSource, GuardContent, GuardText, Image, ReasoningContent,
    ReasoningText, S3Location, SearchResult, Source, TextBlock, ToolResult, ToolResultContent, ToolUse, Video,
};
pub use count::{CountTokensInput, CountTokensRequest, CountTokensResponse, CountableConverse};
pub use request::{
    ConverseRequest, Empty, GuardrailConfig, InferenceConfig, InputSchema, JsonSchema, Message, NamedTool, OutputConfig, PerformanceConfig,
    Role, ServiceTier, SystemBlock, TextFormat, TextFormatStructure, ToolChoice, ToolConfig, ToolEntry, ToolSpec,
};
pub use response::{
    AnswerBlock, AnswerCitation, AnswerImage, AnswerImageSource, AnswerLocation, AnswerMessage, AnswerOutput, AnswerReasoning,
    AnswerReasoningText, AnswerText, AnswerTier, AnswerToolResult, AnswerToolResultContent, AnswerToolUse, CacheDetail, CitationLocation,
    CitationsContent, ConverseResponse, OutputTokensDetails, ResponseFields, ResponseFieldsUsage, TokenUsage, WebLocation,
};
pub use sent::{SentConverse, SentInference};
pub use stream::{
    BlockDelta, BlockDeltaEvent, BlockStart, BlockStartEvent, BlockStopEvent, MessageStopEvent, MetadataEvent, ReasoningDelta,
    ToolResultStart, ToolUseDelta,
};
