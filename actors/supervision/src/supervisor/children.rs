//! The children of one supervisor: starts, failures, restarts.

use std::{sync::Arc, time::Duration};

use ractor::{ActorCell, ActorId, ActorRef, ActorStatus};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    Due, DueFor, StartChildError, SupervisorMsg, UnknownChild,
    report::{ChildPhase, ChildReport, SupervisorStatus, SupervisorView},
};
use crate::{
    backoff::Backoff,
    backoff::{RestartWindow, Verdict},
    careful::{caught, start_failure_text},
    readiness::ReadinessFlag,
    reply::Reply,
    spec::{ChildSpec, Restart, StartFuture, Strategy, SupervisorSpec},
    time::now,
};

/// The children in start order, and everything that is decided about them.
#[derive(Debug)]
pub(super) struct Children {
    pub(super) myself: ActorRef<SupervisorMsg>,
    pub(super) spec: SupervisorSpec,
    pub(super) list: Vec<Child>,
    /// When a shutdown must be over.
    pub(super) end_by: Option<Instant>,
    window: RestartWindow,
    ready: Option<ReadinessFlag>,
}

/// One child.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) spec: ChildSpec,
    /// The running actor. `None` between an end and the next start.
    pub(super) cell: Option<ActorCell>,
    pub(super) phase: ChildPhase,
    /// Told when the child, asked to leave for good, has ended.
    pub(super) leaving: Vec<Reply<Result<(), UnknownChild>>>,
    /// Grows with every change of phase, so that timers of an earlier one are recognised.
    epoch: u64,
    timer: Option<Timer>,
    /// Failures in a row.
    streak: u32,
    running_since: Option<Instant>,
    restarts: u32,
    starts: u64,
    last_failure: Option<String>,
}

/// A pending timer message; dropping it calls it off.
#[derive(Debug)]
struct Timer(JoinHandle<Result<(), ractor::MessagingErr<SupervisorMsg>>>);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Too many restarts: the supervisor fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("child `{child}` failed once more after {max_restarts} restarts within {within:?}: {last_failure}")]
pub(super) struct Meltdown {
    child: String,
    max_restarts: u32,
    within: Duration,
    last_failure: String,
}

/// The first round of starts did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum StartAllError {
    #[error("child `{child}` of supervisor `{supervisor}` did not start: {reason}")]
    Child { supervisor: String, child: String, reason: String },
    #[error("supervisor `{supervisor}` has two children `{child}`")]
    NameTwice { supervisor: String, child: String },
}

impl Child {
    fn new(spec: ChildSpec) -> Self {
        Self {
            spec,
            cell: None,
            phase: ChildPhase::Waiting,
            leaving: Vec::new(),
            epoch: 0,
            timer: None,
            streak: 0,
            running_since: None,
            restarts: 0,
            starts: 0,
            last_failure: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.spec.name
    }

    /// Enters a phase; timers of the one before are called off.
    pub(super) fn enter(&mut self, phase: ChildPhase) {
        self.phase = phase;
        self.epoch += 1;
        self.timer = None;
    }

    /// The actor has ended: nobody may reach it any more.
    pub(super) fn lose_cell(&mut self) {
        self.cell = None;
        if let Some(slot) = &self.spec.slot {
            slot.clear();
        }
    }

    /// One more failure in a row, unless the child had recovered from those before, so that it counts as a first.
    fn count_failure(&mut self, backoff: &Backoff, at: Instant) {
        let ran = self.running_since.take().map_or(Duration::ZERO, |since| at.saturating_duration_since(since));
        self.streak = if backoff.recovered(ran, self.streak) { 1 } else { self.streak.saturating_add(1) };
        self.restarts = self.restarts.saturating_add(1);
    }

    fn report(&self) -> ChildReport {
        ChildReport {
            name: self.name().to_owned(),
            restart: self.spec.restart,
            phase: self.phase,
            restarts: self.restarts,
            generation: self.spec.slot.as_ref().map_or(self.starts, |slot| slot.generation()),
            last_failure: self.last_failure.clone(),
            subtree: None,
        }
    }
}

impl Children {
    pub(super) fn new(myself: ActorRef<SupervisorMsg>, spec: SupervisorSpec) -> Self {
        let list: Vec<Child> = spec.all_children().into_iter().map(Child::new).collect();
        let window = RestartWindow::new(spec.intensity);
        let ready = spec.readiness.as_ref().map(|board| board.register(spec.name.as_ref()));
        let children = Self { myself, spec, list, end_by: None, window, ready };
        children.publish_all();
        children
    }

    pub(super) fn name(&self) -> &str {
        &self.spec.name
    }

    pub(super) fn view(&self) -> &SupervisorView {
        &self.spec.view
    }

    pub(super) fn set_status(&self, status: SupervisorStatus) {
        self.view().set_status(status);
        self.show_readiness();
    }

    /// The first round. On failure everything started is stopped again, in reverse order.
    pub(super) async fn start_all(&mut self) -> Result<(), StartAllError> {
        self.set_status(SupervisorStatus::Starting);
        let outcome = self.start_in_order().await;
        match &outcome {
            Ok(()) => self.set_status(SupervisorStatus::Running),
            Err(error) => {
                self.end_for_meltdown().await;
                self.set_status(SupervisorStatus::Failed { reason: error.to_string() });
            }
        }
        outcome
    }

    async fn start_in_order(&mut self) -> Result<(), StartAllError> {
        for (index, child) in self.list.iter().enumerate() {
            if self.list.iter().take(index).any(|earlier| earlier.name() == child.name()) {
                return Err(StartAllError::NameTwice { supervisor: self.name().to_owned(), child: child.name().to_owned() });
            }
        }
        for index in 0..self.list.len() {
            if let Err(reason) = self.start_at(index).await {
                let child = self.list.get(index).map_or_else(String::new, |child| child.name().to_owned());
                return Err(StartAllError::Child { supervisor: self.name().to_owned(), child, reason });
            }
        }
        Ok(())
    }

    /// Starts one child and fills its slot.
    async fn start_at(&mut self, index: usize) -> Result<(), String> {
        let supervisor = self.myself.get_cell();
        let Some(child) = self.list.get_mut(index) else { return Ok(()) };
        child.enter(ChildPhase::Starting);
        let started = start(&child.spec, supervisor).await;
        let outcome = match started {
            Ok(cell) => {
                child.cell = Some(cell);
                child.starts += 1;
                child.running_since = Some(now());
                child.enter(ChildPhase::Running);
                Ok(())
            }
            Err(reason) => {
                child.running_since = None;
                child.last_failure = Some(reason.clone());
                child.enter(ChildPhase::Stopped);
                Err(reason)
            }
        };
        self.publish(index);
        outcome
    }

    /// A child ended: on purpose, normally (`failure` is `None`) or by a failure.
    pub(super) async fn on_end(&mut self, actor: ActorId, failure: Option<String>) -> Result<(), Meltdown> {
        let Some(index) = self.list.iter().position(|child| child.cell.as_ref().is_some_and(|cell| cell.get_id() == actor)) else {
            return Ok(()); // stopped by us for a restart, and accounted for
        };
        let Some(child) = self.list.get_mut(index) else { return Ok(()) };
        child.lose_cell();
        if child.phase == ChildPhase::Stopping {
            self.forget(index);
            return Ok(());
        }
        let again = match child.spec.restart {
            Restart::Permanent => true,
            Restart::Transient => failure.is_some(),
            Restart::Temporary => false,
        };
        if failure.is_some() {
            child.last_failure.clone_from(&failure);
        }
        if again {
            return self.fail(index, failure.as_deref().unwrap_or("stopped")).await;
        }
        if let Some(reason) = &failure {
            tracing::warn!(supervisor.name = %self.spec.name, child.name = %child.spec.name, error = %reason, "temporary child failed");
        }
        if child.spec.restart == Restart::Temporary {
            self.forget(index);
        } else {
            child.enter(ChildPhase::Stopped);
            self.publish(index);
        }
        Ok(())
    }

    /// Counts a failure of the child at `index` and arranges its restart.
    async fn fail(&mut self, index: usize, reason: &str) -> Result<(), Meltdown> {
        let at = now();
        let Some(child) = self.list.get_mut(index) else { return Ok(()) };
        child.count_failure(&self.spec.backoff, at);
        let name = Arc::clone(&child.spec.name);
        let streak = child.streak;
        child.enter(ChildPhase::BackingOff);
        self.publish(index);
        if self.window.record(at) == Verdict::GiveUp {
            return Err(Meltdown {
                child: name.to_string(),
                max_restarts: self.spec.intensity.max_restarts,
                within: self.spec.intensity.within,
                last_failure: reason.to_owned(),
            });
        }
        let delay = self.spec.backoff.delay(streak, self.spec.jitter.draw());
        tracing::warn!(
            supervisor.name = %self.spec.name, child.name = %name, failures = streak, delay_ms = delay.as_millis() as u64,
            error = %reason, "child failed and will be restarted"
        );
        match self.spec.strategy {
            Strategy::OneForOne => {}
            Strategy::RestForOne => self.end_for_restart(&name, index + 1).await,
            Strategy::OneForAll => self.end_for_restart(&name, 0).await,
        }
        self.arm(&name, DueFor::Restart, delay);
        Ok(())
    }

    /// Starts a child whose time has come, and those that wait for it, in order.
    pub(super) async fn restart(&mut self, name: &str, epoch: u64) -> Result<(), Meltdown> {
        let Some(due) = self.list.iter().position(|child| child.name() == name && child.epoch == epoch) else { return Ok(()) };
        for index in 0..self.list.len() {
            let waits = self.list.get(index).is_some_and(|child| index == due || child.phase == ChildPhase::Waiting);
            if waits && let Err(reason) = self.start_at(index).await {
                return self.fail(index, &reason).await;
            }
        }
        Ok(())
    }

    /// Adds a child after all others and starts it.
    pub(super) async fn add(&mut self, spec: ChildSpec) -> Result<(), StartChildError> {
        if let Some(index) = self.position(&spec.name) {
            let ended = self.list.get(index).is_some_and(|child| child.phase == ChildPhase::Stopped);
            if !ended {
                return Err(StartChildError::NameTaken { supervisor: self.name().to_owned(), child: spec.name.to_string() });
            }
            self.list.remove(index);
        }
        let name = Arc::clone(&spec.name);
        self.list.push(Child::new(spec));
        self.publish_all();
        let index = self.list.len() - 1;
        match self.start_at(index).await {
            Ok(()) => Ok(()),
            Err(reason) => {
                self.forget(index);
                Err(StartChildError::NotStarted { child: name.to_string(), reason })
            }
        }
    }

    /// Asks a child to end in its own way; it is forgotten, and `reply` answered, when it has.
    pub(super) fn remove(&mut self, name: &str, reply: Reply<Result<(), UnknownChild>>) {
        let Some(index) = self.position(name) else {
            reply.send(Err(UnknownChild { supervisor: self.name().to_owned(), child: name.to_owned() }));
            return;
        };
        let Some(child) = self.list.get_mut(index) else { return };
        child.leaving.push(reply);
        let Some(cell) = child.cell.clone() else {
            self.forget(index);
            self.release_waiting();
            return;
        };
        if child.phase == ChildPhase::Stopping {
            return; // asked already
        }
        child.enter(ChildPhase::Stopping);
        let patience = super::ending::ask_to_end(&child.spec, &cell, Duration::MAX);
        self.arm(name, DueFor::Kill, patience);
        self.publish(index);
    }

    /// Starts the children that waited for one that will not come back.
    fn release_waiting(&mut self) {
        if self.list.iter().any(|child| child.phase == ChildPhase::BackingOff) {
            return;
        }
        let Some(index) = self.list.iter().position(|child| child.phase == ChildPhase::Waiting) else { return };
        let Some(first) = self.list.get_mut(index) else { return };
        first.enter(ChildPhase::BackingOff);
        let name = Arc::clone(&first.spec.name);
        self.arm(&name, DueFor::Restart, Duration::ZERO);
        self.publish(index);
    }

    /// Kills a child that was asked to end and has not.
    pub(super) fn kill_late(&mut self, name: &str, epoch: u64) {
        let late = self.list.iter().find(|child| child.name() == name && child.epoch == epoch);
        if let Some(cell) = late.and_then(|child| child.cell.as_ref()) {
            tracing::warn!(supervisor.name = %self.name(), child.name = name, "child did not end in time and is killed");
            cell.kill();
        }
    }

    /// Drops a child that ended for good, and tells those who asked for that.
    pub(super) fn forget(&mut self, index: usize) {
        let child = self.list.remove(index);
        child.spec.parting.gone();
        for reply in child.leaving {
            reply.send(Ok(()));
        }
        self.publish_all();
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|child| child.name() == name)
    }

    fn arm(&mut self, name: &str, what: DueFor, after: Duration) {
        let myself = self.myself.clone();
        let Some(child) = self.list.iter_mut().find(|child| child.name() == name) else { return };
        let due = Due { child: name.to_owned(), epoch: child.epoch, what };
        child.timer = Some(Timer(myself.send_after(after, move || SupervisorMsg::Due(due))));
    }

    pub(super) fn publish(&self, index: usize) {
        if let Some(child) = self.list.get(index) {
            self.view().set_child(index, child.report());
        }
        self.show_readiness();
    }

    pub(super) fn publish_all(&self) {
        self.view().set_children(self.list.iter().map(|child| (child.report(), child.spec.subtree.clone())).collect());
        self.show_readiness();
    }

    fn show_readiness(&self) {
        let Some(flag) = &self.ready else { return };
        if self.view().is_whole() { flag.ready() } else { flag.not_ready("a child is not running") }
    }
}

/// Runs a child's start to its end or its deadline, checks that the supervisor will hear of it, and fills the slot.
async fn start(spec: &ChildSpec, supervisor: ActorCell) -> Result<ActorCell, String> {
    let recipe = Arc::clone(&spec.start);
    let for_child = supervisor.clone();
    // Also the making of the future is inside, so that its panic is a failed start and not the supervisor's end.
    let starting: StartFuture = Box::pin(async move { recipe(for_child).await });
    let cell = match timeout(spec.start_deadline, caught(starting)).await {
        Err(_elapsed) => return Err(format!("did not start within {:?}", spec.start_deadline)),
        Ok(Err(panic)) => return Err(panic.to_string()),
        Ok(Ok(Err(error))) => return Err(start_failure_text(&error)),
        Ok(Ok(Ok(cell))) => cell,
    };
    let linked = cell.try_get_supervisor().is_some_and(|parent| parent.get_id() == supervisor.get_id());
    if !linked && cell.get_status() < ActorStatus::Stopping {
        cell.kill();
        return Err("the start did not link the child to its supervisor".to_owned());
    }
    if let Some(slot) = &spec.slot
        && let Err(error) = slot.fill_with(&cell)
    {
        cell.unlink(supervisor);
        cell.kill();
        return Err(error.to_string());
    }
    Ok(cell)
}
