//! The root of a tree: start it, wait for its end, drain it.

use std::time::Duration;

use ractor::{Actor, ActorRef, SpawnErr};
use tokio::task::JoinHandle;

use crate::{
    spec::SupervisorSpec,
    supervisor::{
        Supervisor, SupervisorMsg,
        report::{SupervisorStatus, SupervisorView},
    },
};

/// What a root may take beyond its drain deadline, for the last words of late children, before it is killed.
const ROOT_GRACE: Duration = Duration::from_secs(10);

/// A running tree. Dropping it does not stop the tree; [`drain`] does.
#[derive(Debug)]
pub struct Root {
    actor: ActorRef<SupervisorMsg>,
    view: SupervisorView,
    ended: JoinHandle<()>,
}

/// How a tree ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootExit {
    /// It was asked to, and every child was ended in order. The process may exit with zero.
    Stopped,
    /// Its intensity was spent. The process must exit non-zero.
    Failed {
        /// Which child, and why.
        reason: String,
    },
    /// It was killed. The process must exit non-zero.
    Killed,
}

/// Starts a tree: all children run when this returns.
///
/// # Errors
/// When a child does not start; those started before it were stopped again.
pub async fn start(spec: SupervisorSpec) -> Result<Root, SpawnErr> {
    let view = spec.view();
    let (actor, ended) = Supervisor::spawn(None, Supervisor, spec).await?;
    Ok(Root { actor, view, ended })
}

impl Root {
    /// The root supervisor, to add children or to drain. It is never restarted, so this may be kept.
    #[must_use]
    pub fn actor(&self) -> &ActorRef<SupervisorMsg> {
        &self.actor
    }

    /// Reads the state of the tree.
    #[must_use]
    pub fn view(&self) -> &SupervisorView {
        &self.view
    }

    /// Waits for the end of the tree. Cancel-safe.
    pub async fn ended(&mut self) -> RootExit {
        if let Err(error) = (&mut self.ended).await {
            tracing::error!(%error, "root supervisor's task was lost");
        }
        match self.view.status() {
            SupervisorStatus::Stopped => RootExit::Stopped,
            SupervisorStatus::Failed { reason } => RootExit::Failed { reason },
            SupervisorStatus::NotStarted | SupervisorStatus::Starting | SupervisorStatus::Running | SupervisorStatus::Stopping => {
                RootExit::Killed
            }
        }
    }
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every child ended, on time or killed at its deadline, in order.
    InOrder,
    /// The supervisor itself did not end and was killed.
    Killed,
}

/// Ends a tree: children in reverse start order, each in its own way, all together `within` that time.
/// A child that is late is killed; see [`SupervisorMsg::Shutdown`].
pub async fn drain(supervisor: &ActorRef<SupervisorMsg>, within: Duration) -> Drained {
    if supervisor.send_message(SupervisorMsg::Shutdown { within }).is_err() {
        tracing::debug!("drain of a tree that ends already");
    }
    if supervisor.wait(Some(within.saturating_add(ROOT_GRACE))).await.is_ok() {
        return Drained::InOrder;
    }
    tracing::error!("tree did not drain in time; its root is killed");
    supervisor.kill();
    Drained::Killed
}
