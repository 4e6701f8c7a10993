//! What a quota limits and how it counts.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::span;

/// AWS's words for too many requests per minute.
pub(crate) const TOO_MANY_REQUESTS: &str = "Too many requests, please wait before trying again.";
const TOO_MANY_TOKENS: &str = "Too many tokens, please wait before trying again.";
const TOO_MANY_TOKENS_PER_DAY: &str = "Too many tokens per day, please wait before trying again.";

/// The usual depth of a bucket: a minute of its rate. An assumption; AWS does not document it.
const MINUTE: Duration = Duration::from_secs(60);

/// How a bucket fills again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refill {
    /// Evenly, up to its depth.
    #[default]
    Continuous,
    /// All at once when a new minute (or day) starts, counted from the beginning of the simulator's clock: of a whole minute of the
    /// wall, unless a test chose its own. The depth is the limit.
    #[serde(rename = "minute")]
    Window,
}

/// Limits of one model in one region; what is `None` is unlimited. In files: `rpm`, `tpm`, `tpd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Requests per minute.
    #[serde(rename = "rpm", skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute.
    #[serde(rename = "tpm", skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Tokens per day.
    #[serde(rename = "tpd", skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// How many tokens one output token costs at settlement; 0 = the model's own (5 for Claude 3.7 and later, else 1).
    #[serde(deserialize_with = "whole_number")]
    pub burndown: u64,
    /// How the buckets fill again.
    pub refill: Refill,
    /// How much of its rate a minute bucket holds when it is full, as time. Continuous refill only.
    #[serde(with = "span::text")]
    pub depth: Duration,
    /// How long after the end of an answer its reservation becomes its real cost.
    #[serde(with = "span::text")]
    pub settle_after: Duration,
    /// Whether a refused call takes a request from the bucket all the same (as far as there is one).
    pub count_refused: bool,
    /// Whether `maxTokens` is reserved at admission; otherwise the input alone.
    pub reserve_max_tokens: bool,
}

impl Default for Quota {
    /// No limits; the assumptions about AWS that everything else here is built on: a minute deep, continuous refill,
    /// settlement at the end of the answer, refused calls free.
    fn default() -> Self {
        Self {
            requests_per_minute: None,
            tokens_per_minute: None,
            tokens_per_day: None,
            burndown: 0,
            refill: Refill::Continuous,
            depth: MINUTE,
            settle_after: Duration::ZERO,
            count_refused: false,
            reserve_max_tokens: true,
        }
    }
}

impl Quota {
    /// Requests and tokens per minute, continuous refill.
    #[must_use]
    pub fn per_minute(requests: u64, tokens: u64, burndown: u64) -> Self {
        Self { requests_per_minute: Some(requests), tokens_per_minute: Some(tokens), burndown, ..Self::default() }
    }

    /// All limits times `factor`, rounded.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        let scale = |limit: Option<u64>| limit.map(|limit| rounded(limit, factor));
        Self {
            requests_per_minute: scale(self.requests_per_minute),
            tokens_per_minute: scale(self.tokens_per_minute),
            tokens_per_day: scale(self.tokens_per_day),
            ..self
        }
    }
}

/// `limit` times `factor`; limits of accounts are far below 2^52, where this is exact.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "see above; casts saturate")]
fn rounded(limit: u64, factor: f64) -> u64 {
    (limit as f64 * factor).round() as u64
}

/// Burn-down rates are whole numbers at AWS; scenario files may write `5.0`.
fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a whole number")]
    enum Written {
        Whole(u64),
        Fraction(f64),
    }
    match Written::deserialize(deserializer)? {
        Written::Whole(number) => Ok(number),
        Written::Fraction(number) if number.fract() == 0.0 && (0.0..1e6).contains(&number) => Ok(rounded(1, number)),
        Written::Fraction(number) => Err(D::Error::custom(format!("burndown must be a whole number, not {number}"))),
    }
}

/// One of the limits of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaLimit {
    /// Requests per minute.
    #[default]
    Requests,
    /// Tokens per minute.
    Tokens,
    /// Tokens per day.
    Day,
}

impl QuotaLimit {
    /// AWS's words when it is reached.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Requests => TOO_MANY_REQUESTS,
            Self::Tokens => TOO_MANY_TOKENS,
            Self::Day => TOO_MANY_TOKENS_PER_DAY,
        }
    }
}

/// How a call reaches its model. AWS counts on-demand and cross-region calls apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileClass {
    /// By the bare model id, or its ARN.
    OnDemand,
    /// Through a system-defined profile of a geography (`us.`, `eu.`, ...).
    Geographic,
    /// Through a `global.` profile.
    Global,
    /// Through an application inference profile.
    Application,
}

impl ProfileClass {
    /// The class of a path label.
    pub(crate) fn of(label: &str, model: &str) -> Self {
        let name = label.rsplit_once('/').map_or(label, |(_, name)| name);
        if label.contains(":application-inference-profile/") {
            Self::Application
        } else if name == model {
            Self::OnDemand
        } else if name.starts_with("global.") {
            Self::Global
        } else if name.ends_with(model) {
            Self::Geographic
        } else {
            // Only application profiles have names of their own.
            Self::Application
        }
    }
}

/// Names one bucket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketKey {
    /// Region.
    pub region: String,
    /// Foundation model.
    pub model: String,
    /// Class of profile; `None` = one bucket for all classes together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileClass>,
}

/// What is left of a quota; `None` is unlimited. Tokens are negative after an answer that cost more than reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaRoom {
    /// Requests that would be admitted now.
    pub requests: Option<i64>,
    /// Tokens of the minute that can be reserved now.
    pub tokens: Option<i64>,
    /// Tokens of the day that can be reserved now.
    pub day_tokens: Option<i64>,
}
