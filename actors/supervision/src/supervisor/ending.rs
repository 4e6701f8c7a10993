//! How children are ended: in reverse start order, each in its own way, each with a deadline.

use std::{sync::Arc, time::Duration};

use ractor::ActorCell;
use tokio::time::Instant;

use super::{
    children::Children,
    report::{ChildPhase, SupervisorStatus},
};
use crate::{
    spec::{ChildSpec, Restart, Shutdown},
    time::now,
};

/// However late a shutdown is, a child that wants to finish gets this long: one that stores something, started first and
/// ended last, must not lose it because a stream took all the time.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A killed actor is gone at its next await. One that is not by then blocks a thread, and nothing more can be done.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

impl Children {
    /// Sets when a coming end of all children must be over.
    pub(super) fn end_by(&mut self, deadline: Instant) {
        self.end_by = Some(self.end_by.map_or(deadline, |earlier| earlier.min(deadline)));
    }

    /// Ends all children for good, last started first.
    pub(super) async fn end_all(&mut self) {
        self.set_status(SupervisorStatus::Stopping);
        for index in (0..self.list.len()).rev() {
            let at_most = self.end_by.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(now()).max(LAST_WORDS));
            self.end_at(index, at_most, ChildPhase::Stopped).await;
        }
        for child in &mut self.list {
            child.spec.parting.gone();
            for reply in child.leaving.drain(..) {
                reply.send(Ok(()));
            }
        }
    }

    /// Ends all children, last started first, before the supervisor fails; its parent may start them again.
    pub(super) async fn end_for_meltdown(&mut self) {
        self.set_status(SupervisorStatus::Stopping);
        for index in (0..self.list.len()).rev() {
            self.end_at(index, self.spec.restart_grace, ChildPhase::Stopped).await;
        }
    }

    /// Ends the children from `first` on, last started first, except the one that `failed`. They wait for its
    /// restart; temporary ones and those that were leaving anyway are forgotten.
    pub(super) async fn end_for_restart(&mut self, failed: &Arc<str>, first: usize) {
        let deadline = now() + self.spec.restart_grace;
        for index in (first..self.list.len()).rev() {
            let Some(child) = self.list.get(index) else { continue };
            if child.spec.name == *failed || child.phase == ChildPhase::Stopped {
                continue;
            }
            let forget = child.spec.restart == Restart::Temporary || child.phase == ChildPhase::Stopping;
            let at_most = deadline.saturating_duration_since(now()).max(LAST_WORDS);
            self.end_at(index, at_most, ChildPhase::Waiting).await;
            if forget {
                self.forget(index);
            }
        }
    }

    /// Ends the child at `index` if it runs, and leaves it in phase `then`.
    async fn end_at(&mut self, index: usize, at_most: Duration, then: ChildPhase) {
        let Some(child) = self.list.get_mut(index) else { return };
        if let Some(cell) = child.cell.clone() {
            child.enter(ChildPhase::Stopping);
            let spec = child.spec.clone();
            self.publish(index);
            end(&spec, &cell, at_most).await;
        }
        let Some(child) = self.list.get_mut(index) else { return };
        child.lose_cell();
        child.enter(then);
        self.publish(index);
    }
}

/// Ends one child and waits for its end.
async fn end(spec: &ChildSpec, cell: &ActorCell, at_most: Duration) {
    let patience = ask_to_end(spec, cell, at_most);
    if cell.wait(Some(patience)).await.is_ok() {
        return;
    }
    if spec.shutdown != Shutdown::Kill {
        tracing::warn!(child.name = %spec.name, waited_ms = patience.as_millis() as u64, "child did not end in time and is killed");
    }
    cell.kill();
    if cell.wait(Some(KILL_PATIENCE)).await.is_err() {
        tracing::error!(child.name = %spec.name, "killed child does not yield; it blocks a thread");
    }
}

/// Asks a child to end in its own way. Returns how long to wait before it is killed.
pub(super) fn ask_to_end(spec: &ChildSpec, cell: &ActorCell, at_most: Duration) -> Duration {
    match spec.shutdown {
        Shutdown::Drain(within) => {
            let within = within.min(at_most);
            spec.parting.ask(cell, within);
            within.saturating_add(spec.parting.grace())
        }
        Shutdown::Stop(within) => {
            cell.stop(None);
            within.min(at_most)
        }
        Shutdown::Kill => {
            cell.kill();
            KILL_PATIENCE
        }
    }
}
