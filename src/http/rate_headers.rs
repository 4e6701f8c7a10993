//! What is left of a model's quotas, in the headers that each dialect's clients read.

use std::{
    fmt::Display,
    time::{Duration, SystemTime},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use outcrop_gateway::ports::{AnswerDialect, AnswerFacts, Limit, ModelLimits};
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
    for (names, limit) in [(requests, limits.requests), (tokens, limits.tokens)] {
        let Some(limit) = limit else { continue };
        let reset = match family {
            Family::OpenAi => length(limit.resets_in),
            Family::Anthropic => moment(limits.at, limit.resets_in),
        };
        write(headers, names, &limit, &reset);
    }
}

/// Whose headers.
#[derive(Debug, Clone, Copy)]
enum Family {
    OpenAi,
    Anthropic,
}

fn write(headers: &mut HeaderMap, names: &Names, limit: &Limit, reset: &dyn Display) {
    headers.insert(names.limit.clone(), HeaderValue::from(limit.per_minute));
    headers.insert(names.remaining.clone(), HeaderValue::from(limit.remaining));
    if let Ok(reset) = HeaderValue::try_from(reset.to_string()) {
        headers.insert(names.reset.clone(), reset);
    }
}

/// A length of time as OpenAI writes it: `12ms`, `1s`, `6m0s`. Seconds are rounded up, so that nobody comes back too early.
fn length(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        return format!("{}ms", time.as_millis());
    }
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

/// A moment in RFC 3339, whole seconds, rounded up.
fn moment(at: SystemTime, after: Duration) -> String {
    let until = OffsetDateTime::from(at + after + Duration::from_nanos(999_999_999));
    let (year, month, day) = until.to_calendar_date();
    let (hour, minute, second) = until.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn openais_clients_are_told_a_length_of_time() {
        assert_eq!(length(Duration::from_millis(12)), "12ms");
        assert_eq!(length(Duration::from_secs(1)), "1s");
        assert_eq!(length(Duration::from_millis(61_500)), "1m2s");
        assert_eq!(length(Duration::from_secs(360)), "6m0s");
    }
}
