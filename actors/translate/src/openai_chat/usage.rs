//! Token counts in OpenAI's terms.

use outcrop_domain::usage::Usage;
use outcrop_protocol::openai::chat::{CompletionDetails, CompletionUsage, PromptDetails};

/// `prompt_tokens` is all input: uncached, cache reads and cache writes.
pub(crate) fn completion_usage(usage: &Usage) -> CompletionUsage {
    CompletionUsage {
        prompt_tokens: usage.prompt(),
        completion_tokens: usage.output,
        total_tokens: usage.total(),
        prompt_tokens_details: PromptDetails { cached_tokens: usage.cache_read, cache_write_tokens: usage.cache_write(), audio_tokens: 0 },
        completion_tokens_details: CompletionDetails {
            reasoning_tokens: usage.reasoning,
            audio_tokens: 0,
            accepted_prediction_tokens: 0,
            rejected_prediction_tokens: 0,
        },
    }
}
