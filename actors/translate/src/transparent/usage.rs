//! Tokens of a Claude answer, out of the three places that tell them.
//!
//! `message_start`, `message_delta` and Bedrock's own metrics report the same call, each more of it or less. Numbers of one call
//! only grow, so the larger one is the newer one. Cache writes by lifetime are told by the first of them and only as a sum by
//! the others: the sum must not count again as five-minute writes.

use outcrop_domain::{chat::ServiceTier, usage::Usage};
use outcrop_protocol::bedrock::invoke::{ClaudeUsage, InvocationMetrics, Iteration};

/// The largest number of each kind so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct UsageTally {
    model: Tokens,
    metrics: Tokens,
    /// Server-side compaction, which the model's own sums leave out.
    compaction: Tokens,
    reasoning: Option<u64>,
    told: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tokens {
    input: u64,
    output: u64,
    cache_read: u64,
    /// All writes, where only the sum is told.
    written: u64,
    written_5m: u64,
    written_1h: u64,
}

impl Tokens {
    fn raise(&mut self, other: Self) {
        self.input = self.input.max(other.input);
        self.output = self.output.max(other.output);
        self.cache_read = self.cache_read.max(other.cache_read);
        self.written = self.written.max(other.written);
        self.written_5m = self.written_5m.max(other.written_5m);
        self.written_1h = self.written_1h.max(other.written_1h);
    }

    fn add(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cache_read = self.cache_read.saturating_add(other.cache_read);
        self.written = self.written.saturating_add(other.written);
        self.written_5m = self.written_5m.saturating_add(other.written_5m);
        self.written_1h = self.written_1h.saturating_add(other.written_1h);
    }
}

impl UsageTally {
    /// What the model tells.
    pub(super) fn told_by_model(&mut self, usage: &ClaudeUsage) {
        self.told = true;
        self.model.raise(tokens(usage));
        let details = usage.output_tokens_details.as_ref();
        self.reasoning = self.reasoning.max(details.and_then(|details| details.thinking_tokens));
        let mut compaction = Tokens::default();
        for iteration in usage.iterations.iter().flatten().filter(|iteration| iteration.kind.as_deref() == Some(COMPACTION)) {
            compaction.add(tokens_of_iteration(iteration));
        }
        self.compaction.raise(compaction);
    }

    /// What Bedrock tells.
    pub(super) fn told_by_bedrock(&mut self, metrics: &InvocationMetrics) {
        self.told = true;
        self.metrics.raise(Tokens {
            input: metrics.input_token_count.unwrap_or(0),
            output: metrics.output_token_count.unwrap_or(0),
            cache_read: metrics.cache_read_input_token_count.unwrap_or(0),
            written: metrics.cache_write_input_token_count.unwrap_or(0),
            ..Tokens::default()
        });
    }

    /// The tokens of the call; `None` when nobody has told any.
    pub(super) fn usage(&self) -> Option<Usage> {
        if !self.told {
            return None;
        }
        let mut all = self.model;
        all.add(self.compaction);
        // Whichever counts more: whether Bedrock's numbers hold compaction is not documented.
        all.raise(self.metrics);
        Some(Usage {
            input: all.input,
            output: all.output,
            cache_read: all.cache_read,
            cache_write_5m: all.written_5m.max(all.written.saturating_sub(all.written_1h)),
            cache_write_1h: all.written_1h,
            reasoning: self.reasoning,
        })
    }
}

/// Kind of an iteration that the sums leave out. Source: usage of the Messages API.
const COMPACTION: &str = "compaction";

fn tokens(usage: &ClaudeUsage) -> Tokens {
    let by_lifetime = usage.cache_creation.unwrap_or_default();
    Tokens {
        input: usage.input_tokens.unwrap_or(0),
        output: usage.output_tokens.unwrap_or(0),
        cache_read: usage.cache_read_input_tokens.unwrap_or(0),
        written: usage.cache_creation_input_tokens.unwrap_or(0),
        written_5m: by_lifetime.ephemeral_5m_input_tokens.unwrap_or(0),
        written_1h: by_lifetime.ephemeral_1h_input_tokens.unwrap_or(0),
    }
}

fn tokens_of_iteration(iteration: &Iteration) -> Tokens {
    let by_lifetime = iteration.cache_creation.unwrap_or_default();
    Tokens {
        input: iteration.input_tokens.unwrap_or(0),
        output: iteration.output_tokens.unwrap_or(0),
        cache_read: iteration.cache_read_input_tokens.unwrap_or(0),
        written: iteration.cache_creation_input_tokens.unwrap_or(0),
        written_5m: by_lifetime.ephemeral_5m_input_tokens.unwrap_or(0),
        written_1h: by_lifetime.ephemeral_1h_input_tokens.unwrap_or(0),
    }
}

/// The tier that served an answer, by Anthropic's word or Bedrock's.
pub(super) fn service_tier(word: &str) -> Option<ServiceTier> {
    match word {
        "priority" => Some(ServiceTier::Priority),
        "standard" | "default" => Some(ServiceTier::Default),
        "flex" => Some(ServiceTier::Flex),
        "reserved" => Some(ServiceTier::Reserved),
        _ => None,
    }
}
