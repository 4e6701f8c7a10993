//! How a tree is written down: a [`SupervisorSpec`] and its [`ChildSpec`]s.
//!
//! Specs are recipes: a nested supervisor is built anew from its spec whenever its parent restarts it, so
//! everything that must outlive a restart (slots, views, lane handles) lives in the spec.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use ractor::{Actor, ActorCell, Message, SpawnErr};
use serde::Serialize;

use crate::{
    backoff::{Backoff, Intensity, Jitter},
    careful::Careful,
    readiness::Readiness,
    slot::{AnySlot, Slot},
    supervisor::{Supervisor, SupervisorMsg, report::SupervisorView},
};

/// Time to finish the message at hand: an actor that others call never works longer on one.
pub const DEFAULT_STOP: Duration = Duration::from_secs(5);
/// Time for a whole subtree to finish.
pub const DEFAULT_SUBTREE_DRAIN: Duration = Duration::from_secs(30);
/// Longest start: rebuilding state from disk or the store; anything slower belongs after `pre_start`.
pub const DEFAULT_START_DEADLINE: Duration = Duration::from_secs(30);
/// Longest stop of a sibling that must restart with the one that failed: callers are refused meanwhile.
pub const DEFAULT_RESTART_GRACE: Duration = Duration::from_secs(5);

/// Enough for a child that ends itself at its deadline: it only has to kill what is left.
pub const DEFAULT_PARTING_GRACE: Duration = Duration::from_millis(500);
/// A subtree that is late gives its late children last words of a second each, and kills them in order.
const SUBTREE_GRACE: Duration = Duration::from_secs(3);

/// When a child is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// However it ended.
    Permanent,
    /// After a panic, an error or a kill; not after a normal stop.
    Transient,
    /// Never; it is forgotten when it ends.
    Temporary,
}

/// How a child is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// It works off its mailbox (or what its [`Parting`] says), takes nothing new, and is killed after this time.
    Drain(Duration),
    /// It finishes the message at hand, drops the others, and is killed after this time.
    Stop(Duration),
    /// At once, in the middle of whatever it does.
    Kill,
}

/// Whom a failure concerns besides the child that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Nobody.
    OneForOne,
    /// The children started after it: they are stopped in reverse order, then all start again in order.
    RestForOne,
    /// All others, likewise.
    OneForAll,
}

/// How a child is asked to finish, where that is more than ractor's `drain`.
pub trait Parting: Send + Sync + 'static {
    /// Asks `child` to take nothing new, finish within `within` and stop itself. Must not block.
    fn ask(&self, child: &ActorCell, within: Duration);

    /// How much longer than `within` the supervisor waits before it kills the child: one that ends itself at its
    /// deadline needs a moment more.
    fn grace(&self) -> Duration {
        DEFAULT_PARTING_GRACE
    }

    /// The child ended and will not be started again by this supervisor.
    fn gone(&self) {}
}

/// ractor's own drain: the mailbox is worked off, new messages bounce.
struct DrainMailbox;

impl Parting for DrainMailbox {
    fn ask(&self, child: &ActorCell, _within: Duration) {
        if child.drain().is_err() {
            tracing::debug!(actor.id = %child.get_id(), "drain of an actor that has already ended");
        }
    }

    fn grace(&self) -> Duration {
        Duration::ZERO // ractor knows no deadline: nothing happens at it
    }
}

/// A supervisor drains its children in reverse order.
struct DrainSubtree;

impl Parting for DrainSubtree {
    fn ask(&self, child: &ActorCell, within: Duration) {
        if child.send_message(SupervisorMsg::Shutdown { within }).is_err() {
            tracing::debug!(actor.id = %child.get_id(), "shutdown of a supervisor that has already ended");
        }
    }

    fn grace(&self) -> Duration {
        SUBTREE_GRACE
    }
}

/// The future of starting one child.
pub type StartFuture = Pin<Box<dyn Future<Output = Result<ActorCell, SpawnErr>> + Send>>;

/// How one child is started, restarted and ended. [`Restart::Permanent`] unless said otherwise.
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) name: Arc<str>,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) start_deadline: Duration,
    pub(crate) start: Arc<dyn Fn(ActorCell) -> StartFuture + Send + Sync>,
    pub(crate) slot: Option<Arc<dyn AnySlot>>,
    pub(crate) parting: Arc<dyn Parting>,
    pub(crate) subtree: Option<SupervisorView>,
}

impl ChildSpec {
    /// A child that `start` spawns, linked to the supervisor whose cell it is given, and without a registered name.
    ///
    /// Its failures are not told in words, since a panic's could quote a caller; [`ChildSpec::actor`] tells them apart.
    #[must_use]
    pub fn new<F, Fut>(name: impl Into<String>, start: F) -> Self
    where
        F: Fn(ActorCell) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<ActorCell, SpawnErr>> + Send + 'static,
    {
        Self {
            name: Arc::from(name.into()),
            restart: Restart::Permanent,
            shutdown: Shutdown::Stop(DEFAULT_STOP),
            start_deadline: DEFAULT_START_DEADLINE,
            start: Arc::new(move |supervisor| Box::pin(start(supervisor))),
            slot: None,
            parting: Arc::new(DrainMailbox),
            subtree: None,
        }
    }

    /// The actor that `make` builds for every start, reached through `slot` and named as the slot is.
    #[must_use]
    pub fn actor<A, F>(slot: &Slot<A::Msg>, make: F) -> Self
    where
        A: Actor,
        F: Fn() -> (A, A::Arguments) + Send + Sync + 'static,
    {
        let make = Arc::new(make);
        Self::new(slot.name(), move |supervisor| {
            let make = Arc::clone(&make);
            async move {
                let (actor, arguments) = make();
                let (started, _join) = Careful::spawn_linked(None, Careful(actor), arguments, supervisor).await?;
                Ok(started.get_cell())
            }
        })
        .filling(slot)
    }

    /// A nested supervisor, named as its spec is.
    #[must_use]
    pub fn supervisor(spec: SupervisorSpec) -> Self {
        let view = spec.view();
        let child = Self::new(spec.name.to_string(), move |supervisor| {
            let spec = spec.clone();
            async move {
                let (started, _join) = Careful::spawn_linked(None, Careful(Supervisor), spec, supervisor).await?;
                Ok(started.get_cell())
            }
        });
        Self { shutdown: Shutdown::Drain(DEFAULT_SUBTREE_DRAIN), parting: Arc::new(DrainSubtree), subtree: Some(view), ..child }
    }

    /// Every start fills `slot`, every end empties it.
    #[must_use]
    pub fn filling<M: Message>(mut self, slot: &Slot<M>) -> Self {
        self.slot = Some(Arc::new(slot.clone()));
        self
    }

    /// Sets when it is started again.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Sets how it is ended. [`Shutdown::Stop`] of [`DEFAULT_STOP`] for actors, [`Shutdown::Drain`] of
    /// [`DEFAULT_SUBTREE_DRAIN`] for supervisors unless set.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Sets the longest time a start may take; beyond it the start has failed. [`DEFAULT_START_DEADLINE`] unless set.
    #[must_use]
    pub fn start_deadline(mut self, deadline: Duration) -> Self {
        self.start_deadline = deadline;
        self
    }

    /// Sets how it is asked to finish under [`Shutdown::Drain`].
    #[must_use]
    pub fn parting(mut self, parting: impl Parting) -> Self {
        self.parting = Arc::new(parting);
        self
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("name", &self.name)
            .field("restart", &self.restart)
            .field("shutdown", &self.shutdown)
            .finish_non_exhaustive()
    }
}

/// Builds further children at every start of the supervisor.
type MoreChildren = Arc<dyn Fn() -> Vec<ChildSpec> + Send + Sync>;

/// A supervisor and its children, in start order.
#[derive(Clone)]
pub struct SupervisorSpec {
    pub(crate) name: Arc<str>,
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Intensity,
    pub(crate) backoff: Backoff,
    pub(crate) jitter: Jitter,
    pub(crate) restart_grace: Duration,
    pub(crate) readiness: Option<Readiness>,
    pub(crate) view: SupervisorView,
    children: Vec<ChildSpec>,
    more_children: Option<MoreChildren>,
}

impl SupervisorSpec {
    /// A supervisor without children yet. The name is for logs and reports; it is not registered anywhere.
    #[must_use]
    pub fn new(name: impl Into<String>, strategy: Strategy, intensity: Intensity) -> Self {
        let name: Arc<str> = Arc::from(name.into());
        Self {
            view: SupervisorView::new(Arc::clone(&name), strategy),
            name,
            strategy,
            intensity,
            backoff: Backoff::default(),
            jitter: Jitter::default(),
            restart_grace: DEFAULT_RESTART_GRACE,
            readiness: None,
            children: Vec::new(),
            more_children: None,
        }
    }

    /// Adds a child; children start in the order they are added. A name that comes twice fails the start.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.children.push(child);
        self
    }

    /// Adds the children that `list` gives, after the others, asked anew at every start of the supervisor.
    #[must_use]
    pub fn children_from(mut self, list: impl Fn() -> Vec<ChildSpec> + Send + Sync + 'static) -> Self {
        self.more_children = Some(Arc::new(list));
        self
    }

    /// Sets the delays between restarts. [`Backoff::default`] unless set.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Allows `factor` times as many restarts. For chaos runs: who kills actors on purpose wants to see them come back.
    #[must_use]
    pub fn tolerance(mut self, factor: u32) -> Self {
        self.intensity.max_restarts = self.intensity.max_restarts.saturating_mul(factor);
        self
    }

    /// Sets the random numbers behind the jitter. Unless set nothing is random: every delay is full.
    #[must_use]
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets the longest stop of a sibling that restarts with the one that failed. [`DEFAULT_RESTART_GRACE`] unless set.
    #[must_use]
    pub fn restart_grace(mut self, grace: Duration) -> Self {
        self.restart_grace = grace;
        self
    }

    /// Registers the supervisor as a component that is ready while no child of it waits for a start.
    #[must_use]
    pub fn readiness(mut self, board: &Readiness) -> Self {
        self.readiness = Some(board.clone());
        self
    }

    /// Where the state of the supervisor can be read, across its restarts.
    #[must_use]
    pub fn view(&self) -> SupervisorView {
        self.view.clone()
    }

    /// The children of this start, in order.
    pub(crate) fn all_children(&self) -> Vec<ChildSpec> {
        let mut children = self.children.clone();
        if let Some(list) = &self.more_children {
            children.extend(list());
        }
        children
    }
}

impl fmt::Debug for SupervisorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorSpec")
            .field("name", &self.name)
            .field("strategy", &self.strategy)
            .field("intensity", &self.intensity)
            .field("children", &self.children)
            .finish_non_exhaustive()
    }
}
