//! [`Lane`]: where request work comes in. A bounded queue, a bounded number of running jobs, one actor per job.

pub mod handle;
pub mod job;
pub mod report;

mod estate;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    marker::PhantomData,
    sync::Arc,
    time::Duration,
};

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, ActorStatus, MessagingErr, SupervisionEvent};
use tokio::{task::JoinHandle, time::Instant};

use self::{
    estate::{Envelope, Estate, Running, Share, Ticket},
    job::{Assignment, Job, JobActor, JobOutcome},
    report::{LaneDrained, LaneReport},
};
use crate::{
    intake::{Admission, Intake, Turn, Waited},
    refusal::Refusal,
    reply::Reply,
    time::now,
};

/// Admits jobs and starts one actor for each.
///
/// * **Owns** the queue and the list of running jobs.
/// * **Told by** [`handle::LaneHandle`]s (jobs, limits), its jobs' ends (through ractor's monitors), its
///   supervisor (drain).
/// * **Tells** each job that does not start why; its observer what happens.
/// * **On restart** it takes over the queue, the running jobs and the unread messages of its predecessor: nobody
///   loses a request by a lane's death. Only the message it died on is lost, and its caller told so.
/// * **Bounded by** its limits: as many jobs run, as many wait, for so long, as [`crate::IntakeLimits`] says; its mailbox
///   never holds more jobs than that together.
///
/// It never waits for anything: starting a job is a spawn.
pub struct Lane<J>(PhantomData<fn() -> J>);

impl<J> Lane<J> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<J> fmt::Debug for Lane<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lane")
    }
}

/// What a lane can be told.
pub enum LaneMsg<J: Job> {
    /// Take a job on, or refuse it.
    Submit(Envelope<J>),
    /// The limits in the handle have changed.
    LimitsChanged,
    /// A predecessor left this behind.
    Inherit(Share<J>),
    /// A timer of the lane's own.
    Due(Due),
    /// Shows what it does.
    Describe {
        /// Gets the report.
        reply: Reply<LaneReport>,
    },
    /// Kills the job that runs longest, as chaos runs do.
    KillOldest {
        /// Gets whether there was one.
        reply: Reply<bool>,
    },
    /// Takes nothing new, lets the jobs finish, then stops.
    Drain {
        /// What is not finished by then is killed or refused.
        within: Duration,
        /// Told at the end.
        reply: Reply<LaneDrained>,
    },
}

impl<J: Job> fmt::Debug for LaneMsg<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Submit(_) => "Submit(..)",
            Self::LimitsChanged => "LimitsChanged",
            Self::Inherit(_) => "Inherit(..)",
            Self::Due(_) => "Due(..)",
            Self::Describe { .. } => "Describe { .. }",
            Self::KillOldest { .. } => "KillOldest { .. }",
            Self::Drain { .. } => "Drain { .. }",
        })
    }
}

/// A timer that went off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due(DueFor);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DueFor {
    Expiry,
    DrainEnd,
}

/// A pending timer message; dropping it calls it off.
struct Timer<J: Job>(JoinHandle<Result<(), MessagingErr<LaneMsg<J>>>>);

impl<J: Job> Drop for Timer<J> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// State of a [`Lane`].
pub struct LaneState<J: Job> {
    holdings: Holdings<J>,
    expiry_timer: Option<Timer<J>>,
    drain: Option<DrainInProgress<J>>,
}

/// What falls to the next lane when this one dies.
struct Holdings<J: Job> {
    myself: ActorRef<LaneMsg<J>>,
    estate: Arc<Estate<J>>,
    intake: Intake<Ticket<J>>,
    /// Places taken, job not started yet. Empty between two messages; here so that a death in between loses
    /// the one job at hand only.
    to_start: VecDeque<Waited<Ticket<J>>>,
    /// Sorted, so that a drain kills in start order.
    running: BTreeMap<ActorId, Running>,
}

impl<J: Job> Drop for Holdings<J> {
    fn drop(&mut self) {
        let to_start = std::mem::take(&mut self.to_start).into_iter().map(|waited| waited.job);
        let queue: VecDeque<_> = to_start.chain(self.intake.take_queue().map(|(ticket, _since)| ticket)).collect();
        let running = std::mem::take(&mut self.running).into_values().collect();
        drop(Share::new(Arc::clone(&self.estate), self.myself.get_id(), queue, running));
    }
}

struct DrainInProgress<J: Job> {
    _deadline: Timer<J>,
    outcome: LaneDrained,
    replies: Vec<Reply<LaneDrained>>,
}

impl<J: Job> Actor for Lane<J> {
    type Msg = LaneMsg<J>;
    type State = LaneState<J>;
    type Arguments = Arc<Estate<J>>;

    async fn pre_start(&self, myself: ActorRef<Self::Msg>, estate: Arc<Estate<J>>) -> Result<Self::State, ActorProcessingErr> {
        let intake = Intake::new(**estate.limits.load());
        let (queue, running) = estate.take_over(myself.clone());
        let holdings = Holdings { myself, estate, intake, to_start: VecDeque::new(), running: BTreeMap::new() };
        let mut state = LaneState { holdings, expiry_timer: None, drain: None };
        state.adopt(queue, running).await;
        Ok(state)
    }

    async fn post_stop(&self, _myself: ActorRef<Self::Msg>, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        // It ends on purpose: what is left is not for the next lane.
        state.holdings.estate.close();
        Ok(())
    }

    async fn handle(&self, _myself: ActorRef<Self::Msg>, message: LaneMsg<J>, state: &mut LaneState<J>) -> Result<(), ActorProcessingErr> {
        match message {
            LaneMsg::Submit(envelope) => state.on_submit(envelope).await,
            LaneMsg::LimitsChanged => state.on_limits_changed().await,
            LaneMsg::Inherit(share) => {
                let (queue, running) = share.claim();
                state.adopt(queue, running).await;
            }
            LaneMsg::Due(Due(DueFor::Expiry)) => state.on_expiry(),
            LaneMsg::Due(Due(DueFor::DrainEnd)) => state.on_drain_end(),
            LaneMsg::Describe { reply } => {
                reply.send(state.report());
            }
            LaneMsg::KillOldest { reply } => {
                reply.send(state.kill_oldest());
            }
            LaneMsg::Drain { within, reply } => state.on_drain(within, reply),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut LaneState<J>,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(job, _panic) => state.on_job_end(job.get_id(), JobOutcome::Failed).await,
            SupervisionEvent::ActorTerminated(job, _, reason) => {
                // A job's actor stops itself without a reason; any reason is ractor's word for a kill.
                let outcome = if reason.is_none() { JobOutcome::Finished } else { JobOutcome::Killed };
                state.on_job_end(job.get_id(), outcome).await;
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl<J: Job> LaneState<J> {
    async fn on_submit(&mut self, envelope: Envelope<J>) {
        let Some(ticket) = envelope.open() else { return };
        let since = ticket.since;
        match self.holdings.offer(ticket, since) {
            Admission::Admitted(ticket) => {
                let waited = now().saturating_duration_since(since);
                self.holdings.to_start.push_back(Waited { job: ticket, since, waited });
                self.start_all().await;
            }
            Admission::Queued => {
                self.holdings.estate.observer.queued(self.holdings.intake.queued());
                self.arm_expiry();
            }
            Admission::Refused { reason, job } => self.holdings.estate.refuse(job.job, reason),
        }
    }

    async fn on_limits_changed(&mut self) {
        let limits = **self.holdings.estate.limits.load();
        let turn = self.holdings.intake.set_limits(limits, now());
        self.expiry_timer = None;
        self.follow(turn).await;
    }

    fn on_expiry(&mut self) {
        self.expiry_timer = None;
        for expired in self.holdings.intake.expire(now()) {
            self.holdings.refuse_expired(expired);
        }
        self.arm_expiry();
        self.end_drain_if_idle();
    }

    async fn on_job_end(&mut self, job: ActorId, outcome: JobOutcome) {
        let Some(running) = self.holdings.running.remove(&job) else { return };
        let at = now();
        self.holdings.count_end(&running, outcome, at);
        let turn = self.holdings.intake.finished(at);
        self.follow(turn).await;
    }

    /// Takes over what another lane left.
    async fn adopt(&mut self, queue: VecDeque<Ticket<J>>, running: Vec<Running>) {
        let at = now();
        for job in running {
            self.holdings.watch(job, at);
        }
        for ticket in queue {
            let since = ticket.since;
            self.holdings.intake.adopt_queued(ticket, since);
        }
        let turn = self.holdings.intake.turn(at);
        self.follow(turn).await;
    }

    /// Does what the intake says.
    async fn follow(&mut self, turn: Turn<Ticket<J>>) {
        self.holdings.take_turn(turn);
        self.start_all().await;
    }

    /// Starts what has a place, and sees to the timer and the drain.
    async fn start_all(&mut self) {
        while let Some(next) = self.holdings.to_start.pop_front() {
            if !self.holdings.start(next).await {
                let turn = self.holdings.intake.finished(now());
                self.holdings.take_turn(turn);
            }
        }
        self.arm_expiry();
        self.end_drain_if_idle();
    }

    fn on_drain(&mut self, within: Duration, reply: Reply<LaneDrained>) {
        self.holdings.estate.close();
        self.holdings.intake.drain();
        let deadline = self.timer(DueFor::DrainEnd, within);
        match &mut self.drain {
            // The first deadline stands.
            Some(drain) => drain.replies.push(reply),
            None => self.drain = Some(DrainInProgress { _deadline: deadline, outcome: LaneDrained::default(), replies: vec![reply] }),
        }
        self.end_drain_if_idle();
    }

    fn on_drain_end(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        let waiting: Vec<_> = self.holdings.intake.take_queue().collect();
        drain.outcome = LaneDrained { killed: self.holdings.running.len(), refused: waiting.len() };
        for (ticket, _since) in waiting {
            self.holdings.estate.refuse(ticket.job, Refusal::ShuttingDown);
        }
        for job in self.holdings.running.values() {
            job.cell.kill();
        }
        self.end_drain_if_idle();
    }

    fn kill_oldest(&self) -> bool {
        // Actor ids grow, so the first is the oldest.
        let oldest = self.holdings.running.values().next();
        oldest.inspect(|job| job.cell.kill()).is_some()
    }

    fn end_drain_if_idle(&mut self) {
        if self.holdings.intake.is_idle()
            && let Some(drain) = self.drain.take()
        {
            for reply in drain.replies {
                reply.send(drain.outcome);
            }
            self.holdings.myself.stop(Some("drained".to_owned()));
        }
    }

    /// One timer at a time, for the job that waits longest.
    fn arm_expiry(&mut self) {
        match self.holdings.intake.next_expiry() {
            None => self.expiry_timer = None,
            Some(expiry) if self.expiry_timer.is_none() => {
                self.expiry_timer = Some(self.timer(DueFor::Expiry, expiry.saturating_duration_since(now())));
            }
            Some(_) => {}
        }
    }

    fn timer(&self, what: DueFor, after: Duration) -> Timer<J> {
        Timer(self.holdings.myself.send_after(after, move || LaneMsg::Due(Due(what))))
    }

    fn report(&self) -> LaneReport {
        let intake = &self.holdings.intake;
        LaneReport {
            name: self.holdings.estate.name.to_string(),
            limits: intake.limits(),
            running: intake.running(),
            queued: intake.queued(),
            draining: intake.is_draining(),
            counts: self.holdings.estate.tally.counts(),
        }
    }
}

impl<J: Job> Holdings<J> {
    /// Offers a job; where the queue is full, those whose callers have left make room first.
    fn offer(&mut self, ticket: Ticket<J>, since: Instant) -> Admission<Ticket<J>> {
        match self.intake.offer(ticket, since) {
            Admission::Refused { reason: Refusal::QueueFull, job } => {
                let gone = self.intake.discard(|waiting| !waiting.job.abandoned());
                if gone.is_empty() {
                    return Admission::Refused { reason: Refusal::QueueFull, job };
                }
                gone.iter().for_each(|_| self.count_abandoned());
                self.intake.offer(job, since)
            }
            other => other,
        }
    }

    fn take_turn(&mut self, turn: Turn<Ticket<J>>) {
        self.to_start.extend(turn.start);
        for late in turn.expired {
            self.refuse_expired(late);
        }
    }

    /// Starts a job whose place is taken already. `false`: it was not started, and its place is free.
    async fn start(&mut self, next: Waited<Ticket<J>>) -> bool {
        let Ticket { job, span, .. } = next.job;
        if job.abandoned() {
            self.count_abandoned();
            return false;
        }
        let assignment = Assignment { job, span, lane: self.myself.get_cell() };
        // In a box: ractor moves the future of every message twice, and a spawn is kilobytes of it.
        match Box::pin(JobActor::spawn(None, JobActor::new(), assignment)).await {
            Ok((actor, _join)) => {
                let cell = actor.get_cell();
                self.running.insert(cell.get_id(), Running { cell, since: now() });
                self.estate.tally.admitted();
                self.estate.observer.started(next.waited);
                if !next.waited.is_zero() {
                    self.estate.observer.queued(self.intake.queued());
                }
                true
            }
            Err(error) => {
                // The job went down with its actor; its caller sees a lost worker.
                tracing::error!(lane.name = %self.estate.name, %error, "job actor did not start");
                self.estate.tally.ended(JobOutcome::Failed);
                false
            }
        }
    }

    /// Watches a job that another lane started, unless it has ended meanwhile.
    fn watch(&mut self, job: Running, at: Instant) {
        self.myself.monitor(job.cell.clone());
        // In this order: an actor sets its status before it tells its monitors.
        if job.cell.get_status() >= ActorStatus::Stopping {
            self.count_end(&job, JobOutcome::Unobserved, at);
        } else {
            self.intake.adopt_running(1);
            self.running.insert(job.cell.get_id(), job);
        }
    }

    fn count_end(&self, job: &Running, outcome: JobOutcome, at: Instant) {
        self.estate.tally.ended(outcome);
        self.estate.observer.finished(at.saturating_duration_since(job.since), outcome);
    }

    fn count_abandoned(&self) {
        self.estate.tally.abandoned();
        self.estate.observer.abandoned();
        self.estate.observer.queued(self.intake.queued());
    }

    fn refuse_expired(&self, late: Waited<Ticket<J>>) {
        self.estate.observer.queued(self.intake.queued());
        self.estate.refuse(late.job.job, Refusal::QueueTimeout { waited: late.waited });
    }
}
