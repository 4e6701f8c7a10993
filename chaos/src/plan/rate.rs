//! `95% of quota`, resolved against the bucket that binds.

use std::fmt;

use super::mean_amount;
use crate::{
    scenario::{KindPlan, Scenario, Shape},
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

/// Tokens of a tool's schema, as the simulator counts them.
const TOOL_TOKENS: u64 = 60;
/// Tokens of an image of the mix, as the simulator counts them.
const IMAGE_TOKENS: u64 = 1_600;

/// Resolves the mix of a scenario.
#[must_use]
pub fn resolve(scenario: &Scenario) -> Resolved {
    let weights: f64 = scenario.load.mix.iter().map(|kind| kind.weight).sum();
    let mean = |of: fn(&KindPlan, &Scenario) -> f64| {
        scenario.load.mix.iter().map(|kind| of(kind, scenario) * kind.weight).sum::<f64>() / weights.max(f64::MIN_POSITIVE)
    };
    let (settled, reserved) = (mean(settles), mean(reserves));
    let sum = |of: fn(&outcrop_sim::Quota) -> Option<u64>| {
        let limits: Option<Vec<u64>> = scenario.regions.iter().map(|region| of(region.quota.as_ref()?)).collect();
        limits.map(|limits| float(limits.into_iter().sum()))
    };
    let by_requests = sum(|quota| quota.requests_per_minute).map(|rpm| rpm / 60.0);
    let by_tokens = sum(|quota| quota.tokens_per_minute).map(|tpm| tpm / 60.0 / settled.max(1.0));
    let full = [by_requests, by_tokens].into_iter().flatten().reduce(f64::min);
    Resolved { settled, reserved, full, by_requests: full.is_some() && full == by_requests }
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

    /// The load of a phase after `part` (0 to 1) of it, requests a second.
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
            Shape::Constant(rate) => format!("{:.2}/s", self.per_second(rate)),
            Shape::Ramp(from, to) => format!("{:.2}/s to {:.2}/s", self.per_second(from), self.per_second(to)),
            Shape::Day(low, high) => format!("a day from {:.2}/s to {:.2}/s", self.per_second(low), self.per_second(high)),
        }
    }
}

fn prompt(kind: &KindPlan) -> f64 {
    mean_amount(&kind.input_tokens, u64::MAX) + float(kind.tools * TOOL_TOKENS) + if kind.image_kb > 0 { float(IMAGE_TOKENS) } else { 0.0 }
}

fn settles(kind: &KindPlan, scenario: &Scenario) -> f64 {
    let (output, burndown) =
        scenario.models.get(kind.model).map_or((0.0, 1), |model| (mean_amount(&model.output_tokens, kind.max_tokens), model.burndown));
    let uncached = match &kind.conversation {
        None => prompt(kind),
        // Each turn writes what is new; the prefix is written once.
        Some(talk) => prompt(kind) + float(talk.grow_tokens) + mean_amount(&talk.prefix_tokens, u64::MAX) / f64::from(talk.turns),
    };
    uncached + output * float(burndown)
}

fn reserves(kind: &KindPlan, _: &Scenario) -> f64 {
    let before = kind.conversation.map_or(0.0, |talk| {
        let grown = (prompt(kind) + float(talk.grow_tokens)) * f64::from(talk.turns.saturating_sub(1)) / 2.0;
        mean_amount(&talk.prefix_tokens, u64::MAX) + grown
    });
    prompt(kind) + before + float(kind.max_tokens)
}

/// Token counts lie far below 2^52.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn float(count: u64) -> f64 {
    count as f64
}
