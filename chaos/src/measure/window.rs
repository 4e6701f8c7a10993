//! A stretch of a run, and what can be counted in it.

use std::collections::BTreeSet;

use super::{is_kill, is_load};
use crate::{
    check::{self, Affinity, Seen},
    history::{Call, End, History, Joined, Micros, Request},
};

/// The load that was due within a stretch, and the calls that arrived in it.
pub struct Window<'h> {
    /// The whole run.
    pub history: &'h History,
    /// Its books, joined.
    pub joined: Joined<'h>,
    /// From.
    pub from: Micros,
    /// Until.
    pub until: Micros,
    /// Requests that were due.
    pub requests: Vec<&'h Request>,
    /// Calls that arrived.
    pub calls: Vec<&'h Call>,
}

impl<'h> Window<'h> {
    /// A stretch.
    #[must_use]
    pub fn between(history: &'h History, from: Micros, until: Micros) -> Self {
        let within = |at: Micros| at >= from && at <= until;
        Self {
            history,
            joined: Joined::of(history),
            from,
            until,
            requests: history.requests.iter().filter(|request| within(request.intended) && is_load(&request.role)).collect(),
            calls: history.calls.iter().filter(|call| within(call.arrived)).collect(),
        }
    }

    pub(super) fn count(&self, wanted: impl Fn(&Request) -> bool) -> f64 {
        float(self.requests.iter().filter(|request| !request.self_inflicted() && wanted(request)).count())
    }

    pub(super) fn share(&self, wanted: impl Fn(&Request) -> bool) -> Option<f64> {
        ratio(self.count(wanted), self.count(|_| true))
    }

    pub(super) fn throttles_with_room(&self) -> Option<f64> {
        self.throttles_where(|seen, request, at, wanted| seen.room(request, at, wanted).is_some())
    }

    pub(super) fn throttles_with_any_room(&self) -> Option<f64> {
        self.throttles_where(|seen, request, at, wanted| seen.any_room(request, at, wanted).is_some())
    }

    fn throttles_where(&self, roomy: impl Fn(&Seen<'_>, &Request, Micros, f64) -> bool) -> Option<f64> {
        let seen = Seen::of(self.history);
        let with_room = self.requests.iter().filter(|request| {
            let at = request.ended.unwrap_or(request.deadline);
            request.throttled() && seen.wanted(request).is_some_and(|wanted| roomy(&seen, request, at, wanted))
        });
        Some(float(with_room.count()))
    }

    /// Requests without an end or an error. Where the harness itself ended the process nobody could be reached, which is no silence.
    pub(super) fn silent_ends(&self) -> Option<f64> {
        Some(self.count(|request| match request.end {
            End::Silent | End::Malformed | End::Cut | End::Timeout | End::Open => true,
            End::Unreachable => !check::excused(self.history, request),
            End::Complete | End::Refused | End::StreamError | End::Left | End::Dropped => false,
        }))
    }

    /// Failed requests of whose answers no byte had come. What of a whole answer came counts for nothing: it could be had anew.
    pub(super) fn failed_unbegun(&self) -> Option<f64> {
        let begun = |request: &Request| request.stream && self.joined.calls_of(request).iter().any(|call| call.first_byte.is_some());
        Some(self.count(|request| request.failed() && !begun(request)))
    }

    fn calm(&self, request: &Request) -> bool {
        let recovery = self.history.about.rules.recovery;
        !self.history.any_fault(request.intended.minus(recovery), request.ended.unwrap_or(request.deadline))
    }

    pub(super) fn success_outside_faults(&self) -> Option<f64> {
        let calm = || self.requests.iter().filter(|request| !request.self_inflicted() && self.calm(request));
        ratio(float(calm().filter(|request| request.succeeded()).count()), float(calm().count()))
    }

    pub(super) fn attempts(&self) -> Option<f64> {
        self.attempts_of(|_| true)
    }

    pub(super) fn attempts_outside_faults(&self) -> Option<f64> {
        self.attempts_of(|request| self.calm(request))
    }

    fn attempts_of(&self, wanted: impl Fn(&Request) -> bool) -> Option<f64> {
        // Requests that never reached upstream (refused at the door, malformed) would only dilute the number.
        let counts: Vec<usize> =
            self.requests.iter().filter(|request| wanted(request)).map(|request| self.joined.calls_of(request).len()).collect();
        let tried = counts.iter().filter(|count| **count > 0).count();
        ratio(float(counts.iter().sum()), float(tried))
    }

    pub(super) fn failed_per_kill(&self) -> Option<f64> {
        let kills =
            self.history.host.iter().filter(|event| event.at >= self.from && event.at <= self.until && is_kill(&event.fact)).count();
        ratio(self.count(Request::failed), float(kills))
    }

    pub(super) fn wasted(&self) -> Option<f64> {
        ratio(float(self.calls.iter().filter(|call| call.throttled()).count()), float(self.calls.len()))
    }

    pub(super) fn quota_used(&self) -> Option<f64> {
        check::used(self.history, self.from, self.until)
    }

    pub(super) fn used_before_first_429(&self) -> Option<f64> {
        /// Buckets change often enough to be read within so long before it.
        const SHORTLY: Micros = Micros::seconds(5);
        let first = self.requests.iter().filter(|request| request.throttled()).filter_map(|request| request.ended).min();
        match first {
            Some(first) => check::used(self.history, first.minus(SHORTLY), first),
            None => check::used(self.history, self.from, self.until),
        }
    }

    pub(super) fn cache_hits(&self) -> Option<f64> {
        let affinity = self.affinity();
        (affinity.ideal > 0).then(|| affinity.hit_share())
    }

    pub(super) fn moves(&self) -> Option<f64> {
        let affinity = self.affinity();
        (affinity.turns > 0).then(|| affinity.move_share())
    }

    fn affinity(&self) -> Affinity {
        Affinity::of(self.history, &self.joined, self.from, self.until)
    }

    pub(super) fn first_content(&self, quantile: f64) -> Option<f64> {
        self.quantile(quantile, |request| request.time_to_first_content())
    }

    pub(super) fn total(&self, quantile: f64) -> Option<f64> {
        self.quantile(quantile, |request| request.total())
    }

    /// What lay between the intended send and the first content and was not the simulator's doing.
    pub(super) fn added(&self) -> Option<f64> {
        self.quantile(0.99, |request| {
            let call = request.said.runs.first().and_then(|run| self.joined.call(run.call))?;
            let upstream = call.word_times.first().map(|word| word.at).or(call.first_byte)?.minus(call.arrived);
            Some(request.time_to_first_content()?.minus(upstream))
        })
    }

    fn quantile(&self, quantile: f64, of: impl Fn(&Request) -> Option<Micros>) -> Option<f64> {
        let mut times: Vec<Micros> = self.requests.iter().filter(|request| request.succeeded()).filter_map(|request| of(request)).collect();
        times.sort_unstable();
        at_quantile(&times, quantile).map(Micros::as_seconds)
    }

    pub(super) fn word_lag(&self) -> Option<f64> {
        let lags: Vec<Micros> = check::lags(self.history, &self.joined).into_iter().map(|(lag, _)| lag).collect();
        at_quantile(&lags, 0.99).map(Micros::as_seconds)
    }

    pub(super) fn regions_used(&self) -> Option<f64> {
        let used: BTreeSet<&str> = self.calls.iter().filter(|call| call.answered()).map(|call| call.region.as_str()).collect();
        Some(float(used.len()))
    }
}

/// The value that so large a share of sorted values does not exceed.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "counts of a run; casts saturate")]
pub(crate) fn at_quantile(sorted: &[Micros], quantile: f64) -> Option<Micros> {
    let rank = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted.get(rank.saturating_sub(1).min(sorted.len().checked_sub(1)?)).copied()
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// Counts of a run lie far below 2^52.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn float(count: usize) -> f64 {
    count as f64
}
