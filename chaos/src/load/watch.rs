//! The generator watches itself, by the records of what it sent: nothing that it says of itself is taken on trust.

use crate::history::{End, Micros, Request, Role};

/// A single send that is later than this: something stood still, and what fell into that moment was not sent as planned.
const LAG_MAX: Micros = Micros::millis(250);

/// What the records of a run's load say about its generator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelfWatch {
    /// Time from the intended to the real send, of each request that was sent.
    lags: Vec<Micros>,
    dropped: u64,
}

impl SelfWatch {
    /// Of these records.
    #[must_use]
    pub fn of<'r>(records: impl IntoIterator<Item = &'r Request>) -> Self {
        let mut watch = Self::default();
        records.into_iter().for_each(|record| watch.see(record));
        watch
    }

    /// Takes a record. What clients send beside the plan (repeats, canaries) was promised for no moment.
    pub fn see(&mut self, record: &Request) {
        if record.role != Role::Load {
            return;
        }
        match record.sent {
            _ if record.end == End::Dropped => self.dropped += 1,
            Some(sent) => self.lags.push(sent.minus(record.intended)),
            None => {}
        }
    }

    /// Never sent: too many were under way.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Why the numbers of a run with so many planned arrivals cannot be trusted, if so. `most`: the longest lateness at the 99th
    /// percentile, beyond which the load was not open-loop.
    #[must_use]
    pub fn taints(&self, planned: u64, most: Micros) -> Vec<String> {
        let mut lags = self.lags.clone();
        lags.sort_unstable();
        let p99 = crate::measure::at_quantile(&lags, 0.99).unwrap_or_default();
        let longest = lags.last().copied().unwrap_or_default();
        let seen = u64::try_from(lags.len()).unwrap_or(u64::MAX).saturating_add(self.dropped);
        let mut taints = Vec::new();
        if self.dropped > 0 {
            taints.push(format!("{} arrivals were never sent: `max_in_flight` was reached", self.dropped));
        }
        if seen < planned {
            taints.push(format!("{} of {planned} planned arrivals have no record", planned - seen));
        }
        if p99 > most {
            taints.push(format!("one send in a hundred was {:.1} ms late or more", p99.as_millis()));
        }
        if longest > LAG_MAX {
            taints.push(format!("one send was {:.0} ms late", longest.as_millis()));
        }
        taints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Micros = Micros::millis(5);

    fn sent(id: u64, late: Micros) -> Request {
        let intended = Micros::seconds(id);
        Request { id, intended, sent: Some(intended.plus(late)), end: End::Complete, ..Request::default() }
    }

    fn taints(late: impl Fn(u64) -> Micros) -> Vec<String> {
        let records: Vec<Request> = (0..1_000).map(|id| sent(id, late(id))).collect();
        SelfWatch::of(&records).taints(1_000, MOST)
    }

    #[test]
    fn sends_on_time_taint_nothing() {
        assert_eq!(taints(|_| Micros::millis(4)), Vec::<String>::new());
        assert_eq!(taints(|id| Micros::millis(if id % 200 == 0 { 200 } else { 0 })), Vec::<String>::new(), "one in two hundred");
    }

    #[test]
    fn late_sends_taint_whether_many_a_little_or_one_a_lot() {
        let many = taints(|id| Micros::millis(if id % 50 == 0 { 6 } else { 0 }));
        assert!(many.len() == 1 && many[0].contains("one send in a hundred was 6.0 ms"), "{many:?}");
        let one = taints(|id| Micros::millis(if id == 7 { 300 } else { 0 }));
        assert!(one.len() == 1 && one[0].contains("300 ms"), "{one:?}");
    }

    #[test]
    fn arrivals_without_a_record_and_dropped_ones_taint() {
        let mut records: Vec<Request> = (0..10).map(|id| sent(id, Micros::ZERO)).collect();
        let lost = SelfWatch::of(&records[1..]).taints(10, MOST);
        assert!(lost.len() == 1 && lost[0].contains("1 of 10 planned"), "{lost:?}");
        records[3] = Request { end: End::Dropped, sent: None, ..records[3].clone() };
        let dropped = SelfWatch::of(&records).taints(10, MOST);
        assert!(dropped.len() == 1 && dropped[0].contains("never sent"), "{dropped:?}");
    }

    #[test]
    fn what_was_never_planned_is_not_counted() {
        let mut records: Vec<Request> = (0..5).map(|id| sent(id, Micros::ZERO)).collect();
        records.push(Request { role: Role::Storm { of: 1 }, ..sent(9, Micros::seconds(3)) });
        assert_eq!(SelfWatch::of(&records).taints(5, MOST), Vec::<String>::new());
        assert_eq!(SelfWatch::of(&records).taints(6, MOST).len(), 1);
    }
}
