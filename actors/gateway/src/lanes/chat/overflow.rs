//! A full context, told to clients of the Messages API in the words that they act upon.

use outcrop_domain::error::{Cause, GatewayError};
use outcrop_translate::errors::anthropic::overflow::{ContextFacts, in_claudes_words};

use super::prepare::Prepared;
use crate::ports::AnswerDialect;

/// The error of a request as its client is told it. Only where a model that is not Anthropic's answers a Messages client do the
/// words change: all others read upstream's own.
pub(super) fn told(error: GatewayError, prepared: &Prepared) -> GatewayError {
    let model = &prepared.resolution.model;
    let speaks_claude = model.chat.as_ref().is_some_and(|chat| chat.invoke_messages);
    if !matches!(prepared.dialect, AnswerDialect::Messages) || speaks_claude {
        return error;
    }
    if let GatewayError::Upstream(failure) = &error
        && failure.cause == Cause::ContextOverflow
    {
        // The client may not see these words any more.
        tracing::info!(model.id = %model.id, error = %failure.message, "the context of a model is full");
    }
    let facts = ContextFacts {
        input_tokens: Some(prepared.ask.prompt_tokens),
        max_tokens: Some(prepared.ask.route.reservation.max_tokens),
        context_tokens: model.context_tokens.map(u64::from),
    };
    in_claudes_words(error, &facts)
}
