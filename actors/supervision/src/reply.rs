//! [`Reply`]: the way back to a caller, which cannot be lost silently.
//!
//! ractor tells a discarded message and a panicked worker apart no more than a dead channel does. Here every
//! outcome has its own name: an answer, a [`Refusal`], [`CallError::WorkerLost`] when the reply was dropped
//! unanswered, [`CallError::Timeout`] and [`CallError::Unavailable`].

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{refusal::Refusal, slot::Unavailable};

/// Answers one caller once. Dropping it unanswered makes the caller see [`CallError::WorkerLost`].
pub struct Reply<T> {
    sender: oneshot::Sender<Result<T, Refusal>>,
}

/// Whether an answer found its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The caller has it.
    Delivered,
    /// The caller had stopped waiting; the answer is gone.
    CallerGone,
}

impl<T> Reply<T> {
    /// A reply and the answer it will become.
    #[must_use]
    pub fn channel() -> (Self, Answer<T>) {
        let (sender, receiver) = oneshot::channel();
        (Self { sender }, Answer { receiver })
    }

    /// Answers.
    pub fn send(self, value: T) -> Delivery {
        self.finish(Ok(value))
    }

    /// Answers that the work was not taken on.
    pub fn refuse(self, refusal: Refusal) -> Delivery {
        self.finish(Err(refusal))
    }

    /// Has the caller stopped waiting?
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Waits until the caller stops waiting. Cancel-safe.
    pub async fn closed(&mut self) {
        self.sender.closed().await;
    }

    fn finish(self, outcome: Result<T, Refusal>) -> Delivery {
        match self.sender.send(outcome) {
            Ok(()) => Delivery::Delivered,
            Err(_) => Delivery::CallerGone,
        }
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("caller_gone", &self.is_closed()).finish()
    }
}

/// The caller's half of a [`Reply`]: a future of the answer. Dropping it tells the worker that nobody waits.
pub struct Answer<T> {
    receiver: oneshot::Receiver<Result<T, Refusal>>,
}

impl<T> Answer<T> {
    /// The answer, if it comes within `timeout`.
    ///
    /// # Errors
    /// [`CallError::Timeout`] after `timeout`; otherwise as the future itself.
    pub async fn within(self, timeout: Duration) -> Result<T, CallError> {
        match tokio::time::timeout(timeout, self).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(CallError::Timeout { after: timeout }),
        }
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(cx).map(|outcome| match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(refusal)) => Err(CallError::Refused(refusal)),
            Err(_dropped) => Err(CallError::WorkerLost),
        })
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer(..)")
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The actor does not run: the message was not sent.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// No answer in time. The actor may still act on the message.
    #[error("no answer within {after:?}")]
    Timeout {
        /// The timeout of the call.
        after: Duration,
    },
    /// The actor ended, or dropped the message, without answering.
    #[error("the actor ended without an answer")]
    WorkerLost,
    /// The actor answered that it does not take this on.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_reaches_its_caller() {
        let (reply, answer) = Reply::channel();
        assert_eq!(reply.send(7), Delivery::Delivered);
        assert_eq!(answer.await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_dropped_unanswered_is_worker_lost_at_once() {
        let (reply, answer) = Reply::<u8>::channel();
        drop(reply);
        assert_eq!(answer.within(Duration::from_secs(60)).await, Err(CallError::WorkerLost));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_neither_lost_nor_late() {
        let (reply, answer) = Reply::<u8>::channel();
        assert_eq!(reply.refuse(Refusal::QueueFull), Delivery::Delivered);
        assert_eq!(answer.await, Err(CallError::Refused(Refusal::QueueFull)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_is_a_timeout_and_the_worker_learns_that_the_caller_left() {
        let (mut reply, answer) = Reply::<u8>::channel();
        let after = Duration::from_secs(5);
        assert_eq!(answer.within(after).await, Err(CallError::Timeout { after }));
        reply.closed().await;
        assert!(reply.is_closed());
        assert_eq!(reply.send(1), Delivery::CallerGone);
    }

    #[test]
    fn debug_shows_no_content() {
        let (reply, answer) = Reply::<&str>::channel();
        assert_eq!(format!("{reply:?} {answer:?}"), "Reply { caller_gone: false } Answer(..)");
    }
}
