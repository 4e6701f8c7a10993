//! Parts of an answer that a whole one and a streamed one share.

use outcrop_domain::{
    chat::{Citation, CitationPlace, ServiceTier, StopReason},
    error::{Cause, UpstreamFailure},
    usage::Usage,
};
use outcrop_protocol::bedrock::converse::{
    AnswerCitation, AnswerLocation, AnswerText, AnswerTier, CitationLocation, ResponseFields, TokenUsage,
};

/// An answer that is not what the API promises. The text of a parser's error tells place and kind, never content.
pub(crate) fn malformed(what: &str, error: &serde_json::Error) -> UpstreamFailure {
    failure(
        Cause::Malformed,
        "MalformedAnswer",
        format!("{what} cannot be read: {:?} error at line {} column {}", error.classify(), error.line(), error.column()),
    )
}

/// A failure without an HTTP status.
pub(crate) fn failure(cause: Cause, code: &str, message: String) -> UpstreamFailure {
    UpstreamFailure::own(cause, code, message)
}

/// Why an answer ended.
pub(crate) fn stop_reason(word: &str) -> StopReason {
    match word {
        "end_turn" => StopReason::EndTurn,
        "tool_use" => StopReason::ToolUse,
        "max_tokens" => StopReason::MaxTokens,
        "stop_sequence" => StopReason::StopSequence,
        "guardrail_intervened" => StopReason::GuardrailIntervened,
        "content_filtered" => StopReason::ContentFiltered,
        "malformed_model_output" => StopReason::MalformedModelOutput,
        "malformed_tool_use" => StopReason::MalformedToolUse,
        "model_context_window_exceeded" => StopReason::ModelContextWindowExceeded,
        _ => StopReason::Unknown,
    }
}

/// The reason as the client must see it: it waits for tools exactly when it sees calls. Some models say `end_turn`
/// beside calls; and calls that were turned into the answer, or left out, are none to wait for.
pub(super) fn stop_with_calls(reason: StopReason, calls: bool) -> StopReason {
    match (reason, calls) {
        (StopReason::EndTurn, true) => StopReason::ToolUse,
        (StopReason::ToolUse, false) => StopReason::EndTurn,
        (reason, _) => reason,
    }
}

/// Tokens, whichever of the duplicate members carry them.
pub(crate) fn usage(tokens: &TokenUsage, fields: Option<&ResponseFields>) -> Usage {
    let cache_read = tokens.cache_read_input_tokens.max(tokens.cache_read_input_token_count).unwrap_or(0);
    let written = |ttl: &str| tokens.cache_details.iter().filter(|detail| detail.ttl == ttl).map(|detail| detail.input_tokens).sum::<u64>();
    let (short, long) = (written("5m"), written("1h"));
    let total = tokens.cache_write_input_tokens.max(tokens.cache_write_input_token_count).unwrap_or(0);
    Usage {
        input: tokens.input_tokens,
        output: tokens.output_tokens,
        cache_read,
        // What the details do not explain was written with the default lifetime.
        cache_write_5m: short.max(total.saturating_sub(long)),
        cache_write_1h: long,
        reasoning: fields.and_then(thinking_tokens),
    }
}

/// Tokens spent on thinking, where the model tells.
pub(super) fn thinking_tokens(fields: &ResponseFields) -> Option<u64> {
    fields.usage.as_ref()?.output_tokens_details.as_ref()?.thinking_tokens
}

/// The tier that served an answer, where it is one we know.
pub(crate) fn service_tier(tier: Option<AnswerTier>) -> Option<ServiceTier> {
    match tier?.kind.as_str() {
        "priority" => Some(ServiceTier::Priority),
        "default" => Some(ServiceTier::Default),
        "flex" => Some(ServiceTier::Flex),
        "reserved" => Some(ServiceTier::Reserved),
        _ => None,
    }
}

/// A source of a text.
pub(super) fn citation(citation: AnswerCitation) -> Citation {
    let quoted = joined(citation.source_content);
    Citation {
        title: citation.title,
        source: citation.source,
        quoted: (!quoted.is_empty()).then_some(quoted),
        place: citation.location.and_then(place),
    }
}

/// Pieces of text as one.
pub(super) fn joined(pieces: Vec<AnswerText>) -> String {
    pieces.into_iter().filter_map(|piece| piece.text).collect()
}

fn place(location: CitationLocation) -> Option<CitationPlace> {
    if let Some(web) = location.web {
        return web.url.map(|url| CitationPlace::Web { url, domain: web.domain });
    }
    let document = |AnswerLocation { document_index, start, end, .. }: AnswerLocation| (document_index, start, end);
    if let Some((document, start, end)) = location.document_char.map(document) {
        return Some(CitationPlace::DocumentCharacters { document, start, end });
    }
    if let Some((document, start, end)) = location.document_page.map(document) {
        return Some(CitationPlace::DocumentPages { document, start, end });
    }
    if let Some((document, start, end)) = location.document_chunk.map(document) {
        return Some(CitationPlace::DocumentChunks { document, start, end });
    }
    location.search_result_location.map(|AnswerLocation { search_result_index, start, end, .. }| CitationPlace::SearchResult {
        result: search_result_index,
        start,
        end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(json: &str) -> Usage {
        usage(&serde_json::from_str(json).unwrap(), None)
    }

    #[test]
    fn pain_15_legacy_duplicates_are_merged_not_summed() {
        let usage = tokens(
            r#"{"inputTokens":3,"outputTokens":4,"totalTokens":7,"cacheReadInputTokens":10,"cacheReadInputTokenCount":10,"cacheWriteInputTokens":20,"cacheWriteInputTokenCount":20}"#,
        );
        assert_eq!(usage, Usage { input: 3, output: 4, cache_read: 10, cache_write_5m: 20, ..Usage::default() });
    }

    #[test]
    fn pain_15_writes_are_split_by_lifetime() {
        let usage = tokens(
            r#"{"inputTokens":1,"outputTokens":1,"cacheWriteInputTokens":30,"cacheDetails":[{"ttl":"1h","inputTokens":20},{"ttl":"5m","inputTokens":10}]}"#,
        );
        assert_eq!((usage.cache_write_5m, usage.cache_write_1h), (10, 20));
    }

    #[test]
    fn details_alone_count_as_writes() {
        assert_eq!(tokens(r#"{"inputTokens":1,"outputTokens":1,"cacheDetails":[{"ttl":"5m","inputTokens":10}]}"#).cache_write_5m, 10);
    }
}
