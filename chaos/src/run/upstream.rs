//! The simulator as scenarios see it, and its books in the harness's own words.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use outcrop_sim::{
    BucketChange, BucketEntry, CallRecord, Chunking, Credential, Decision, End, JournalLimits, Nanos, Operation, ProfileClass, Quota,
    RefusedBy, Simulator, Usage,
    faults::{Fault, FaultId},
};
use tokio::time::Instant;

use crate::{
    history::{Admission, BREAKING, BucketEvent, BucketKey, Call, Change, Ending, Limit, Micros, Refill, Tokens, WordTime},
    load::is_sampled,
    plan::NONCE_PREFIX,
    scenario::{Scenario, Target},
    target::Credentials,
};

/// The simulator of a run.
pub struct Upstream {
    simulator: Simulator,
    /// Numbers in the scenario, by the simulator's ids.
    installed: Mutex<BTreeMap<FaultId, u64>>,
}

/// Faults that keep the usage from its reader.
const WITHOUT_USAGE: &str = "no_usage";

/// Every call is written to the history within a second or two: as many as can come in a minute are enough.
const CALLS_KEPT: usize = 200_000;
/// Words whose times are compared; see [`is_sampled`].
const WORD_RUNS: usize = 340;

impl Upstream {
    /// Starts the regions of a scenario with their quotas and models.
    ///
    /// # Errors
    /// A port that cannot be bound.
    pub async fn start(scenario: &Scenario, seed: u64) -> anyhow::Result<Self> {
        let (ports, bind): (&[u16], _) = match &scenario.target {
            Target::Url(plan) => (&plan.ports, plan.bind),
            Target::Gateway(_) => (&[], None),
        };
        let bind = bind.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let limits = JournalLimits {
            calls: CALLS_KEPT,
            body_bytes: 0,
            total_body_bytes: 0,
            event_times: false,
            word_runs: WORD_RUNS,
            connections: CALLS_KEPT,
            quota_entries: CALLS_KEPT * 4,
        };
        let builder = scenario.regions.iter().zip(ports.iter().copied().chain(std::iter::repeat(0))).fold(
            Simulator::builder().bind(bind).seed(seed).journal(limits).nonce(NONCE_PREFIX).chunking(Chunking::Framed),
            |builder, (region, port)| builder.region(&region.name, port),
        );
        Self::with(builder.start().await.context("starting the simulator")?, scenario)
    }

    /// A simulator that is there, made to behave as a scenario says.
    ///
    /// # Errors
    /// Regions of the scenario that are not simulated.
    pub fn with(simulator: Simulator, scenario: &Scenario) -> anyhow::Result<Self> {
        for model in &scenario.models {
            simulator.behave("*", &model.id, model.behaviour.clone())?;
            for region in &scenario.regions {
                if let Some(quota) = region.quota {
                    simulator.quota(&region.name, &model.id, Quota { burndown: model.burndown, ..quota })?;
                }
            }
        }
        Ok(Self { simulator, installed: Mutex::default() })
    }

    /// Regions and where they listen, in the order of the scenario: it is the order of preference.
    #[must_use]
    pub fn addresses(&self, scenario: &Scenario) -> Vec<(String, SocketAddr)> {
        let regions = scenario.regions.iter();
        regions.filter_map(|region| Some((region.name.clone(), self.simulator.address(&region.name)?))).collect()
    }

    /// Installs a fault of the scenario.
    ///
    /// # Errors
    /// A fault that is impossible here.
    pub fn install(&self, index: u64, fault: Fault) -> anyhow::Result<FaultId> {
        let id = self.simulator.install(fault)?;
        self.installed.lock().unwrap_or_else(PoisonError::into_inner).insert(id, index);
        Ok(id)
    }

    /// Takes a fault away and says how often it struck.
    #[must_use]
    pub fn remove(&self, id: FaultId) -> u64 {
        let hits = self.simulator.faults().into_iter().find(|status| status.id == id).map_or(0, |status| status.hits);
        self.simulator.uninstall(id);
        hits
    }

    /// The first credentials of a gateway whose credentials will expire.
    ///
    /// # Errors
    /// When the gateway's file cannot be written.
    pub fn first_credentials(&self, credentials: &Credentials) -> anyhow::Result<()> {
        let (key, secret) = credential(0);
        self.simulator.put_credential(Credential::new(&key, &secret));
        credentials.put(&key, &secret)
    }

    /// Makes the newest credentials expire; the gateway can find newer ones.
    ///
    /// # Errors
    /// When the gateway's file cannot be written.
    pub fn expire_credentials(&self, credentials: &Credentials, number: u64) -> anyhow::Result<()> {
        let (key, secret) = credential(number);
        self.simulator.put_credential(Credential::new(&key, &secret));
        credentials.put(&key, &secret)?;
        for old in 0..number {
            self.simulator.expire_key(&credential(old).0);
        }
        Ok(())
    }

    /// Calls that run and connections that are open.
    #[must_use]
    pub fn gauges(&self) -> (u64, u64) {
        let gauges = self.simulator.journal().gauges();
        gauges.iter().fold((0, 0), |(running, open), gauge| (running + gauge.in_flight, open + gauge.open_connections))
    }

    /// Calls that have ended since they were last asked for.
    #[must_use]
    pub fn take_ended(&self, origin: Instant) -> Vec<Call> {
        let calls = self.simulator.journal().take_ended();
        self.told(&calls, origin)
    }

    /// All that is left, calls that still run included.
    #[must_use]
    pub fn take_all(&self, origin: Instant) -> Vec<Call> {
        let mut calls = self.simulator.journal().take_ended();
        calls.extend(self.simulator.journal().records());
        self.told(&calls, origin)
    }

    /// Changes of buckets since they were last asked for.
    #[must_use]
    pub fn take_buckets(&self, origin: Instant) -> Vec<BucketEvent> {
        let clock = self.clock(origin);
        self.simulator.take_quota_entries().iter().map(|entry| bucket(entry, &clock)).collect()
    }

    fn told(&self, calls: &[CallRecord], origin: Instant) -> Vec<Call> {
        let clock = self.clock(origin);
        let installed = self.installed.lock().unwrap_or_else(PoisonError::into_inner);
        // Questions to the control plane are no attempts.
        let inference = calls.iter().filter(|record| {
            let native = matches!(record.operation, Operation::InvokeModel | Operation::InvokeModelWithResponseStream);
            native || matches!(record.operation, Operation::Converse | Operation::ConverseStream)
        });
        inference.map(|record| call(record, &clock, &installed)).collect()
    }

    fn clock(&self, origin: Instant) -> Clock {
        let (now, simulated) = (Instant::now(), self.simulator.clock().elapsed());
        // The run may begin a moment from now.
        let base = match now.checked_duration_since(origin) {
            Some(since) => simulated.saturating_sub(since),
            None => simulated + origin.duration_since(now),
        };
        Clock { base }
    }
}

fn credential(number: u64) -> (String, String) {
    (format!("AKIDCHAOS{number:07}"), format!("chaos-secret-{number}"))
}

/// From the simulator's time to the run's.
struct Clock {
    base: Duration,
}

impl Clock {
    fn at(&self, nanos: Nanos) -> Micros {
        nanos.duration().saturating_sub(self.base).into()
    }

    /// When the first minute of the simulator's windows begins within the run.
    fn minute(&self) -> Micros {
        const MINUTE: u64 = 60_000_000;
        let into = Micros::from(self.base).0 % MINUTE;
        Micros(if into == 0 { 0 } else { MINUTE - into })
    }
}

fn call(record: &CallRecord, clock: &Clock, installed: &BTreeMap<FaultId, u64>) -> Call {
    let struck_by = record.fault.as_ref().map(|hit| hit.kind.as_str());
    let whole = record.end == End::Complete && record.words_sent == record.words_total;
    Call {
        number: record.id,
        region: record.region.clone(),
        model: record.model.clone().unwrap_or_default(),
        geographic: record.profile == Some(ProfileClass::Geographic),
        stream: record.operation.streams(),
        nonce: record.nonce.clone(),
        connection: record.connection,
        arrived: clock.at(record.arrived),
        admission: admission(&record.decision),
        fault: record.fault.as_ref().and_then(|hit| installed.get(&hit.fault).copied()),
        head: record.head.map(|at| clock.at(at)),
        first_byte: record.first_byte.map(|at| clock.at(at)),
        words_sent: record.words_sent,
        words_total: record.words_total,
        word_times: word_times(record, clock),
        billed: record.billed.map(tokens),
        whole: record.usage.map(tokens),
        prefill: record.prefill.clone(),
        ideal_cache_read: record.ideal_cache_read,
        intact: whole && !struck_by.is_some_and(|kind| BREAKING.contains(&kind)),
        usage_sent: whole && struck_by != Some(WITHOUT_USAGE),
        peer_closed: record.peer_closed.map(|at| clock.at(at)),
        ended: record.ended.map(|at| clock.at(at)),
        ending: match record.end {
            End::Open => Ending::Open,
            End::Complete => Ending::Complete,
            End::Cut => Ending::Cut,
            End::Cancelled => Ending::Cancelled,
            End::Shutdown => Ending::Shutdown,
        },
    }
}

fn admission(decision: &Decision) -> Admission {
    match decision {
        Decision::Pending => Admission::Pending,
        Decision::Admitted { reserved, .. } => Admission::Admitted { reserved: *reserved },
        Decision::Refused { by, status, code, text } => {
            let quota = if let RefusedBy::Quota { wanted, .. } = by { Some(*wanted) } else { None };
            Admission::Refused { status: *status, code: code.clone(), text: text.clone(), quota }
        }
    }
}

fn word_times(record: &CallRecord, clock: &Clock) -> Vec<WordTime> {
    let words = record.words.iter().flat_map(|run| (run.first..run.first + run.count).map(|index| (index, run.at)));
    words.filter(|(index, _)| is_sampled(*index)).map(|(index, at)| WordTime { call: record.id, index, at: clock.at(at) }).collect()
}

fn tokens(usage: Usage) -> Tokens {
    let Usage { input, output, cache_read, cache_write_5m, cache_write_1h } = usage;
    Tokens { input, output, cache_read, cache_write: cache_write_5m + cache_write_1h }
}

fn bucket(entry: &BucketEntry, clock: &Clock) -> BucketEvent {
    let change = match entry.change {
        BucketChange::Made { quota } | BucketChange::Changed { quota } => limits(&quota, clock),
        BucketChange::Removed => Change::Unlimited,
        BucketChange::Admitted { reserved } => Change::Admitted { tokens: reserved },
        BucketChange::Refused { wanted, .. } => Change::Refused { tokens: wanted },
        BucketChange::Settled { reserved, cost } => Change::Settled { reserved, cost },
        BucketChange::Released { reserved } => Change::Settled { reserved, cost: 0 },
    };
    let profile = entry.bucket.profile.map_or_else(String::new, |profile| format!("{profile:?}"));
    BucketEvent {
        at: clock.at(entry.at),
        key: BucketKey { region: entry.bucket.region.clone(), model: entry.bucket.model.clone(), profile },
        call: entry.call,
        change,
        requests: entry.room.requests,
        tokens: entry.room.tokens,
    }
}

#[allow(clippy::cast_precision_loss, reason = "limits of accounts lie far below 2^52")]
fn limits(quota: &Quota, clock: &Clock) -> Change {
    let limit = |per_minute: Option<u64>| {
        let per_minute = per_minute? as f64;
        Some(match quota.refill {
            outcrop_sim::Refill::Continuous => {
                Limit { per_minute, depth: per_minute * quota.depth.as_secs_f64() / 60.0, refill: Refill::Continuous }
            }
            outcrop_sim::Refill::Window => Limit { per_minute, depth: per_minute, refill: Refill::Minute { offset: clock.minute() } },
        })
    };
    Change::Limits { requests: limit(quota.requests_per_minute), tokens: limit(quota.tokens_per_minute) }
}
