//! `POST /v1/chat/completions`. Source: `CreateChatCompletionRequest`, `CreateChatCompletionResponse` and
//! `CreateChatCompletionStreamResponse` of the published schema, and what real clients send beside them.

mod answer;
mod chunk;
mod message;
mod request;
mod tool;

pub use answer::{
    Annotation, AnswerMessage, ChatCompletion, Choice, CompletionDetails, CompletionUsage, CustomCall, FunctionCallOut, PromptDetails,
    ReasoningDetailOut, ToolCallOut, UrlCitation,
};
pub use chunk::{ChatCompletionChunk, ChunkChoice, CustomDelta, Delta, FunctionDelta, ToolCallDelta};
pub use message::{
    AudioReference, CacheControl, ChatMessage, ContentPart, CustomCallIn, FilePart, FunctionCallIn, InputAudio, MediaObject,
    MediaReference, MessageContent, ReasoningDetailIn, ThinkingBlock, ToolCallIn,
};
pub use request::{
    ChatCompletionRequest, PromptCacheOptions, ReasoningOptions, ResponseFormatParam, SchemaFormat, StreamOptions, ThinkingOptions,
    WebSearchOptions,
};
pub use tool::{
    AllowedTools, CustomFormat, CustomGrammar, CustomToolParam, FunctionChoice, FunctionParam, NamedReference, ToolChoiceObject,
    ToolChoiceParam, ToolParam,
};
