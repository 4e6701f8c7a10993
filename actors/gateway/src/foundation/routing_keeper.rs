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
    /// An operator drained a region or restored one: that waits for no timer.
    DrainsChanged,
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

/// Saves what was learned of quotas and outages, so that a restart does not learn it anew by failing users, and which regions
/// are drained.
///
/// * Owns: its timer; at most one save is under way.
/// * Told by: its timer and its own saves; the admin port, when a region was drained or restored.
/// * Tells: nobody; the next process reads what it wrote.
/// * On restart: begins its timer anew; the counts begin anew.
/// * Bounded by: one save in five seconds, and one per drain.
#[derive(Debug, Default)]
pub struct RoutingKeeper;

/// What the keeper remembers.
#[derive(Debug)]
pub struct RoutingKeeperState {
    args: RoutingKeeperArgs,
    report: RoutingKeeperReport,
    /// The end of the save that is under way.
    saving: Option<oneshot::Receiver<()>>,
    /// Another must follow it: what it writes is out of date.
    again: bool,
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
        Ok(RoutingKeeperState { args, report: RoutingKeeperReport::default(), saving: None, again: false })
    }

    async fn handle(
        &self,
        myself: ActorRef<RoutingKeeperMsg>,
        message: RoutingKeeperMsg,
        state: &mut RoutingKeeperState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RoutingKeeperMsg::Due => {
                later(&myself);
                state.on_due(&myself);
            }
            RoutingKeeperMsg::DrainsChanged => state.on_drains_changed(&myself),
            RoutingKeeperMsg::Saved { problem } => state.on_saved(&myself, problem),
            RoutingKeeperMsg::Describe { reply } => drop(reply.send(state.report.clone())),
        }
        Ok(())
    }

    async fn post_stop(&self, _myself: ActorRef<RoutingKeeperMsg>, state: &mut RoutingKeeperState) -> Result<(), ActorProcessingErr> {
        if tokio::time::timeout(LAST_SAVE, state.save_last()).await.is_err() {
            tracing::warn!("the last save of what was learned of the targets took too long and is not waited for");
        }
        Ok(())
    }
}

impl RoutingKeeperState {
    fn on_due(&mut self, myself: &ActorRef<RoutingKeeperMsg>) {
        // A disk that takes longer than the timer is not asked for more.
        if self.saving.is_none() {
            self.begin(myself);
        }
    }

    fn on_drains_changed(&mut self, myself: &ActorRef<RoutingKeeperMsg>) {
        if self.saving.is_some() {
            self.again = true;
        } else {
            self.begin(myself);
        }
    }

    fn on_saved(&mut self, myself: &ActorRef<RoutingKeeperMsg>, problem: Option<String>) {
        self.saving = None;
        self.saved(problem);
        if std::mem::take(&mut self.again) {
            self.begin(myself);
        }
    }

    fn begin(&mut self, myself: &ActorRef<RoutingKeeperMsg>) {
        let (ended, saving) = oneshot::channel();
        let told = myself.clone();
        let begun = self.save(move |problem| {
            // Nobody is left to tell when the actor has ended meanwhile.
            let _told = told.cast(RoutingKeeperMsg::Saved { problem });
            let _told = ended.send(());
        });
        self.saving = begun.then_some(saving);
    }

    /// Saves once more, after the save that is under way: the older one must not replace the newer.
    async fn save_last(&mut self) {
        if let Some(saving) = self.saving.take() {
            // An error is an end, too: its thread is gone.
            let _ended = saving.await;
        }
        let (saved, done) = oneshot::channel();
        let begun = self.save(move |problem| {
            // Nobody waits any more when it took too long.
            let _told = saved.send(problem);
        });
        if begun && let Ok(problem) = done.await {
            self.saved(problem);
        }
    }

    /// Begins a save. False when there is nothing to save, or nowhere to save it.
    fn save(&self, then: impl FnOnce(Option<String>) + Send + 'static) -> bool {
        let Some(store) = self.args.store.clone() else { return false };
        let board = &self.args.board;
        let Some(bytes) = write_memory(board.remember(), board.shared().drained(), self.args.ports.clock.wall()) else { return false };
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use arc_swap::ArcSwap;
    use outcrop_domain::{clock::Blocking, ids::Region};
    use outcrop_store::MemorySnapshot;

    use super::*;
    use crate::{
        settings::RoutingPolicy,
        targets::RoutingMemory,
        testing::{live_settings, ports},
    };

    /// A disk that takes as long as the test wants.
    #[derive(Debug, Default)]
    struct SlowDisk(Mutex<Vec<Work>>);

    struct Work(Box<dyn FnOnce() + Send>);

    impl std::fmt::Debug for Work {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Work")
        }
    }

    impl Blocking for SlowDisk {
        fn run(&self, work: Box<dyn FnOnce() + Send>) {
            self.0.lock().unwrap().push(Work(work));
        }
    }

    impl SlowDisk {
        /// Ends the saves that are under way, and says how many there were.
        fn end_saves(&self) -> usize {
            let works = std::mem::take(&mut *self.0.lock().unwrap());
            let saves = works.len();
            works.into_iter().for_each(|work| work.0());
            saves
        }
    }

    /// The saves that have ended, once everything that was told before has been heard.
    async fn heard(keeper: &ActorRef<RoutingKeeperMsg>) -> u64 {
        let (reply, answer) = Reply::channel();
        keeper.cast(RoutingKeeperMsg::Describe { reply }).unwrap();
        answer.within(Duration::from_secs(1)).await.unwrap().saves
    }

    struct World {
        disk: Arc<SlowDisk>,
        store: Arc<MemorySnapshot>,
        board: Arc<HealthBoard>,
        keeper: ActorRef<RoutingKeeperMsg>,
    }

    impl World {
        async fn new() -> Self {
            let (disk, store) = (Arc::new(SlowDisk::default()), Arc::new(MemorySnapshot::default()));
            let ports = Ports { blocking: Arc::clone(&disk) as Arc<dyn Blocking>, ..ports() };
            let settings = live_settings(RoutingPolicy::default());
            let settings = Arc::new(ArcSwap::from_pointee(settings));
            let board = Arc::new(HealthBoard::new(settings, Arc::clone(&ports.clock), RoutingMemory::default()));
            let args = RoutingKeeperArgs { board: Arc::clone(&board), store: Some(Arc::clone(&store) as Arc<dyn Snapshots>), ports };
            let (keeper, _ended) = Actor::spawn(None, RoutingKeeper, args).await.unwrap();
            Self { disk, store, board, keeper }
        }
    }

    fn kept(store: &MemorySnapshot) -> String {
        String::from_utf8(store.load().unwrap().unwrap()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn drains_during_a_save_are_saved_after_it_and_at_once() {
        let World { disk, store, board, keeper } = World::new().await;
        let drain = |region: &str| {
            board.drain(&Region::from(region), true);
            keeper.cast(RoutingKeeperMsg::DrainsChanged).unwrap();
        };

        drain("us-east-1");
        assert_eq!(heard(&keeper).await, 0);
        drain("us-west-2");
        drain("eu-west-1");
        // Nor does the timer begin a second one.
        tokio::time::sleep(SAVE_EVERY * 2).await;
        assert_eq!((heard(&keeper).await, disk.end_saves()), (0, 1), "one save at a time");
        assert!(kept(&store).contains(r#""drained":["us-east-1"]"#), "{}", kept(&store));
        assert_eq!((heard(&keeper).await, disk.end_saves()), (1, 1));
        assert!(kept(&store).contains(r#""drained":["eu-west-1","us-east-1","us-west-2"]"#), "{}", kept(&store));
        // Then the timer goes on.
        assert_eq!((heard(&keeper).await, disk.end_saves()), (2, 0));
        tokio::time::sleep(SAVE_EVERY).await;
        assert_eq!((heard(&keeper).await, disk.end_saves()), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_save_follows_the_one_that_is_under_way() {
        let World { disk, store, board, keeper } = World::new().await;
        board.drain(&"us-east-1".into(), true);
        keeper.cast(RoutingKeeperMsg::DrainsChanged).unwrap();
        heard(&keeper).await;
        board.drain(&"us-west-2".into(), true);
        keeper.stop(None);
        // Time stands still until everybody waits.
        tokio::time::sleep(LAST_SAVE / 4).await;
        assert_eq!(disk.end_saves(), 1);
        tokio::time::sleep(LAST_SAVE / 4).await;
        assert_eq!(disk.end_saves(), 1);
        assert!(kept(&store).contains(r#""drained":["us-east-1","us-west-2"]"#), "{}", kept(&store));
    }
}
