//! Calls that have ended, on their way to the actor that learns from them.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use outcrop_domain::usage::Usage;
use outcrop_supervision::Slot;

use super::{Debit, TargetMsg};

/// A call that has ended well.
#[derive(Debug)]
pub(super) struct EndedCall {
    /// What was reserved for it. It knows the target.
    pub(super) debit: Debit,
    /// What it took of the token quota.
    pub(super) used: f64,
    /// Where upstream told it.
    pub(super) usage: Option<Usage>,
}

/// Most calls that wait for an owner that does not look: those of some seconds of the busiest gateway.
pub(super) const MOST_WAITING: usize = 65_536;

/// A buffer keeps room for so many.
const KEPT: usize = 1_024;

/// The calls of one region that have ended and that its owner has not yet learned from.
///
/// A message for each of them would wake the owner once per answer, and that costs more than what it learns. So the owner is
/// told of the first one, looks at once, and then again every few milliseconds until none has come. What lies here outlives
/// an owner; the next one looks first of all. A call that is taken and not learned settles itself, as every [`Debit`] does,
/// and so does one that ends while there is no owner, or that finds [`MOST_WAITING`] before it.
#[derive(Default)]
pub(super) struct EndedCalls(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    calls: Vec<EndedCall>,
    /// The owner knows that there are calls, or will look anyway.
    told: bool,
}

impl EndedCalls {
    /// Adds a call. Returns at once, whether or not the owner runs.
    pub(super) fn add(&self, call: EndedCall, owner: &Slot<TargetMsg>) {
        if owner.get().is_err() {
            tracing::debug!(owner = owner.name(), "there is no owner to learn from a call: it settles itself");
            return;
        }
        let mut waiting = self.lock();
        if waiting.calls.len() >= MOST_WAITING {
            drop(waiting);
            tracing::debug!(owner = owner.name(), "the owner does not look, and too many calls wait for it: one settles itself");
            return;
        }
        waiting.calls.push(call);
        if !waiting.told {
            // One that has died since is followed by one that looks when it starts.
            waiting.told = owner.cast(TargetMsg::CallsEnded).is_ok();
        }
    }

    /// Takes all of them into `calls`, which is empty: the two buffers change places, and neither grows anew every time.
    pub(super) fn take(&self, calls: &mut Vec<EndedCall>) {
        calls.shrink_to(KEPT);
        std::mem::swap(&mut self.lock().calls, calls);
    }

    /// The owner will not look again before it is told. False when it must: there are calls.
    pub(super) fn rest(&self) -> bool {
        let mut waiting = self.lock();
        waiting.told = !waiting.calls.is_empty();
        !waiting.told
    }

    /// Every change is whole before the lock is let go of, so one whose holder panicked can still be used.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls know their targets, and these the place where the calls lie: that would be told again and again.
impl fmt::Debug for EndedCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndedCalls").finish_non_exhaustive()
    }
}
