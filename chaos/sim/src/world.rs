//! Everything the calls of one simulator share.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    auth::{AuthMode, Keyring},
    behaviour::Behaviours,
    brain::Memory,
    clock::SimClock,
    draw,
    fast::FastAnswers,
    faults::{self, Board, Gate},
    journal::Journal,
    lock::held,
    models::ModelBook,
    pace::Pace,
    playback::Chunking,
    quota::Quotas,
    script::{Action, AnswerFn, Script, StreamFaults},
};

/// What a region does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    pub(crate) faults: Board,
    pub(crate) behaviours: Behaviours,
    /// The prompt cache of a world that is one region.
    pub(crate) ideal_cache: Mutex<Memory>,
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
        let (by_faults, _) = self.faults.skew(&region.name, self.clock.elapsed());
        let skew = region.skew_ms.load(Ordering::Relaxed).saturating_add(by_faults);
        let offset = Duration::from_millis(skew.unsigned_abs());
        if skew < 0 { wall - offset } else { wall + offset }
    }

    /// A call was refused for its signature: the faults that made the clock of its region wrong may have done that.
    pub(crate) fn note_skew(&self, region: &Region, now: Duration) {
        let (_, faults) = self.faults.skew(&region.name, now);
        faults.into_iter().for_each(|fault| self.faults.note_hit(fault, now));
    }

    /// What a region does with connections now.
    pub(crate) fn gate(&self, region: &Region) -> Gate {
        self.faults.gate(&region.name, self.clock.elapsed()).under(*region.mode.borrow())
    }

    /// The fault behind the state of a region has struck something.
    pub(crate) fn note_gate(&self, gate: &Gate) {
        if let Some(fault) = gate.fault {
            self.faults.note_hit(fault, self.clock.elapsed());
        }
    }

    /// Gives the fault of a stream its place, now that the stream has so many events.
    pub(crate) fn place_fault(&self, stream: &mut StreamFaults, events: usize, call: u64) {
        let Some((kind, mut draws)) = stream.drawn.take() else { return };
        let mut action = faults::stream_action(&kind, &mut draws, events, call);
        if let Some(Action::ExceptionFrame { message, .. } | Action::ErrorFrame { message, .. }) = &mut action
            && self.behaviours.mark_errors()
        {
            *message = error_mark(message, call);
        }
        stream.list.extend(action);
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A text of an error with the mark of its call.
pub(crate) fn error_mark(message: &str, call: u64) -> String {
    format!("{message} ({call}.error)")
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
            memory: Mutex::new(Memory::new(draw::stream(seed, name, 0).u64())),
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
