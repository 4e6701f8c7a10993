//! What a lane runs, and the actor of one request.

use std::{future::Future, marker::PhantomData, pin::Pin, time::Duration};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use serde::Serialize;
use tracing::{Instrument, Span};

use crate::refusal::Refusal;

/// The work of a job, in one box: what is inside may be large, and ractor moves only the pointer.
pub type JobFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One request's work. It carries its own way to answer (a [`crate::Reply`], a channel).
///
/// A job moves a few times before it runs: box what is large in it.
pub trait Job: Send + Sized + 'static {
    /// The lane does not take it on: tell the caller.
    fn refused(self, refusal: Refusal);

    /// The whole of the work. A panic ends this job only; a kill drops the future at its await, so everything
    /// it must give back is a guard that gives back on `Drop`.
    fn run(self) -> JobFuture;

    /// Has the caller left? Then the job is dropped instead of started.
    fn abandoned(&self) -> bool {
        false
    }
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobOutcome {
    /// It ran to its end.
    Finished,
    /// It panicked. The text is not kept: it may quote what the caller sent.
    Failed,
    /// It was killed.
    Killed,
    /// It ended while its lane was being restarted.
    Unobserved,
}

impl JobOutcome {
    /// Label for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::Unobserved => "unobserved",
        }
    }
}

/// Told what happens in a lane, for metrics. Called on the hot path: must not block.
pub trait LaneObserver: Send + Sync + 'static {
    /// The queue changed: `depth` jobs wait now.
    fn queued(&self, depth: usize) {
        let _: usize = depth;
    }

    /// A job starts after waiting for `waited`.
    fn started(&self, waited: Duration) {
        let _: Duration = waited;
    }

    /// A job was refused.
    fn refused(&self, refusal: Refusal) {
        let _: Refusal = refusal;
    }

    /// A job was dropped before its start, because its caller had left.
    fn abandoned(&self) {}

    /// A job ended after running for `ran`.
    fn finished(&self, ran: Duration, outcome: JobOutcome) {
        let _: (Duration, JobOutcome) = (ran, outcome);
    }
}

/// Nobody is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoObserver;

impl LaneObserver for NoObserver {}

/// The actor of one job.
///
/// * **Owns** the job and its future.
/// * **Told by** nobody; a kill ends it at its await.
/// * **Tells** its lane, through ractor's monitor, that it ended and how.
/// * **On restart** it does not: a job runs once.
/// * **Bounded by** its lane's limit of running jobs, and by the deadline inside the job.
///
/// The lane watches it but is not its supervisor: if the lane dies, the request goes on.
pub(super) struct JobActor<J>(PhantomData<fn() -> J>);

impl<J> JobActor<J> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

/// What a job actor starts with.
pub(super) struct Assignment<J> {
    pub(super) job: J,
    pub(super) span: Span,
    pub(super) lane: ActorCell,
}

/// A job actor takes no messages.
pub(super) enum NoMsg {}

impl<J: Job> Actor for JobActor<J> {
    type Msg = NoMsg;
    type State = Option<(J, Span)>;
    type Arguments = Assignment<J>;

    async fn pre_start(&self, myself: ActorRef<NoMsg>, assignment: Assignment<J>) -> Result<Self::State, ActorProcessingErr> {
        // Before the job runs, so that the lane cannot miss its end.
        assignment.lane.monitor(myself.get_cell());
        Ok(Some((assignment.job, assignment.span)))
    }

    async fn post_start(&self, myself: ActorRef<NoMsg>, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        if let Some((job, span)) = state.take() {
            let work = span.in_scope(|| job.run());
            work.instrument(span).await;
        }
        myself.stop(None);
        Ok(())
    }
}
