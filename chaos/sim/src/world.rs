//! Everything the calls of one simulator share.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use tokio::sync::watch;

use crate::{
    auth::{AuthMode, Keyring},
    brain::Memory,
    clock::SimClock,
    draw,
    fast::FastAnswers,
    journal::Journal,
    lock::held,
    models::ModelBook,
    pace::Pace,
    playback::Chunking,
    quota::Quotas,
    script::{AnswerFn, Script},
};

/// What a region does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RegionMode {
    /// Serves them.
    #[default]
    Up,
    /// Nothing listens; running connections are reset.
    Refuse,
    /// Accepts connections and resets them at once; running connections are reset.
    Reset,
    /// Accepts connections and is silent; running connections stand still and go on when the region is up again.
    BlackHole,
}

/// The state behind a simulator.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) clock: SimClock,
    pub(crate) models: ModelBook,
    pub(crate) keyring: Keyring,
    pub(crate) auth_mode: AuthMode,
    pub(crate) script: Script,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) regions: BTreeMap<String, Arc<Region>>,
    pub(crate) answerer: Answerer,
    pub(crate) fast: Option<FastAnswers>,
    pub(crate) chunking: Chunking,
    pub(crate) page_size: usize,
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) connections: AtomicU64,
}

impl World {
    /// The time `region` believes it is.
    pub(crate) fn wall(&self, region: &Region) -> SystemTime {
        let wall = self.clock.wall();
        let skew = region.skew_ms.load(Ordering::Relaxed);
        let offset = std::time::Duration::from_millis(skew.unsigned_abs());
        if skew < 0 { wall - offset } else { wall + offset }
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// What answers calls without a scripted answer; `None` = the brain.
#[derive(Default)]
pub(crate) struct Answerer(pub(crate) Mutex<Option<AnswerFn>>);

impl std::fmt::Debug for Answerer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if held(&self.0).is_some() { "Answerer(custom)" } else { "Answerer(brain)" })
    }
}

/// One region.
pub(crate) struct Region {
    pub(crate) name: String,
    /// Where it listens; `None` in memory.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) mode: watch::Sender<RegionMode>,
    /// The mode its listener has put into effect.
    pub(crate) applied: watch::Sender<RegionMode>,
    /// Counts orders to cut every connection.
    pub(crate) cuts: watch::Sender<u64>,
    pub(crate) memory: Mutex<Memory>,
    pub(crate) pace: Mutex<Pace>,
    pub(crate) skew_ms: AtomicI64,
    pub(crate) denied: Mutex<BTreeSet<String>>,
    pub(crate) open_connections: AtomicUsize,
    pub(crate) accepted_connections: AtomicU64,
}

impl Region {
    pub(crate) fn new(name: &str, address: Option<SocketAddr>, seed: u64, pace: Pace) -> Self {
        Self {
            name: name.to_owned(),
            address,
            mode: watch::Sender::new(RegionMode::Up),
            applied: watch::Sender::new(RegionMode::Up),
            cuts: watch::Sender::new(0),
            // Each region thinks for itself: its cache and its draws are its own.
            memory: Mutex::new(Memory::new(draw::stream(seed, name, 0).u64(..))),
            pace: Mutex::new(pace),
            skew_ms: AtomicI64::new(0),
            denied: Mutex::default(),
            open_connections: AtomicUsize::new(0),
            accepted_connections: AtomicU64::new(0),
        }
    }

    pub(crate) fn denies(&self, model: &str) -> bool {
        held(&self.denied).contains(model)
    }
}

impl std::fmt::Debug for Region {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Region").field("name", &self.name).field("address", &self.address).finish_non_exhaustive()
    }
}
