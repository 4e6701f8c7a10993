//! [`LaneHandle`]: the outside of a lane, which stays the same across its restarts.

use std::{fmt, sync::Arc, time::Duration};

use ractor::ActorCell;

use super::{
    Lane, LaneMsg,
    estate::Estate,
    job::{Job, LaneObserver, NoObserver},
    report::{LaneCounts, LaneDrained, LaneReport},
};
use crate::{
    intake::IntakeLimits,
    reply::{CallError, Reply},
    slot::Slot,
    spec::{ChildSpec, Parting, Restart, Shutdown},
};

/// Time for running and waiting jobs to finish: most answers are complete by then, and orchestrators send their
/// kill 30 seconds after their term.
pub const DEFAULT_LANE_DRAIN: Duration = Duration::from_secs(25);

/// How a lane is set up.
#[derive(Clone)]
pub struct LaneSpec {
    name: Arc<str>,
    limits: IntakeLimits,
    drain: Duration,
    observer: Arc<dyn LaneObserver>,
}

impl LaneSpec {
    /// A lane of that name. The name is for reports; it is not registered anywhere.
    #[must_use]
    pub fn new(name: impl Into<String>, limits: IntakeLimits) -> Self {
        Self { name: Arc::from(name.into()), limits, drain: DEFAULT_LANE_DRAIN, observer: Arc::new(NoObserver) }
    }

    /// Sets who is told what happens.
    #[must_use]
    pub fn observer(mut self, observer: impl LaneObserver) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// Sets the time that a shutdown leaves to running and waiting jobs. [`DEFAULT_LANE_DRAIN`] unless set.
    #[must_use]
    pub fn drain(mut self, within: Duration) -> Self {
        self.drain = within;
        self
    }
}

impl fmt::Debug for LaneSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneSpec").field("name", &self.name).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Sends jobs to one lane. Clones are cheap.
pub struct LaneHandle<J: Job> {
    slot: Slot<LaneMsg<J>>,
    pub(super) estate: Arc<Estate<J>>,
    drain: Duration,
}

impl<J: Job> LaneHandle<J> {
    /// The handle of a lane that does not run yet; [`LaneHandle::child_spec`] goes into the tree.
    #[must_use]
    pub fn new(spec: LaneSpec) -> Self {
        let estate = Estate::new(Arc::clone(&spec.name), spec.limits, spec.observer);
        Self { slot: Slot::new(spec.name.as_ref()), estate: Arc::new(estate), drain: spec.drain }
    }

    /// The lane as a child of a supervisor: started again after every failure, but not after [`LaneHandle::drain`].
    #[must_use]
    pub fn child_spec(&self) -> ChildSpec {
        let estate = Arc::clone(&self.estate);
        ChildSpec::actor(&self.slot, move || (Lane::new(), Arc::clone(&estate)))
            .restart(Restart::Transient)
            .shutdown(Shutdown::Drain(self.drain))
            .parting(LaneParting { estate: Arc::clone(&self.estate) })
    }

    /// Hands a job to the lane, without waiting. Whatever happens, the job is run once, or refused, or dropped
    /// because its caller had left. It carries the current span along.
    ///
    /// Before the lane's first start jobs are refused as [`crate::Refusal::Unavailable`]; while it is being restarted they
    /// wait for it within the usual bounds.
    pub fn submit(&self, job: J) {
        if let Some(envelope) = self.estate.envelope(job)
            && let Err(unsent) = self.slot.cast(LaneMsg::Submit(envelope))
        {
            // Dropped unopened it goes where it belongs: to the next lane, or back to the caller.
            drop(unsent);
        }
    }

    /// What the lane does.
    ///
    /// # Errors
    /// As [`Slot::call`].
    pub async fn describe(&self, timeout: Duration) -> Result<LaneReport, CallError> {
        self.slot.call(|reply| LaneMsg::Describe { reply }, timeout).await
    }

    /// What became of the jobs so far; needs no message.
    #[must_use]
    pub fn counts(&self) -> LaneCounts {
        self.estate.tally.counts()
    }

    /// Changes the limits, now and for later restarts. Running and waiting jobs keep their places.
    pub fn set_limits(&self, limits: IntakeLimits) {
        self.estate.limits.store(Arc::new(limits));
        if self.slot.cast(LaneMsg::LimitsChanged).is_err() {
            tracing::debug!(lane.name = self.name(), "limits changed while the lane does not run; its next start reads them");
        }
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> IntakeLimits {
        **self.estate.limits.load()
    }

    /// Takes nothing new, lets running and waiting jobs finish `within` that time, kills and refuses the rest,
    /// and stops the lane for good. A killed job that does not yield holds this up.
    ///
    /// # Errors
    /// [`CallError::Unavailable`] when the lane does not run, [`CallError::WorkerLost`] when it dies meanwhile.
    pub async fn drain(&self, within: Duration) -> Result<LaneDrained, CallError> {
        let (reply, answer) = Reply::channel();
        self.slot.cast(LaneMsg::Drain { within, reply }).map_err(|unsent| unsent.reason)?;
        answer.await
    }

    /// Kills the job that runs longest, as chaos runs do. `false`: none runs.
    ///
    /// # Errors
    /// As [`Slot::call`].
    pub async fn kill_oldest(&self, timeout: Duration) -> Result<bool, CallError> {
        self.slot.call(|reply| LaneMsg::KillOldest { reply }, timeout).await
    }

    /// Where the lane actor is.
    #[must_use]
    pub fn slot(&self) -> &Slot<LaneMsg<J>> {
        &self.slot
    }

    /// Name of the lane.
    #[must_use]
    pub fn name(&self) -> &str {
        self.slot.name()
    }
}

impl<J: Job> Clone for LaneHandle<J> {
    fn clone(&self) -> Self {
        Self { slot: self.slot.clone(), estate: Arc::clone(&self.estate), drain: self.drain }
    }
}

impl<J: Job> fmt::Debug for LaneHandle<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneHandle").field("slot", &self.slot).finish_non_exhaustive()
    }
}

/// A lane is drained by its own message, because its work is not in its mailbox.
struct LaneParting<J: Job> {
    estate: Arc<Estate<J>>,
}

impl<J: Job> Parting for LaneParting<J> {
    fn ask(&self, child: &ActorCell, within: Duration) {
        // The supervisor waits for the lane's end, not for this answer.
        let (reply, _answer) = Reply::channel();
        if child.send_message(LaneMsg::<J>::Drain { within, reply }).is_err() {
            tracing::debug!(lane.name = %self.estate.name, "drain of a lane that has already ended");
        }
    }

    fn gone(&self) {
        self.estate.wind_up();
    }
}
