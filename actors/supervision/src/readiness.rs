//! [`Readiness`]: which parts of the process can serve, for health checks and start-up.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{sync::watch, time::timeout_at};

use crate::time::now;

/// Why a component is not ready before its first word.
const STARTING: &str = "starting";
/// Why a component is not ready after its actor ended.
const STOPPED: &str = "stopped";

/// A board of components. Clones are cheap and show the same board.
#[derive(Clone)]
pub struct Readiness {
    board: Arc<watch::Sender<Board>>,
}

#[derive(Debug, Default)]
struct Board {
    components: BTreeMap<Arc<str>, Component>,
    registrations: u64,
}

#[derive(Debug)]
struct Component {
    /// Which registration may write: an actor that ends late must not speak for its successor.
    registration: u64,
    /// Why it is not ready; `None` = ready.
    waiting_for: Option<String>,
}

impl Board {
    fn is_ready(&self) -> bool {
        !self.components.is_empty() && self.components.values().all(|component| component.waiting_for.is_none())
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// An empty board: not ready until a component says so.
    #[must_use]
    pub fn new() -> Self {
        Self { board: Arc::new(watch::Sender::new(Board::default())) }
    }

    /// Registers `component` as not ready yet. A restarted actor registers again and takes the name over.
    #[must_use]
    pub fn register(&self, component: impl Into<String>) -> ReadinessFlag {
        let component: Arc<str> = Arc::from(component.into());
        let mut registration = 0;
        self.board.send_modify(|board| {
            board.registrations += 1;
            registration = board.registrations;
            let entry = Component { registration, waiting_for: Some(STARTING.to_owned()) };
            board.components.insert(Arc::clone(&component), entry);
        });
        ReadinessFlag { board: self.clone(), component, registration }
    }

    /// Is every component ready?
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.board.borrow().is_ready()
    }

    /// The board as it is now.
    #[must_use]
    pub fn snapshot(&self) -> ReadinessSnapshot {
        let board = self.board.borrow();
        let components = board.components.iter().map(|(name, component)| (name.to_string(), ComponentReadiness::of(component))).collect();
        ReadinessSnapshot { ready: board.is_ready(), components }
    }

    /// Waits until every component is ready, at most `within`. Cancel-safe.
    ///
    /// # Errors
    /// [`NotReady`] with what is missing.
    pub async fn wait_ready(&self, within: Duration) -> Result<(), NotReady> {
        let mut changes = self.board.subscribe();
        let outcome = timeout_at(now() + within, changes.wait_for(Board::is_ready)).await.map(|seen| seen.is_ok());
        if outcome.unwrap_or(false) {
            return Ok(());
        }
        let snapshot = self.snapshot();
        let missing = snapshot.components.into_iter().filter(|(_, component)| !component.ready).map(|(name, _)| name).collect();
        Err(NotReady { missing })
    }

    /// Changes what `flag` registered, unless another registration took the name over.
    fn write(&self, flag: &ReadinessFlag, waiting_for: Option<&str>) {
        self.board.send_if_modified(|board| match board.components.get_mut(&flag.component) {
            Some(component) if component.registration == flag.registration && component.waiting_for.as_deref() != waiting_for => {
                component.waiting_for = waiting_for.map(str::to_owned);
                true
            }
            _ => false,
        });
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("board", &*self.board.borrow()).finish()
    }
}

/// One component's say. Held by its actor; dropped with it, which makes the component not ready.
#[derive(Debug)]
pub struct ReadinessFlag {
    board: Readiness,
    component: Arc<str>,
    registration: u64,
}

impl ReadinessFlag {
    /// The component can serve.
    pub fn ready(&self) {
        self.board.write(self, None);
    }

    /// The component cannot serve; `why` is shown to operators and carries no caller's content.
    pub fn not_ready(&self, why: &str) {
        self.board.write(self, Some(why));
    }

    /// The component is no longer part of the process: it leaves the board.
    pub fn retire(self) {
        self.board.board.send_if_modified(|board| {
            let mine = board.components.get(&self.component).is_some_and(|component| component.registration == self.registration);
            mine && board.components.remove(&self.component).is_some()
        });
    }
}

impl Drop for ReadinessFlag {
    fn drop(&mut self) {
        self.board.write(self, Some(STOPPED));
    }
}

/// The board at one moment, for `/health/ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadinessSnapshot {
    /// Every component is ready, and there is at least one.
    pub ready: bool,
    /// By name.
    pub components: BTreeMap<String, ComponentReadiness>,
}

/// One component of a [`ReadinessSnapshot`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentReadiness {
    /// Can it serve?
    pub ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
}

impl ComponentReadiness {
    fn of(component: &Component) -> Self {
        Self { ready: component.waiting_for.is_none(), waiting_for: component.waiting_for.clone() }
    }
}

/// Not everything was ready in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not ready: {}", missing.join(", "))]
pub struct NotReady {
    /// Names of the components that were not.
    pub missing: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(1);
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn the_board_is_ready_when_every_component_is() {
        let board = Readiness::new();
        assert!(!board.is_ready(), "an empty board serves nothing");
        let keys = board.register("keys");
        let models = board.register("models");
        keys.ready();
        assert_eq!(board.wait_ready(SHORT).await, Err(NotReady { missing: vec!["models".into()] }));
        let (ready, ()) = tokio::join!(board.wait_ready(LONG), async { models.ready() });
        assert_eq!(ready, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_component_that_falls_back_says_why() {
        let board = Readiness::new();
        let store = board.register("store");
        store.ready();
        store.not_ready("no connection");
        let json = serde_json::to_value(board.snapshot()).unwrap();
        assert_eq!(json, serde_json::json!({"ready": false, "components": {"store": {"ready": false, "waiting_for": "no connection"}}}));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_flag_is_not_ready_but_cannot_speak_for_its_successor() {
        let board = Readiness::new();
        let first = board.register("keys");
        first.ready();
        let second = board.register("keys");
        second.ready();
        drop(first);
        assert!(board.is_ready());
        drop(second);
        assert_eq!(board.snapshot().components["keys"].waiting_for.as_deref(), Some("stopped"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_retired_component_is_not_waited_for() {
        let board = Readiness::new();
        let keys = board.register("keys");
        let region = board.register("region");
        keys.ready();
        region.retire();
        assert_eq!(board.wait_ready(SHORT).await, Ok(()));
        assert_eq!(board.snapshot().components.len(), 1);
    }
}
