//! One target's circuit breaker: opens by cause, doubles once per failure window, half-opens with one probe.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{clock::Moment, error::Cause};

/// How long a target stays closed to traffic after failures of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// After the first failure window.
    pub first: Duration,
    /// At most.
    pub max: Duration,
}

impl BackoffPolicy {
    /// `first * 2^(windows - 1)`, at most `max`, times `1 - jitter..1 + jitter` for a `unit` draw in `[0, 1)`.
    fn delay(self, windows: u32, unit: f64) -> Duration {
        let doubled = self.first.saturating_mul(1u32.checked_shl(windows.saturating_sub(1).min(31)).unwrap_or(u32::MAX));
        doubled.min(self.max).mul_f64(1.0 - JITTER + 2.0 * JITTER * unit).min(self.max)
    }
}

/// Share by which a backoff is lengthened or shortened at random, so that replicas do not probe together.
const JITTER: f64 = 0.1;

/// The backoffs of a target, by kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Per-minute quotas: short, they refill by themselves.
    pub throttled: BackoffPolicy,
    /// Outages, warming models, timeouts, lost connections.
    pub unavailable: BackoffPolicy,
    /// No access, or no such model: nobody repairs that within seconds.
    pub denied: Duration,
    /// Daily and hard quotas.
    pub exhausted: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            throttled: BackoffPolicy { first: Duration::from_secs(2), max: Duration::from_secs(60) },
            unavailable: BackoffPolicy { first: Duration::from_secs(1), max: Duration::from_secs(120) },
            denied: Duration::from_secs(300),
            exhausted: Duration::from_secs(900),
        }
    }
}

/// How one call to the target ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered (an error that is the caller's own fault counts too: the target works).
    Answered,
    /// It failed.
    Failed(Cause),
    /// It was given up by whoever waited, after a silence that the target's usual pace does not explain.
    Silent,
}

/// Whether a target may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Gate {
    /// Healthy: everybody may.
    Closed,
    /// Nobody may before `until`.
    Open {
        /// When it half-opens.
        #[serde(skip)]
        until: Moment,
    },
    /// One call at a time may try.
    HalfOpen,
}

/// The state of one target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Breaker {
    trip: Option<Trip>,
}

/// Why and since when the target is closed to traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trip {
    cause: Cause,
    since: Moment,
    until: Moment,
    windows: u32,
}

impl Breaker {
    /// A target that was out of order when it was last heard of: one call finds out.
    #[must_use]
    pub fn half_open(cause: Cause, now: Moment) -> Self {
        Self { trip: Some(Trip { cause, since: Moment::default(), until: now, windows: 1 }) }
    }

    /// Whether the target may be called at `now`.
    #[must_use]
    pub fn gate(&self, now: Moment) -> Gate {
        match self.trip {
            None => Gate::Closed,
            Some(trip) if now < trip.until => Gate::Open { until: trip.until },
            Some(_) => Gate::HalfOpen,
        }
    }

    /// What tripped it, while it is not closed.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.trip.map(|trip| trip.cause)
    }

    /// Failure windows in a row.
    #[must_use]
    pub fn windows(&self) -> u32 {
        self.trip.map_or(0, |trip| trip.windows)
    }

    /// Learns how a call ended that began at `began`. `unit` is a random draw in `[0, 1)` for jitter.
    ///
    /// Calls that began before the present trip belong to the window that caused it: their failures do not
    /// escalate, and their successes do not heal.
    pub fn learn(&mut self, outcome: Outcome, began: Moment, now: Moment, policy: &BreakerPolicy, unit: f64) {
        if self.trip.is_some_and(|trip| began < trip.since) {
            return;
        }
        match outcome {
            Outcome::Answered => self.trip = None,
            Outcome::Failed(cause) => self.fail(cause, now, policy, unit),
            // What a first-byte timeout would have said, had anybody waited for it.
            Outcome::Silent => self.fail(Cause::Timeout, now, policy, unit),
        }
    }

    fn fail(&mut self, cause: Cause, now: Moment, policy: &BreakerPolicy, unit: f64) {
        let windows = self.windows().saturating_add(1);
        let delay = match cause {
            // The target works: the request was bad, the answer broke after it began, or our own keys were refused,
            // which is true of the whole account and no reason to close one target after the other.
            Cause::BadRequest | Cause::ContextOverflow | Cause::BrokenStream | Cause::Credentials => return,
            Cause::Throttled => policy.throttled.delay(windows, unit),
            Cause::QuotaExhausted => policy.exhausted,
            Cause::Unavailable | Cause::NotReady | Cause::Timeout | Cause::Connection | Cause::Malformed => {
                policy.unavailable.delay(windows, unit)
            }
            Cause::AccessDenied | Cause::ModelMissing => policy.denied,
        };
        // Since the *next* instant: a call that begins at this very tick still belongs to this window.
        let since = now.after(Duration::from_nanos(1));
        self.trip = Some(Trip { cause, since, until: now.after(delay), windows });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_JITTER: f64 = 0.5;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    fn learn(breaker: &mut Breaker, outcome: Outcome, began: u64, now: u64) {
        breaker.learn(outcome, at(began), at(now), &BreakerPolicy::default(), NO_JITTER);
    }

    fn closed_for(breaker: &Breaker, now: u64) -> Duration {
        match breaker.gate(at(now)) {
            Gate::Open { until } => until.since(at(now)),
            Gate::Closed | Gate::HalfOpen => Duration::ZERO,
        }
    }

    #[test]
    fn fifty_throttles_together_count_once() {
        let mut breaker = Breaker::default();
        for _ in 0..50 {
            learn(&mut breaker, Outcome::Failed(Cause::Throttled), 10, 11);
        }
        assert_eq!(breaker.windows(), 1);
        assert_eq!(closed_for(&breaker, 11), Duration::from_secs(2));
    }

    #[test]
    fn each_failed_probe_doubles_up_to_the_longest_pause() {
        let mut breaker = Breaker::default();
        let mut now = 0;
        for window in 0..16u32 {
            learn(&mut breaker, Outcome::Failed(Cause::Throttled), now, now);
            let expected = Duration::from_secs(2 << window).min(Duration::from_secs(60));
            assert_eq!(closed_for(&breaker, now), expected, "window {window}");
            now += expected.as_secs();
            assert_eq!(breaker.gate(at(now)), Gate::HalfOpen);
        }
    }

    #[test]
    fn a_success_of_a_later_call_closes_it_and_resets_the_doubling() {
        let mut breaker = Breaker::default();
        learn(&mut breaker, Outcome::Failed(Cause::Unavailable), 0, 0);
        learn(&mut breaker, Outcome::Answered, 5, 6);
        assert_eq!(breaker.gate(at(6)), Gate::Closed);
        learn(&mut breaker, Outcome::Failed(Cause::Unavailable), 7, 7);
        assert_eq!(breaker.windows(), 1);
    }

    #[test]
    fn a_success_from_before_the_trip_does_not_heal() {
        let mut breaker = Breaker::default();
        learn(&mut breaker, Outcome::Failed(Cause::Throttled), 5, 5);
        learn(&mut breaker, Outcome::Answered, 4, 6);
        assert_ne!(breaker.gate(at(6)), Gate::Closed);
    }

    #[test]
    fn a_bad_request_has_no_health_effect() {
        let mut breaker = Breaker::default();
        for cause in [Cause::BadRequest, Cause::ContextOverflow, Cause::BrokenStream, Cause::Credentials] {
            learn(&mut breaker, Outcome::Failed(cause), 1, 1);
        }
        assert_eq!(breaker.gate(at(1)), Gate::Closed);
    }

    #[test]
    fn silence_is_a_failure_window_of_its_own() {
        let mut breaker = Breaker::default();
        learn(&mut breaker, Outcome::Silent, 1, 30);
        assert_eq!((breaker.windows(), breaker.cause()), (1, Some(Cause::Timeout)));
        assert_eq!(closed_for(&breaker, 30), Duration::from_secs(1));
        learn(&mut breaker, Outcome::Silent, 2, 30);
        assert_eq!(breaker.windows(), 1, "calls that were silent together count once");
        learn(&mut breaker, Outcome::Silent, 31, 60);
        assert_eq!(breaker.windows(), 2);
    }

    #[test]
    fn missing_access_skips_the_target_for_minutes() {
        let mut breaker = Breaker::default();
        learn(&mut breaker, Outcome::Failed(Cause::AccessDenied), 1, 1);
        assert_eq!(closed_for(&breaker, 1), Duration::from_secs(300));
        assert_eq!(breaker.cause(), Some(Cause::AccessDenied));
    }

    #[test]
    fn jitter_stays_within_a_tenth_and_under_the_cap() {
        let policy = BreakerPolicy::default();
        for unit in [0.0, 0.25, 0.999_999] {
            let delay = policy.throttled.delay(1, unit);
            assert!(delay >= Duration::from_millis(1_800) && delay <= Duration::from_millis(2_200), "{delay:?}");
            assert!(policy.throttled.delay(40, unit) <= Duration::from_secs(3600));
        }
    }
}
