//! The metrics of one target, looked up once: naming a metric costs more than counting in it.

use metrics::{Counter, Gauge, Histogram};
use outcrop_domain::{
    ids::{ModelId, Region},
    money::MicroUsd,
    usage::Usage,
};

/// Handles of a target's metrics.
pub struct TargetMeters {
    pub(super) in_flight: Gauge,
    input: Counter,
    output: Counter,
    cache_read: Counter,
    cache_write: Counter,
    cost: Counter,
    /// Requests of the model that were answered in full, and how long they took.
    pub(crate) completed: Counter,
    pub(crate) completed_duration: Histogram,
    pub(crate) first_event: Histogram,
    pub(crate) attempts: Counter,
}

impl TargetMeters {
    pub(super) fn new(model: &ModelId, region: &Region) -> Self {
        let (model, region) = (model.to_string(), region.to_string());
        let tokens = |kind: &'static str| metrics::counter!("outcrop_tokens_total", "model" => model.clone(), "region" => region.clone(), "kind" => kind);
        Self {
            in_flight: metrics::gauge!("outcrop_target_in_flight", "model" => model.clone(), "region" => region.clone()),
            input: tokens("input"),
            output: tokens("output"),
            cache_read: tokens("cache_read"),
            cache_write: tokens("cache_write"),
            cost: metrics::counter!("outcrop_cost_micro_usd_total", "model" => model.clone(), "region" => region.clone()),
            completed: metrics::counter!("outcrop_requests_total", "model" => model.clone(), "outcome" => "completed", "error" => "none"),
            completed_duration: metrics::histogram!("outcrop_request_duration_seconds", "model" => model.clone(), "outcome" => "completed"),
            first_event: metrics::histogram!("outcrop_time_to_first_event_seconds", "model" => model.clone()),
            attempts: metrics::counter!("outcrop_upstream_attempts_total", "model" => model.clone()),
        }
    }

    /// Counts what one call used.
    pub(crate) fn used(&self, usage: &Usage, cost: Option<MicroUsd>) {
        self.input.increment(usage.input);
        self.output.increment(usage.output);
        self.cache_read.increment(usage.cache_read);
        self.cache_write.increment(usage.cache_write());
        if let Some(MicroUsd(micro)) = cost {
            self.cost.increment(u64::try_from(micro).unwrap_or(0));
        }
    }
}

impl std::fmt::Debug for TargetMeters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TargetMeters")
    }
}
