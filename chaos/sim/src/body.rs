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
use tokio::time::{Sleep, sleep};

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
    Write {
        bytes: Bytes,
        /// Whole stream events that end with these bytes.
        events: u32,
        /// Of these, the ones that carry paid output.
        deltas: u32,
    },
    /// Lets everything written so far leave as a packet of its own.
    Flush,
    /// Pauses; everything written so far leaves first.
    Wait(Duration),
    /// Cuts the connection once everything written so far has left.
    Cut(CutManner),
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

/// The body of one response. Dropping it early settles and records what was sent.
pub(crate) struct SimBody {
    steps: VecDeque<Step>,
    pause: Option<Pin<Box<Sleep>>>,
    length: Option<u64>,
    deltas_sent: u32,
    bill: Option<Bill>,
    clock: SimClock,
    wire: Arc<WireControl>,
    /// `None` for answers that are not recorded.
    recorder: Option<Recorder>,
}

impl SimBody {
    pub(crate) fn new(
        steps: VecDeque<Step>,
        length: Option<u64>,
        bill: Option<Bill>,
        clock: SimClock,
        wire: Arc<WireControl>,
        recorder: Option<Recorder>,
    ) -> Self {
        let mut body = Self { steps, pause: None, length, deltas_sent: 0, bill, clock, wire, recorder };
        if body.steps.is_empty() {
            body.finish(Ending::Complete);
        }
        body
    }

    fn write(&mut self, bytes: &Bytes, events: u32, deltas: u32) {
        self.deltas_sent += deltas;
        if let Some(recorder) = &self.recorder {
            recorder.sent(bytes.len(), events);
        }
        // hyper need not ask again after the last byte it was promised.
        if self.steps.is_empty() {
            self.finish(Ending::Complete);
        }
    }

    /// Settles the bill and ends the record, once.
    fn finish(&mut self, ending: Ending) {
        if let Some(mut bill) = self.bill.take() {
            let usage = bill.after(self.deltas_sent);
            if let Some(reservation) = bill.reservation.take() {
                reservation.settle(self.clock.elapsed(), &usage);
            }
            if let Some(recorder) = &self.recorder {
                recorder.billed(usage);
            }
        }
        if let Some(mut recorder) = self.recorder.take() {
            recorder.end(ending);
        }
    }
}

impl Drop for SimBody {
    fn drop(&mut self) {
        let ending = self.recorder.as_ref().map_or(Ending::ClientGone, Recorder::early_ending);
        self.finish(ending);
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
            match body.steps.pop_front() {
                Some(Step::Write { bytes, events, deltas }) => {
                    body.write(&bytes, events, deltas);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Flush) => {
                    // A pending body makes hyper write out what it holds; the wake-up asks for the next frame at once.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Wait(pause)) => body.pause = Some(Box::pin(sleep(pause))),
                Some(Step::Cut(manner)) => {
                    // Stays in front: the body never ends by itself, the connection is dropped after the flush.
                    body.steps.push_front(Step::Cut(manner));
                    body.wire.cut_after_flush(manner);
                    return Poll::Pending;
                }
                None => {
                    body.finish(Ending::Complete);
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
