//! A response body that plays its steps: writes, pauses, and a cut at the end of them.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    brain::TurnUsage,
    clock::SimClock,
    journal::{Ending, Recorder},
    quota::Reservation,
    script::CutManner,
    wire::WireControl,
};

/// One thing a body does.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Hands bytes to the connection.
    Write(Written),
    /// Lets everything handed over so far leave as a packet of its own, and waits until it has left.
    Flush,
    /// Pauses; everything handed over so far leaves first.
    Wait(Duration),
    /// Cuts the connection once everything handed over so far has left.
    Cut(CutManner),
}

/// Bytes that are handed over together, and what ends with them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    pub(crate) bytes: Bytes,
    /// Whole stream events.
    pub(crate) events: u32,
    /// Of these, the ones that carry paid output.
    pub(crate) deltas: u32,
    /// Watermarks.
    pub(crate) words: u32,
}

/// What a call costs, in proportion to what is sent of it.
#[derive(Debug)]
pub(crate) struct Bill {
    pub(crate) usage: TurnUsage,
    /// Deltas of the whole answer; 0 when it is billed whole.
    pub(crate) deltas: u32,
    pub(crate) reservation: Option<Reservation>,
}

impl Bill {
    /// All input, and the share of the output that was sent (rounded up).
    fn after(&self, sent: u32) -> TurnUsage {
        if self.deltas == 0 || sent >= self.deltas {
            return self.usage.clone();
        }
        let share = |tokens: u64| (tokens * u64::from(sent)).div_ceil(u64::from(self.deltas));
        TurnUsage { output: share(self.usage.output), thinking: share(self.usage.thinking), ..self.usage.clone() }
    }
}

/// What has to be settled and recorded when a call ends.
#[derive(Debug)]
pub(crate) struct Account {
    bill: Option<Bill>,
    deltas_sent: u32,
    clock: SimClock,
    recorder: Recorder,
}

impl Account {
    pub(crate) fn new(bill: Option<Bill>, clock: SimClock, recorder: Recorder) -> Self {
        Self { bill, deltas_sent: 0, clock, recorder }
    }

    /// Settles the bill and ends the record.
    pub(crate) fn close(mut self, ending: Ending) {
        if let Some(mut bill) = self.bill.take() {
            let usage = bill.after(self.deltas_sent);
            if let Some(reservation) = bill.reservation.take() {
                reservation.settle(self.clock.elapsed(), &usage);
            }
            self.recorder.billed(usage);
        }
        self.recorder.end(ending);
    }
}

/// The body of one response. Dropping it early settles and records what was sent.
pub(crate) struct SimBody {
    steps: VecDeque<Step>,
    pause: Option<Pin<Box<Sleep>>>,
    /// When the last pause was to end.
    due: Option<Instant>,
    /// Waits until everything has left once more than so often.
    flush_after: Option<u64>,
    length: Option<u64>,
    wire: Arc<WireControl>,
    /// `None` for answers that are not recorded, and once the last byte has been handed over.
    account: Option<Account>,
}

/// Most that is caught up on: who reads slowly gets no words at once for it.
const CATCHES_UP: Duration = Duration::from_millis(100);

/// When a pause ends that begins `now`, after one that was to end at `last`. A machine that was late with one word is not late with
/// all that follow: an answer that lasts longer than its model takes holds its reservation longer, and quotas seem smaller than they
/// are.
fn next_due(last: Option<Instant>, now: Instant, pause: Duration) -> Instant {
    let earliest = now.checked_sub(CATCHES_UP).unwrap_or(now);
    last.map_or(now, |last| last.clamp(earliest, now)) + pause
}

impl SimBody {
    pub(crate) fn new(steps: VecDeque<Step>, length: Option<u64>, wire: Arc<WireControl>, account: Option<Account>) -> Self {
        let mut body = Self { steps, pause: None, due: None, flush_after: None, length, wire, account };
        body.finish_if_done();
        body
    }

    fn note(&mut self, written: &Written) {
        if let Some(account) = &mut self.account {
            account.deltas_sent += written.deltas;
            account.recorder.sent(written);
        }
        // hyper need not ask again after the last byte it was promised.
        self.finish_if_done();
    }

    /// Leaves the account to the connection, which closes it when the last byte has left.
    fn finish_if_done(&mut self) {
        if self.steps.is_empty()
            && let Some(account) = self.account.take()
        {
            self.wire.end_after_flush(account);
        }
    }
}

impl Drop for SimBody {
    fn drop(&mut self) {
        if let Some(account) = self.account.take() {
            account.close(self.wire.early_ending());
        }
    }
}

impl Body for SimBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let body = self.get_mut();
        loop {
            if let Some(pause) = &mut body.pause {
                ready!(pause.as_mut().poll(context));
                body.pause = None;
            }
            if let Some(seen) = body.flush_after {
                ready!(body.wire.poll_flushed_since(seen, context));
                body.flush_after = None;
            }
            match body.steps.pop_front() {
                Some(Step::Write(written)) => {
                    body.note(&written);
                    return Poll::Ready(Some(Ok(Frame::data(written.bytes))));
                }
                // A pending body makes hyper write out what it holds; the flush asks for the next frame.
                Some(Step::Flush) => body.flush_after = Some(body.wire.flushes()),
                Some(Step::Wait(pause)) => {
                    let due = next_due(body.due, Instant::now(), pause);
                    body.due = Some(due);
                    body.pause = Some(Box::pin(sleep_until(due)));
                }
                Some(Step::Cut(manner)) => {
                    // Stays in front: the body never ends by itself, the connection is dropped after the flush.
                    body.steps.push_front(Step::Cut(manner));
                    body.wire.cut_after_flush(manner);
                    return Poll::Pending;
                }
                None => {
                    body.finish_if_done();
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.pause.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, |length| {
            // hyper asks once, before the first frame.
            SizeHint::with_exact(length)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_late_is_caught_up_and_a_stalled_reader_is_not_flooded() {
        let at = |origin: Instant, millis: u64| origin + Duration::from_millis(millis);
        let (origin, pause) = (Instant::now(), Duration::from_millis(30));
        assert_eq!(next_due(None, at(origin, 500), pause), at(origin, 530));
        // Seven milliseconds late: the next word comes when it would have come.
        assert_eq!(next_due(Some(at(origin, 530)), at(origin, 537), pause), at(origin, 560));
        assert_eq!(next_due(Some(at(origin, 560)), at(origin, 5_000), pause), at(origin, 4_930));
    }
}
