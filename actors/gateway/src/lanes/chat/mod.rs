//! The chat lane: one actor per chat request, from admission to settlement.

mod attempt;
mod dialect;
mod explain;
mod facts;
mod fallback;
mod heal;
mod heavy;
mod input;
mod linked;
mod look;
mod media;
mod overflow;
mod passage;
mod prepare;
mod profile;
mod reader;
mod resume;
mod run;
mod stream;
mod tally;
mod wire;

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use metrics::{Gauge, Histogram};
use outcrop_domain::{
    chat::MediaFormat,
    clock::{Moment, Ports},
    error::GatewayError,
    ids::Region,
    model::Catalogue,
};
use outcrop_supervision::{CallError, Job, JobFuture, JobOutcome, LaneHandle, LaneObserver, LaneReport, Refusal, Reply, Slot};

pub(super) use self::tally::refused;
pub use self::{
    heavy::by_size,
    input::{MessagesInput, NativeInput, RawRequest},
};
use self::{prepare::Prepared, run::ChatReply};
use crate::{
    catalogue::{FlagKeeperMsg, ProfileFinderMsg, RefusedFlags},
    foundation::UsageInbox,
    ports::{AnswerFacts, ChatAnswer, ChatJob, Disclosure, Explanation},
    settings::{LiveSettings, SettingsCell},
    targets::{HealthBoard, RegionTargets, WaitingRoomMsg},
};

/// Tells a media format from its first bytes, its content type and its file name.
pub type Sniff = fn(&[u8], Option<&str>, Option<&str>) -> Option<MediaFormat>;

/// What every chat job needs of the rest of the gateway.
pub struct ChatContext {
    /// Live settings.
    pub settings: SettingsCell,
    /// Models.
    pub catalogue: Arc<ArcSwap<Catalogue>>,
    /// Looks up profiles that nobody has listed.
    pub profiles: Slot<ProfileFinderMsg>,
    /// Beta flags that models have refused.
    pub refused_flags: Arc<ArcSwap<RefusedFlags>>,
    /// Is told of such flags.
    pub flag_keeper: Slot<FlagKeeperMsg>,
    /// Health of targets.
    pub board: Arc<HealthBoard>,
    /// How to reach regions.
    pub regions: RegionTargets,
    /// With whom requests wait for room.
    pub waiting: Slot<WaitingRoomMsg>,
    /// Usage.
    pub usage: Arc<UsageInbox>,
    /// The way to callers' URLs.
    pub fetcher: Arc<outcrop_upstream::fetch::Fetcher>,
    /// Tells a media format from its first bytes.
    pub sniff: Sniff,
    /// Time, randomness, blocking work.
    pub ports: Ports,
}

impl fmt::Debug for ChatContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatContext").field("board", &self.board).finish_non_exhaustive()
    }
}

/// Work of the chat lane.
pub struct ChatWork {
    context: Arc<ChatContext>,
    job: ChatJob,
    submitted: Moment,
    reply: WorkReply,
}

enum WorkReply {
    Answer(ChatReply),
    Explain(Reply<Result<Explanation, GatewayError>>, Disclosure),
    Check(Reply<Result<AnswerFacts, GatewayError>>),
}

impl Job for ChatWork {
    fn refused(self, refusal: Refusal) {
        let waited = self.context.ports.clock.now().since(self.submitted);
        let error = unanswered(&CallError::Refused(refusal), LANE);
        tally::refused(&self.job.record, self.job.request.model(), &error, waited);
        let delivered = match self.reply {
            WorkReply::Answer(reply) => reply.refuse(refusal),
            WorkReply::Explain(reply, _) => reply.refuse(refusal),
            WorkReply::Check(reply) => reply.refuse(refusal),
        };
        tracing::debug!(request.id = %self.job.record.id(), refusal = refusal.as_str(), ?delivered, "job refused");
    }

    fn run(self) -> JobFuture {
        let waited = self.context.ports.clock.now().since(self.submitted);
        match self.reply {
            WorkReply::Answer(reply) => Box::pin(run::run(self.context, self.job, reply, waited)),
            WorkReply::Explain(reply, disclosure) => Box::pin(look::explain(self.context, self.job, disclosure, reply, waited)),
            WorkReply::Check(reply) => Box::pin(look::check(self.context, self.job, reply, waited)),
        }
    }

    fn abandoned(&self) -> bool {
        match &self.reply {
            WorkReply::Answer(reply) => reply.is_closed(),
            WorkReply::Explain(reply, _) => reply.is_closed(),
            WorkReply::Check(reply) => reply.is_closed(),
        }
    }
}

/// Submits chat requests.
#[derive(Clone)]
pub struct ChatPort {
    lane: LaneHandle<ChatWork>,
    context: Arc<ChatContext>,
}

impl fmt::Debug for ChatPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatPort").field("lane", &self.lane).finish_non_exhaustive()
    }
}

impl ChatPort {
    /// A port over a lane that may not run yet.
    #[must_use]
    pub fn new(lane: LaneHandle<ChatWork>, context: Arc<ChatContext>) -> Self {
        Self { lane, context }
    }

    /// Runs a request. Dropping the future cancels it.
    ///
    /// # Errors
    /// Whatever went wrong, as data.
    pub async fn submit(&self, job: ChatJob) -> Result<ChatAnswer, GatewayError> {
        let (reply, answer) = Reply::channel();
        self.send(job, WorkReply::Answer(reply));
        answer.await.unwrap_or_else(|error| Err(unanswered(&error, LANE)))
    }

    /// Explains a request, with as much of the operator's own as `disclosure` allows.
    ///
    /// # Errors
    /// As [`ChatPort::submit`], except what only sending would show.
    pub async fn explain(&self, job: ChatJob, disclosure: Disclosure) -> Result<Explanation, GatewayError> {
        let (reply, answer) = Reply::channel();
        self.send(job, WorkReply::Explain(reply, disclosure));
        answer.await.unwrap_or_else(|error| Err(unanswered(&error, LANE)))
    }

    /// Reads a request as [`ChatPort::submit`] does, and tells what its answer would be written as. Nothing is fetched or sent.
    ///
    /// # Errors
    /// As [`ChatPort::submit`], except what only sending would show.
    pub async fn check(&self, job: ChatJob) -> Result<AnswerFacts, GatewayError> {
        let (reply, answer) = Reply::channel();
        self.send(job, WorkReply::Check(reply));
        answer.await.unwrap_or_else(|error| Err(unanswered(&error, LANE)))
    }

    /// What the lane does.
    ///
    /// # Errors
    /// When it does not run or does not answer in time.
    pub async fn describe(&self, within: Duration) -> Result<LaneReport, CallError> {
        self.lane.describe(within).await
    }

    /// Kills the job that has run longest, for chaos: at most one request notices. False when none runs.
    pub async fn kill_one_job(&self) -> bool {
        self.lane.kill_oldest(RETRY_SOON).await.unwrap_or(false)
    }

    fn send(&self, job: ChatJob, reply: WorkReply) {
        let submitted = self.context.ports.clock.now();
        self.lane.submit(ChatWork { context: Arc::clone(&self.context), job, submitted, reply });
    }
}

/// Name of the lane in messages.
const LANE: &str = "chat lane";

/// A job of the lane of that name without an answer, as its caller sees it.
pub(super) fn unanswered(error: &CallError, lane: &str) -> GatewayError {
    let retry_after = RETRY_SOON;
    match error {
        CallError::Refused(Refusal::QueueFull) => {
            GatewayError::Overloaded { message: "the gateway has too many requests waiting".to_owned(), retry_after }
        }
        CallError::Refused(Refusal::QueueTimeout { waited }) => GatewayError::Overloaded {
            message: format!("the request waited {} ms in the gateway's queue", waited.as_millis()),
            retry_after,
        },
        CallError::Refused(Refusal::ShuttingDown) => {
            GatewayError::Unavailable { message: "the gateway is shutting down".to_owned(), retry_after }
        }
        CallError::Refused(Refusal::Unavailable) | CallError::Unavailable(_) => {
            GatewayError::Unavailable { message: format!("the {lane} is restarting"), retry_after }
        }
        CallError::Timeout { after } => GatewayError::DeadlineExceeded { after: *after },
        CallError::WorkerLost => GatewayError::WorkerLost,
    }
}

/// When to come back after a refusal of our own: queues turn over within seconds.
const RETRY_SOON: Duration = Duration::from_secs(1);

/// Feeds a lane's events to the metrics.
#[derive(Clone)]
pub(crate) struct LaneMetrics {
    lane: &'static str,
    queued: Gauge,
    running: Gauge,
    wait: Histogram,
}

impl LaneMetrics {
    pub(crate) fn new(lane: &'static str) -> Self {
        Self {
            lane,
            queued: metrics::gauge!("outcrop_lane_queued", "lane" => lane),
            running: metrics::gauge!("outcrop_lane_running", "lane" => lane),
            wait: metrics::histogram!("outcrop_lane_wait_seconds", "lane" => lane),
        }
    }
}

impl LaneObserver for LaneMetrics {
    fn queued(&self, depth: usize) {
        self.queued.set(u32::try_from(depth).map_or(f64::MAX, f64::from));
    }

    fn started(&self, waited: Duration) {
        self.running.increment(1.0);
        self.wait.record(waited.as_secs_f64());
    }

    fn refused(&self, refusal: Refusal) {
        metrics::counter!("outcrop_lane_refused_total", "lane" => self.lane, "reason" => refusal.as_str()).increment(1);
    }

    fn finished(&self, _ran: Duration, _outcome: JobOutcome) {
        self.running.decrement(1.0);
    }
}

impl Prepared {
    /// What the edge tells about the answer.
    fn facts(&self, context: &ChatContext, settings: &LiveSettings, region: Region, attempts: u32) -> AnswerFacts {
        let clock = &context.ports.clock;
        let limits = || context.board.pool(&self.resolution.model.id).limits(clock.now(), clock.wall());
        AnswerFacts {
            model: self.resolution.model.id.clone(),
            region,
            attempts,
            adjustments: self.adjustments.clone(),
            replaced: self.replaced_words(),
            dialect: self.dialect.clone(),
            resumes: false,
            limits: settings.routing.keeps_quotas().then(limits),
            passed: None,
        }
    }

    fn replaced_words(&self) -> Option<String> {
        self.resolution.replaced.as_ref().map(|replaced| replaced.words.to_string())
    }
}
