//! InvokeModel and InvokeModelWithResponseStream: the parts of models' own bodies that say what a call used.
//!
//! The bodies themselves pass as bytes; nothing here describes them whole. Members that are absent, null or newer than these
//! lists are nothing to stumble over.

mod claude;
mod other;

pub use claude::{CacheCreation, ClaudeUsage, Iteration, OutputTokensDetails};
pub use other::{BilledUnits, InvocationMetrics, NovaUsage, OpenAiUsage, OtherAnswer, OtherMeta, OtherMetadata, TitanResult, TokenDetails};
