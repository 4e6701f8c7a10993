//! Which calls a rule concerns.

use std::time::Duration;

use super::Asked;
use crate::{draw, route::Operation};

/// All given conditions must hold.
#[derive(Debug, Clone)]
pub(super) struct Selector {
    pub(super) region: Option<String>,
    pub(super) model: Option<String>,
    pub(super) operation: Option<Operation>,
    pub(super) contains: Option<String>,
    pub(super) share: f64,
    pub(super) skip: u64,
    pub(super) window: Option<(Duration, Duration)>,
    pub(super) max_active: Option<usize>,
}

impl Default for Selector {
    fn default() -> Self {
        Self { region: None, model: None, operation: None, contains: None, share: 1.0, skip: 0, window: None, max_active: None }
    }
}

impl Selector {
    /// Conditions that look at the call alone.
    pub(super) fn selects(&self, asked: &Asked) -> bool {
        self.selects_place(&asked.region, asked.at)
            && self.operation.is_none_or(|operation| operation == asked.operation)
            && self.model.as_deref().is_none_or(|model| asked.label.as_deref() == Some(model) || asked.model.as_deref() == Some(model))
            && self.contains.as_deref().is_none_or(|text| memchr::memmem::find(&asked.body, text.as_bytes()).is_some())
    }

    /// Region and time.
    pub(super) fn selects_place(&self, region: &str, at: Duration) -> bool {
        self.region.as_deref().is_none_or(|wanted| wanted == region) && self.window.is_none_or(|(from, until)| from <= at && at < until)
    }

    /// True when no condition needs to see a request.
    pub(super) fn is_placewide(&self) -> bool {
        self.model.is_none() && self.operation.is_none() && self.contains.is_none()
    }

    /// Draws whether item `number` belongs to the rule's share.
    pub(super) fn drawn(&self, seed: u64, rule: u64, number: u64) -> bool {
        self.share >= 1.0 || draw::stream(seed, &format!("rule/{rule}"), number).f64() < self.share
    }
}
