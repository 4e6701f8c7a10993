//! The keeper of what a run knows of its targets, for the next one.

use std::{sync::Arc, time::Duration};

use outcrop_domain::clock::Ports;
use outcrop_store::Snapshots;
use outcrop_supervision::Reply;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::targets::{HealthBoard, write_memory};

/// What a [`RoutingKeeper`] is told.
#[derive(Debug)]
pub enum RoutingKeeperMsg {
    /// Time to save.
    Due,
    /// A save has ended.
    Saved {
        /// Why it failed, if it did.
        problem: Option<String>,
    },
    /// Asks for its state.
    Describe {
        /// The answer.
        reply: Reply<RoutingKeeperReport>,
    },
}

/// State of the keeper, for consoles and tests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RoutingKeeperReport {
    /// Saves that worked.
    pub saves: u64,
    /// Why the last one failed, until one works.
    pub problem: Option<String>,
}

/// What a [`RoutingKeeper`] starts from.
#[derive(Debug, Clone)]
pub struct RoutingKeeperArgs {
    /// Where the knowledge is.
    pub board: Arc<HealthBoard>,
    /// Where it goes; `None` = nowhere.
    pub store: Option<Arc<dyn Snapshots>>,
    /// Time, and a thread to write on.
    pub ports: Ports,
}

/// A restart forgets at most so much.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// Longest that the last save holds up the end of the process.
const LAST_SAVE: Duration = Duration::from_secs(2);

/// Saves what was learned of quotas and outages, so that a restart does not learn it anew by failing users.
///
/// * Owns: its timer; at most one save is under way.
/// * Told by: its timer and its own saves.
/// * Tells: nobody; the next process reads what it wrote.
/// * On restart: begins its timer anew; the counts begin anew.
/// * Bounded by: one save in five seconds.
#[derive(Debug, Default)]
pub struct RoutingKeeper;

/// What the keeper remembers.
#[derive(Debug)]
pub struct RoutingKeeperState {
    args: RoutingKeeperArgs,
    report: RoutingKeeperReport,
}

impl Actor for RoutingKeeper {
    type Msg = RoutingKeeperMsg;
    type State = RoutingKeeperState;
    type Arguments = RoutingKeeperArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<RoutingKeeperMsg>,
        args: RoutingKeeperArgs,
    ) -> Result<RoutingKeeperState, ActorProcessingErr> {
        if args.store.is_some() {
            later(&myself);
        }
        Ok(RoutingKeeperState { args, report: RoutingKeeperReport::default() })
    }

    async fn handle(
        &self,
        myself: ActorRef<RoutingKeeperMsg>,
        message: RoutingKeeperMsg,
        state: &mut RoutingKeeperState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RoutingKeeperMsg::Due => {
                let told = myself.clone();
                let begun = state.save(move |problem| {
                    // Nobody is left to tell when the actor has ended meanwhile.
                    let _told = told.cast(RoutingKeeperMsg::Saved { problem });
                });
                if !begun {
                    later(&myself);
                }
            }
            RoutingKeeperMsg::Saved { problem } => {
                state.saved(problem);
                later(&myself);
            }
            RoutingKeeperMsg::Describe { reply } => drop(reply.send(state.report.clone())),
        }
        Ok(())
    }

    async fn post_stop(&self, _myself: ActorRef<RoutingKeeperMsg>, state: &mut RoutingKeeperState) -> Result<(), ActorProcessingErr> {
        let (saved, done) = oneshot::channel();
        let begun = state.save(move |problem| {
            // Nobody waits any more when it took too long.
            let _told = saved.send(problem);
        });
        if begun && let Ok(Ok(problem)) = tokio::time::timeout(LAST_SAVE, done).await {
            state.saved(problem);
        }
        Ok(())
    }
}

impl RoutingKeeperState {
    /// Begins a save. False when there is nothing to save, or nowhere to save it.
    fn save(&self, then: impl FnOnce(Option<String>) + Send + 'static) -> bool {
        let Some(store) = self.args.store.clone() else { return false };
        let Some(bytes) = write_memory(self.args.board.remember(), self.args.ports.clock.wall()) else { return false };
        self.args.ports.blocking.run(Box::new(move || then(store.save(&bytes).err().map(|error| error.to_string()))));
        true
    }

    fn saved(&mut self, problem: Option<String>) {
        match &problem {
            None => self.report.saves += 1,
            Some(problem) if self.report.problem.is_none() => {
                tracing::error!(problem, "what was learned of the targets cannot be kept for the next start");
            }
            Some(_) => {}
        }
        self.report.problem = problem;
    }
}

fn later(myself: &ActorRef<RoutingKeeperMsg>) {
    // The timer ends with the actor.
    let _timer = myself.send_after(SAVE_EVERY, || RoutingKeeperMsg::Due);
}
