//! Account quotas: requests and tokens per minute and tokens per day of one model in one region.
//!
//! Tokens are reserved when a call is admitted (input, cached or not, and `maxTokens`) and settled when it ends
//! (input, cache writes, and output times a burn-down factor). Source: Bedrock user guide, "Token burndown" of the
//! quotas page. How deep buckets are, how they refill, when they settle and whether refused calls count is not
//! documented: [`Quota`] has a knob for each.
//!
//! Every change of every bucket is written to a book ([`BucketEntry`]); [`QuotaReplay`] turns it back into levels.

mod book;
mod ledger;
mod limits;
mod meter;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

pub use ledger::{BucketChange, BucketEntry, QuotaReplay};
pub(crate) use limits::TOO_MANY_REQUESTS;
pub use limits::{BucketKey, ProfileClass, Quota, QuotaLimit, QuotaRoom, Refill};

use book::{Book, Held};
pub(crate) use book::{QuotaFault, QuotaFaultKind};

use crate::{brain::TurnUsage, clock::SimClock, lock::held};

/// Names the quota of every model of a region that has none of its own.
pub(crate) const EVERY_MODEL: &str = "*";

/// All quotas of a simulator.
#[derive(Debug)]
pub(crate) struct Quotas {
    clock: SimClock,
    book: Mutex<Book>,
}

/// A call that wants to be admitted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) call: u64,
    pub(crate) region: &'a str,
    pub(crate) model: &'a str,
    pub(crate) profile: Option<ProfileClass>,
    /// Burn-down of the model where the quota does not say.
    pub(crate) burndown: u64,
    /// Input tokens, cached or not.
    pub(crate) input: u64,
    /// `maxTokens`, or the model's largest answer.
    pub(crate) most_output: u64,
}

/// A quota said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) bucket: BucketKey,
    pub(crate) limit: QuotaLimit,
    pub(crate) wanted: u64,
}

impl Quotas {
    pub(crate) fn new(clock: SimClock, ledger_entries: usize) -> Self {
        Self { clock, book: Mutex::new(Book::new(ledger_entries)) }
    }

    /// Sets the limits of `model` (or of every model, `*`) in `region`, for one class of profile or for all; buckets start full.
    /// `burndown` is the model's own.
    pub(crate) fn set(&self, place: BucketKey, quota: Quota, burndown: u64, now: Duration) {
        held(&self.book).set(place, quota, burndown, now);
    }

    /// Multiplies standing limits; levels stay as far as they fit. False when there is no such limit.
    pub(crate) fn scale(&self, place: &BucketKey, factor: f64, now: Duration) -> bool {
        held(&self.book).scale(place, factor, now)
    }

    /// Removes every limit; those of faults stay.
    pub(crate) fn clear(&self, now: Duration) {
        held(&self.book).clear(now);
    }

    /// Replaces the faults that concern quotas.
    pub(crate) fn set_faults(&self, faults: Vec<QuotaFault>, now: Duration) {
        held(&self.book).set_faults(faults, now);
    }

    pub(crate) fn room(&self, place: &BucketKey, now: Duration) -> Option<QuotaRoom> {
        held(&self.book).room(place, now)
    }

    /// The book as it is, with everything that fell due until now.
    pub(crate) fn entries(&self, now: Duration) -> Vec<BucketEntry> {
        let mut book = held(&self.book);
        book.sync_all(now);
        book.ledger.entries()
    }

    /// As [`Quotas::entries`], and forgets them.
    pub(crate) fn take_entries(&self, now: Duration) -> Vec<BucketEntry> {
        let mut book = held(&self.book);
        book.sync_all(now);
        book.ledger.take()
    }

    /// Admits a call, or refuses it.
    pub(crate) fn admit(self: &Arc<Self>, wanted: &Wanted<'_>, now: Duration) -> Result<Reservation, Denied> {
        let held = held(&self.book).admit(wanted, now)?;
        let reserved = held.as_ref().map_or(wanted.input.saturating_add(wanted.most_output), |held| held.reserved);
        Ok(Reservation { quotas: Arc::clone(self), call: wanted.call, reserved, held })
    }
}

/// Tokens held for a running call; dropping it gives all of them back.
#[derive(Debug)]
pub(crate) struct Reservation {
    quotas: Arc<Quotas>,
    call: u64,
    reserved: u64,
    held: Option<Held>,
}

impl Reservation {
    /// Tokens held, or that would be if there was a quota.
    pub(crate) fn reserved(&self) -> u64 {
        self.reserved
    }

    /// The bucket they came from.
    pub(crate) fn bucket(&self) -> Option<&BucketKey> {
        self.held.as_ref().map(|held| held.bucket.as_ref())
    }

    /// Exchanges the held tokens for what the call really used.
    pub(crate) fn settle(mut self, now: Duration, usage: &TurnUsage) {
        if let Some(taken) = self.held.take() {
            held(&self.quotas.book).settle(&taken, self.call, usage, now);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(taken) = self.held.take() {
            held(&self.quotas.book).release(&taken, self.call, self.quotas.clock.elapsed());
        }
    }
}

#[cfg(test)]
mod tests;
