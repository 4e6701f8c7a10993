//! Scenario files: strict TOML, every quantity with its unit, every problem with its file and line.
//!
//! A scenario does not load without a `hypothesis`, `bounds` and a `vacuous` guard. `base` names a file of the same
//! folder whose keys hold unless they are given anew; tables merge, everything else is replaced.

mod dialect;
mod faults;
mod load;
mod parts;
mod read;
mod section;
mod tail;
mod tree;

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use outcrop_sim::{Amount, Behaviour, Quota, faults::Fault};

pub use dialect::Dialect;
pub use read::{ScenarioError, find, load_file, parse_text};
pub use tree::{Place, Problem};

use crate::{
    history::{AtLeast, Rules},
    units::{Bound, Pause, Rate},
};

/// A scenario, as its file says.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Name; that of its file.
    pub name: String,
    /// What it is to show.
    pub hypothesis: String,
    /// Seed, unless the command line says otherwise.
    pub seed: u64,
    /// Part of the short set, which takes about a minute.
    pub smoke: bool,
    /// Must have the machine to itself: it measures latency, or uses most of a core.
    pub alone: bool,
    /// Factor on all times in `run --all`.
    pub quick: f64,
    /// What is tested.
    pub target: Target,
    /// Strategies that are run.
    pub run: Vec<String>,
    /// Strategies that decide about the verdict.
    pub judge: Vec<String>,
    /// Regions.
    pub regions: Vec<RegionPlan>,
    /// Models.
    pub models: Vec<ModelPlan>,
    /// Phases.
    pub phases: Vec<Phase>,
    /// Load.
    pub load: LoadPlan,
    /// Faults.
    pub faults: Vec<FaultPlan>,
    /// Bounds on measures of all judged phases together, and of single ones.
    pub bounds: Vec<BoundPlan>,
    /// Numbers of the invariants, with what must be reached.
    pub rules: Rules,
    /// When a run is given up.
    pub stop_if: StopIf,
    /// The file with everything it inherits, for the report.
    pub text: String,
}

/// What is tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The real gateway, as a child process against the simulator.
    Gateway(GatewayPlan),
    /// A gateway that somebody else started in front of the simulator.
    Url(UrlPlan),
}

/// How the gateway is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GatewayPlan {
    /// Settings file, from the folder of the scenario.
    pub config: Option<PathBuf>,
    /// Settings by path.
    pub set: BTreeMap<String, String>,
    /// Settings for each region and model: `{region}`, `{model}`, `{rpm}`, `{tpm}` are filled in.
    pub set_per_quota: Vec<String>,
    /// How many, behind a balancer that hashes conversations.
    pub replicas: u32,
    /// Start it before the faults of second 0 are lifted, without waiting until it is ready.
    pub start_unready: bool,
}

/// A gateway elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlPlan {
    /// Base URL, as `http://127.0.0.1:4000/v1`; `--url` goes before it.
    pub url: Option<String>,
    /// Environment variable with its key.
    pub key_env: Option<String>,
    /// Ports of the regions, in their order, so that the peer can be set up before the run.
    pub ports: Vec<u16>,
    /// Address on which the simulator listens; `None` = this machine only. A peer in another container needs `0.0.0.0`.
    pub bind: Option<IpAddr>,
}

/// A region.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionPlan {
    /// Name.
    pub name: String,
    /// Limits of each model there; `None` = unlimited.
    pub quota: Option<Quota>,
}

/// A model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelPlan {
    /// Name that clients send.
    pub ask: String,
    /// Foundation model.
    pub id: String,
    /// Tokens of the quota that one output token costs.
    pub burndown: u64,
    /// How it answers.
    pub behaviour: Behaviour,
    /// Output tokens, for the resolution of rates.
    pub output_tokens: Amount,
}

/// A stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// Name.
    pub name: String,
    /// Length.
    pub lasting: Duration,
    /// Load over it.
    pub shape: Shape,
    /// Its bounds count.
    pub judged: bool,
    /// Faults of the simulator are lifted at its beginning.
    pub faults_off: bool,
}

/// Load over a phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// One rate.
    Constant(Rate),
    /// From one rate to another, evenly.
    Ramp(Rate, Rate),
    /// A day: low at both ends, high in the middle, with a dip at noon.
    Day(Rate, Rate),
}

/// The load.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadPlan {
    /// How arrivals fall.
    pub arrivals: Arrivals,
    /// Most requests at once; further ones are dropped and taint the run.
    pub max_in_flight: usize,
    /// Longest time of a request.
    pub deadline: Duration,
    /// Connections are used again.
    pub reuse: bool,
    /// Share of refused clients that come back when they were told to.
    pub obedient: f64,
    /// Kinds of requests.
    pub mix: Vec<KindPlan>,
}

/// How arrivals fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// Independently of each other.
    Poisson,
    /// Evenly.
    Even,
}

/// A kind of requests.
#[derive(Debug, Clone, PartialEq)]
pub struct KindPlan {
    /// Name.
    pub name: String,
    /// How many of all.
    pub weight: f64,
    /// What its clients speak.
    pub dialect: Dialect,
    /// Index of its model.
    pub model: usize,
    /// Streamed.
    pub stream: bool,
    /// Number of tools.
    pub tools: u64,
    /// Size of an image in it, KiB.
    pub image_kb: u64,
    /// Input tokens of a turn.
    pub input_tokens: Amount,
    /// `max_tokens` of the request.
    pub max_tokens: u64,
    /// Conversations of several turns.
    pub conversation: Option<ConversationPlan>,
    /// Regions it may run in; empty = all.
    pub fence: Vec<String>,
}

/// A conversation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConversationPlan {
    /// Turns.
    pub turns: u32,
    /// Tokens before the first turn: instructions, tools, a repository.
    pub prefix_tokens: Amount,
    /// Tokens that each turn adds to it.
    pub grow_tokens: u64,
    /// Between two turns.
    pub think: Duration,
}

/// A fault.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultPlan {
    /// What it does.
    pub kind: FaultKind,
    /// Its word in the file.
    pub word: String,
    /// Region, where it has one.
    pub region: Option<String>,
    /// Share of calls or requests.
    pub share: f64,
    /// From the start of the load.
    pub from: Duration,
    /// How long; `None` = until faults are lifted.
    pub lasting: Option<Duration>,
    /// Bounds on what happens while it is in force.
    pub expect: Vec<BoundPlan>,
    /// Least hits for the run to count; 0 = as many as the scenario asks of each fault, one at least.
    pub at_least: u64,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// In the simulator.
    Upstream(Box<Fault>),
    /// Credentials expire: the old ones die, the gateway must find new ones.
    Credentials,
    /// To the gateway's process or its actors.
    Host(HostFault),
    /// By a share of the clients.
    Client(ClientPlan),
}

/// A fault of the gateway's process.
#[derive(Debug, Clone, PartialEq)]
pub enum HostFault {
    /// SIGTERM, then a new process.
    Terminate {
        /// Which replica.
        replica: u32,
        /// The new process starts so long after the old one has ended.
        then_after: Duration,
    },
    /// SIGKILL, then a new process.
    Kill {
        /// Which replica.
        replica: u32,
        /// The new process starts so long after.
        then_after: Duration,
    },
    /// No replica can write to any file.
    DiskFull,
    /// Something done to actors, again and again.
    Actor {
        /// What.
        deed: ActorDeed,
        /// Which; `None` = any.
        name: Option<String>,
        /// How often.
        every: Pause,
    },
}

/// What is done to an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorDeed {
    /// Killed.
    Kill,
    /// Made to panic.
    Panic,
    /// Kept from its mailbox.
    Stall {
        /// For so long.
        lasting: Duration,
    },
}

/// What a client does to its own request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientPlan {
    /// Leaves after a time.
    Vanish {
        /// When.
        after: Pause,
    },
    /// Reads slowly.
    SlowReader {
        /// Bytes a second.
        bytes_per_s: u64,
    },
    /// Sends half a body.
    HalfOpen,
    /// Sends a body that is not JSON.
    BadBody,
    /// Sends a body of this size.
    HugeBody {
        /// Bytes.
        bytes: u64,
    },
    /// Repeats a failure at once.
    RetryStorm {
        /// So many times.
        times: u32,
    },
}

/// A bound.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundPlan {
    /// Name of the measure.
    pub measure: String,
    /// What it must be.
    pub bound: Bound,
    /// Only in this phase.
    pub phase: Option<String>,
    /// Where it stands, for problems.
    pub place: Place,
}

/// When a run is given up: nothing can be learned any more.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StopIf {
    /// Fewer successes than this share for this long.
    pub success_below: Option<(f64, Duration)>,
    /// More memory than this, MiB.
    pub rss_mb: Option<u64>,
}

impl Scenario {
    /// All times of the scenario, times `factor`.
    pub fn scale(&mut self, factor: f64) {
        if (factor - 1.0).abs() < f64::EPSILON {
            return;
        }
        for phase in &mut self.phases {
            phase.lasting = phase.lasting.mul_f64(factor);
        }
        for fault in &mut self.faults {
            fault.from = fault.from.mul_f64(factor);
            fault.lasting = fault.lasting.map(|lasting| lasting.mul_f64(factor));
        }
        // A conversation takes its share of a run: with the pauses as they were, a short run would hold nothing but first
        // turns, which pay for their whole prompt.
        for talk in self.load.mix.iter_mut().filter_map(|kind| kind.conversation.as_mut()) {
            talk.think = talk.think.mul_f64(factor);
        }
        let at_least: &mut AtLeast = &mut self.rules.at_least;
        at_least.upstream_calls = scaled(at_least.upstream_calls, factor);
        at_least.each_fault_hit = scaled(at_least.each_fault_hit, factor);
        for fault in &mut self.faults {
            fault.at_least = scaled(fault.at_least, factor);
        }
    }

    /// Length of all phases.
    #[must_use]
    pub fn lasting(&self) -> Duration {
        self.phases.iter().map(|phase| phase.lasting).sum()
    }
}

/// A count that must be reached, in a run that is shorter or longer by `factor`; one stays one.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "small counts; casts saturate")]
fn scaled(count: u64, factor: f64) -> u64 {
    if count == 0 { 0 } else { ((count as f64 * factor).floor() as u64).max(1) }
}

#[cfg(test)]
mod tests;
