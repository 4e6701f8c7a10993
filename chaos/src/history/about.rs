//! What was run, and the numbers that its books are judged by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Micros;

/// The head of a history.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Name of the scenario.
    pub scenario: String,
    /// What it is to show.
    pub hypothesis: String,
    /// Routing strategy of the gateway, or the name of the peer.
    pub strategy: String,
    /// True when this strategy decides about the scenario's verdict; false when it is only shown beside it.
    pub judged: bool,
    /// Seed of everything drawn.
    pub seed: u64,
    /// Factor on the durations of the scenario file.
    pub scale: f64,
    /// How to run it again.
    pub replay: String,
    /// Commit of the working tree, as far as git tells.
    pub commit: String,
    /// Hash of `Cargo.lock`.
    pub lock_hash: String,
    /// Compiler.
    pub compiler: String,
    /// Wall-clock start, RFC 3339.
    pub started: String,
    /// The scenario as it was expanded.
    pub expansion: String,
    /// Regions of the simulator.
    pub regions: Vec<String>,
    /// Models that are asked.
    pub models: Vec<ModelFacts>,
    /// Numbers of the checkers.
    pub rules: Rules,
    /// The gateway ended the run itself or could not be started: the words.
    pub broken: Option<String>,
    /// Why the generator's own numbers cannot be trusted, if so.
    pub tainted: Vec<String>,
}

/// A model as scenarios know it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// The name that clients send.
    pub ask: String,
    /// Id of the foundation model, as in the journal.
    pub id: String,
    /// Tokens of the quota that one output token costs.
    pub burndown: u64,
    /// The harness's own price; `None` = money is not checked.
    pub price: Option<Price>,
}

/// Prices in millionths of a dollar per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Uncached input.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Cache reads.
    pub cache_read: u64,
    /// Cache writes.
    pub cache_write: u64,
    /// Percent of these prices on calls through a geography's profile (`us.`, `eu.`, ...).
    pub geography_percent: u64,
}

/// What each invariant allows. Lengths of time unless a unit is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// I1: beyond a request's deadline.
    pub end_grace: Micros,
    /// I4: upstream may go on this long after its client is gone.
    pub quiet_within: Micros,
    /// I6, I8: room counts when it was there for all of this time before a refusal.
    pub room_window: Micros,
    /// Share of a bucket that a conversation whose prompt is cached elsewhere need not be let into: its prefix, read anew, would
    /// push out twenty turns of others, who move in their turn. 0 asks for every last token.
    pub spill_reserve: f64,
    /// I6, I8: a router that is told nothing of its quotas finds them within this time of the start. Refusals until then are
    /// judged by the bounds of their phase, not one by one: what nobody knows can only be found by asking.
    #[serde(default)]
    pub finding: Micros,
    /// I6: share of the requests it judges that may be refused though there was room; I8 leaves those to it that came back as
    /// told. Nobody sees the buckets from outside: where one request is a large part of a bucket, who waited to its end for room
    /// may miss it by what the router does not know. 0 allows none.
    #[serde(default)]
    pub refused_with_room: f64,
    /// I8: share of refusals that may tell to come back sooner than room can be there. 0 asks for every one.
    #[serde(default)]
    pub early_promises: f64,
    /// I6, I9: after a fault has ended, its region may be avoided this long.
    pub recovery: Micros,
    /// I7.
    pub budget: Budget,
    /// I9: a region without access is left alone this long.
    pub access_bench: Micros,
    /// I9: shortest distance of two probes of a dead region, per model.
    pub probe_gap: Micros,
    /// I9: after this long a dead region must have been noticed.
    pub dead_after: Micros,
    /// I10: requests a minute, by key.
    pub key_limits: BTreeMap<String, u64>,
    /// I11: requests that the load's key must be able to send at once when everything is over.
    pub spend: u64,
    /// I11: open upstream connections at rest.
    pub pool: u64,
    /// I11: growth of memory in percent of the warm level.
    pub rss_percent: u64,
    /// I11: growth of memory that is always allowed, KiB for each process.
    pub rss_slack_kib: u64,
    /// I11: growth of open descriptors that is allowed for each process, those of upstream connections left out.
    pub fd_slack: u64,
    /// I12: until the tree is whole again.
    pub longest_backoff: Micros,
    /// I15: from SIGTERM to the exit.
    pub shutdown_grace: Micros,
    /// I17: least share of possible cache reads.
    pub cache_share: f64,
    /// I17: most moves of conversations, as a share of turns.
    pub moves: f64,
    /// I18: 99th percentile of the time a word spends in the gateway.
    pub word_lag: Micros,
    /// Longest lateness of a send at the 99th percentile: with more, the run was not the planned one. Times count from the planned
    /// moment, so that lateness makes them longer and never shorter.
    pub send_lag: Micros,
    /// Answers that break may go on in another call.
    #[serde(default)]
    pub resume: bool,
    /// How long the router that reads the true buckets may keep a request waiting, for comparisons with it.
    pub oracle_wait: Micros,
    /// I19: success is back at 100 % within this time.
    pub liveness: Micros,
    /// I20: what must have been reached.
    pub at_least: AtLeast,
    /// Invariants that must have been checked at least once; others may go without a case.
    pub must: Vec<String>,
    /// Invariants that are not judged in this scenario, each with its reason.
    pub waived: BTreeMap<String, String>,
    /// Secrets and words that must appear nowhere; searched by the harness, kept out of the file.
    #[serde(skip)]
    pub secrets: Vec<String>,
}

impl Default for Rules {
    /// The numbers of the design; scenarios change single ones.
    fn default() -> Self {
        Self {
            end_grace: Micros::seconds(1),
            quiet_within: Micros::seconds(1),
            room_window: Micros::seconds(1),
            spill_reserve: 0.0,
            finding: Micros::seconds(0),
            refused_with_room: 0.0,
            early_promises: 0.0,
            recovery: Micros::seconds(10),
            budget: Budget::default(),
            access_bench: Micros::seconds(60),
            probe_gap: Micros::seconds(1),
            dead_after: Micros::seconds(5),
            key_limits: BTreeMap::new(),
            spend: 0,
            pool: 512,
            rss_percent: 10,
            rss_slack_kib: 32 * 1024,
            fd_slack: 32,
            longest_backoff: Micros::seconds(30),
            shutdown_grace: Micros::seconds(25),
            cache_share: 0.95,
            moves: 0.02,
            word_lag: Micros::millis(100),
            send_lag: Micros::millis(5),
            resume: false,
            oracle_wait: Micros::seconds(10),
            liveness: Micros::seconds(30),
            at_least: AtLeast::default(),
            must: Vec::new(),
            waived: BTreeMap::new(),
            secrets: Vec::new(),
        }
    }
}

/// Upstream calls that a number of requests may cause: `requests * per_request + seconds * per_second + burst`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Calls per request.
    pub per_request: f64,
    /// Calls per second beside them.
    pub per_second: f64,
    /// Calls beside both.
    pub burst: f64,
}

impl Default for Budget {
    /// Source: the routing design's retry budget (+0.1 per request, +1 per second, cap 20).
    fn default() -> Self {
        Self { per_request: 1.1, per_second: 1.0, burst: 20.0 }
    }
}

/// What a run must have reached to say anything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AtLeast {
    /// Upstream calls.
    pub upstream_calls: u64,
    /// Regions that answered.
    pub regions_used: u64,
    /// Quota granted in its fullest minute, as a share of the summed quota.
    pub quota_pressure: f64,
    /// Calls or requests that each fault hit, unless the fault asks for another number; at least one, also where 0 is given.
    pub each_fault_hit: u64,
    /// Labels (situations) that must have occurred.
    pub labels: Vec<String>,
}
