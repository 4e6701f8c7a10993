//! Token counts in Anthropic's terms.

use outcrop_domain::{chat::ServiceTier, usage::Usage};
use outcrop_protocol::anthropic::messages::{CacheCreation, MessageUsage, OutputTokensDetails};

/// `input_tokens` is the uncached input alone.
pub(super) fn message_usage(usage: &Usage, tier: Option<ServiceTier>) -> MessageUsage {
    MessageUsage {
        input_tokens: usage.input,
        cache_creation_input_tokens: usage.cache_write(),
        cache_read_input_tokens: usage.cache_read,
        cache_creation: CacheCreation { ephemeral_5m_input_tokens: usage.cache_write_5m, ephemeral_1h_input_tokens: usage.cache_write_1h },
        output_tokens: usage.output,
        output_tokens_details: usage.reasoning.map(|thinking_tokens| OutputTokensDetails { thinking_tokens }),
        service_tier: tier.map(tier_word),
    }
}

/// Anthropic's tiers are `standard`, `priority` and `batch`: what Bedrock has beside them is told as the nearest one.
fn tier_word(tier: ServiceTier) -> &'static str {
    match tier {
        ServiceTier::Priority | ServiceTier::Reserved => "priority",
        ServiceTier::Default | ServiceTier::Flex => "standard",
    }
}
