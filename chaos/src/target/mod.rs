//! What is tested: the real gateway as child processes, several of them behind a balancer, or somebody else's gateway.

mod balancer;
mod credentials;
mod fetch;
mod log;
mod process;
mod replica;
mod state;
mod watch;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use tokio::sync::mpsc;

pub use balancer::Balancer;
pub use credentials::Credentials;
pub use fetch::{Fetched, fetch};
pub use log::LogBook;
pub use process::{Process, Usage};
pub use replica::Replica;
pub use watch::{Seen, Watch};

use crate::{
    history::{HostEvent, HostFact, LedgerTotals, Micros},
    scenario::GatewayPlan,
};

/// Everything a gateway is started with.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The gateway's binary.
    pub program: PathBuf,
    /// The scenario's wishes.
    pub plan: GatewayPlan,
    /// Routing strategy.
    pub strategy: String,
    /// Regions and where the simulator serves them.
    pub regions: Vec<(String, SocketAddr)>,
    /// Key ids and secrets.
    pub keys: BTreeMap<String, String>,
    /// Settings that the quotas of the scenario expand into.
    pub quota_settings: Vec<String>,
    /// Credentials that can expire; `None` = fixed ones.
    pub credentials: Option<Credentials>,
    /// Longest time of a stop.
    pub shutdown_grace: Micros,
    /// Folder of the run: `{folder}` in settings.
    pub folder: PathBuf,
}

/// Where events of hosts go, with the clock they are told by.
#[derive(Debug, Clone)]
pub struct HostBook {
    /// Events.
    pub events: mpsc::UnboundedSender<HostEvent>,
    /// The beginning of all times, once it is known: what happens before it happened at 0.
    pub origin: Arc<Mutex<Option<tokio::time::Instant>>>,
}

impl HostBook {
    /// Notes a fact.
    pub fn note(&self, replica: u32, fact: HostFact) {
        let origin = *self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        let at = origin.map_or(Micros::ZERO, |origin| origin.elapsed().into());
        if self.events.send(HostEvent { at, replica, fact }).is_err() {
            tracing::error!("nobody takes host events any more");
        }
    }
}

/// A running gateway, however many processes it is.
pub struct Gateway {
    /// Its processes.
    pub replicas: Vec<Arc<Replica>>,
    /// In front of several.
    balancer: Option<Balancer>,
    /// Where clients connect.
    pub address: SocketAddr,
    /// What the processes wrote.
    pub log: Arc<Mutex<LogBook>>,
}

impl Gateway {
    /// Starts it and, unless the plan says otherwise, waits until it is ready.
    ///
    /// # Errors
    /// A process that does not start: with its last words, which name bad settings.
    pub async fn start(launch: &Launch, book: &HostBook) -> anyhow::Result<Self> {
        let secrets: Vec<String> = launch.keys.values().cloned().collect();
        let log = Arc::new(Mutex::new(LogBook::new(secrets)));
        let mut replicas = Vec::new();
        for number in 0..launch.plan.replicas.max(1) {
            let replica = Replica::start(number, launch.clone(), book.clone(), Arc::clone(&log)).await;
            replicas.push(Arc::new(replica.with_context(|| format!("starting replica {number} of the gateway"))?));
        }
        let (balancer, address) = match replicas.as_slice() {
            [only] => (None, only.address),
            several => {
                let balancer = Balancer::start(several.iter().map(|replica| (replica.address, replica.seen())).collect()).await?;
                let address = balancer.address;
                (Some(balancer), address)
            }
        };
        Ok(Self { replicas, balancer, address, log })
    }

    /// Memory and descriptors of all processes that run.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.replicas.iter().filter_map(|replica| replica.usage()).fold(Usage::default(), Usage::plus)
    }

    /// Searches the metrics for what must not be there.
    pub async fn search_metrics(&self) {
        for replica in &self.replicas {
            if let Ok(metrics) = fetch(replica.admin, "GET", "/metrics").await {
                self.log.lock().unwrap_or_else(PoisonError::into_inner).search("metrics", &metrics.body);
            }
        }
    }

    /// What the ledger of each process says, in the order of the replicas; `None` where it does not tell.
    pub async fn ledgers(&self) -> Vec<Option<LedgerTotals>> {
        let mut ledgers = Vec::new();
        for replica in &self.replicas {
            let state = fetch(replica.admin, "GET", "/state").await;
            ledgers.push(state.ok().and_then(|state| state::ledger(&state.body)));
        }
        ledgers
    }

    /// Stops every process in order.
    pub async fn stop(&self) {
        for replica in &self.replicas {
            replica.stop().await;
        }
        if let Some(balancer) = &self.balancer {
            balancer.stop();
        }
    }
}

/// A port that is free now. Somebody may take it before it is used; then the start fails and says so.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}
