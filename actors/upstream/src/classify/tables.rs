//! The tables of [`super::classify`]. Pure data.
//!
//! Sources: Bedrock service model (modeled exceptions), Bedrock user guide "Troubleshooting API error codes", the
//! AWS SDKs' lists of throttling codes; texts from public issue trackers, so never the only signal.

use outcrop_domain::error::Cause;

/// What an error type means.
pub(super) struct CodeRule {
    /// The type, compared without case.
    pub(super) code: &'static str,
    /// The status it comes with, for exceptions inside a stream.
    pub(super) status: u16,
    /// What it means.
    pub(super) cause: Cause,
}

const fn code(code: &'static str, status: u16, cause: Cause) -> CodeRule {
    CodeRule { code, status, cause }
}

pub(super) const CODE_RULES: &[CodeRule] = &[
    code("ThrottlingException", 429, Cause::Throttled),
    code("Throttling", 429, Cause::Throttled),
    code("ThrottledException", 429, Cause::Throttled),
    code("RequestThrottledException", 429, Cause::Throttled),
    code("RequestThrottled", 429, Cause::Throttled),
    code("TooManyRequestsException", 429, Cause::Throttled),
    code("ProvisionedThroughputExceededException", 429, Cause::Throttled),
    code("RequestLimitExceeded", 429, Cause::Throttled),
    code("BandwidthLimitExceeded", 429, Cause::Throttled),
    code("LimitExceededException", 429, Cause::Throttled),
    code("PriorRequestNotComplete", 429, Cause::Throttled),
    code("SlowDown", 503, Cause::Throttled),
    code("ServiceQuotaExceededException", 400, Cause::QuotaExhausted),
    code("ModelNotReadyException", 429, Cause::NotReady),
    code("ModelTimeoutException", 408, Cause::Timeout),
    code("RequestTimeoutException", 408, Cause::Timeout),
    code("RequestTimeout", 408, Cause::Timeout),
    code("ModelErrorException", 424, Cause::Unavailable),
    code("ModelStreamErrorException", 424, Cause::Unavailable),
    code("InternalServerException", 500, Cause::Unavailable),
    code("InternalServerError", 500, Cause::Unavailable),
    code("InternalFailure", 500, Cause::Unavailable),
    code("InternalError", 500, Cause::Unavailable),
    code("ServiceUnavailableException", 503, Cause::Unavailable),
    code("ServiceUnavailable", 503, Cause::Unavailable),
    code("ValidationException", 400, Cause::BadRequest),
    code("ValidationError", 400, Cause::BadRequest),
    code("SerializationException", 400, Cause::BadRequest),
    code("ConflictException", 400, Cause::BadRequest),
    code("InvalidAction", 400, Cause::BadRequest),
    code("UnknownOperationException", 404, Cause::BadRequest),
    code("AccessDeniedException", 403, Cause::AccessDenied),
    code("AccessDenied", 403, Cause::AccessDenied),
    code("NotAuthorized", 400, Cause::AccessDenied),
    code("OptInRequired", 403, Cause::AccessDenied),
    code("SubscriptionRequiredException", 403, Cause::AccessDenied),
    code("FTUFormNotFilled", 404, Cause::AccessDenied),
    code("ResourceNotFoundException", 404, Cause::ModelMissing),
    code("ResourceNotFound", 404, Cause::ModelMissing),
    code("ExpiredTokenException", 403, Cause::Credentials),
    code("ExpiredToken", 403, Cause::Credentials),
    code("UnrecognizedClientException", 403, Cause::Credentials),
    code("InvalidClientTokenId", 403, Cause::Credentials),
    code("InvalidToken", 403, Cause::Credentials),
    code("InvalidSignatureException", 403, Cause::Credentials),
    code("SignatureDoesNotMatch", 403, Cause::Credentials),
    code("IncompleteSignature", 400, Cause::Credentials),
    code("IncompleteSignatureException", 400, Cause::Credentials),
    code("MissingAuthenticationToken", 403, Cause::Credentials),
    code("MissingAuthenticationTokenException", 403, Cause::Credentials),
    code("RequestExpired", 400, Cause::Credentials),
    code("RequestTimeTooSkewed", 403, Cause::Credentials),
];

/// What a text adds to what the type said.
pub(super) struct TextRule {
    /// The cause that the type alone would give.
    pub(super) refines: Cause,
    /// Part of the message, in lower case.
    pub(super) fragment: &'static str,
    /// What it means together.
    pub(super) cause: Cause,
}

const fn text(refines: Cause, fragment: &'static str, cause: Cause) -> TextRule {
    TextRule { refines, fragment, cause }
}

/// The first rule that fits wins.
pub(super) const TEXT_RULES: &[TextRule] = &[
    text(Cause::Throttled, "per day", Cause::QuotaExhausted),
    text(Cause::Throttled, "daily", Cause::QuotaExhausted),
    // A hard quota, unless the text says to wait: then it is a rate.
    text(Cause::QuotaExhausted, "per day", Cause::QuotaExhausted),
    text(Cause::QuotaExhausted, "please wait", Cause::Throttled),
    text(Cause::QuotaExhausted, "too many requests", Cause::Throttled),
    text(Cause::QuotaExhausted, "per minute", Cause::Throttled),
    text(Cause::QuotaExhausted, "rate exceeded", Cause::Throttled),
    // Both forms of apostrophe are in use, so the word is left off before it.
    text(Cause::BadRequest, "on-demand throughput isn", Cause::ModelMissing),
    text(Cause::BadRequest, "on-demand throughput is not supported", Cause::ModelMissing),
    text(Cause::BadRequest, "model identifier is invalid", Cause::ModelMissing),
    text(Cause::BadRequest, "input is too long", Cause::ContextOverflow),
    text(Cause::BadRequest, "prompt is too long", Cause::ContextOverflow),
    text(Cause::BadRequest, "exceed context limit", Cause::ContextOverflow),
    text(Cause::BadRequest, "context_length_exceeded", Cause::ContextOverflow),
    text(Cause::BadRequest, "maximum context length", Cause::ContextOverflow),
    text(Cause::BadRequest, "too many input tokens", Cause::ContextOverflow),
    text(Cause::BadRequest, "input tokens exceeded", Cause::ContextOverflow),
    text(Cause::BadRequest, "number of input tokens exceeds", Cause::ContextOverflow),
    text(Cause::BadRequest, "you don't have access to the model", Cause::AccessDenied),
    text(Cause::BadRequest, "access to this model is not available", Cause::AccessDenied),
    text(Cause::BadRequest, "use case details have not been submitted", Cause::AccessDenied),
    text(Cause::BadRequest, "operation not allowed", Cause::AccessDenied),
    text(Cause::ModelMissing, "use case details have not been submitted", Cause::AccessDenied),
    text(Cause::ModelMissing, "guardrail", Cause::BadRequest),
    text(Cause::AccessDenied, "security token included in the request is expired", Cause::Credentials),
    text(Cause::AccessDenied, "security token included in the request is invalid", Cause::Credentials),
    text(Cause::AccessDenied, "bearer token has expired", Cause::Credentials),
    text(Cause::AccessDenied, "make sure your api key is valid", Cause::Credentials),
    text(Cause::AccessDenied, "signature expired", Cause::Credentials),
    text(Cause::AccessDenied, "signature not yet current", Cause::Credentials),
];
