//! The simulator's own book of calls: what was asked, answered, sent and billed, and how each call ended.

mod call;
mod nonce;
mod places;
mod record;
mod recorder;

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::watch;

pub use call::{Call, Ending, Outcome};
pub(crate) use places::Ended;
pub use record::{CallRecord, ConnectionRecord, Decision, End, FaultHit, Gauge, RefusedBy, Usage, WordRun};
pub(crate) use recorder::{Arrival, Recorder};

use crate::lock::held;
use nonce::NoncePattern;
use places::Places;

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
    /// Runs of words kept of each watermarked answer, with their times.
    pub word_runs: usize,
    /// Connections kept.
    pub connections: usize,
    /// Changes of quota buckets kept.
    pub quota_entries: usize,
}

impl Default for JournalLimits {
    /// 20,000 calls and connections, 256 KiB of each body, 64 MiB of all bodies, no event times, 1,024 runs of words,
    /// 100,000 changes of buckets: tests fit, hours of load stay bounded.
    fn default() -> Self {
        Self {
            calls: 20_000,
            body_bytes: 256 * 1024,
            total_body_bytes: 64 * 1024 * 1024,
            event_times: false,
            word_runs: 1_024,
            connections: 20_000,
            quota_entries: 100_000,
        }
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
    nonce: Option<NoncePattern>,
    book: Mutex<Book>,
    revision: watch::Sender<u64>,
    fast_calls: AtomicU64,
}

#[derive(Debug, Default)]
struct Book {
    calls: VecDeque<Call>,
    places: Places,
    started: u64,
    body_bytes: usize,
    /// Calls before this position in `calls` have had their bodies forgotten.
    bodies_from: usize,
}

impl Journal {
    pub(crate) fn new(limits: JournalLimits, nonce: Option<&str>) -> Self {
        let book = Mutex::new(Book { places: Places::new(limits.connections), ..Book::default() });
        let nonce = nonce.map(NoncePattern::new);
        Self { limits, nonce, book, revision: watch::Sender::new(0), fast_calls: AtomicU64::new(0) }
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

    /// The remembered calls as records for checkers, oldest first.
    #[must_use]
    pub fn records(&self) -> Vec<CallRecord> {
        held(&self.book).calls.iter().map(CallRecord::from).collect()
    }

    /// The records of all ended calls, which are forgotten: a long run writes them away as they come.
    #[must_use]
    pub fn take_ended(&self) -> Vec<CallRecord> {
        let mut book = held(&self.book);
        let taken = book.calls.iter().filter(|call| call.ended()).map(CallRecord::from).collect();
        book.forget_ended();
        taken
    }

    /// The remembered connections, oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionRecord> {
        held(&self.book).places.connections()
    }

    /// The records of all closed connections, which are forgotten.
    #[must_use]
    pub fn take_closed_connections(&self) -> Vec<ConnectionRecord> {
        held(&self.book).places.take_closed()
    }

    /// How busy each region is that was ever connected to, sorted by name.
    #[must_use]
    pub fn gauges(&self) -> Vec<Gauge> {
        held(&self.book).places.gauges()
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
        held(&self.book).forget_ended();
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
    fn open(&self, region: &str, connection: u64, entry: impl FnOnce(u64) -> Call) -> u64 {
        let number = {
            let mut book = held(&self.book);
            book.started += 1;
            let number = book.started;
            let (in_flight, open_connections) = book.places.call_began(region, connection);
            book.calls.push_back(Call { in_flight, open_connections, ..entry(number) });
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

    /// Ends an entry for good.
    fn close(&self, number: u64, region: &str, change: impl FnOnce(&mut Call)) {
        {
            let mut book = held(&self.book);
            let mut read = (0, 0);
            if let Some(call) = book.find_mut(number) {
                change(call);
                read = (call.turn.as_ref().map_or(0, |turn| turn.usage.cache_read), call.ideal_cache_read.unwrap_or(0));
            }
            book.places.call_ended(region, read);
        }
        self.changed();
    }

    pub(crate) fn connection_opened(&self, number: u64, region: &str, at: Duration) {
        held(&self.book).places.opened(number, region, at.into());
    }

    pub(crate) fn connection_closed(&self, number: u64, region: &str, ended: &Ended) {
        held(&self.book).places.closed(number, region, ended);
    }

    fn keep_body(&self, number: u64, body: &Bytes, read_at: Duration) {
        let nonces = self.nonce.as_ref().map(|nonce| nonce.find(body, CallRecord::MOST_NONCES)).unwrap_or_default();
        let mut book = held(&self.book);
        let kept = body.slice(..body.len().min(self.limits.body_bytes));
        let kept_bytes = kept.len();
        let Some(at) = book.position(number) else { return };
        if let Some(call) = book.calls.get_mut(at) {
            call.body_bytes = body.len();
            call.body = kept;
            call.read_at = Some(read_at);
            call.nonces = nonces;
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

    fn forget_ended(&mut self) {
        self.calls.retain(|call| !call.ended());
        self.body_bytes = self.calls.iter().map(|call| call.body.len()).sum();
        self.bodies_from = 0;
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
