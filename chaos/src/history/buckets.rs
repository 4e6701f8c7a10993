//! True buckets at any past moment, from the levels that the simulator's book noted at each change.

use std::collections::BTreeMap;

use super::{BucketEvent, BucketKey, Change, History, Limit, Micros, Refill};

/// All buckets of a run.
#[derive(Debug, Default)]
pub struct Buckets {
    states: BTreeMap<BucketKey, Vec<State>>,
}

/// What is left; `None` = unlimited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// Requests.
    pub requests: Option<f64>,
    /// Tokens.
    pub tokens: Option<f64>,
}

/// A bucket just after a change.
#[derive(Debug, Clone, Copy)]
struct State {
    at: Micros,
    requests: Option<Level>,
    tokens: Option<Level>,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    limit: Limit,
    units: f64,
}

impl Room {
    /// A call that reserves so many tokens would be admitted.
    #[must_use]
    pub fn fits(&self, tokens: f64) -> bool {
        // The book notes whole units, rounded down: one unit of either is the error it may have.
        self.requests.is_none_or(|left| left >= 2.0) && self.tokens.is_none_or(|left| left >= tokens + 1.0)
    }
}

impl Buckets {
    /// Replays the book.
    #[must_use]
    pub fn of(history: &History) -> Self {
        let mut buckets = Self::default();
        for event in &history.buckets {
            buckets.add(event);
        }
        buckets
    }

    fn add(&mut self, event: &BucketEvent) {
        let states = self.states.entry(event.key.clone()).or_default();
        let last = states.last().copied();
        let (requests, tokens) = match &event.change {
            Change::Limits { requests, tokens } => (*requests, *tokens),
            Change::Unlimited => (None, None),
            Change::Admitted { .. } | Change::Refused { .. } | Change::Settled { .. } => {
                let Some(last) = last else { return };
                (last.requests.map(|level| level.limit), last.tokens.map(|level| level.limit))
            }
        };
        let level = |limit: Option<Limit>, left: Option<i64>| Some(Level { limit: limit?, units: whole(left?) });
        states.push(State { at: event.at, requests: level(requests, event.requests), tokens: level(tokens, event.tokens) });
    }

    /// The buckets of a model, and their regions.
    pub fn of_model<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a BucketKey> {
        self.states.keys().filter(move |key| key.model == model)
    }

    /// Most tokens that the bucket holds at a moment; 0 where tokens are not limited.
    #[must_use]
    pub fn depth(&self, key: &BucketKey, at: Micros) -> f64 {
        let states = self.states.get(key).map(Vec::as_slice).unwrap_or_default();
        let state = states.partition_point(|state| state.at <= at).checked_sub(1).and_then(|index| states.get(index));
        state.and_then(|state| state.tokens).map_or(0.0, |tokens| tokens.limit.depth)
    }

    /// What was left at a moment; `None` before the bucket was made.
    #[must_use]
    pub fn room(&self, key: &BucketKey, at: Micros) -> Option<Room> {
        let states = self.states.get(key)?;
        let state = states.partition_point(|state| state.at <= at).checked_sub(1).and_then(|index| states.get(index))?;
        Some(state.room(at))
    }

    /// There was room for such a call during all of the stretch, ends included.
    #[must_use]
    pub fn fits_throughout(&self, key: &BucketKey, from: Micros, until: Micros, tokens: f64) -> bool {
        let Some(states) = self.states.get(key) else { return false };
        // Levels only rise between changes: the beginning of the stretch and each change in it decide.
        let first = states.partition_point(|state| state.at <= from);
        let within = states.get(first..).unwrap_or_default().iter().take_while(|state| state.at <= until);
        self.room(key, from).is_some_and(|room| room.fits(tokens)) && within.into_iter().all(|state| state.room(state.at).fits(tokens))
    }

    /// There would have been room for such a call at some moment of the stretch, had no call been admitted after `from`.
    #[must_use]
    pub fn would_fit_alone(&self, history: &History, key: &BucketKey, from: Micros, until: Micros, tokens: f64) -> bool {
        let Some(room) = self.room(key, from) else { return true };
        let given: f64 = history
            .buckets
            .iter()
            .filter(|event| event.key == *key && event.at > from && event.at <= until)
            .map(|event| match event.change {
                Change::Settled { reserved, cost } => float(reserved) - float(cost),
                _ => 0.0,
            })
            .filter(|given| *given > 0.0)
            .sum();
        let Some(states) = self.states.get(key) else { return true };
        let Some(state) = states.partition_point(|state| state.at <= from).checked_sub(1).and_then(|index| states.get(index)) else {
            return true;
        };
        let later = state.room(until);
        let later = Room {
            requests: later.requests.or(room.requests),
            // A bucket holds no more than its depth, whatever is given back.
            tokens: later.tokens.map(|left| (left + given).min(state.tokens.map_or(f64::MAX, |level| level.limit.depth))),
        };
        later.fits(tokens)
    }

    /// Sums of the limits in force at a moment, requests and tokens a minute; `None` where a bucket has no such limit.
    #[must_use]
    pub fn per_minute(&self, model: &str, at: Micros) -> (Option<f64>, Option<f64>) {
        let limits: Vec<&State> = self
            .of_model(model)
            .filter_map(|key| self.states.get(key))
            .filter_map(|states| states.get(states.partition_point(|state| state.at <= at).saturating_sub(1)))
            .collect();
        let sum = |of: fn(&State) -> Option<Level>| {
            let each: Option<Vec<f64>> = limits.iter().map(|state| of(state).map(|level| level.limit.per_minute)).collect();
            each.filter(|each| !each.is_empty()).map(|each| each.iter().sum())
        };
        (sum(|state| state.requests), sum(|state| state.tokens))
    }
}

impl State {
    fn room(&self, at: Micros) -> Room {
        let after = |level: Level| level.after(self.at, at);
        Room { requests: self.requests.map(after), tokens: self.tokens.map(after) }
    }
}

impl Level {
    fn after(&self, since: Micros, at: Micros) -> f64 {
        match self.limit.refill {
            Refill::Continuous => {
                let minutes = at.minus(since).as_seconds() / 60.0;
                (self.units + self.limit.per_minute * minutes).min(self.limit.depth)
            }
            Refill::Minute { offset } => {
                let window = |moment: Micros| moment.plus(MINUTE).minus(offset).0 / MINUTE.0;
                if window(at) > window(since) { self.limit.depth } else { self.units }
            }
        }
    }
}

const MINUTE: Micros = Micros::seconds(60);

/// Levels and costs lie far below 2^52, where a double is exact.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn whole(units: i64) -> f64 {
    units as f64
}

/// As [`whole`].
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn float(units: u64) -> f64 {
    units as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> BucketKey {
        BucketKey { region: "us-east-1".to_owned(), model: "m".to_owned(), profile: String::new() }
    }

    fn event(at: u64, change: Change, requests: i64, tokens: i64) -> BucketEvent {
        BucketEvent { at: Micros::seconds(at), key: key(), call: None, change, requests: Some(requests), tokens: Some(tokens) }
    }

    fn limits(refill: Refill) -> Change {
        let limit = |per_minute| Some(Limit { per_minute, depth: per_minute, refill });
        Change::Limits { requests: limit(60.0), tokens: limit(6_000.0) }
    }

    fn history(events: Vec<BucketEvent>) -> History {
        History { buckets: events, ..History::default() }
    }

    #[test]
    fn levels_rise_with_the_rate_up_to_the_depth() {
        let history =
            history(vec![event(0, limits(Refill::Continuous), 60, 6_000), event(10, Change::Admitted { tokens: 5_000 }, 59, 1_000)]);
        let buckets = Buckets::of(&history);
        assert_eq!(buckets.room(&key(), Micros::seconds(20)).unwrap().tokens, Some(2_000.0));
        assert_eq!(buckets.room(&key(), Micros::seconds(500)).unwrap().tokens, Some(6_000.0));
        assert_eq!(buckets.room(&key(), Micros::seconds(10)).unwrap().requests, Some(59.0));
    }

    #[test]
    fn fixed_windows_fill_at_the_turn_of_the_minute() {
        let refill = Refill::Minute { offset: Micros::seconds(15) };
        let history = history(vec![event(0, limits(refill), 60, 6_000), event(5, Change::Admitted { tokens: 6_000 }, 59, 0)]);
        let buckets = Buckets::of(&history);
        assert_eq!(buckets.room(&key(), Micros::seconds(14)).unwrap().tokens, Some(0.0));
        assert_eq!(buckets.room(&key(), Micros::seconds(15)).unwrap().tokens, Some(6_000.0));
    }

    #[test]
    fn room_throughout_sees_a_dip_in_the_middle() {
        let dip = vec![
            event(0, limits(Refill::Continuous), 60, 6_000),
            event(10, Change::Admitted { tokens: 5_900 }, 59, 100),
            event(11, Change::Settled { reserved: 5_900, cost: 0 }, 59, 6_000),
        ];
        let history = history(dip);
        let buckets = Buckets::of(&history);
        assert!(!buckets.fits_throughout(&key(), Micros::seconds(9), Micros::seconds(12), 500.0));
        assert!(buckets.fits_throughout(&key(), Micros::seconds(12), Micros::seconds(13), 500.0));
        assert!(buckets.would_fit_alone(&history, &key(), Micros::seconds(10), Micros::seconds(11), 500.0));
    }

    #[test]
    fn a_promise_is_judged_without_the_calls_that_came_after_it() {
        let drained = vec![
            event(0, limits(Refill::Continuous), 60, 6_000),
            event(10, Change::Admitted { tokens: 6_000 }, 59, 0),
            event(12, Change::Admitted { tokens: 200 }, 58, 0),
        ];
        let history = history(drained);
        let buckets = Buckets::of(&history);
        let later = |seconds| buckets.would_fit_alone(&history, &key(), Micros::seconds(10), Micros::seconds(seconds), 900.0);
        assert!(later(20), "100 tokens a second for ten seconds");
        assert!(!later(15));
    }
}
