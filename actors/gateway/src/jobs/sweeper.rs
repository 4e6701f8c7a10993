//! The sweeper of stored responses whose time is over.

use std::time::Duration;

use outcrop_store::UnixMillis;
use outcrop_supervision::Reply;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;

use crate::archive::{Vault, settle_lost};

/// What a [`Sweeper`] is told.
#[derive(Debug)]
pub enum SweeperMsg {
    /// Time to sweep.
    Due,
    /// A sweep has ended.
    Swept {
        /// What it removed, or why it failed.
        removed: Result<Removed, String>,
    },
    /// Asks for its state.
    Describe {
        /// The answer.
        reply: Reply<SweeperReport>,
    },
}

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Responses whose time was over.
    pub responses: u32,
    /// Conversations that nobody used any more.
    pub conversations: u32,
    /// Responses that were failed, because nobody made them any more.
    pub lost: u32,
}

/// State of the sweeper, for consoles and tests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SweeperReport {
    /// Responses removed since it started.
    pub removed: u64,
    /// Conversations removed since it started.
    pub conversations: u64,
    /// Responses failed since it started, because nobody made them any more.
    pub lost: u64,
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

/// Removes stored responses whose time is over, and conversations that were not used for long; fails what
/// is stored as running and made by nobody.
///
/// * Owns: its timer; at most one sweep is under way.
/// * Told by: its timer and its own sweeps.
/// * Tells: nobody.
/// * On restart: begins its timer anew; the counts begin anew.
/// * Bounded by: one sweep at a time, of 200 responses and 200 conversations.
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
        let answer = Answer { sweeper: myself, removed: Err("the sweep broke off".to_owned()) };
        self.args.vault.tell("purge_expired", move |shelves| {
            let mut answer = answer;
            let policy = shelves.policy();
            let now = shelves.now();
            let idle = i64::try_from(policy.conversation_retention.as_millis()).unwrap_or(i64::MAX);
            let responses = shelves.responses().purge_expired(now, AT_ONCE);
            let conversations = shelves.conversations().purge_unused(UnixMillis(now.0.saturating_sub(idle)), AT_ONCE);
            let both =
                responses.and_then(|responses| Ok(Removed { responses, conversations: conversations?, lost: settle_lost(shelves)? }));
            answer.removed = both.map_err(|error| error.to_string());
        });
    }

    /// Notes a sweep. Gives the time until the next.
    fn swept(&mut self, removed: Result<Removed, String>) -> Duration {
        self.report.sweeps += 1;
        match removed {
            Ok(Removed { responses, conversations, lost }) => {
                self.report.removed += u64::from(responses);
                self.report.conversations += u64::from(conversations);
                self.report.lost += u64::from(lost);
                self.report.problem = None;
                metrics::counter!("outcrop_stored_responses_expired_total").increment(u64::from(responses));
                metrics::counter!("outcrop_stored_conversations_expired_total").increment(u64::from(conversations));
                if responses == AT_ONCE || conversations == AT_ONCE { MORE_SOON } else { SWEEP_EVERY }
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

/// Tells how a sweep ended when it is dropped, also by a panic: else there would be none after it.
struct Answer {
    sweeper: ActorRef<SweeperMsg>,
    removed: Result<Removed, String>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        let removed = std::mem::replace(&mut self.removed, Ok(Removed::default()));
        // Nobody is left to tell when the actor has ended meanwhile.
        let _told = self.sweeper.cast(SweeperMsg::Swept { removed });
    }
}

fn later(myself: &ActorRef<SweeperMsg>, after: Duration) {
    // The timer ends with the actor.
    let _timer = myself.send_after(after, || SweeperMsg::Due);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use outcrop_store::MemoryStore;

    use super::*;
    use crate::{
        archive::Stores,
        settings::RoutingPolicy,
        testing::{live_settings, ports},
    };

    /// What is given to it is never done, as after a panic.
    #[derive(Debug)]
    struct Lost;

    impl outcrop_domain::clock::Blocking for Lost {
        fn run(&self, work: Box<dyn FnOnce() + Send>) {
            drop(work);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweep_that_breaks_off_is_not_the_last() {
        let settings = live_settings(RoutingPolicy::default());
        let mut ports = ports();
        ports.blocking = Arc::new(Lost);
        let stores = Stores::of(Arc::new(MemoryStore::new(1)), true);
        let vault = Vault::new(stores, Arc::new(arc_swap::ArcSwap::from_pointee(settings)), ports);
        let (sweeper, ended) = Actor::spawn(None, Sweeper, SweeperArgs { vault }).await.unwrap();
        tokio::time::sleep(SWEEP_EVERY * 3 + Duration::from_secs(1)).await;
        let (reply, report) = Reply::channel();
        sweeper.cast(SweeperMsg::Describe { reply }).unwrap();
        let report = report.await.unwrap();
        assert_eq!((report.sweeps, report.problem.as_deref()), (3, Some("the sweep broke off")));
        sweeper.stop(None);
        ended.await.unwrap();
    }
}
