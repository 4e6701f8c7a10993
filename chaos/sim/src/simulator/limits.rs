//! Quotas.

use super::Simulator;
use crate::{
    error::SimError,
    quota::{BucketEntry, BucketKey, Quota, QuotaRoom},
};

impl Simulator {
    /// Limits `model` (a foundation-model id, or `*` for each that has no limit of its own) in `region`.
    ///
    /// # Errors
    /// The region is not simulated.
    pub fn quota(&self, region: &str, model: &str, quota: Quota) -> Result<(), SimError> {
        self.quota_of(BucketKey { region: region.to_owned(), model: model.to_owned(), profile: None }, quota)
    }

    /// Limits one class of profiles of a model apart from all others, or, without a class, all of them together.
    /// Buckets start full.
    ///
    /// # Errors
    /// The region is not simulated.
    pub fn quota_of(&self, place: BucketKey, quota: Quota) -> Result<(), SimError> {
        self.region(&place.region)?;
        let burndown = self.inner.world.models.burndown(&place.model);
        self.inner.world.quotas.set(place, quota, burndown, self.inner.world.clock.elapsed());
        Ok(())
    }

    /// Multiplies a quota set before (0.5 halves, 2 doubles); levels stay as far as they fit. False when there is none.
    pub fn scale_quota(&self, place: &BucketKey, factor: f64) -> bool {
        self.inner.world.quotas.scale(place, factor, self.inner.world.clock.elapsed())
    }

    /// The book of every change of every bucket, as far as it is remembered; [`QuotaReplay`](crate::QuotaReplay) reads it.
    #[must_use]
    pub fn quota_entries(&self) -> Vec<BucketEntry> {
        self.inner.world.quotas.entries(self.inner.world.clock.elapsed())
    }

    /// As [`Simulator::quota_entries`], and forgets them.
    #[must_use]
    pub fn take_quota_entries(&self) -> Vec<BucketEntry> {
        self.inner.world.quotas.take_entries(self.inner.world.clock.elapsed())
    }

    /// Removes every quota.
    pub fn clear_quotas(&self) {
        self.inner.world.quotas.clear(self.inner.world.clock.elapsed());
    }

    /// What is left of a quota now; `None` where there is none.
    #[must_use]
    pub fn quota_room(&self, region: &str, model: &str) -> Option<QuotaRoom> {
        self.room_of(&BucketKey { region: region.to_owned(), model: model.to_owned(), profile: None })
    }

    /// What is left of the quota of one class of profiles now; `None` where there is none.
    #[must_use]
    pub fn room_of(&self, place: &BucketKey) -> Option<QuotaRoom> {
        self.inner.world.quotas.room(place, self.inner.world.clock.elapsed())
    }
}
