//! The state of regions in a few words, for load balancers and people.

use std::time::Duration;

use outcrop_domain::{
    clock::Moment,
    ids::{ModelId, Region},
    model::RegionOffer,
    routing::Gate,
};
use serde::Serialize;

use super::HealthBoard;

/// How a region is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RegionStatus {
    /// Every model that was asked for there may be called.
    Healthy,
    /// Some models may not be called at the moment.
    Degraded,
    /// None of the models that were asked for may be called at the moment.
    Closed,
    /// An operator took it out.
    Drained,
    /// Discovery has found nothing there that could be called, or has not heard yet.
    Undiscovered,
}

/// The state of one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegionHealth {
    /// The region.
    pub region: Region,
    /// In one word.
    pub status: RegionStatus,
    /// Models that discovery found there.
    pub offered: usize,
    /// Models that were asked for there.
    pub models: usize,
    /// Those of them that may not be called at the moment, and why.
    pub closed: Vec<ClosedModel>,
}

/// A model that may not be called in a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClosedModel {
    /// The model.
    pub model: ModelId,
    /// What closed it: a cause of failure, or `quota`.
    pub cause: &'static str,
    /// Milliseconds until it is tried again; 0 while one call finds out.
    pub opens_in_ms: u64,
}

/// The state of one region, of which discovery has heard `offer`.
pub(crate) fn region_health(board: &HealthBoard, region: &Region, offer: Option<&RegionOffer>, now: Moment) -> RegionHealth {
    let cells = board.of_region(region);
    // Profiles alone may be called, too.
    let discovered = offer.is_some_and(|offer| !offer.models.is_empty() || !offer.profiles.is_empty());
    let closed: Vec<ClosedModel> = cells
        .iter()
        .filter_map(|cell| {
            let health = cell.describe(now);
            // Half-open is not healthy: one call finds out, and the others go elsewhere.
            let left = match health.gate {
                Gate::Open { until } => until.since(now),
                Gate::HalfOpen => Duration::ZERO,
                Gate::Closed => return None,
            };
            Some(ClosedModel {
                model: health.model,
                cause: health.cause.unwrap_or("quota"),
                opens_in_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            })
        })
        .collect();
    let half_open = cells.iter().filter(|cell| cell.strictest_gate(now) == Gate::HalfOpen).count();
    let status = if board.shared().is_drained(region) {
        RegionStatus::Drained
    } else if !discovered {
        RegionStatus::Undiscovered
    } else if closed.is_empty() {
        RegionStatus::Healthy
    } else if closed.len() < cells.len() || half_open > 0 {
        // Half-open may be called, and must be: only a request finds out.
        RegionStatus::Degraded
    } else {
        RegionStatus::Closed
    };
    let offered = offer.map_or(0, |offer| offer.models.len());
    RegionHealth { region: region.clone(), status, offered, models: cells.len(), closed }
}
