//! The daily token quota of a target: closed until the next midnight in UTC once it is spent, and the pace up to there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Gate;
use crate::clock::Moment;

/// Pause between half-open probes of a spent daily quota: that it reopens at midnight is an assumption, and an operator
/// may have raised it. Four wasted calls an hour.
const PROBE_EVERY: Duration = Duration::from_secs(900);
/// From this share of the daily quota on operators are warned.
const WARN_SHARE: f64 = 0.8;

/// Seconds of a day, for the next midnight.
const DAY_SECONDS: u64 = 86_400;

/// How long until the next midnight in UTC. A full day when `wall` is before 1970: a clock that wrong is no reason to
/// call a spent quota at once.
#[must_use]
pub fn until_midnight(wall: SystemTime) -> Duration {
    let seconds = wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Duration::from_secs(DAY_SECONDS - seconds % DAY_SECONDS)
}

/// State of the daily quota. The caller knows the wall clock; here are moments and how far midnight is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Daily {
    quota: Option<f64>,
    used: f64,
    day_ends: Moment,
    closed: Option<Closed>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Closed {
    /// `None`: since before this process began.
    since: Option<Moment>,
    until: Moment,
    next_probe: Moment,
}

/// A day whose quota is spent: what of it outlives the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpentDay {
    /// When it ends.
    pub until: Moment,
    /// When the next call may try.
    pub next_probe: Moment,
}

/// How far the day's use has come, where the quota is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Below the warning, or no quota is known.
    Fine,
    /// This call took the use over 80 % of the quota.
    Warn,
}

impl Daily {
    /// A new day of `quota` tokens (`None` = not known), which ends `until_midnight` from `now`.
    #[must_use]
    pub fn new(quota: Option<f64>, now: Moment, until_midnight: Duration) -> Self {
        let quota = quota.filter(|tokens| tokens.is_finite() && *tokens > 0.0);
        Self { quota, used: 0.0, day_ends: now.after(until_midnight), closed: None }
    }

    /// Lets time pass: a new day has nothing used and is open.
    pub fn advance(&mut self, now: Moment) {
        if now >= self.day_ends {
            let passed = now.since(self.day_ends).as_secs() / DAY_SECONDS + 1;
            self.day_ends = self.day_ends.after(Duration::from_secs(passed.saturating_mul(DAY_SECONDS)));
            self.used = 0.0;
        }
        if self.closed.is_some_and(|closed| now >= closed.until) {
            self.closed = None;
        }
    }

    /// Counts what a call used. [`Pace::Warn`] once a day, when the use passes 80 % of the quota.
    pub fn settle(&mut self, now: Moment, used: f64) -> Pace {
        self.advance(now);
        let before = self.used;
        self.used += used.max(0.0);
        match self.quota {
            Some(quota) if before < WARN_SHARE * quota && self.used >= WARN_SHARE * quota => Pace::Warn,
            _ => Pace::Fine,
        }
    }

    /// A call was refused by the daily quota: closed until the day ends, one probe every 15 minutes.
    ///
    /// The rest of the window of refusals, and a refused probe, only move the next probe.
    pub fn refused(&mut self, now: Moment) {
        self.advance(now);
        let since = self.closed.map_or(Some(now), |closed| closed.since);
        self.closed = Some(Closed { since, until: self.day_ends, next_probe: now.after(PROBE_EVERY) });
    }

    /// A call was answered that was sent at `sent`. When that was a probe, the quota is open again; calls that were
    /// admitted before the quota was spent say nothing.
    pub fn granted(&mut self, sent: Moment) {
        if self.closed.is_some_and(|closed| closed.since.is_none_or(|since| sent > since)) {
            self.closed = None;
        }
    }

    /// What the next process must know of a spent day; `None` while there is quota left.
    #[must_use]
    pub fn spent(&self, now: Moment) -> Option<SpentDay> {
        let closed = self.closed.filter(|closed| now < closed.until)?;
        Some(SpentDay { until: closed.until, next_probe: closed.next_probe })
    }

    /// The last process found the day spent. It ends with this day at the latest, and the next probe comes as soon as if it
    /// were found spent only now: whatever clock the last process had, nothing is closed for longer than without it.
    pub fn close(&mut self, now: Moment, spent: SpentDay) {
        let (until, next_probe) = (spent.until.min(self.day_ends), spent.next_probe.min(now.after(PROBE_EVERY)));
        if now < until {
            self.closed = Some(Closed { since: None, until, next_probe });
        }
    }

    /// Whether it lets calls through at `now`.
    #[must_use]
    pub fn gate(&self, now: Moment) -> Gate {
        match self.closed {
            None => Gate::Closed,
            Some(closed) if now >= closed.until => Gate::Closed,
            Some(closed) if now >= closed.next_probe => Gate::HalfOpen,
            Some(closed) => Gate::Open { until: closed.next_probe.min(closed.until) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn midnight_is_where_utc_has_it() {
        let noon = UNIX_EPOCH + Duration::from_secs(20_000 * DAY_SECONDS + DAY_SECONDS / 2);
        assert_eq!(until_midnight(noon), 12 * HOUR);
        assert_eq!(until_midnight(UNIX_EPOCH), 24 * HOUR);
        assert_eq!(until_midnight(UNIX_EPOCH - Duration::from_secs(5)), 24 * HOUR);
    }

    #[test]
    fn a_spent_day_is_closed_until_midnight_with_a_probe_every_quarter_of_an_hour() {
        let mut daily = Daily::new(None, at(0), HOUR);
        daily.refused(at(60));
        assert_eq!(daily.gate(at(61)), Gate::Open { until: at(960) });
        assert_eq!(daily.gate(at(960)), Gate::HalfOpen);
        daily.refused(at(961));
        assert_eq!(daily.gate(at(962)), Gate::Open { until: at(1_861) });
        assert_eq!(daily.gate(at(3_600)), Gate::Closed);
    }

    #[test]
    fn a_probe_that_is_answered_opens_it() {
        let mut daily = Daily::new(None, at(0), HOUR);
        daily.refused(at(0));
        assert_eq!(daily.gate(at(900)), Gate::HalfOpen);
        daily.granted(at(0));
        assert_eq!(daily.gate(at(901)), Gate::HalfOpen, "it was admitted before the quota was spent");
        daily.granted(at(900));
        assert_eq!(daily.gate(at(901)), Gate::Closed);
    }

    #[test]
    fn the_last_probe_is_never_put_beyond_midnight() {
        let mut daily = Daily::new(None, at(0), HOUR);
        daily.refused(at(3_590));
        assert_eq!(daily.gate(at(3_591)), Gate::Open { until: at(3_600) });
    }

    #[test]
    fn a_day_that_the_last_process_found_spent_goes_on_as_it_was() {
        let mut last = Daily::new(None, at(10_000), HOUR);
        assert_eq!(last.spent(at(10_000)), None);
        last.refused(at(10_060));
        assert_eq!(last.spent(at(10_061)), Some(SpentDay { until: at(13_600), next_probe: at(10_960) }));
        assert_eq!(last.spent(at(13_600)), None, "the day is over");
        // The next process has another clock: it begins 100 s later, at 0.
        let mut daily = Daily::new(None, at(0), Duration::from_secs(3_500));
        daily.close(at(0), SpentDay { until: at(3_500), next_probe: at(860) });
        assert_eq!(daily.gate(at(0)), Gate::Open { until: at(860) });
        assert_eq!(daily.gate(at(860)), Gate::HalfOpen);
        daily.refused(at(860));
        assert_eq!(daily.gate(at(861)), Gate::Open { until: at(1_760) });
        assert_eq!(daily.gate(at(3_500)), Gate::Closed);
        // Every call of this process was sent after the day was spent, its very first one too.
        daily.granted(at(0));
        assert_eq!(daily.gate(at(862)), Gate::Closed);
    }

    #[test]
    fn no_spent_day_closes_for_longer_than_one_of_our_own() {
        let mut daily = Daily::new(None, at(0), HOUR);
        daily.close(at(0), SpentDay { until: at(1_000_000), next_probe: at(900_000) });
        assert_eq!(daily.gate(at(0)), Gate::Open { until: at(900) });
        assert_eq!(daily.gate(at(3_600)), Gate::Closed);
        let mut daily = Daily::new(None, at(0), HOUR);
        daily.close(at(5), SpentDay { until: at(5), next_probe: at(1) });
        assert_eq!((daily.gate(at(5)), daily.spent(at(5))), (Gate::Closed, None), "it was over");
    }

    #[test]
    fn the_warning_comes_once_a_day() {
        let mut daily = Daily::new(Some(1_000.0), at(0), HOUR);
        assert_eq!(daily.settle(at(1), 799.0), Pace::Fine);
        assert_eq!(daily.settle(at(2), 1.0), Pace::Warn);
        assert_eq!(daily.settle(at(3), 100.0), Pace::Fine);
        assert_eq!(daily.settle(at(3_601), 900.0), Pace::Warn, "a new day");
        assert_eq!(daily.settle(at(3_601 + 5 * DAY_SECONDS), 10.0), Pace::Fine, "days without calls are skipped");
    }
}
