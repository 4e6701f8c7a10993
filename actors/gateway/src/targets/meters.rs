//! The metrics of one target, looked up once: naming a metric costs more than counting in it.

use metrics::{Counter, Gauge, Histogram};
use outcrop_domain::{
    ids::{ModelId, Region},
    money::MicroUsd,
    routing::view::{RESOURCES, ResourceView},
    usage::{Metering, Usage},
};

/// Handles of a target's metrics.
pub struct TargetMeters {
    model: String,
    region: String,
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
        let told = |kind| tokens(&model, &region, kind, Metering::Told);
        Self {
            in_flight: metrics::gauge!("outcrop_target_in_flight", "model" => model.clone(), "region" => region.clone()),
            input: told("input"),
            output: told("output"),
            cache_read: told("cache_read"),
            cache_write: told("cache_write"),
            cost: costs(&model, &region, Metering::Told),
            completed: metrics::counter!("outcrop_requests_total", "model" => model.clone(), "outcome" => "completed", "error" => "none"),
            completed_duration: metrics::histogram!("outcrop_request_duration_seconds", "model" => model.clone(), "outcome" => "completed"),
            first_event: metrics::histogram!("outcrop_time_to_first_event_seconds", "model" => model.clone()),
            attempts: metrics::counter!("outcrop_upstream_attempts_total", "model" => model.clone()),
            model,
            region,
        }
    }

    /// Tells how full the quotas are, as far as they are known.
    pub(super) fn quota_levels(&self, views: &[ResourceView; RESOURCES]) {
        for (view, resource) in views.iter().zip(["requests", "tokens"]).filter(|(view, _)| view.known) {
            let (model, region) = (self.model.clone(), self.region.clone());
            metrics::gauge!("outcrop_target_level_ratio", "model" => model.clone(), "region" => region.clone(), "resource" => resource)
                .set(view.level / view.depth);
            metrics::gauge!("outcrop_target_rate_per_minute", "model" => model, "region" => region, "resource" => resource)
                .set(view.rate * 60.0);
        }
    }

    /// Counts a call that was sent although there seemed to be no room.
    pub(super) fn quota_probe(&self, granted: bool) {
        let (model, region) = (self.model.clone(), self.region.clone());
        let outcome = if granted { "granted" } else { "refused" };
        metrics::counter!("outcrop_target_probes_total", "model" => model, "region" => region, "outcome" => outcome).increment(1);
    }

    /// Counts a conversation that was answered elsewhere before and is answered here now.
    pub(crate) fn moved_here(&self) {
        let (model, region) = (self.model.clone(), self.region.clone());
        metrics::counter!("outcrop_target_moves_total", "model" => model, "region" => region).increment(1);
    }

    /// Counts what one call used.
    pub(crate) fn used(&self, usage: &Usage, cost: Option<MicroUsd>, metering: Metering) {
        let cost = cost.map_or(0, |MicroUsd(micro)| u64::try_from(micro).unwrap_or(0));
        if metering == Metering::Estimated {
            // Rare, so its counters are made when they are needed: most targets never have any.
            tokens(&self.model, &self.region, "input", metering).increment(usage.input);
            tokens(&self.model, &self.region, "output", metering).increment(usage.output);
            costs(&self.model, &self.region, metering).increment(cost);
            return;
        }
        self.input.increment(usage.input);
        self.output.increment(usage.output);
        self.cache_read.increment(usage.cache_read);
        self.cache_write.increment(usage.cache_write());
        self.cost.increment(cost);
    }
}

fn tokens(model: &str, region: &str, kind: &'static str, metering: Metering) -> Counter {
    let (model, region, metered) = (model.to_owned(), region.to_owned(), metering.as_str());
    metrics::counter!("outcrop_tokens_total", "model" => model, "region" => region, "kind" => kind, "metered" => metered)
}

fn costs(model: &str, region: &str, metering: Metering) -> Counter {
    let (model, region, metered) = (model.to_owned(), region.to_owned(), metering.as_str());
    metrics::counter!("outcrop_cost_micro_usd_total", "model" => model, "region" => region, "metered" => metered)
}

impl std::fmt::Debug for TargetMeters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TargetMeters")
    }
}
