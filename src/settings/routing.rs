//! `[routing]`: the order of regions, and how long one that failed is left alone.

use std::time::Duration;

use outcrop_domain::routing::{BackoffPolicy, BreakerPolicy, Strategy};

use super::read::{Integer, Section, Span, Words};

/// More than there are regions in most set-ups: every target gets its chance.
const MAX_ATTEMPTS: u32 = 10;

/// Per-minute quotas often refill within seconds; a client would itself wait about this long before its retry.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Nothing stays closed for longer: an hour is also where quotas by the hour refill.
const LONGEST_BACKOFF: Duration = Duration::from_secs(3600);

const STRATEGY: Words<Strategy> = Words(&[("ordered", Strategy::Ordered), ("disabled", Strategy::Disabled)]);

/// How targets are chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Routing {
    /// Order of targets.
    pub strategy: Strategy,
    /// Most upstream calls of one request. 1 to 100.
    pub max_attempts: u32,
    /// Longest wait for a closed target to open when no other is left. 0 s to 10 min.
    pub max_wait: Duration,
    /// How long failed targets are left alone.
    pub backoff: BreakerPolicy,
}

impl Routing {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            strategy: section.get("strategy", STRATEGY, Strategy::default()),
            max_attempts: section.get("max_attempts", Integer::between(1, 100), MAX_ATTEMPTS),
            max_wait: section.get("max_wait", Span::between(Duration::ZERO, Duration::from_secs(600)), MAX_WAIT),
            backoff: section.table("backoff", read_backoffs),
        }
    }
}

/// The defaults and their reasons stand at [`BreakerPolicy`].
fn read_backoffs(section: &mut Section<'_>) -> BreakerPolicy {
    let default = BreakerPolicy::default();
    let pause = Span::between(Duration::from_secs(1), LONGEST_BACKOFF);
    BreakerPolicy {
        denied: section.get("denied", pause, default.denied),
        exhausted: section.get("exhausted", pause, default.exhausted),
        throttled: section.table("throttled", |section| read_backoff(section, default.throttled)),
        unavailable: section.table("unavailable", |section| read_backoff(section, default.unavailable)),
    }
}

fn read_backoff(section: &mut Section<'_>, default: BackoffPolicy) -> BackoffPolicy {
    let pause = Span::between(Duration::from_millis(100), LONGEST_BACKOFF);
    let policy = BackoffPolicy { first: section.get("first", pause, default.first), max: section.get("max", pause, default.max) };
    if policy.first > policy.max {
        section.problem("first", "must not be longer than `max`".to_owned());
    }
    policy
}
