//! [`Careful`]: what is kept of an actor's failure cannot quote a caller.
//!
//! A panic's text is formatted from whatever was being worked on, so it may hold a piece of a prompt; the state of the
//! tree and the log are read by operators and kept by log stores. Only a panic whose text is a literal of the program is
//! told word for word. Where it happened is in the process's own panic report.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};

use crate::trouble;

/// Longest text kept of an error that an actor returned.
const TEXT_LIMIT: usize = 200;
/// Told of a failure that no [`Careful`] stood around: nobody knows whether its text is a panic's.
const UNTOLD: &str = "failed; its words are not kept";

/// Why an actor failed, in words that are safe to show and to keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// A panic whose text stands in the program.
    #[error("panicked: {0}")]
    Panicked(&'static str),
    /// A panic whose text was put together when it happened, or that has none.
    #[error("panicked with a formatted message")]
    PanickedInDetail,
    /// The actor returned this error.
    #[error("{0}")]
    Returned(String),
}

impl Failure {
    fn of_panic(panic: &(dyn Any + Send)) -> Self {
        // `panic!("literal")` leaves a `&'static str`, `panic!("{value}")` and `expect` leave a `String`.
        panic.downcast_ref::<&'static str>().map_or(Self::PanickedInDetail, |text| Self::Panicked(text))
    }
}

/// What may be told of a failed actor's error.
pub(crate) fn failure_text(error: &ActorProcessingErr) -> String {
    error.downcast_ref::<Failure>().map_or_else(|| UNTOLD.to_owned(), Failure::to_string)
}

/// What may be told of a failed start.
pub(crate) fn start_failure_text(error: &SpawnErr) -> String {
    match error {
        SpawnErr::StartupFailed(error) => failure_text(error),
        other => other.to_string(),
    }
}

/// Runs `work` to its end; a panic in it becomes an error that does not quote it.
pub(crate) async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => std::task::Poll::Ready(Err(Failure::of_panic(panic.as_ref()))),
    })
    .await
}

async fn told<T>(work: impl Future<Output = Result<T, ActorProcessingErr>>) -> Result<T, ActorProcessingErr> {
    let failure = match caught(work).await {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => Failure::Returned(error.to_string().chars().take(TEXT_LIMIT).collect()),
        Err(failure) => failure,
    };
    Err(Box::new(failure))
}

/// The actor inside, with its panics turned into errors that quote nobody.
///
/// * **Owns** nothing; the state is the inner actor's.
/// * **Told by** whoever the inner actor is told by.
/// * **Tells** its supervisor of a failure, in words that are safe to keep; the rest is the inner actor's.
/// * **On restart** a new inner actor is made.
/// * **Bounded by** the inner actor's bounds.
pub(crate) struct Careful<A>(pub(crate) A);

impl<A: Actor> Actor for Careful<A> {
    type Msg = A::Msg;
    type State = A::State;
    type Arguments = A::Arguments;

    async fn pre_start(&self, myself: ActorRef<A::Msg>, arguments: A::Arguments) -> Result<A::State, ActorProcessingErr> {
        told(self.0.pre_start(myself, arguments)).await
    }

    async fn post_start(&self, myself: ActorRef<A::Msg>, state: &mut A::State) -> Result<(), ActorProcessingErr> {
        told(self.0.post_start(myself, state)).await
    }

    async fn post_stop(&self, myself: ActorRef<A::Msg>, state: &mut A::State) -> Result<(), ActorProcessingErr> {
        trouble::forget(myself.get_id());
        told(self.0.post_stop(myself, state)).await
    }

    async fn handle(&self, myself: ActorRef<A::Msg>, message: A::Msg, state: &mut A::State) -> Result<(), ActorProcessingErr> {
        let actor = myself.get_id();
        told(async {
            trouble::meet(actor).await;
            self.0.handle(myself, message, state).await
        })
        .await
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<A::Msg>,
        event: SupervisionEvent,
        state: &mut A::State,
    ) -> Result<(), ActorProcessingErr> {
        told(self.0.handle_supervisor_evt(myself, event, state)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text_of(work: impl Future<Output = Result<(), ActorProcessingErr>>) -> String {
        failure_text(&told(work).await.unwrap_err())
    }

    fn panics(payload: impl Any + Send) -> Result<(), ActorProcessingErr> {
        // Unwinds as a panic does, without the noise of the panic hook.
        std::panic::resume_unwind(Box::new(payload))
    }

    #[tokio::test]
    async fn a_literal_is_told_and_a_formatted_text_is_not() {
        assert_eq!(text_of(async { panics("no room") }).await, "panicked: no room");
        assert_eq!(text_of(async { panics(format!("cannot read {}", "the prompt")) }).await, "panicked with a formatted message");
        assert_eq!(text_of(async { panics(7) }).await, "panicked with a formatted message");
    }

    #[tokio::test]
    async fn a_returned_error_is_told_in_short() {
        assert_eq!(text_of(async { Err("the disk is full".into()) }).await, "the disk is full");
        assert_eq!(text_of(async { Err("x".repeat(10_000).into()) }).await.len(), TEXT_LIMIT);
    }

    #[test]
    fn an_error_of_unknown_origin_is_not_told() {
        let error: ActorProcessingErr = "cannot read the prompt".into();
        assert_eq!(failure_text(&error), UNTOLD);
        assert_eq!(start_failure_text(&SpawnErr::StartupFailed("cannot read the prompt".into())), UNTOLD);
    }
}
