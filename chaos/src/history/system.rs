//! The system's book, what was done to the process, and the accused.

use serde::{Deserialize, Serialize};

use super::{Micros, Tokens};

/// A phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseMark {
    /// Name.
    pub name: String,
    /// From.
    pub from: Micros,
    /// Until.
    pub until: Micros,
    /// Its bounds count.
    pub judged: bool,
    /// Its rate in words, as resolved.
    pub rate: String,
    /// Nothing is sent and all faults are off: everything must come to rest.
    pub settle: bool,
}

/// Layer of a fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Simulator: answers, streams, wire, places.
    #[default]
    Upstream,
    /// The gateway's process and host.
    Host,
    /// Clients.
    Client,
}

/// A fault of the scenario: when it was in force and whom it struck.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultSpan {
    /// Number in the scenario, from 0.
    pub index: u64,
    /// Kind.
    pub kind: String,
    /// Short description.
    pub label: String,
    /// Layer.
    pub layer: Layer,
    /// Region; `None` = everywhere.
    pub region: Option<String>,
    /// From.
    pub from: Micros,
    /// Until.
    pub until: Micros,
    /// Share of calls or requests that it strikes.
    pub share: f64,
    /// Calls, connections or requests that it struck.
    pub hits: u64,
    /// Least hits for a run that says something.
    pub at_least: u64,
    /// Words of the errors that it makes, `{call}` for the number of the call; `None` where the harness chose no words.
    #[serde(default)]
    pub text: Option<String>,
}

impl FaultSpan {
    /// It concerns this region.
    #[must_use]
    pub fn touches(&self, region: &str) -> bool {
        self.region.as_deref().is_none_or(|own| own == region)
    }

    /// It is in force at some time of the stretch.
    #[must_use]
    pub fn overlaps(&self, from: Micros, until: Micros) -> bool {
        self.from <= until && from <= self.until
    }

    /// It changes limits and breaks nothing.
    #[must_use]
    pub fn is_quota(&self) -> bool {
        matches!(self.kind.as_str(), "quota" | "quota_scale")
    }
}

/// What the operating system (and the simulator's gauges) said at a moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: Micros,
    /// Why it was taken.
    pub kind: SampleKind,
    /// Resident memory of the gateway, KiB; all replicas together. `None` where there is no process of ours.
    pub rss_kib: Option<u64>,
    /// Its open descriptors.
    pub fds: Option<u64>,
    /// Upstream calls running.
    pub in_flight: u64,
    /// Upstream connections open.
    pub connections: u64,
    /// Client requests under way.
    pub clients: u64,
}

/// Why a sample was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleKind {
    /// Once a second.
    #[default]
    Tick,
    /// Before the load.
    Before,
    /// At the end of the warm-up.
    Warm,
    /// After everything.
    Rest,
}

/// Something done to the gateway's process, or seen of it from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostEvent {
    /// When.
    pub at: Micros,
    /// Which replica, from 0.
    pub replica: u32,
    /// What.
    pub fact: HostFact,
}

/// What was done or seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostFact {
    /// Started.
    Started,
    /// Answers `/health/ready` with 200.
    Ready,
    /// Answers it with something else.
    Unready,
    /// Takes no connection any more.
    AcceptStopped,
    /// Was sent SIGTERM by a fault of the scenario.
    Terminated,
    /// Was sent SIGTERM after everything, when the run was over.
    Stopped,
    /// Was sent SIGKILL.
    Killed,
    /// Ended; `None` = by a signal.
    Exited {
        /// Exit code.
        code: Option<i32>,
    },
    /// An actor was killed.
    ActorKilled {
        /// Its name.
        name: String,
    },
    /// An actor was made to panic.
    ActorPanicked {
        /// Its name.
        name: String,
    },
    /// An actor was stalled.
    ActorStalled {
        /// Its name.
        name: String,
    },
    /// It can write no byte to any file from now on.
    DiskFilled,
    /// It can again.
    DiskFreed,
    /// The gateway would not do it.
    Declined {
        /// Its words.
        why: String,
    },
}

/// A usage row of the gateway: the accused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its id of the request.
    pub request_id: String,
    /// Key.
    pub key: Option<String>,
    /// Foundation model.
    pub model: Option<String>,
    /// `completed`, `failed`, `cancelled`, `lost`.
    pub outcome: String,
    /// Status sent.
    pub status: u16,
    /// Tokens.
    pub tokens: Tokens,
    /// Tokens are an estimate of the gateway.
    pub estimated: bool,
    /// Millionths of a dollar.
    pub micro_usd: Option<i64>,
    /// Upstream calls it says it made.
    pub attempts: u64,
    /// Replica that wrote it.
    pub replica: u32,
}

/// What the gateway's ledger told when everything was over: the accused a second time, to be compared with its own rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// When it was asked.
    pub at: Micros,
    /// Replica that was asked.
    pub replica: u32,
    /// Its totals since the process started; `None` = it did not tell them.
    pub totals: Option<LedgerTotals>,
}

/// Sums over all calls that were booked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerTotals {
    /// Calls that produced something.
    pub calls: u64,
    /// Tokens.
    pub tokens: Tokens,
    /// Millionths of a dollar.
    pub micro_usd: i64,
}

/// One source that was searched for what must not appear in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// What was searched.
    pub source: String,
    /// Bytes searched.
    pub bytes: u64,
    /// What was found, the first few.
    pub leaks: Vec<Leak>,
    /// How much was found.
    pub found: u64,
}

/// Something found where it must not be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Leak {
    /// What: `nonce`, `word`, `key`.
    pub what: String,
    /// The line, shortened, with secrets blanked.
    pub line: String,
}
