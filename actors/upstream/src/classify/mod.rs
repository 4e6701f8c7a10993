//! From what an upstream said to what it means for routing.
//!
//! The error type decides; the text only refines it, because AWS changes its wording without notice. Both are
//! tables (`tables.rs`). The text itself always travels on unchanged.

mod error_body;
mod tables;

use std::time::Duration;

use outcrop_domain::{
    error::{Cause, UpstreamFailure},
    ids::Region,
};

pub use error_body::ErrorBody;
use tables::{CODE_RULES, CodeRule, TEXT_RULES};

/// What is known of an error answer before anybody judges it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// HTTP status; 0 inside a stream.
    pub status: u16,
    /// Error type as the header or the body names it; empty when neither does.
    pub code: &'a str,
    /// Upstream's words.
    pub message: &'a str,
    /// `originalStatusCode` of a model error: what the model's own server answered.
    pub original_status: Option<u16>,
}

/// The cause that the evidence points to.
#[must_use]
pub fn classify(evidence: Evidence<'_>) -> Cause {
    let by_code = code_rule(evidence.code).map(|rule| rule.cause);
    let base = match (by_code, evidence.original_status) {
        // A model's own server refused: its status says more than the wrapper's 424.
        (Some(Cause::Unavailable), Some(original)) if is_model_error(evidence.code) => by_original_status(original),
        (Some(cause), _) => cause,
        (None, _) => by_status(evidence.status),
    };
    refine_by_text(base, evidence.message)
}

/// A failure of an answer that upstream gave, with its status filled in where the stream had none.
#[must_use]
pub fn told_failure(
    evidence: Evidence<'_>,
    retry_after: Option<Duration>,
    request_id: Option<String>,
    region: Option<Region>,
) -> UpstreamFailure {
    let rule = code_rule(evidence.code);
    // In-stream exceptions are member names (`throttlingException`): the table's spelling is the type's own.
    let code = rule.map_or_else(|| code_or_status(evidence), |rule| rule.code.to_owned());
    UpstreamFailure {
        cause: classify(evidence),
        status: if evidence.status == 0 { rule.map_or(500, |rule| rule.status) } else { evidence.status },
        message: if evidence.message.is_empty() { code.clone() } else { evidence.message.to_owned() },
        code,
        request_id,
        retry_after,
        region,
        model_error: None,
    }
}

/// A failure that we noticed ourselves: no answer, or one that is not what the API promises.
#[must_use]
pub fn own_failure(cause: Cause, code: &str, message: impl Into<String>) -> UpstreamFailure {
    UpstreamFailure::own(cause, code, message)
}

/// `ThrottlingException:http://...` and `com.amazon#ThrottlingException` both mean `ThrottlingException`.
#[must_use]
pub fn bare_code(written: &str) -> &str {
    let before_colon = written.split(':').next().unwrap_or(written);
    before_colon.rsplit('#').next().unwrap_or(before_colon).trim()
}

fn code_rule(code: &str) -> Option<&'static CodeRule> {
    CODE_RULES.iter().find(|rule| rule.code.eq_ignore_ascii_case(code))
}

fn code_or_status(evidence: Evidence<'_>) -> String {
    if evidence.code.is_empty() { format!("Http{}", evidence.status) } else { evidence.code.to_owned() }
}

fn is_model_error(code: &str) -> bool {
    ["ModelErrorException", "ModelStreamErrorException"].iter().any(|known| known.eq_ignore_ascii_case(code))
}

fn by_original_status(original: u16) -> Cause {
    match original {
        408 => Cause::Timeout,
        429 => Cause::Throttled,
        400..=499 => Cause::BadRequest,
        _ => Cause::Unavailable,
    }
}

fn by_status(status: u16) -> Cause {
    match status {
        401 => Cause::Credentials,
        403 => Cause::AccessDenied,
        404 => Cause::ModelMissing,
        408 => Cause::Timeout,
        424 => Cause::Unavailable,
        429 => Cause::Throttled,
        400..=499 => Cause::BadRequest,
        // 0: an error frame of a type that nobody documents.
        0 | 500..=599 => Cause::Unavailable,
        _ => Cause::Malformed,
    }
}

fn refine_by_text(base: Cause, message: &str) -> Cause {
    let mut lowered = None;
    TEXT_RULES
        .iter()
        .filter(|rule| rule.refines == base)
        .find(|rule| lowered.get_or_insert_with(|| message.to_lowercase()).contains(rule.fragment))
        .map_or(base, |rule| rule.cause)
}

#[cfg(test)]
mod tests;
