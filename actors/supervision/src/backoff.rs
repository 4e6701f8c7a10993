//! When a failed child is started again, and when its supervisor gives up.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

/// Wait before the first restart: long enough for a burst of failures to pass, short enough that a caller with a retry
/// does not notice.
pub const DEFAULT_FIRST_DELAY: Duration = Duration::from_millis(50);
/// Longest wait between restarts: a cause that outlives this is for an operator.
pub const DEFAULT_MAX_DELAY: Duration = Duration::from_secs(30);
/// Share of every delay that is random, so that children of one cause do not come back in step.
pub const DEFAULT_JITTER: f64 = 0.2;
/// So many times its last delay a child must run to count as recovered.
const RECOVERED_AFTER_DELAYS: u32 = 4;
/// A child that ran this long had recovered in any case: its next failure counts as a first.
pub const DEFAULT_QUIET: Duration = Duration::from_secs(60);

/// Jittered exponential backoff between the restarts of one child.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Delay before the first restart; every further one doubles it.
    pub first: Duration,
    /// No delay is longer.
    pub max: Duration,
    /// Share of the delay that chance may take away, 0 to 1.
    pub jitter: f64,
    /// After running this long without a failure a child starts at `first` again; mostly sooner ([`Backoff::recovered`]).
    pub quiet: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: DEFAULT_FIRST_DELAY, max: DEFAULT_MAX_DELAY, jitter: DEFAULT_JITTER, quiet: DEFAULT_QUIET }
    }
}

impl Backoff {
    /// Restarts at once, always: for children whose start is free, and for tests.
    pub const NONE: Self = Self { first: Duration::ZERO, max: Duration::ZERO, jitter: 0.0, quiet: DEFAULT_QUIET };

    /// Had a child recovered that ran for so long after its last of `failures` in a row? Several times its delay is enough:
    /// what crashes in a loop does so soon after its start, and what is hit from outside now and then is not in a loop.
    #[must_use]
    pub fn recovered(&self, ran: Duration, failures: u32) -> bool {
        ran >= self.quiet.min(self.delay(failures, 0.0).saturating_mul(RECOVERED_AFTER_DELAYS))
    }

    /// The delay before a restart: `failures` in a row (1 = the first), `chance` from `[0, 1)`.
    #[must_use]
    pub fn delay(&self, failures: u32, chance: f64) -> Duration {
        // 2^31 times any delay worth setting is beyond any maximum.
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.max);
        full.mul_f64(1.0 - self.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0))
    }
}

/// How many restarts a supervisor allows before it fails itself, so that its parent decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// Restarts allowed within the window; one more and the supervisor fails.
    pub max_restarts: u32,
    /// Length of the sliding window.
    pub within: Duration,
}

impl Intensity {
    /// `max_restarts` within `seconds`.
    #[must_use]
    pub const fn new(max_restarts: u32, seconds: u64) -> Self {
        Self { max_restarts, within: Duration::from_secs(seconds) }
    }
}

/// Whether a supervisor may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Restart,
    GiveUp,
}

/// The restarts of the last [`Intensity::within`].
#[derive(Debug)]
pub(crate) struct RestartWindow {
    intensity: Intensity,
    restarts: VecDeque<Instant>,
}

impl RestartWindow {
    pub(crate) fn new(intensity: Intensity) -> Self {
        Self { intensity, restarts: VecDeque::new() }
    }

    /// Counts one failure that asks for a restart. Holds at most `max_restarts + 1` entries.
    pub(crate) fn record(&mut self, at: Instant) -> Verdict {
        while self.restarts.front().is_some_and(|earlier| at.duration_since(*earlier) >= self.intensity.within) {
            self.restarts.pop_front();
        }
        self.restarts.push_back(at);
        if self.restarts.len() > self.intensity.max_restarts as usize { Verdict::GiveUp } else { Verdict::Restart }
    }
}

/// Where jitter takes its random numbers from: each call gives one from `[0, 1)`.
#[derive(Clone)]
pub struct Jitter(Arc<dyn Fn() -> f64 + Send + Sync>);

impl Jitter {
    /// Numbers from `draw`, which gives values from `[0, 1)`.
    #[must_use]
    pub fn new(draw: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(draw))
    }

    pub(crate) fn draw(&self) -> f64 {
        (self.0)()
    }
}

impl Default for Jitter {
    /// Takes nothing away. The kit draws no chance of its own: whoever writes a tree down passes theirs, so that a
    /// simulated run is the same every time.
    fn default() -> Self {
        Self::new(|| 0.0)
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jitter(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::now;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_millis(100), max: Duration::from_secs(1), jitter: 0.5, quiet: Duration::from_secs(60) };

    #[test]
    fn the_delay_doubles_up_to_its_maximum() {
        let delays: Vec<u128> = (1..=6).map(|failures| BACKOFF.delay(failures, 0.0).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(BACKOFF.delay(u32::MAX, 0.0), BACKOFF.max);
    }

    #[test]
    fn chance_takes_away_at_most_the_jitter_share() {
        assert_eq!(BACKOFF.delay(1, 0.5), Duration::from_millis(75));
        assert_eq!(BACKOFF.delay(1, 1.0), Duration::from_millis(50));
        assert_eq!(BACKOFF.delay(1, 9.0), Duration::from_millis(50), "a broken source cannot make it negative");
    }

    #[test]
    fn a_child_has_recovered_when_it_ran_for_several_of_its_delays() {
        let ms = Duration::from_millis;
        assert!(!BACKOFF.recovered(ms(399), 1) && BACKOFF.recovered(ms(400), 1));
        assert!(!BACKOFF.recovered(ms(3_999), 9) && BACKOFF.recovered(ms(4_000), 9), "the delay is at its maximum");
        let short = Backoff { quiet: ms(150), ..BACKOFF };
        assert!(short.recovered(ms(150), 9), "and never later than after the quiet time");
    }

    #[test]
    fn without_a_source_of_chance_delays_are_full() {
        assert_eq!(BACKOFF.delay(3, Jitter::default().draw()), Duration::from_millis(400));
        assert_eq!(BACKOFF.delay(3, Jitter::new(|| 0.5).draw()), Duration::from_millis(300));
    }

    #[tokio::test(start_paused = true)]
    async fn the_window_slides() {
        let mut window = RestartWindow::new(Intensity::new(2, 10));
        assert_eq!(window.record(now()), Verdict::Restart);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(window.record(now()), Verdict::Restart);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(window.record(now()), Verdict::Restart, "the first one is ten seconds old");
        assert_eq!(window.record(now()), Verdict::GiveUp);
    }

    #[tokio::test(start_paused = true)]
    async fn no_restart_allowed_means_the_first_failure_is_one_too_many() {
        assert_eq!(RestartWindow::new(Intensity::new(0, 10)).record(now()), Verdict::GiveUp);
    }
}
