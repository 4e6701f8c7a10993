//! Everything that can go wrong with a request, as data.
//!
//! Jobs answer with these values; only the edge turns them into status codes and envelopes, and the text of an
//! upstream error passes through word for word, because agents read it to recover.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ids::Region, routing::quota::Refused};

/// Why an upstream call failed, as far as routing cares: causes, not codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A per-minute quota or service-wide throttle. Next target, with backoff.
    Throttled,
    /// A daily or hard quota: closed for long.
    QuotaExhausted,
    /// 5xx, model error, or no capacity. Next target, with a breaker of its own.
    Unavailable,
    /// The model is warming up.
    NotReady,
    /// No answer before the first-byte deadline, or the model's own timeout.
    Timeout,
    /// No connection, or it broke before the first byte.
    Connection,
    /// The request itself is bad: straight back, no health effect.
    BadRequest,
    /// The prompt does not fit the model: straight back.
    ContextOverflow,
    /// No access to this model here: skip this target for minutes, alarm.
    AccessDenied,
    /// The model (in this id form) does not exist in this region: skip this target for minutes.
    ModelMissing,
    /// Our credentials are expired or refused: refresh and retry once.
    Credentials,
    /// The answer broke after its first byte.
    BrokenStream,
    /// The answer was not what the API promises.
    Malformed,
}

impl Cause {
    /// May another target answer where this one failed?
    #[must_use]
    pub fn try_elsewhere(self) -> bool {
        !matches!(self, Self::BadRequest | Self::ContextOverflow | Self::BrokenStream)
    }

    /// Label for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Unavailable => "unavailable",
            Self::NotReady => "not_ready",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::BadRequest => "bad_request",
            Self::ContextOverflow => "context_overflow",
            Self::AccessDenied => "access_denied",
            Self::ModelMissing => "model_missing",
            Self::Credentials => "credentials",
            Self::BrokenStream => "broken_stream",
            Self::Malformed => "malformed",
        }
    }
}

/// One failed upstream call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct UpstreamFailure {
    /// What it means to routing.
    pub cause: Cause,
    /// HTTP status, or the status of the in-stream exception; 0 when there was none (connection, timeout).
    pub status: u16,
    /// Upstream's error type, e.g. `ThrottlingException`; ours for failures without one, e.g. `ConnectionFailure`.
    pub code: String,
    /// Upstream's words, unchanged.
    pub message: String,
    /// `x-amzn-RequestId`.
    pub request_id: Option<String>,
    /// When upstream says to come back.
    pub retry_after: Option<Duration>,
    /// Where it happened.
    pub region: Option<Region>,
    /// What the model's own server said, where upstream tells. Boxed: few failures have it.
    pub model_error: Option<Box<ModelError>>,
}

impl UpstreamFailure {
    /// A failure that we noticed ourselves: no answer, or one that is not what the API promises. It has no status, and where it
    /// happened is for whoever knows to add.
    #[must_use]
    pub fn own(cause: Cause, code: &str, message: impl Into<String>) -> Self {
        Self {
            cause,
            status: 0,
            code: code.to_owned(),
            message: message.into(),
            request_id: None,
            retry_after: None,
            region: None,
            model_error: None,
        }
    }
}

/// What `ModelErrorException` and `ModelStreamErrorException` tell beside their message: the refusal of the model's own
/// server, behind AWS's. Source: Bedrock service model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelError {
    /// `originalStatusCode`: what that server answered.
    pub original_status: Option<u16>,
    /// `originalMessage`: its words.
    pub original_message: Option<String>,
    /// `resourceName`: which model it was.
    pub resource_name: Option<String>,
}

impl UpstreamFailure {
    /// Which quota refused the call, as far as upstream's words tell. They name the resource and nothing else does: "Too
    /// many requests", "Too many tokens", "Too many tokens per day". Source: error messages of the Bedrock runtime.
    #[must_use]
    pub fn refused_by(&self) -> Refused {
        let words = self.message.to_ascii_lowercase();
        if self.cause == Cause::QuotaExhausted || words.contains("per day") {
            Refused::Daily
        } else if words.contains("token") {
            Refused::Tokens
        } else if words.contains("too many requests") {
            Refused::Requests
        } else {
            Refused::Unnamed
        }
    }
}

/// Why a request could not be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// The request is wrong in itself.
    #[error("{message}")]
    InvalidRequest {
        /// Names the field and the rule.
        message: String,
        /// The field, in the client's spelling.
        param: Option<String>,
        /// OpenAI's machine-readable code, e.g. `unsupported_parameter`.
        code: Option<&'static str>,
    },
    /// No key, or a wrong one.
    #[error("{message}")]
    Unauthenticated {
        /// What was wrong, without the key.
        message: String,
    },
    /// The key may not do this.
    #[error("{message}")]
    Forbidden {
        /// What it may not do.
        message: String,
    },
    /// No such model.
    #[error("{message}")]
    ModelNotFound {
        /// The name the caller used.
        model: String,
        /// Says what to use instead where that is known.
        message: String,
    },
    /// No such object or path.
    #[error("{message}")]
    NotFound {
        /// What was not found.
        message: String,
    },
    /// The request names something stored that its key does not have.
    #[error("{message}")]
    UnknownReference {
        /// What was not found.
        message: String,
        /// The field that names it.
        param: Option<String>,
        /// OpenAI's machine-readable code, e.g. `previous_response_not_found`.
        code: Option<&'static str>,
    },
    /// The body is over the limit.
    #[error("request body is larger than {limit_bytes} bytes")]
    BodyTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The body did not arrive in time.
    #[error("the request body did not arrive within {after:?}")]
    BodyTimeout {
        /// The limit.
        after: Duration,
    },
    /// A URL we were asked to fetch could not be fetched, or must not be.
    #[error("{message}")]
    FetchFailed {
        /// Which URL and why.
        message: String,
        /// The field it came from.
        param: Option<String>,
    },
    /// Every target is over its quota.
    #[error("{message}")]
    RateLimited {
        /// Upstream's words where there are any.
        message: String,
        /// From our own view of the quotas.
        retry_after: Duration,
    },
    /// The gateway itself has too much to do.
    #[error("{message}")]
    Overloaded {
        /// Which limit.
        message: String,
        /// When to come back.
        retry_after: Duration,
    },
    /// A part of the gateway is restarting, or it is shutting down.
    #[error("{message}")]
    Unavailable {
        /// Which part.
        message: String,
        /// When to come back.
        retry_after: Duration,
    },
    /// The actor that held this request died.
    #[error("the worker that handled this request stopped unexpectedly; the request was not completed")]
    WorkerLost,
    /// The request's own deadline passed.
    #[error("no answer within {after:?}")]
    DeadlineExceeded {
        /// The deadline.
        after: Duration,
    },
    /// The last target's failure, after all others.
    #[error("{0}")]
    Upstream(UpstreamFailure),
    /// A bug of ours, told without details.
    #[error("{message}")]
    Internal {
        /// Fit for the caller.
        message: String,
    },
}

impl GatewayError {
    /// A bad request that names its field.
    #[must_use]
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidRequest { message: message.into(), param: Some(param.into()), code: None }
    }

    /// A bad request that names its field and OpenAI's code for it.
    #[must_use]
    pub fn invalid_with_code(param: impl Into<String>, message: impl Into<String>, code: &'static str) -> Self {
        Self::InvalidRequest { message: message.into(), param: Some(param.into()), code: Some(code) }
    }

    /// The class, for metrics and logs.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::InvalidRequest { .. } => "invalid_request",
            Self::Unauthenticated { .. } => "unauthenticated",
            Self::Forbidden { .. } => "forbidden",
            Self::ModelNotFound { .. } => "model_not_found",
            Self::NotFound { .. } | Self::UnknownReference { .. } => "not_found",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyTimeout { .. } => "body_timeout",
            Self::FetchFailed { .. } => "fetch_failed",
            Self::RateLimited { .. } => "rate_limited",
            Self::Overloaded { .. } => "overloaded",
            Self::Unavailable { .. } => "unavailable",
            Self::WorkerLost => "worker_lost",
            Self::DeadlineExceeded { .. } => "deadline_exceeded",
            Self::Upstream(failure) => failure.cause.as_str(),
            Self::Internal { .. } => "internal",
        }
    }

    /// May the client try the same request again?
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::Overloaded { .. }
            | Self::Unavailable { .. }
            | Self::WorkerLost
            | Self::BodyTimeout { .. }
            | Self::DeadlineExceeded { .. } => true,
            Self::Upstream(failure) => failure.cause.try_elsewhere() && !matches!(failure.cause, Cause::AccessDenied | Cause::ModelMissing),
            _ => false,
        }
    }

    /// When to try again, where we know.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Overloaded { retry_after, .. } | Self::Unavailable { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::Upstream(failure) => failure.retry_after,
            _ => None,
        }
    }
}
