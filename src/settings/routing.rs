//! `[routing]`: how targets are chosen, what is known of their quotas, and how long one that failed is left alone.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use outcrop_domain::routing::{BackoffPolicy, BreakerPolicy, strategy::Strategy};
use serde::Serialize;

use super::read::{Integer, Map, Parsed, Record, SWITCH, Section, Span, Words, shown};

/// More than there are regions in most set-ups: every target gets its chance.
const MAX_ATTEMPTS: u32 = 10;

/// Per-minute quotas often refill within seconds; a client would itself wait about this long before its retry.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Nothing stays closed for longer: an hour is also where quotas by the hour refill.
const LONGEST_BACKOFF: Duration = Duration::from_secs(3600);

/// Ways to choose a target.
pub(super) const STRATEGY: Words<Strategy> = Words(&[
    ("ordered", Strategy::Ordered),
    ("disabled", Strategy::Disabled),
    ("round_robin", Strategy::RoundRobin),
    ("lowest_latency", Strategy::LowestLatency),
    ("adaptive", Strategy::Adaptive),
]);

/// No account has more tokens a minute; a day has 1,440 of them.
const MOST_A_MINUTE: i64 = 1_000_000_000_000;

const AMOUNT: Integer<i64> = Integer::between(1, MOST_A_MINUTE * 1_440);

const STATE_FILE: Parsed<PathBuf> = Parsed {
    expected: "the path of a file",
    parse: |text| (!text.trim().is_empty() && !text.ends_with('/')).then(|| PathBuf::from(text)),
    show: |path| path.display().to_string(),
};

/// How targets are chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Routing {
    /// How targets are chosen, where neither key nor alias says otherwise.
    pub strategy: Strategy,
    /// Most upstream calls of one request. 1 to 100.
    pub max_attempts: u32,
    /// Longest wait for room, or for a closed target to open, when no other is left. 0 s to 10 min.
    pub max_wait: Duration,
    /// Streamed calls of a hundred of which a copy may be sent elsewhere when the first byte is late. 0 to 10.
    pub hedge_percent: u32,
    /// Plain text streams that break go on in another region.
    pub resume: bool,
    /// Answers tell region and attempts in headers.
    pub report: bool,
    /// Answers tell what is left of their model's quotas, in the headers of their dialect.
    pub report_limits: bool,
    /// Where what was learned of the targets, and which regions are drained, is kept for the next start.
    pub state_file: Option<PathBuf>,
    /// Quotas that are known ahead, by region.
    pub quotas: BTreeMap<String, RegionQuotas>,
    /// How long failed targets are left alone.
    pub backoff: BreakerPolicy,
}

/// Quotas that are known ahead. A starting value, never a cap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Quotas {
    /// Calls per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<i64>,
    /// Tokens per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<i64>,
    /// Tokens per day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<i64>,
}

/// Quotas of one region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RegionQuotas {
    /// Of each model there.
    #[serde(flatten)]
    pub each: Quotas,
    /// Of single models, in place of those.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Quotas>,
}

impl Routing {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            strategy: section.get("strategy", STRATEGY, Strategy::default()),
            max_attempts: section.get("max_attempts", Integer::between(1, 100), MAX_ATTEMPTS),
            max_wait: section.get("max_wait", Span::between(Duration::ZERO, Duration::from_secs(600)), MAX_WAIT),
            hedge_percent: section.get("hedge_percent", Integer::between(0, 10), 0),
            resume: section.get("resume", SWITCH, false),
            report: section.get("report", SWITCH, true),
            report_limits: section.get("report_limits", SWITCH, true),
            state_file: section.find("state_file", STATE_FILE),
            quotas: section.get("quotas", Map { check_name, item: REGION_QUOTAS }, BTreeMap::new()),
            backoff: section.table("backoff", read_backoffs),
        }
    }
}

const REGION_QUOTAS: Record<RegionQuotas> = Record::open(read_region_quotas, shown);

const QUOTAS: Record<Quotas> = Record::open(|section| Some(read_quotas(section)), shown);

fn read_region_quotas(section: &mut Section<'_>) -> Option<RegionQuotas> {
    let models = section.get("models", Map { check_name, item: QUOTAS }, BTreeMap::new());
    Some(RegionQuotas { each: read_quotas(section), models })
}

fn read_quotas(section: &mut Section<'_>) -> Quotas {
    Quotas {
        requests_per_minute: section.find("requests_per_minute", AMOUNT),
        tokens_per_minute: section.find("tokens_per_minute", AMOUNT),
        tokens_per_day: section.find("tokens_per_day", AMOUNT),
    }
}

/// What is wrong with the name of a region or a model.
fn check_name(name: &str) -> Result<(), &'static str> {
    if !name.is_empty() && name.chars().all(|letter| letter.is_ascii_graphic()) { Ok(()) } else { Err("is not a name without spaces") }
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
