//! What is left of a model's quotas, over all regions together: what clients read from rate-limit headers.

use std::time::{Duration, SystemTime};

use outcrop_domain::{clock::Moment, routing::view::ResourceView};

use super::ModelPool;

/// What is left of a model's quotas, in all regions together. Bedrock tells neither limits nor levels: this is what routing
/// has been told or has learned, and a quota that is not known in every region is not told at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelLimits {
    /// When it was so.
    pub at: SystemTime,
    /// Requests.
    pub requests: Option<Limit>,
    /// Tokens, as quotas count them: output by its burn-down rate, cached input not at all.
    pub tokens: Option<Limit>,
}

/// One quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Units per minute.
    pub per_minute: u64,
    /// Units that are left now; never more than `per_minute`.
    pub remaining: u64,
    /// Until nothing of it is used up any more, if nobody asks for more.
    pub resets_in: Duration,
}

impl ModelPool {
    /// What is left of the model's quotas in all regions that it was asked in. `now` and `at` are the same moment.
    #[must_use]
    pub fn limits(&self, now: Moment, at: SystemTime) -> ModelLimits {
        let cells = self.cells();
        let (mut requests, mut tokens) = (Sum::default(), Sum::default());
        for cell in cells.iter() {
            let [of_requests, of_tokens] = cell.quota_view(now);
            requests.add(&of_requests);
            tokens.add(&of_tokens);
        }
        ModelLimits { at, requests: requests.limit(), tokens: tokens.limit() }
    }
}

/// The buckets of one resource, added up.
#[derive(Debug, Default)]
struct Sum {
    per_minute: f64,
    level: f64,
    /// Seconds.
    resets_in: f64,
    counted: u32,
    unknown: bool,
}

impl Sum {
    fn add(&mut self, view: &ResourceView) {
        self.unknown |= !view.known;
        self.per_minute += view.rate * 60.0;
        self.level += view.level.max(0.0);
        self.resets_in = self.resets_in.max((view.depth - view.level).max(0.0) / view.rate);
        self.counted += 1;
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "quotas lie far below 2^52, and a cast saturates")]
    fn limit(&self) -> Option<Limit> {
        if self.unknown || self.counted == 0 {
            return None;
        }
        let per_minute = self.per_minute.round() as u64;
        let resets_in = Duration::try_from_secs_f64(self.resets_in).ok()?;
        Some(Limit { per_minute, remaining: (self.level.floor() as u64).min(per_minute), resets_in })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(per_minute: f64, level: f64, known: bool) -> ResourceView {
        ResourceView { rate: per_minute / 60.0, depth: per_minute, level, margin: 0.0, known, tentative: false, refills_after: None }
    }

    fn sum(buckets: &[ResourceView]) -> Option<Limit> {
        let mut sum = Sum::default();
        buckets.iter().for_each(|bucket| sum.add(bucket));
        sum.limit()
    }

    #[test]
    fn the_quotas_of_all_regions_are_one() {
        let both = sum(&[bucket(600.0, 300.0, true), bucket(1200.0, 1200.0, true)]);
        assert_eq!(both, Some(Limit { per_minute: 1800, remaining: 1500, resets_in: Duration::from_secs(30) }));
    }

    #[test]
    fn a_bucket_in_debt_takes_nothing_from_the_others() {
        let both = sum(&[bucket(600.0, -60.0, true), bucket(600.0, 600.0, true)]).expect("known");
        assert_eq!((both.remaining, both.resets_in), (600, Duration::from_secs(66)));
    }

    #[test]
    fn what_one_region_does_not_know_is_not_told() {
        assert_eq!(sum(&[bucket(600.0, 300.0, true), bucket(600.0, 600.0, false)]), None);
        assert_eq!(sum(&[]), None);
    }
}
