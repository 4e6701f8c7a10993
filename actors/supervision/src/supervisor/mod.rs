//! [`Supervisor`]: the actor that starts, restarts and ends its children.

pub mod report;

mod children;
mod ending;
#[cfg(test)]
mod tests;

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use self::{
    children::{Children, Meltdown},
    report::{SupervisorReport, SupervisorStatus},
};
use crate::{
    careful::failure_text,
    reply::Reply,
    spec::{ChildSpec, SupervisorSpec},
    time::now,
};

/// Looks after the children of one [`SupervisorSpec`].
///
/// * **Owns** its children's order, addresses, failure counts and restart timers.
/// * **Told by** its children's ends (through ractor), by whoever adds or removes children, by its parent (shutdown).
/// * **Tells** its children to finish; fills and empties their slots; shows itself in its [`report::SupervisorView`].
/// * **On restart** it is built anew from its spec: the spec's children are started, added ones are forgotten
///   (list them with [`SupervisorSpec::children_from`] if they must come back).
/// * **Bounded by** one event per child's end and one message per request of an operator; children start one at a
///   time, each within its start deadline, and the supervisor does nothing else meanwhile.
///
/// A child that fails to start in the first round fails the whole start, after those before it were stopped again:
/// start-up is loud. Later a failed start counts as one more failure of that child.
///
/// More restarts than its intensity allows, and the supervisor stops its children (each within
/// [`SupervisorSpec::restart_grace`]) and fails, so that its parent decides. At the root that ends the process:
/// see [`crate::Root::ended`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Supervisor;

/// What a supervisor can be told.
#[derive(Debug)]
pub enum SupervisorMsg {
    /// Shows the tree below it.
    Describe {
        /// Gets the tree.
        reply: Reply<SupervisorReport>,
    },
    /// Starts one more child, after all others.
    StartChild {
        /// The child.
        spec: Box<ChildSpec>,
        /// Told when it runs.
        reply: Reply<Result<(), StartChildError>>,
    },
    /// Ends a child in its own way and forgets it.
    StopChild {
        /// Which.
        name: String,
        /// Told when it has ended.
        reply: Reply<Result<(), UnknownChild>>,
    },
    /// Ends all children, last started first, then the supervisor.
    Shutdown {
        /// All together in this time; a child that is late gets a last second of its own before it is killed.
        within: Duration,
    },
    /// A timer of the supervisor's own.
    Due(Due),
}

/// A timer that went off. Stale ones (the child has moved on) do nothing.
#[derive(Debug)]
pub struct Due {
    child: String,
    epoch: u64,
    what: DueFor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DueFor {
    Restart,
    Kill,
}

/// Why a child was not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartChildError {
    /// Another child has that name and has not ended.
    #[error("supervisor `{supervisor}` already has a child `{child}`")]
    NameTaken {
        /// The supervisor.
        supervisor: String,
        /// The name.
        child: String,
    },
    /// It did not start, and is not kept.
    #[error("child `{child}` did not start: {reason}")]
    NotStarted {
        /// The name.
        child: String,
        /// Why.
        reason: String,
    },
}

/// No child of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("supervisor `{supervisor}` has no child `{child}`")]
pub struct UnknownChild {
    /// The supervisor.
    pub supervisor: String,
    /// The name.
    pub child: String,
}

/// State of a [`Supervisor`].
#[derive(Debug)]
pub struct SupervisorState {
    children: Children,
}

impl Actor for Supervisor {
    type Msg = SupervisorMsg;
    type State = SupervisorState;
    type Arguments = SupervisorSpec;

    async fn pre_start(&self, myself: ActorRef<Self::Msg>, spec: SupervisorSpec) -> Result<Self::State, ActorProcessingErr> {
        let mut children = Children::new(myself, spec);
        Box::pin(children.start_all()).await?;
        Ok(SupervisorState { children })
    }

    async fn post_stop(&self, _myself: ActorRef<Self::Msg>, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        Box::pin(state.children.end_all()).await;
        state.children.set_status(SupervisorStatus::Stopped);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: SupervisorMsg,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        let children = &mut state.children;
        let outcome = match message {
            SupervisorMsg::Describe { reply } => {
                reply.send(children.view().report());
                Ok(())
            }
            SupervisorMsg::StartChild { spec, reply } => {
                reply.send(Box::pin(children.add(*spec)).await);
                Ok(())
            }
            SupervisorMsg::StopChild { name, reply } => {
                children.remove(&name, reply);
                Ok(())
            }
            SupervisorMsg::Shutdown { within } => {
                children.end_by(now() + within);
                // The rest happens in `post_stop`, where no message can come between.
                myself.stop(Some("shutdown".to_owned()));
                Ok(())
            }
            SupervisorMsg::Due(due) => Box::pin(on_due(children, due)).await,
        };
        Box::pin(give_up_on(children, outcome)).await
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        let children = &mut state.children;
        let outcome = match event {
            SupervisionEvent::ActorFailed(child, error) => Box::pin(children.on_end(child.get_id(), Some(failure_text(&error)))).await,
            SupervisionEvent::ActorTerminated(child, _state, reason) => {
                Box::pin(children.on_end(child.get_id(), reason.filter(|reason| is_violent(reason)))).await
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => Ok(()),
        };
        Box::pin(give_up_on(children, outcome)).await
    }
}

async fn on_due(children: &mut Children, due: Due) -> Result<(), Meltdown> {
    match due.what {
        DueFor::Restart => children.restart(&due.child, due.epoch).await,
        DueFor::Kill => {
            children.kill_late(&due.child, due.epoch);
            Ok(())
        }
    }
}

/// Ends everything in order before the supervisor fails; ractor would kill the children in no order.
async fn give_up_on(children: &mut Children, outcome: Result<(), Meltdown>) -> Result<(), ActorProcessingErr> {
    let Err(meltdown) = outcome else { return Ok(()) };
    tracing::error!(supervisor.name = %children.name(), error = %meltdown, "supervisor gives up");
    children.end_for_meltdown().await;
    children.set_status(SupervisorStatus::Failed { reason: meltdown.to_string() });
    Err(meltdown.into())
}

/// ractor's words for an end that the actor did not choose (`Signal::Kill`, a cancelled task).
fn is_violent(reason: &str) -> bool {
    matches!(reason, "killed" | "actor_task_cancelled")
}
