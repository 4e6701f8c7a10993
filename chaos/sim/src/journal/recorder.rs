//! The pen of one call: written to by the service and the response body, closed when the call ends.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::request::Parts;

use super::{Call, Ending, FaultHit, Journal, Outcome, RefusedBy, WordRun};
use crate::{
    auth::AuthKind,
    body::Written,
    brain::{Turn, TurnUsage},
    clock::SimClock,
    faults::Strike,
    quota::{ProfileClass, Reservation},
    route::Route,
    script::{Matched, RuleId},
    wire::WireControl,
};

/// Writes one call's entry. Dropping it before the end records why it ended early.
#[derive(Debug)]
pub(crate) struct Recorder {
    journal: Arc<Journal>,
    wire: Arc<WireControl>,
    clock: SimClock,
    region: String,
    number: u64,
    /// Held until the call ends: rules count their active calls.
    matched: Option<Matched>,
    /// Held until the call ends: so do faults.
    strike: Option<Strike>,
    open: bool,
}

/// Where a call came in.
pub(crate) struct Arrival<'a> {
    pub(crate) region: &'a str,
    pub(crate) parts: &'a Parts,
    pub(crate) route: &'a Route,
    /// Makes the request id once the number is known.
    pub(crate) request_id: &'a dyn Fn(u64) -> String,
}

impl Recorder {
    pub(crate) fn open(journal: Arc<Journal>, clock: SimClock, wire: Arc<WireControl>, arrival: &Arrival<'_>) -> Self {
        let received_at = clock.elapsed();
        let number = journal.open(arrival.region, wire.number(), |number| arrival.entry(number, wire.number(), received_at));
        Self { journal, wire, clock, region: arrival.region.to_owned(), number, matched: None, strike: None, open: true }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn body(&self, body: &Bytes) {
        self.journal.keep_body(self.number, body, self.clock.elapsed());
    }

    pub(crate) fn auth(&self, auth: AuthKind) {
        self.journal.update(self.number, |call| call.auth = Some(auth));
    }

    pub(crate) fn model(&self, model: String, profile: ProfileClass) {
        self.journal.update(self.number, |call| (call.model, call.profile) = (Some(model), Some(profile)));
    }

    /// Notes the deciding rule and keeps its match alive until the call ends.
    pub(crate) fn matched(&mut self, matched: Matched) {
        let rule: RuleId = matched.rule;
        self.journal.update(self.number, |call| call.rule = Some(rule));
        self.matched = Some(matched);
    }

    /// Whether a rule of the script decided.
    pub(crate) fn is_scripted(&self) -> bool {
        self.matched.is_some()
    }

    /// Notes the fault that strikes and keeps it active until the call ends.
    pub(crate) fn struck(&mut self, strike: Strike) {
        let hit = FaultHit { fault: strike.fault, kind: strike.kind.name().to_owned() };
        self.journal.update(self.number, |call| call.fault = Some(hit));
        self.strike = Some(strike);
    }

    pub(crate) fn admitted(&self, reservation: &Reservation) {
        let now = self.clock.elapsed();
        self.journal.update(self.number, |call| {
            call.reserved_tokens = Some(reservation.reserved());
            call.bucket = reservation.bucket().cloned();
            call.decided_at = Some(now);
        });
    }

    pub(crate) fn refused_by(&self, by: RefusedBy) {
        self.journal.update(self.number, |call| call.refused_by = Some(by));
    }

    pub(crate) fn prefill(&self, mark: String) {
        self.journal.update(self.number, |call| call.prefill = Some(mark));
    }

    pub(crate) fn turn(&self, turn: Arc<Turn>, ideal_cache_read: Option<u64>, words: u64) {
        self.journal.update(self.number, |call| {
            (call.turn, call.ideal_cache_read, call.words_total) = (Some(turn), ideal_cache_read, words);
        });
    }

    pub(crate) fn head(&self, outcome: Outcome) {
        let now = self.clock.elapsed();
        self.journal.update(self.number, |call| {
            call.outcome = outcome;
            call.head_at = Some(now);
            call.decided_at.get_or_insert(now);
        });
    }

    pub(crate) fn sent(&self, written: &Written) {
        let now = self.clock.elapsed();
        let limits = self.journal.limits;
        self.journal.update(self.number, |call| {
            call.bytes_sent += written.bytes.len() as u64;
            call.events_sent += u64::from(written.events);
            if limits.event_times {
                call.event_times.extend(std::iter::repeat_n(now, written.events as usize));
            }
            let count = u64::from(written.words);
            if count > 0 && call.words.len() < limits.word_runs {
                call.words.push(WordRun { first: call.words_sent, count, at: now.into() });
            }
            call.words_sent += count;
        });
    }

    pub(crate) fn billed(&self, usage: TurnUsage) {
        self.journal.update(self.number, |call| call.billed = Some(usage));
    }

    /// Ends the entry; later ends are ignored.
    pub(crate) fn end(&mut self, ending: Ending) {
        if !std::mem::replace(&mut self.open, false) {
            return;
        }
        let now = self.clock.elapsed();
        let closed_at = self.client_closed_at(ending, now);
        let trace = self.wire.trace();
        // Rule and fault are free again before anyone who waits for this end can look.
        self.matched = None;
        self.strike = None;
        self.journal.close(self.number, &self.region, |call| {
            call.ending = ending;
            call.ended_at = Some(now);
            call.client_closed_at = closed_at;
            (call.wire_bytes, call.first_byte_at, call.last_byte_at) = (trace.bytes, trace.first_byte, trace.last_byte);
        });
    }

    fn client_closed_at(&self, ending: Ending, now: Duration) -> Option<Duration> {
        match ending {
            Ending::ClientGone => Some(self.wire.peer_closed_at().unwrap_or(now)),
            _ => self.wire.peer_closed_at(),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let ending = self.wire.early_ending();
        self.end(ending);
    }
}

impl Arrival<'_> {
    /// The entry as it is when the head of the request has arrived.
    fn entry(&self, number: u64, connection: u64, received_at: Duration) -> Call {
        let target = self.parts.uri.path_and_query().map_or_else(|| self.parts.uri.to_string(), ToString::to_string);
        Call {
            number,
            request_id: (self.request_id)(number),
            region: self.region.to_owned(),
            connection,
            operation: self.route.operation,
            target: format!("{} {target}", self.parts.method),
            label: self.route.label.clone(),
            model: None,
            profile: None,
            received_at,
            wishes: self.wishes(),
            body: Bytes::new(),
            body_bytes: 0,
            read_at: None,
            nonces: Vec::new(),
            prefill: None,
            auth: None,
            rule: None,
            fault: None,
            decided_at: None,
            reserved_tokens: None,
            bucket: None,
            refused_by: None,
            outcome: Outcome::Undecided,
            turn: None,
            head_at: None,
            events_sent: 0,
            bytes_sent: 0,
            wire_bytes: 0,
            first_byte_at: None,
            last_byte_at: None,
            words: Vec::new(),
            words_sent: 0,
            words_total: 0,
            event_times: Vec::new(),
            billed: None,
            ideal_cache_read: None,
            in_flight: 0,
            open_connections: 0,
            client_closed_at: None,
            ended_at: None,
            ending: Ending::Open,
        }
    }

    fn wishes(&self) -> Vec<(String, String)> {
        let ours = self.parts.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-amzn-bedrock-"));
        ours.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
    }
}
