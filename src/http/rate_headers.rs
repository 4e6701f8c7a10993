//! What is left of a model's quotas, in the headers that each dialect's clients read.

use std::{
    fmt::{self, Display, Formatter, Write as _},
    time::{Duration, SystemTime},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::BytesMut;
use outcrop_gateway::ports::{AnswerDialect, AnswerFacts, ModelLimits};
use time::OffsetDateTime;

/// The three headers of one quota.
struct Names {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

static OPENAI_REQUESTS: Names = Names {
    limit: HeaderName::from_static("x-ratelimit-limit-requests"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-requests"),
    reset: HeaderName::from_static("x-ratelimit-reset-requests"),
};
static OPENAI_TOKENS: Names = Names {
    limit: HeaderName::from_static("x-ratelimit-limit-tokens"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-tokens"),
    reset: HeaderName::from_static("x-ratelimit-reset-tokens"),
};
static ANTHROPIC_REQUESTS: Names = Names {
    limit: HeaderName::from_static("anthropic-ratelimit-requests-limit"),
    remaining: HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
    reset: HeaderName::from_static("anthropic-ratelimit-requests-reset"),
};
static ANTHROPIC_TOKENS: Names = Names {
    limit: HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
    remaining: HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
    reset: HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
};

/// Tells what is left, as far as it is known. OpenAI's clients read a length of time, Anthropic's a moment.
/// AWS has no such headers, so its own clients are told nothing.
pub(super) fn tell(headers: &mut HeaderMap, limits: &ModelLimits, about: &AnswerFacts) {
    match about.dialect {
        AnswerDialect::Native => {}
        AnswerDialect::Messages | AnswerDialect::Passed => write_all(headers, limits, Family::Anthropic),
        AnswerDialect::OpenAiChat { .. }
        | AnswerDialect::Responses { .. }
        | AnswerDialect::Compaction { .. }
        | AnswerDialect::Completions { .. } => {
            write_all(headers, limits, Family::OpenAi);
        }
    }
}

fn write_all(headers: &mut HeaderMap, limits: &ModelLimits, family: Family) {
    let (requests, tokens) = match family {
        Family::OpenAi => (&OPENAI_REQUESTS, &OPENAI_TOKENS),
        Family::Anthropic => (&ANTHROPIC_REQUESTS, &ANTHROPIC_TOKENS),
    };
    let told = [(requests, limits.requests), (tokens, limits.tokens)];
    if told.iter().all(|(_, limit)| limit.is_none()) {
        return;
    }
    headers.reserve(MORE_HEADERS);
    let mut values = Values(BytesMut::with_capacity(told.len() * VALUES_BYTES));
    for (names, limit) in told {
        let Some(limit) = limit else { continue };
        values.put(headers, &names.limit, limit.per_minute);
        values.put(headers, &names.remaining, limit.remaining);
        match family {
            Family::OpenAi => values.put(headers, &names.reset, Length(limit.resets_in)),
            Family::Anthropic => values.put(headers, &names.reset, Until(limits.at + limit.resets_in)),
        }
    }
}

/// Whose headers.
#[derive(Debug, Clone, Copy)]
enum Family {
    OpenAi,
    Anthropic,
}

/// The six of both quotas, and as many that others add, the server's own among them: their table grows once.
const MORE_HEADERS: usize = 12;

/// Most that the values of one quota usually take.
const VALUES_BYTES: usize = 48;

/// The values, one after the other in one piece of memory: an answer has up to six of them.
struct Values(BytesMut);

impl Values {
    fn put(&mut self, headers: &mut HeaderMap, name: &HeaderName, value: impl Display) {
        let written = write!(self.0, "{value}");
        let text = self.0.split().freeze();
        // Memory grows as it must: nothing but the value itself could refuse to be written.
        if let (Ok(()), Ok(value)) = (written, HeaderValue::from_maybe_shared(text)) {
            headers.insert(name.clone(), value);
        }
    }
}

/// A length of time as OpenAI writes it: `12ms`, `1s`, `6m0s`. Seconds are rounded up, so that nobody comes back too early.
struct Length(Duration);

impl Display for Length {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 < Duration::from_secs(1) {
            return write!(f, "{}ms", self.0.as_millis());
        }
        let seconds = self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0);
        match (seconds / 60, seconds % 60) {
            (0, seconds) => write!(f, "{seconds}s"),
            (minutes, seconds) => write!(f, "{minutes}m{seconds}s"),
        }
    }
}

/// A moment in RFC 3339, whole seconds, rounded up.
struct Until(SystemTime);

impl Display for Until {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let until = OffsetDateTime::from(self.0 + Duration::from_nanos(999_999_999));
        let (year, month, day) = until.to_calendar_date();
        let (hour, minute, second) = until.to_hms();
        write!(f, "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
    }
}

#[cfg(test)]
mod tests {
    use outcrop_gateway::ports::Limit;

    use super::*;

    fn limits() -> ModelLimits {
        let tokens = Limit { per_minute: 7_500_000, remaining: 7_000_000, resets_in: Duration::from_millis(61_500) };
        ModelLimits { at: SystemTime::UNIX_EPOCH, requests: None, tokens: Some(tokens) }
    }

    #[test]
    fn anthropics_clients_are_told_a_moment_and_nothing_of_what_is_not_known() {
        let mut headers = HeaderMap::new();
        write_all(&mut headers, &limits(), Family::Anthropic);
        assert_eq!(headers["anthropic-ratelimit-tokens-limit"], "7500000");
        assert_eq!(headers["anthropic-ratelimit-tokens-remaining"], "7000000");
        assert_eq!(headers["anthropic-ratelimit-tokens-reset"], "1970-01-01T00:01:02Z");
        assert_eq!(headers.len(), 3);
    }

    fn length(time: Duration) -> String {
        Length(time).to_string()
    }

    #[test]
    fn openais_clients_are_told_a_length_of_time() {
        assert_eq!(length(Duration::from_millis(12)), "12ms");
        assert_eq!(length(Duration::from_secs(1)), "1s");
        assert_eq!(length(Duration::from_millis(61_500)), "1m2s");
        assert_eq!(length(Duration::from_secs(360)), "6m0s");
    }
}
