//! The pen of one call: written to by the service and the response body, closed when the call ends.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::request::Parts;

use super::{Call, Ending, Journal, Outcome};
use crate::{
    auth::AuthKind,
    brain::{Turn, TurnUsage},
    clock::SimClock,
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
    number: u64,
    /// Held until the call ends: rules count their active calls.
    matched: Option<Matched>,
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
        let target = arrival.parts.uri.path_and_query().map_or_else(|| arrival.parts.uri.to_string(), ToString::to_string);
        let number = journal.open(|number| Call {
            number,
            request_id: (arrival.request_id)(number),
            region: arrival.region.to_owned(),
            connection: wire.number(),
            operation: arrival.route.operation,
            target: format!("{} {target}", arrival.parts.method),
            label: arrival.route.label.clone(),
            model: None,
            received_at,
            body: Bytes::new(),
            body_bytes: 0,
            auth: None,
            rule: None,
            reserved_tokens: None,
            outcome: Outcome::Undecided,
            turn: None,
            head_at: None,
            events_sent: 0,
            bytes_sent: 0,
            event_times: Vec::new(),
            billed: None,
            client_closed_at: None,
            ended_at: None,
            ending: Ending::Open,
        });
        Self { journal, wire, clock, number, matched: None, open: true }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn body(&self, body: &Bytes) {
        self.journal.keep_body(self.number, body);
    }

    pub(crate) fn auth(&self, auth: AuthKind) {
        self.journal.update(self.number, |call| call.auth = Some(auth));
    }

    pub(crate) fn model(&self, model: String) {
        self.journal.update(self.number, |call| call.model = Some(model));
    }

    /// Notes the deciding rule and keeps its match alive until the call ends.
    pub(crate) fn matched(&mut self, matched: Matched) {
        let rule: RuleId = matched.rule;
        self.journal.update(self.number, |call| call.rule = Some(rule));
        self.matched = Some(matched);
    }

    pub(crate) fn reserved(&self, tokens: u64) {
        self.journal.update(self.number, |call| call.reserved_tokens = Some(tokens));
    }

    pub(crate) fn turn(&self, turn: Arc<Turn>) {
        self.journal.update(self.number, |call| call.turn = Some(turn));
    }

    pub(crate) fn head(&self, outcome: Outcome) {
        let now = self.clock.elapsed();
        self.journal.update(self.number, |call| {
            call.outcome = outcome;
            call.head_at = Some(now);
        });
    }

    pub(crate) fn sent(&self, bytes: usize, events: u32) {
        let now = self.clock.elapsed();
        let times = self.journal.limits.event_times;
        self.journal.update(self.number, |call| {
            call.bytes_sent += bytes as u64;
            call.events_sent += u64::from(events);
            if times {
                call.event_times.extend(std::iter::repeat_n(now, events as usize));
            }
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
        // The rule is free again before anyone who waits for this end can look.
        self.matched = None;
        self.journal.update(self.number, |call| {
            call.ending = ending;
            call.ended_at = Some(now);
            call.client_closed_at = closed_at;
        });
    }

    /// Why the call ends if nothing else has ended it.
    pub(crate) fn early_ending(&self) -> Ending {
        if self.wire.is_cut() {
            Ending::Cut
        } else if self.wire.is_shut_down() {
            Ending::Shutdown
        } else {
            Ending::ClientGone
        }
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
        let ending = self.early_ending();
        self.end(ending);
    }
}
