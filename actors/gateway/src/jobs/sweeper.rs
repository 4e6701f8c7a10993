//! The sweeper of stored responses whose time is over.

use std::time::Duration;

use outcrop_supervision::Reply;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;

use crate::archive::Vault;

/// What a [`Sweeper`] is told.
#[derive(Debug)]
pub enum SweeperMsg {
    /// Time to sweep.
    Due,
    /// A sweep has ended.
    Swept {
        /// Responses removed, or why it failed.
        removed: Result<u32, String>,
    },
    /// Asks for its state.
    Describe {
        /// The answer.
        reply: Reply<SweeperReport>,
    },
}

/// State of the sweeper, for consoles and tests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SweeperReport {
    /// Responses removed since it started.
    pub removed: u64,
    /// Sweeps that have ended.
    pub sweeps: u64,
    /// Why the last one failed, until one works.
    pub problem: Option<String>,
}

/// What a [`Sweeper`] starts from.
#[derive(Debug, Clone)]
pub struct SweeperArgs {
    /// What is swept.
    pub(crate) vault: Vault,
}

/// Responses may be asked for so much longer than they are promised for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Most responses that one transaction removes: it holds up those that want to store.
const AT_ONCE: u32 = 200;

/// While there is more to remove, others that want to store get their turn for so long.
const MORE_SOON: Duration = Duration::from_millis(200);

/// Removes stored responses whose time is over.
///
/// * Owns: its timer; at most one sweep is under way.
/// * Told by: its timer and its own sweeps.
/// * Tells: nobody.
/// * On restart: begins its timer anew; the counts begin anew.
/// * Bounded by: one sweep at a time, of 200 responses.
#[derive(Debug, Default)]
pub struct Sweeper;

/// What the sweeper remembers.
#[derive(Debug)]
pub struct SweeperState {
    args: SweeperArgs,
    report: SweeperReport,
}

impl Actor for Sweeper {
    type Msg = SweeperMsg;
    type State = SweeperState;
    type Arguments = SweeperArgs;

    async fn pre_start(&self, myself: ActorRef<SweeperMsg>, args: SweeperArgs) -> Result<SweeperState, ActorProcessingErr> {
        later(&myself, SWEEP_EVERY);
        Ok(SweeperState { args, report: SweeperReport::default() })
    }

    async fn handle(&self, myself: ActorRef<SweeperMsg>, message: SweeperMsg, state: &mut SweeperState) -> Result<(), ActorProcessingErr> {
        match message {
            SweeperMsg::Due => state.sweep(myself),
            SweeperMsg::Swept { removed } => later(&myself, state.swept(removed)),
            SweeperMsg::Describe { reply } => drop(reply.send(state.report.clone())),
        }
        Ok(())
    }
}

impl SweeperState {
    fn sweep(&self, myself: ActorRef<SweeperMsg>) {
        self.args.vault.tell("purge_expired", move |shelves| {
            let removed = shelves.responses().purge_expired(shelves.now(), AT_ONCE).map_err(|error| error.to_string());
            // Nobody is left to tell when the actor has ended meanwhile.
            let _told = myself.cast(SweeperMsg::Swept { removed });
        });
    }

    /// Notes a sweep. Gives the time until the next.
    fn swept(&mut self, removed: Result<u32, String>) -> Duration {
        self.report.sweeps += 1;
        match removed {
            Ok(removed) => {
                self.report.removed += u64::from(removed);
                self.report.problem = None;
                metrics::counter!("outcrop_stored_responses_expired_total").increment(u64::from(removed));
                if removed == AT_ONCE { MORE_SOON } else { SWEEP_EVERY }
            }
            Err(problem) => {
                if self.report.problem.is_none() {
                    tracing::error!(problem, "stored responses whose time is over cannot be removed");
                }
                self.report.problem = Some(problem);
                SWEEP_EVERY
            }
        }
    }
}

fn later(myself: &ActorRef<SweeperMsg>, after: Duration) {
    // The timer ends with the actor.
    let _timer = myself.send_after(after, || SweeperMsg::Due);
}
