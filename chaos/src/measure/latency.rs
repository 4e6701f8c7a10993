//! Latencies as histograms: mergeable, 1 us to 15 min, three digits. Percentiles are never averaged.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::is_load;
use crate::history::{End, History, Micros, Request};

/// Longest latency that is told apart: 15 minutes.
const LONGEST: u64 = 900_000_000;

/// Histograms by phase, kind and outcome; successes and failures never share one.
#[derive(Debug, Default)]
pub struct Latencies {
    /// Time to the first content, from the intended send.
    pub first_content: BTreeMap<(String, String), Histogram<u64>>,
    /// Total time from the intended send, by phase, kind and end.
    pub total: BTreeMap<(String, String, End), Histogram<u64>>,
    /// Total time from the real send: beside the other, it shows what the generator itself delayed.
    pub service: BTreeMap<(String, String, End), Histogram<u64>>,
}

/// Points of a latency spectrum: share of requests that took longer, and seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spectrum(pub Vec<(f64, f64)>);

impl Latencies {
    /// Of a whole run.
    #[must_use]
    pub fn of(history: &History) -> Self {
        let mut latencies = Self::default();
        for request in history.requests.iter().filter(|request| is_load(&request.role) && request.end != End::Dropped) {
            let phase = history.phase_at(request.intended).map_or_else(String::new, |phase| phase.name.clone());
            latencies.add(phase, request);
        }
        latencies
    }

    fn add(&mut self, phase: String, request: &Request) {
        let key = (phase.clone(), request.kind.clone(), request.end);
        // A request without an end counts as long as its deadline.
        let ended = request.ended.unwrap_or(request.deadline);
        record(self.total.entry(key.clone()).or_insert_with(empty), ended.minus(request.intended));
        if let Some(sent) = request.sent {
            record(self.service.entry(key).or_insert_with(empty), ended.minus(sent));
        }
        if let Some(first) = request.time_to_first_content().filter(|_| request.succeeded()) {
            record(self.first_content.entry((phase, request.kind.clone())).or_insert_with(empty), first);
        }
    }

    /// The first content of all judged phases and kinds, merged.
    #[must_use]
    pub fn spectrum(&self, history: &History) -> Spectrum {
        let mut all = empty();
        for ((phase, _), histogram) in &self.first_content {
            if history.phases.iter().any(|mark| mark.name == *phase && mark.judged)
                && let Err(error) = all.add(histogram)
            {
                tracing::warn!(%error, "a histogram could not be merged");
            }
        }
        if all.is_empty() {
            return Spectrum::default();
        }
        // 1/share doubles from step to step: even steps on the logarithmic axis.
        let shares = (0..=14).map(|step| 0.5_f64.powi(step));
        Spectrum(shares.map(|share| (share, Micros(all.value_at_quantile(1.0 - share)).as_seconds())).collect())
    }
}

fn empty() -> Histogram<u64> {
    match Histogram::new_with_bounds(1, LONGEST, 3) {
        Ok(histogram) => histogram,
        Err(error) => unreachable!("the bounds are constants within what is allowed: {error}"),
    }
}

fn record(histogram: &mut Histogram<u64>, length: Micros) {
    histogram.saturating_record(length.0.clamp(1, LONGEST));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::PhaseMark;

    #[test]
    fn successes_and_failures_never_share_a_histogram() {
        let mut history = History::default();
        history.phases.push(PhaseMark { name: "steady".to_owned(), judged: true, until: Micros::seconds(9), ..PhaseMark::default() });
        let request = |end, millis| Request {
            kind: "chat".to_owned(),
            end,
            sent: Some(Micros::millis(5)),
            first_content: (end == End::Complete).then(|| Micros::millis(millis)),
            ended: Some(Micros::millis(millis)),
            ..Request::default()
        };
        history.requests = vec![request(End::Complete, 100), request(End::Complete, 300), request(End::Refused, 900)];
        let latencies = Latencies::of(&history);
        let of = |end| &latencies.total[&("steady".to_owned(), "chat".to_owned(), end)];
        assert_eq!((of(End::Complete).len(), of(End::Refused).len()), (2, 1));
        assert!((299_000..=301_000).contains(&of(End::Complete).max()));
        let service = &latencies.service[&("steady".to_owned(), "chat".to_owned(), End::Refused)];
        assert!((894_000..=896_000).contains(&service.max()), "from the real send: {}", service.max());
        let spectrum = latencies.spectrum(&history);
        assert!((spectrum.0[14].1 - 0.3).abs() < 0.001, "{spectrum:?}");
    }
}
