//! `95% of quota`, resolved against the bucket that binds.

use std::fmt;

use super::cost::{Costs, reserved};
use crate::{
    scenario::{Scenario, Shape},
    units::Rate,
};

/// What one request of the mix costs on average, and the rate that uses the whole quota.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resolved {
    /// Tokens that settle per request, with ideal caching.
    pub settled: f64,
    /// Tokens that are reserved per request.
    pub reserved: f64,
    /// Requests a second that use the summed quota; `None` = nothing is limited.
    pub full: Option<f64>,
    /// Requests bind, not tokens.
    pub by_requests: bool,
    /// Requests a second that all regions grant together; `None` = one of them does not limit them.
    pub requests_per_second: Option<f64>,
    /// Tokens a second, likewise.
    pub tokens_per_second: Option<f64>,
}

impl fmt::Display for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a request settles {:.0} tokens and reserves {:.0}", self.settled, self.reserved)?;
        match self.full {
            Some(full) => write!(f, "; the quota holds {full:.2}/s, bound by {}", if self.by_requests { "requests" } else { "tokens" }),
            None => write!(f, "; nothing is limited"),
        }
    }
}

/// Resolves the mix of a scenario.
#[must_use]
pub fn resolve(scenario: &Scenario) -> Resolved {
    let (mix, costs) = (&scenario.load.mix, Costs::of(scenario));
    let weights: f64 = mix.iter().map(|kind| kind.weight).sum();
    let mean = |sum: f64| sum / weights.max(f64::MIN_POSITIVE);
    let settled = mean(mix.iter().enumerate().map(|(index, kind)| costs.mean(index, kind) * kind.weight).sum());
    let reserved = mean(mix.iter().map(|kind| reserved(kind) * kind.weight).sum());
    let sum = |of: fn(&outcrop_sim::Quota) -> Option<u64>| {
        let limits: Option<Vec<u64>> = scenario.regions.iter().map(|region| of(region.quota.as_ref()?)).collect();
        limits.map(|limits| float(limits.into_iter().sum()) / 60.0)
    };
    let requests_per_second = sum(|quota| quota.requests_per_minute);
    let tokens_per_second = sum(|quota| quota.tokens_per_minute);
    let by_tokens = tokens_per_second.map(|tokens| tokens / settled.max(1.0));
    let full = [requests_per_second, by_tokens].into_iter().flatten().reduce(f64::min);
    let by_requests = full.is_some() && full == requests_per_second;
    Resolved { settled, reserved, full, by_requests, requests_per_second, tokens_per_second }
}

impl Resolved {
    /// Requests a second of a rate. A share of a quota that does not exist is nothing, which `vacuous` will notice.
    #[must_use]
    pub fn per_second(&self, rate: Rate) -> f64 {
        match rate {
            Rate::PerSecond(rate) => rate,
            Rate::OfQuota(share) => share * self.full.unwrap_or(0.0),
        }
    }

    /// The load of a phase after `part` (0 to 1) of it as a share of the quota, where its file says it so and there is one.
    #[must_use]
    pub fn share(&self, shape: Shape, part: f64) -> Option<f64> {
        let full = self.full.filter(|full| *full > 0.0)?;
        let (Shape::Constant(first) | Shape::Ramp(first, _) | Shape::Day(first, _)) = shape;
        let (Shape::Constant(second) | Shape::Ramp(_, second) | Shape::Day(_, second)) = shape;
        let of_quota = [first, second].iter().any(|rate| matches!(rate, Rate::OfQuota(_)));
        of_quota.then(|| self.at(shape, part) / full)
    }

    /// The load of a phase after `part` (0 to 1) of it, requests a second of the whole mix.
    #[must_use]
    pub fn at(&self, shape: Shape, part: f64) -> f64 {
        match shape {
            Shape::Constant(rate) => self.per_second(rate),
            Shape::Ramp(from, to) => {
                let (from, to) = (self.per_second(from), self.per_second(to));
                from + (to - from) * part
            }
            Shape::Day(low, high) => {
                let (low, high) = (self.per_second(low), self.per_second(high));
                // Two humps, at a third and at two thirds of the day, with lunch between them.
                let hump = |middle: f64| (-((part - middle) / 0.13).powi(2)).exp();
                low + (high - low) * (hump(0.35) + hump(0.65)).min(1.0)
            }
        }
    }

    /// The load of a phase in words.
    #[must_use]
    pub fn words(&self, shape: Shape) -> String {
        match shape {
            Shape::Constant(Rate::OfQuota(share)) if self.full.is_some() => {
                format!("{:.0} % of the quota, about {:.2}/s", share * 100.0, self.per_second(Rate::OfQuota(share)))
            }
            Shape::Constant(rate) => format!("{:.2}/s", self.per_second(rate)),
            Shape::Ramp(from, to) => format!("{:.2}/s to {:.2}/s", self.per_second(from), self.per_second(to)),
            Shape::Day(low, high) => format!("a day from {:.2}/s to {:.2}/s", self.per_second(low), self.per_second(high)),
        }
    }
}

/// Token counts lie far below 2^52.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn float(count: u64) -> f64 {
    count as f64
}
