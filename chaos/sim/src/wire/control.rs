//! What the calls of one connection and the connection itself tell each other.

use std::{
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{WireCut, WirePlan, plan::Turn};
use crate::{body::Account, clock::SimClock, journal::Ending, lock::held, script::CutManner};

const NOT_CUT: u8 = 0;
const CUT_CLOSE: u8 = 1;
const CUT_RESET: u8 = 2;

/// The shared part of a connection.
#[derive(Debug)]
pub(crate) struct WireControl {
    number: u64,
    opened_at: Duration,
    clock: SimClock,
    cut: AtomicU8,
    after_flush: AtomicBool,
    shaped: AtomicBool,
    still: AtomicBool,
    shut_down: AtomicBool,
    peer_closed_at: OnceLock<Duration>,
    wake: Notify,
    line: Mutex<Line>,
}

/// What has left, and how the rest is to leave.
#[derive(Debug, Default)]
struct Line {
    written: u64,
    /// `written` when the present call began.
    began: u64,
    first_byte: Option<Duration>,
    last_byte: Option<Duration>,
    plan: WirePlan,
    free_at: Option<Instant>,
    flushes: u64,
    waiting_for_flush: Option<Waker>,
    /// Calls whose last byte has been handed over and has not left yet.
    ending: Vec<Account>,
    /// When the last call ended; `None` before the first.
    idle_since: Option<Duration>,
}

/// What has left of one response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Trace {
    pub(crate) bytes: u64,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) last_byte: Option<Duration>,
}

impl WireControl {
    pub(crate) fn new(number: u64, clock: SimClock, opened_at: Duration) -> Self {
        Self {
            number,
            opened_at,
            clock,
            cut: AtomicU8::new(NOT_CUT),
            after_flush: AtomicBool::new(false),
            shaped: AtomicBool::new(false),
            still: AtomicBool::new(false),
            shut_down: AtomicBool::new(false),
            peer_closed_at: OnceLock::new(),
            wake: Notify::new(),
            line: Mutex::default(),
        }
    }

    /// Number of the connection, over all regions.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// When it was accepted.
    pub(crate) fn opened_at(&self) -> Duration {
        self.opened_at
    }

    /// Bytes written to the transport so far.
    pub(crate) fn written(&self) -> u64 {
        held(&self.line).written
    }

    /// Ends the connection at once; bytes not yet written are lost.
    pub(crate) fn cut_now(&self, manner: CutManner) {
        self.mark(manner);
        self.wake.notify_one();
    }

    /// Ends the connection once everything written so far has been handed to the transport.
    pub(crate) fn cut_after_flush(&self, manner: CutManner) {
        self.mark(manner);
        self.after_flush.store(true, Ordering::Release);
    }

    /// Notes that the simulator is stopping, so that open calls are recorded as such.
    pub(crate) fn shut_down(&self) {
        self.shut_down.store(true, Ordering::Release);
    }

    /// Lets no byte through in either direction, or lets them through again. The connection must be polled afterwards.
    pub(crate) fn stand_still(&self, still: bool) {
        self.still.store(still, Ordering::Release);
    }

    pub(super) fn is_still(&self) -> bool {
        self.still.load(Ordering::Acquire)
    }

    /// Completes when the connection is to be dropped.
    pub(crate) async fn until_cut(&self) {
        self.wake.notified().await;
    }

    /// A call begins: how long the connection was idle before, if it has carried calls.
    pub(crate) fn begin_call(&self) -> Option<Duration> {
        let mut line = held(&self.line);
        (line.began, line.first_byte, line.last_byte) = (line.written, None, None);
        line.plan = WirePlan::default();
        self.shaped.store(false, Ordering::Release);
        line.idle_since.take().map(|since| self.clock.elapsed().saturating_sub(since))
    }

    /// The response of the present call leaves by this plan.
    pub(crate) fn shape(&self, plan: WirePlan) {
        let mut line = held(&self.line);
        line.free_at = None;
        self.shaped.store(!plan.is_idle(), Ordering::Release);
        line.plan = plan;
    }

    /// Ends the account of a call when everything handed over so far has left.
    pub(crate) fn end_after_flush(&self, account: Account) {
        held(&self.line).ending.push(account);
    }

    /// How often everything that was handed over had left.
    pub(crate) fn flushes(&self) -> u64 {
        held(&self.line).flushes
    }

    /// Ready when everything has left once more since `seen` was [`WireControl::flushes`].
    pub(crate) fn poll_flushed_since(&self, seen: u64, context: &mut Context<'_>) -> Poll<()> {
        let mut line = held(&self.line);
        if line.flushes > seen {
            return Poll::Ready(());
        }
        line.waiting_for_flush = Some(context.waker().clone());
        Poll::Pending
    }

    /// What has left of the present response.
    pub(crate) fn trace(&self) -> Trace {
        let line = held(&self.line);
        Trace { bytes: line.written - line.began, first_byte: line.first_byte, last_byte: line.last_byte }
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut_manner().is_some()
    }

    /// How the connection was cut.
    pub(crate) fn cut_manner(&self) -> Option<CutManner> {
        match self.cut.load(Ordering::Acquire) {
            CUT_CLOSE => Some(CutManner::Close),
            CUT_RESET => Some(CutManner::Reset),
            _ => None,
        }
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.shut_down.load(Ordering::Acquire)
    }

    /// Why a call ends that nothing else has ended.
    pub(crate) fn early_ending(&self) -> Ending {
        if self.is_cut() {
            Ending::Cut
        } else if self.is_shut_down() {
            Ending::Shutdown
        } else {
            Ending::ClientGone
        }
    }

    /// When the peer was first seen to be gone.
    pub(crate) fn peer_closed_at(&self) -> Option<Duration> {
        self.peer_closed_at.get().copied()
    }

    fn mark(&self, manner: CutManner) {
        let code = match manner {
            CutManner::Close => CUT_CLOSE,
            CutManner::Reset => CUT_RESET,
        };
        self.cut.store(code, Ordering::Release);
    }

    pub(super) fn is_shaped(&self) -> bool {
        self.shaped.load(Ordering::Acquire)
    }

    pub(super) fn turn(&self, offered: usize) -> Turn {
        let mut line = held(&self.line);
        let sent = line.written - line.began;
        self.cut_if_due(&line.plan, sent);
        line.plan.turn(sent, offered)
    }

    pub(super) fn half_closed(&self) {
        self.mark(CutManner::Close);
        held(&self.line).plan.note_half_closed();
    }

    pub(super) fn note_written(&self, bytes: usize) {
        let mut line = held(&self.line);
        let now = self.clock.elapsed();
        line.written += bytes as u64;
        line.first_byte.get_or_insert(now);
        line.last_byte = Some(now);
        if self.is_shaped() {
            let (sent, free_at) = (line.written - line.began, line.free_at);
            line.free_at = line.plan.wrote(bytes as u64, free_at);
            self.cut_if_due(&line.plan, sent);
        }
    }

    fn cut_if_due(&self, plan: &WirePlan, sent: u64) {
        match plan.due(sent) {
            Some(WireCut::Close) => self.cut_now(CutManner::Close),
            Some(WireCut::Reset) => self.cut_now(CutManner::Reset),
            Some(WireCut::Half) | None => {}
        }
    }

    /// Everything handed over so far has left.
    pub(super) fn flushed(&self) {
        let (ended, waiting) = {
            let mut line = held(&self.line);
            line.flushes += 1;
            let ended = std::mem::take(&mut line.ending);
            if !ended.is_empty() {
                line.idle_since = Some(self.clock.elapsed());
            }
            (ended, line.waiting_for_flush.take())
        };
        for account in ended {
            // A response that was cut at its very last byte is whole all the same.
            account.close(Ending::Complete);
        }
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        if self.after_flush.load(Ordering::Acquire) {
            self.wake.notify_one();
        }
    }

    /// The connection is gone: what has not left never will.
    pub(super) fn dropped(&self) {
        let ending = std::mem::take(&mut held(&self.line).ending);
        for account in ending {
            account.close(self.early_ending());
        }
    }

    pub(super) fn note_peer_closed(&self) {
        // Only the first sighting counts; a later one changes nothing.
        self.peer_closed_at.get_or_init(|| self.clock.elapsed());
    }
}
