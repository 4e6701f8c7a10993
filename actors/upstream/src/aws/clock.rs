//! The time AWS believes it is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_smithy_async::time::TimeSource;
use outcrop_domain::clock::Clock;

/// The wall clock, corrected by what a refusal's `Date` taught. Shared by all regions: it is our clock that is wrong.
#[derive(Debug)]
pub struct SigningClock {
    clock: Arc<dyn Clock>,
    /// Milliseconds to add to our clock.
    skew_ms: AtomicI64,
}

/// A signature holds for five minutes both ways; a smaller difference cannot be why one was refused.
const HARMLESS_SKEW: Duration = Duration::from_secs(4 * 60);

impl SigningClock {
    /// Over a clock that is taken to be right.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, skew_ms: AtomicI64::new(0) }
    }

    /// Corrected wall-clock time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        let wall = self.clock.wall();
        let skew_ms = self.skew_ms.load(Ordering::Relaxed);
        let skew = Duration::from_millis(skew_ms.unsigned_abs());
        let corrected = if skew_ms < 0 { wall.checked_sub(skew) } else { wall.checked_add(skew) };
        corrected.unwrap_or(wall)
    }

    /// Takes `server_date` as the true time. True when that changes our signatures for the better.
    pub fn learn(&self, server_date: SystemTime) -> bool {
        let before = self.now();
        let difference = server_date.duration_since(before).unwrap_or_else(|earlier| earlier.duration());
        if difference < HARMLESS_SKEW {
            return false;
        }
        let wall = self.clock.wall();
        let skew_ms = match server_date.duration_since(wall) {
            Ok(ahead) => i64::try_from(ahead.as_millis()).unwrap_or(0),
            Err(behind) => -i64::try_from(behind.duration().as_millis()).unwrap_or(0),
        };
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
        tracing::warn!(skew_ms, "the clock of this machine is wrong; signatures are corrected by AWS's date");
        true
    }
}

/// The clock as the SDK's clients want it.
#[derive(Debug, Clone)]
pub(crate) struct SharedSigningClock(pub(crate) Arc<SigningClock>);

impl TimeSource for SharedSigningClock {
    fn now(&self) -> SystemTime {
        self.0.now()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use outcrop_domain::clock::Moment;

    use super::*;

    /// A clock that tests move.
    #[derive(Debug)]
    pub(crate) struct HandClock(Mutex<SystemTime>);

    impl HandClock {
        pub(crate) fn at(seconds: u64) -> Arc<Self> {
            Arc::new(Self(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))))
        }

        pub(crate) fn advance(&self, by: Duration) {
            *self.0.lock().unwrap() += by;
        }
    }

    impl Clock for HandClock {
        fn now(&self) -> Moment {
            Moment(self.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap())
        }

        fn wall(&self) -> SystemTime {
            *self.0.lock().unwrap()
        }
    }

    #[test]
    fn a_learned_skew_moves_with_the_clock_in_both_directions() {
        let hand = HandClock::at(10_000);
        let clock = SigningClock::new(hand.clone());
        for true_seconds in [20_000u64, 500] {
            let truth = SystemTime::UNIX_EPOCH + Duration::from_secs(true_seconds);
            assert!(clock.learn(truth));
            assert_eq!(clock.now(), truth);
        }
        hand.advance(Duration::from_secs(60));
        assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(560));
    }

    #[test]
    fn a_small_difference_teaches_nothing() {
        let clock = SigningClock::new(HandClock::at(10_000));
        assert!(!clock.learn(SystemTime::UNIX_EPOCH + Duration::from_secs(10_200)));
        assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(10_000));
    }
}
