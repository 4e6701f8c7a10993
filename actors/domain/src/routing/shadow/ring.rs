//! Net use of a resource over the last two minutes, in slots of five seconds.

use super::models::Refill;
use crate::clock::Moment;

/// Slots: two minutes hold a whole bucket and its refill.
const SLOTS: usize = 24;
/// Seconds per slot: the shortest span over which granted use says anything of a rate.
const SLOT_SECONDS: u32 = 5;
/// How far back it remembers, seconds: all its slots.
pub(super) const SECONDS: f64 = 120.0;

/// Granted use by slot, newest at the head.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ring {
    slots: [f64; SLOTS],
    /// Number of the newest slot since the clock began.
    newest: u64,
}

impl Ring {
    pub(super) fn new(now: Moment) -> Self {
        Self { slots: [0.0; SLOTS], newest: number(now) }
    }

    /// Opens the slot of `now`. True when it is a new one.
    pub(super) fn roll(&mut self, now: Moment) -> bool {
        let number = number(now);
        let passed = number.saturating_sub(self.newest);
        if passed == 0 {
            return false;
        }
        let cleared = usize::try_from(passed).unwrap_or(SLOTS).min(SLOTS);
        // Head first: slots move back as time passes. 24 numbers, every five seconds.
        self.slots.rotate_right(cleared);
        self.slots.iter_mut().take(cleared).for_each(|slot| *slot = 0.0);
        self.newest = number;
        true
    }

    /// Adds to the newest slot; negative when a reservation is given back.
    pub(super) fn add(&mut self, amount: f64) {
        if let Some(slot) = self.slots.first_mut() {
            *slot += amount;
        }
    }

    /// Least rate that explains the use, and `more` of it now, units per second. Within `W` seconds a bucket that holds
    /// `span` seconds of its rate lets through no more than it does in `span + W`; one that refills with the minute no more
    /// than it does in all the minutes that `W` touches.
    pub(super) fn floor(&self, more: f64, span: f64, refill: Refill) -> f64 {
        let mut used = more;
        let mut within = 0.0;
        self.slots.iter().fold(0.0, |best: f64, slot| {
            used += slot;
            within += f64::from(SLOT_SECONDS);
            best.max(used / seconds(within, span, refill))
        })
    }
}

/// As [`Ring::floor`], of this use alone.
pub(super) fn floor_of(amount: f64, span: f64, refill: Refill) -> f64 {
    amount / seconds(f64::from(SLOT_SECONDS), span, refill)
}

/// Seconds of its rate that a bucket lets through within so many.
fn seconds(within: f64, span: f64, refill: Refill) -> f64 {
    match refill {
        Refill::Steady => span + within,
        Refill::Minutes => 60.0 * ((within / 60.0).ceil() + 1.0),
    }
}

fn number(now: Moment) -> u64 {
    now.0.as_secs() / u64::from(SLOT_SECONDS)
}
