//! The book of every change of every bucket, and its replay: could this reservation have been admitted then?

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    limits::{BucketKey, Quota, QuotaLimit, QuotaRoom},
    meter::{Meter, Settlement},
};
use crate::span::Nanos;

/// One thing that happened to a bucket. Entries of one bucket are in order of time; those of all are in order of `number`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketEntry {
    /// Gapless, from 1.
    pub number: u64,
    /// When it took effect.
    pub at: Nanos,
    /// The bucket.
    pub bucket: Arc<BucketKey>,
    /// The call it was for.
    pub call: Option<u64>,
    /// What happened.
    pub change: BucketChange,
    /// What was left afterwards.
    pub room: QuotaRoom,
}

/// What happened to a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum BucketChange {
    /// It was made, full.
    Made {
        /// Its limits.
        quota: Quota,
    },
    /// Its limits changed; its levels stayed as far as they fit.
    Changed {
        /// Its new limits.
        quota: Quota,
    },
    /// A call was admitted.
    Admitted {
        /// Tokens reserved.
        reserved: u64,
    },
    /// A call was refused.
    Refused {
        /// Tokens it wanted to reserve.
        wanted: u64,
        /// The limit that forbade it.
        limit: QuotaLimit,
    },
    /// A reservation became its real cost.
    Settled {
        /// Tokens that had been reserved.
        reserved: u64,
        /// Tokens it cost.
        cost: u64,
    },
    /// A reservation was given back whole: the call was never answered.
    Released {
        /// Tokens that had been reserved.
        reserved: u64,
    },
    /// The limit was taken away: nothing is refused any more.
    Removed,
}

/// The bounded book.
#[derive(Debug)]
pub(crate) struct Ledger {
    entries: VecDeque<BucketEntry>,
    written: u64,
    limit: usize,
}

impl Ledger {
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), written: 0, limit }
    }

    pub(super) fn write(&mut self, at: Duration, bucket: &Arc<BucketKey>, call: Option<u64>, change: BucketChange, room: QuotaRoom) {
        self.written += 1;
        if self.limit == 0 {
            return;
        }
        if self.entries.len() >= self.limit {
            self.entries.pop_front();
        }
        self.entries.push_back(BucketEntry { number: self.written, at: at.into(), bucket: Arc::clone(bucket), call, change, room });
    }

    pub(super) fn entries(&self) -> Vec<BucketEntry> {
        self.entries.iter().cloned().collect()
    }

    pub(super) fn take(&mut self) -> Vec<BucketEntry> {
        std::mem::take(&mut self.entries).into()
    }
}

/// Buckets brought back to any past moment from their entries.
///
/// It needs the entries from the making of a bucket on: of buckets whose beginning is missing it knows nothing.
#[derive(Debug, Default)]
pub struct QuotaReplay {
    buckets: BTreeMap<BucketKey, Vec<State>>,
}

/// A bucket just after an entry; `None` while it is unlimited.
#[derive(Debug)]
struct State {
    at: Duration,
    meter: Option<Meter>,
}

impl QuotaReplay {
    /// Replays entries in the order they were written.
    #[must_use]
    pub fn new(entries: &[BucketEntry]) -> Self {
        let mut replay = Self::default();
        for entry in entries {
            replay.add(entry);
        }
        replay
    }

    /// Adds the next entry.
    pub fn add(&mut self, entry: &BucketEntry) {
        let at = entry.at.duration();
        let meter = match entry.change {
            BucketChange::Made { quota } => Some(Meter::new(immediate(quota), at)),
            BucketChange::Removed => None,
            change => {
                let Some(mut meter) = self.buckets.get(&entry.bucket).and_then(|states| states.last()?.meter.clone()) else { return };
                meter.advance(at, |_, _, _| {});
                play(&mut meter, at, entry.call.unwrap_or_default(), change);
                Some(meter)
            }
        };
        self.buckets.entry(entry.bucket.as_ref().clone()).or_default().push(State { at, meter });
    }

    /// The buckets it knows.
    pub fn buckets(&self) -> impl Iterator<Item = &BucketKey> {
        self.buckets.keys()
    }

    /// What was left at `at`, after everything that happened at that very moment; `None` where nothing was limited or known.
    #[must_use]
    pub fn room(&self, bucket: &BucketKey, at: Nanos) -> Option<QuotaRoom> {
        self.meter(bucket, at.duration()).map(|meter| meter.level())
    }

    /// Whether a call that reserves `wanted` tokens would have been admitted at `at`. `None` where the bucket is not known.
    #[must_use]
    pub fn could_admit(&self, bucket: &BucketKey, at: Nanos, wanted: u64) -> Option<bool> {
        let state = self.state(bucket, at.duration())?;
        Some(state.meter.as_ref().is_none_or(|meter| Self::fits(meter, at.duration(), wanted)))
    }

    /// A moment of the stretch from `from` to `to` (both included) at which such a call would have been admitted, if there is one.
    ///
    /// Levels only rise between entries, so that the end of each stretch between two entries decides about it.
    #[must_use]
    pub fn could_admit_within(&self, bucket: &BucketKey, from: Nanos, to: Nanos, wanted: u64) -> Option<Nanos> {
        let states = self.buckets.get(bucket)?;
        let (from, to) = (from.duration(), to.duration());
        let first = states.partition_point(|state| state.at <= from).saturating_sub(1);
        let mut stretches = states.iter().enumerate().skip(first).take_while(|(_, state)| state.at <= to);
        stretches.find_map(|(index, state)| {
            let next = states.get(index + 1).map_or(to, |next| next.at.min(to));
            let here = state.meter.as_ref().is_none_or(|meter| Self::fits(meter, next, wanted));
            (here && next >= from).then(|| next.into())
        })
    }

    fn fits(meter: &Meter, at: Duration, wanted: u64) -> bool {
        let mut meter = meter.clone();
        meter.advance(at, |_, _, _| {});
        meter.obstacle(wanted).is_none()
    }

    fn state(&self, bucket: &BucketKey, at: Duration) -> Option<&State> {
        let states = self.buckets.get(bucket)?;
        states.partition_point(|state| state.at <= at).checked_sub(1).and_then(|index| states.get(index))
    }

    fn meter(&self, bucket: &BucketKey, at: Duration) -> Option<Meter> {
        let mut meter = self.state(bucket, at)?.meter.clone()?;
        meter.advance(at, |_, _, _| {});
        Some(meter)
    }
}

/// Settlements stand in the book at the time they took effect: a replay must not defer them again.
fn immediate(quota: Quota) -> Quota {
    Quota { settle_after: Duration::ZERO, ..quota }
}

fn play(meter: &mut Meter, at: Duration, call: u64, change: BucketChange) {
    match change {
        BucketChange::Changed { quota } => meter.change(immediate(quota)),
        BucketChange::Admitted { reserved: amount } | BucketChange::Refused { wanted: amount, .. } => {
            // The book says how it went; the outcome here is the same because the rules are.
            let _same = meter.admit(amount);
        }
        BucketChange::Settled { reserved, cost } => {
            meter.settle(at, Settlement { call, reserved, cost });
        }
        BucketChange::Released { reserved } => meter.give_back(reserved),
        BucketChange::Made { .. } | BucketChange::Removed => {}
    }
}
