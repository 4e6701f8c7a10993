//! The simulator's own book of calls: what was asked, answered, sent and billed, and how each call ended.

mod recorder;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::watch;

pub(crate) use recorder::{Arrival, Recorder};

use crate::{
    auth::AuthKind,
    brain::{Turn, TurnUsage},
    lock::held,
    route::Operation,
    script::RuleId,
};

/// How much the journal remembers; the oldest entries go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalLimits {
    /// Calls kept.
    pub calls: usize,
    /// Bytes kept of each request body.
    pub body_bytes: usize,
    /// Bytes kept of all request bodies together.
    pub total_body_bytes: usize,
    /// Keep the time of every event sent.
    pub event_times: bool,
}

impl Default for JournalLimits {
    /// 20,000 calls, 256 KiB of each body, 64 MiB of all bodies, no event times: tests fit, hours of load stay bounded.
    fn default() -> Self {
        Self { calls: 20_000, body_bytes: 256 * 1024, total_body_bytes: 64 * 1024 * 1024, event_times: false }
    }
}

/// How a call was answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Outcome {
    /// Not decided yet, or never (black holes, cuts before the head).
    #[default]
    Undecided,
    /// Refused with an error.
    Refused {
        /// HTTP status.
        status: u16,
        /// Exception name.
        error_type: String,
        /// Text.
        message: String,
    },
    /// Answered.
    Answered {
        /// HTTP status.
        status: u16,
    },
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Ending {
    /// Still running.
    #[default]
    Open,
    /// The whole answer was handed to the connection.
    Complete,
    /// The simulator cut the connection.
    Cut,
    /// The client went away first.
    ClientGone,
    /// The simulator was shut down.
    Shutdown,
}

/// One call. All times count from the start of the simulator.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Call {
    /// Number, from 1, over all regions.
    pub number: u64,
    /// Value of `x-amzn-RequestId`.
    pub request_id: String,
    /// Region asked.
    pub region: String,
    /// Number of the connection that carried it, over all regions.
    pub connection: u64,
    /// Operation asked.
    pub operation: Operation,
    /// Method and raw path with query.
    pub target: String,
    /// Decoded label of the path.
    pub label: Option<String>,
    /// Foundation model the label stands for.
    pub model: Option<String>,
    /// When the head of the request had arrived.
    pub received_at: Duration,
    /// Beginning of the request body, up to [`JournalLimits::body_bytes`]; empty once it was forgotten.
    pub body: Bytes,
    /// Length of the whole request body.
    pub body_bytes: usize,
    /// How the caller identified itself; `None` while undecided or refused.
    pub auth: Option<AuthKind>,
    /// The script's rule that decided about it.
    pub rule: Option<RuleId>,
    /// Tokens reserved at admission, where a quota applied.
    pub reserved_tokens: Option<u64>,
    /// Answer or refusal.
    pub outcome: Outcome,
    /// The turn that was answered, in full, even if only a part of it was sent.
    pub turn: Option<Arc<Turn>>,
    /// When the response head was ready.
    pub head_at: Option<Duration>,
    /// Stream events sent whole.
    pub events_sent: u64,
    /// Body bytes sent.
    pub bytes_sent: u64,
    /// When each event was sent, if [`JournalLimits::event_times`] asks for it.
    pub event_times: Vec<Duration>,
    /// What the account pays: all input, and the part of the output that was sent.
    pub billed: Option<TurnUsage>,
    /// When the client was seen to close the connection, if it did so before the call ended.
    pub client_closed_at: Option<Duration>,
    /// When the call ended.
    pub ended_at: Option<Duration>,
    /// How the call ended.
    pub ending: Ending,
}

impl Call {
    /// The error type of a refusal.
    #[must_use]
    pub fn error_type(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Refused { error_type, .. } => Some(error_type),
            _ => None,
        }
    }

    /// True once the call has ended.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ending != Ending::Open
    }
}

/// A condition did not come true in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal did not reach the awaited state within {waited:?}; it holds {calls} calls, {open} of them open")]
pub struct JournalTimeout {
    /// How long it was awaited.
    pub waited: Duration,
    /// Calls in the journal.
    pub calls: usize,
    /// Calls still running.
    pub open: usize,
}

/// The book.
#[derive(Debug)]
pub struct Journal {
    limits: JournalLimits,
    book: Mutex<Book>,
    revision: watch::Sender<u64>,
    fast_calls: AtomicU64,
}

#[derive(Debug, Default)]
struct Book {
    calls: VecDeque<Call>,
    started: u64,
    body_bytes: usize,
    /// Calls before this position in `calls` have had their bodies forgotten.
    bodies_from: usize,
}

impl Journal {
    pub(crate) fn new(limits: JournalLimits) -> Self {
        Self { limits, book: Mutex::default(), revision: watch::Sender::new(0), fast_calls: AtomicU64::new(0) }
    }

    /// All remembered calls, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        held(&self.book).calls.iter().cloned().collect()
    }

    /// The remembered calls to `region`, oldest first.
    #[must_use]
    pub fn calls_in(&self, region: &str) -> Vec<Call> {
        held(&self.book).calls.iter().filter(|call| call.region == region).cloned().collect()
    }

    /// The remembered calls whose (kept) body contains `text`, oldest first.
    #[must_use]
    pub fn calls_with(&self, text: &str) -> Vec<Call> {
        let finder = memchr::memmem::Finder::new(text);
        held(&self.book).calls.iter().filter(|call| finder.find(&call.body).is_some()).cloned().collect()
    }

    /// The call with this number, if it is remembered.
    #[must_use]
    pub fn call(&self, number: u64) -> Option<Call> {
        held(&self.book).find(number).cloned()
    }

    /// How many calls have been received, forgotten ones included, fast answers excluded.
    #[must_use]
    pub fn received(&self) -> u64 {
        held(&self.book).started
    }

    /// How many calls are running.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        held(&self.book).open()
    }

    /// How many calls were answered from the pre-encoded bytes; these are counted and not recorded.
    #[must_use]
    pub fn fast_calls(&self) -> u64 {
        self.fast_calls.load(Ordering::Relaxed)
    }

    /// Forgets all ended calls. Numbers keep counting.
    pub fn clear(&self) {
        let mut book = held(&self.book);
        book.calls.retain(|call| !call.ended());
        book.body_bytes = book.calls.iter().map(|call| call.body.len()).sum();
        book.bodies_from = 0;
    }

    /// Waits until `condition` holds for the remembered calls and returns them.
    ///
    /// The condition runs while the journal is locked: it must not ask the journal anything.
    ///
    /// # Errors
    /// The condition did not hold within `limit`.
    pub async fn wait_for(&self, condition: impl Fn(&[Call]) -> bool, limit: Duration) -> Result<Vec<Call>, JournalTimeout> {
        // Subscribed before the first look: a change between look and wait is then seen.
        let mut revision = self.revision.subscribe();
        let arrived = tokio::time::timeout(limit, async {
            loop {
                revision.borrow_and_update();
                if let Some(calls) = self.snapshot_if(&condition) {
                    return calls;
                }
                if revision.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        });
        arrived.await.map_err(|_| {
            let book = held(&self.book);
            JournalTimeout { waited: limit, calls: book.calls.len(), open: book.open() }
        })
    }

    /// Waits until at least `count` remembered calls have ended and none is running.
    ///
    /// # Errors
    /// That did not happen within `limit`.
    pub async fn wait_for_ended(&self, count: usize, limit: Duration) -> Result<Vec<Call>, JournalTimeout> {
        self.wait_for(|calls| calls.len() >= count && calls.iter().all(Call::ended), limit).await
    }

    pub(crate) fn note_fast_call(&self) {
        self.fast_calls.fetch_add(1, Ordering::Relaxed);
    }

    fn snapshot_if(&self, condition: &impl Fn(&[Call]) -> bool) -> Option<Vec<Call>> {
        let mut book = held(&self.book);
        let calls = book.calls.make_contiguous();
        condition(calls).then(|| calls.to_vec())
    }

    /// Opens an entry; its number and the entry itself are made under one lock, so that the order is gapless.
    fn open(&self, entry: impl FnOnce(u64) -> Call) -> u64 {
        let number = {
            let mut book = held(&self.book);
            book.started += 1;
            let number = book.started;
            book.calls.push_back(entry(number));
            book.forget_beyond(self.limits.calls);
            number
        };
        self.changed();
        number
    }

    fn update(&self, number: u64, change: impl FnOnce(&mut Call)) {
        if let Some(call) = held(&self.book).find_mut(number) {
            change(call);
        }
        self.changed();
    }

    fn keep_body(&self, number: u64, body: &Bytes) {
        let mut book = held(&self.book);
        let kept = body.slice(..body.len().min(self.limits.body_bytes));
        let kept_bytes = kept.len();
        let Some(at) = book.position(number) else { return };
        if let Some(call) = book.calls.get_mut(at) {
            call.body_bytes = body.len();
            call.body = kept;
        }
        book.body_bytes += kept_bytes;
        // A body may arrive after those of later calls were forgotten.
        book.bodies_from = book.bodies_from.min(at);
        book.forget_bodies_beyond(self.limits.total_body_bytes);
    }

    fn changed(&self) {
        self.revision.send_modify(|revision| *revision = revision.wrapping_add(1));
    }
}

impl Book {
    fn position(&self, number: u64) -> Option<usize> {
        // Sorted by number; gaps appear when ended calls were cleared.
        self.calls.binary_search_by_key(&number, |call| call.number).ok()
    }

    fn find(&self, number: u64) -> Option<&Call> {
        self.position(number).and_then(|at| self.calls.get(at))
    }

    fn find_mut(&mut self, number: u64) -> Option<&mut Call> {
        self.position(number).and_then(|at| self.calls.get_mut(at))
    }

    fn open(&self) -> usize {
        self.calls.iter().filter(|call| !call.ended()).count()
    }

    fn forget_beyond(&mut self, limit: usize) {
        while self.calls.len() > limit.max(1) {
            if let Some(forgotten) = self.calls.pop_front() {
                self.body_bytes -= forgotten.body.len();
                self.bodies_from = self.bodies_from.saturating_sub(1);
            }
        }
    }

    fn forget_bodies_beyond(&mut self, limit: usize) {
        while self.body_bytes > limit {
            let Some(call) = self.calls.get_mut(self.bodies_from) else { return };
            self.body_bytes -= call.body.len();
            call.body = Bytes::new();
            self.bodies_from += 1;
        }
    }
}

#[cfg(test)]
mod tests;
