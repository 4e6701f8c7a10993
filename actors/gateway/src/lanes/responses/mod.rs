//! The responses lane: one actor per response, from what it goes on from to its place in the store. The model is asked through the
//! chat lane, like for every dialect.

mod background;
mod compact;
mod count;
mod create;
mod linked;
mod pump;
mod telling;

use std::{fmt, sync::Arc, time::Duration};

use outcrop_domain::{clock::Moment, error::GatewayError};
use outcrop_supervision::{CallError, Delivery, Job, JobFuture, LaneHandle, LaneReport, Refusal, Reply};

pub use self::background::BackgroundWork;
use super::chat::{ChatPort, refused, unanswered};
use crate::{
    archive::{LiveResponses, Vault},
    ports::{ResponsesAnswer, ResponsesJob, ResponsesTask},
};

/// What every job of this lane needs of the rest of the gateway.
pub struct ResponsesContext {
    /// Asks models.
    pub(crate) chat: ChatPort,
    /// What is stored.
    pub(crate) vault: Vault,
    /// Background responses under way.
    pub(crate) live: Arc<LiveResponses>,
    /// Runs them.
    pub(crate) background: LaneHandle<BackgroundWork>,
}

impl fmt::Debug for ResponsesContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponsesContext").field("live", &self.live.len()).finish_non_exhaustive()
    }
}

/// The answer's way back.
type ResponsesReply = Reply<Result<ResponsesAnswer, GatewayError>>;

/// Work of the responses lane.
pub struct ResponsesWork {
    context: Arc<ResponsesContext>,
    job: ResponsesJob,
    submitted: Moment,
    reply: ResponsesReply,
}

impl Job for ResponsesWork {
    fn refused(self, refusal: Refusal) {
        let waited = self.context.vault.ports().clock.now().since(self.submitted);
        let error = unanswered(&CallError::Refused(refusal), LANE);
        refused(&self.job.record, self.job.wire.model.as_deref(), &error, waited);
        let delivered = self.reply.refuse(refusal);
        tracing::debug!(request.id = %self.job.record.id(), refusal = refusal.as_str(), ?delivered, "job refused");
    }

    fn run(self) -> JobFuture {
        match self.job.task {
            ResponsesTask::Create => Box::pin(create::run(self.context, self.job, self.reply)),
            ResponsesTask::Compact => Box::pin(compact::run(self.context, self.job, self.reply)),
            ResponsesTask::Count => Box::pin(count::run(self.context, self.job, self.reply)),
        }
    }

    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// Name of the lane in messages.
const LANE: &str = "responses lane";

/// Longest wait for a lane that is asked to kill.
const KILLS_WITHIN: Duration = Duration::from_secs(1);

/// Submits requests for responses.
#[derive(Clone)]
pub struct ResponsesPort {
    lane: LaneHandle<ResponsesWork>,
    context: Arc<ResponsesContext>,
}

impl fmt::Debug for ResponsesPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponsesPort").field("lane", &self.lane).finish_non_exhaustive()
    }
}

impl ResponsesPort {
    /// A port over a lane that may not run yet.
    #[must_use]
    pub fn new(lane: LaneHandle<ResponsesWork>, context: Arc<ResponsesContext>) -> Self {
        Self { lane, context }
    }

    /// Makes a response. Dropping the future cancels it, unless it is one in the background that was accepted.
    ///
    /// # Errors
    /// Whatever went wrong before the answer began, as data.
    pub async fn submit(&self, job: ResponsesJob) -> Result<ResponsesAnswer, GatewayError> {
        let (reply, answer) = Reply::channel();
        let submitted = self.context.vault.ports().clock.now();
        self.lane.submit(ResponsesWork { context: Arc::clone(&self.context), job, submitted, reply });
        answer.await.unwrap_or_else(|error| Err(unanswered(&error, LANE)))
    }

    /// Kills the job that has run longest, for chaos: at most one request notices. False when none runs.
    pub async fn kill_one_job(&self) -> bool {
        self.lane.kill_oldest(KILLS_WITHIN).await.unwrap_or(false)
    }

    /// What the lane does.
    ///
    /// # Errors
    /// When it does not run or does not answer in time.
    pub async fn describe(&self, within: Duration) -> Result<LaneReport, CallError> {
        self.lane.describe(within).await
    }
}

fn deliver(reply: ResponsesReply, answer: Result<ResponsesAnswer, GatewayError>) {
    if reply.send(answer) == Delivery::CallerGone {
        metrics::counter!("outcrop_answers_unread_total").increment(1);
    }
}
