//! What a supervisor shows of itself: a serialisable tree, readable at any time without a message.

use std::{fmt, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{sync::watch, time::timeout_at};

use crate::{
    spec::{Restart, Strategy},
    time::now,
};

/// A supervisor and its children, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SupervisorReport {
    /// Its name.
    pub name: String,
    /// Whom a failure concerns.
    pub strategy: Strategy,
    /// What it does.
    pub status: SupervisorStatus,
    /// In start order.
    pub children: Vec<ChildReport>,
}

impl SupervisorReport {
    /// The child of that name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&ChildReport> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Is it up, with no child waiting for a start?
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.status == SupervisorStatus::Running && self.children.iter().all(ChildReport::is_in_order)
    }
}

/// What a supervisor does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SupervisorStatus {
    /// It never ran.
    NotStarted,
    /// It starts its children for the first time.
    Starting,
    /// It looks after its children.
    Running,
    /// It stops its children, last started first.
    Stopping,
    /// It stopped after all its children had.
    Stopped,
    /// It gave up; its parent decides.
    Failed {
        /// Why.
        reason: String,
    },
}

/// One child, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChildReport {
    /// Its name, unique below its supervisor.
    pub name: String,
    /// When it is started again.
    pub restart: Restart,
    /// What becomes of it.
    pub phase: ChildPhase,
    /// Failures that asked for a restart, since its supervisor started.
    pub restarts: u32,
    /// How many times it was started; through its slot, if it has one, also before its supervisor's last restart.
    pub generation: u64,
    /// Why it failed last. Of a panic only a text that stands in the program is kept: a formatted one may quote a caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// Its own children, if it is a supervisor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtree: Option<Box<SupervisorReport>>,
}

impl ChildReport {
    fn is_in_order(&self) -> bool {
        match self.restart {
            Restart::Permanent => self.phase == ChildPhase::Running,
            Restart::Transient => matches!(self.phase, ChildPhase::Running | ChildPhase::Stopped),
            Restart::Temporary => true,
        }
    }
}

/// What becomes of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildPhase {
    /// Its state is being built.
    Starting,
    /// It takes messages.
    Running,
    /// It failed and waits for its restart.
    BackingOff,
    /// It was stopped because another failed, and starts again after that one.
    Waiting,
    /// It was asked to finish.
    Stopping,
    /// It ended and stays so.
    Stopped,
}

/// Reads the state of one supervisor, across its restarts. Clones are cheap.
#[derive(Clone)]
pub struct SupervisorView {
    board: Arc<watch::Sender<Board>>,
}

/// The report, with views instead of copies of the subtrees.
struct Board {
    report: SupervisorReport,
    subtrees: Vec<Option<SupervisorView>>,
}

impl SupervisorView {
    pub(crate) fn new(name: Arc<str>, strategy: Strategy) -> Self {
        let report = SupervisorReport { name: name.to_string(), strategy, status: SupervisorStatus::NotStarted, children: Vec::new() };
        Self { board: Arc::new(watch::Sender::new(Board { report, subtrees: Vec::new() })) }
    }

    /// The whole tree below this supervisor as it is now.
    #[must_use]
    pub fn report(&self) -> SupervisorReport {
        let (mut report, subtrees) = {
            let board = self.board.borrow();
            (board.report.clone(), board.subtrees.clone())
        };
        for (child, subtree) in report.children.iter_mut().zip(subtrees) {
            child.subtree = subtree.map(|view| Box::new(view.report()));
        }
        report
    }

    /// Waits until `reached` holds for this supervisor and its direct children (subtrees are left out), at most
    /// `within`. Cancel-safe.
    ///
    /// # Errors
    /// [`NotReached`] when it does not hold by then.
    pub async fn wait_until(&self, within: Duration, mut reached: impl FnMut(&SupervisorReport) -> bool) -> Result<(), NotReached> {
        let mut changes = self.board.subscribe();
        match timeout_at(now() + within, changes.wait_for(|board| reached(&board.report))).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NotReached { last: Box::new(self.report()) }),
        }
    }

    pub(crate) fn set_status(&self, status: SupervisorStatus) {
        self.board.send_modify(|board| board.report.status = status);
    }

    pub(crate) fn status(&self) -> SupervisorStatus {
        self.board.borrow().report.status.clone()
    }

    /// Replaces all children: at a start, and when one was added or removed.
    pub(crate) fn set_children(&self, children: Vec<(ChildReport, Option<SupervisorView>)>) {
        let (reports, subtrees) = children.into_iter().unzip();
        self.board.send_modify(|board| {
            board.report.children = reports;
            board.subtrees = subtrees;
        });
    }

    /// Replaces the child at `index`.
    pub(crate) fn set_child(&self, index: usize, report: ChildReport) {
        self.board.send_modify(|board| {
            if let Some(child) = board.report.children.get_mut(index) {
                *child = report;
            }
        });
    }

    /// Is it up, with no child waiting for a start?
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.board.borrow().report.is_whole()
    }
}

impl fmt::Debug for SupervisorView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SupervisorView").field(&self.board.borrow().report.name).finish()
    }
}

/// A supervisor did not reach the wanted state in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("supervisor did not get there: {last:?}")]
pub struct NotReached {
    /// Its state at the end.
    pub last: Box<SupervisorReport>,
}
