//! Models as data: what each can do, what it costs, by which names it goes.

mod capabilities;

pub use capabilities::{
    CacheSupport, ChatCapabilities, EffortField, ForcedTools, MidSystem, ReasoningDialect, ReasoningReplay, SamplingRule, Structured,
    SystemSupport, ToolIds, ToolResultImages, ToolSupport, TopKField,
};
