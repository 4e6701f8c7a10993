//! The supervision tree: what is started in which order, and what happens when a part of it fails.
//!
//! ```text
//! Root [one_for_one 3/60]
//! |- Foundation [rest_for_one 5/30]  SettingsKeeper, LedgerWriter, RoutingKeeper
//! |- Admission  [one_for_one 10/10]  KeyDirectory
//! |- Catalogue  [one_for_one 10/60]  CatalogueKeeper, ProfileFinder, FlagKeeper, one Discovery per region
//! |- Targets    [one_for_one 20/60]  WaitingRoom, one Target per region
//! |- Lanes      [one_for_one 10/10]  chat, responses, stored
//! `- Jobs       [one_for_one 10/60]  background responses, Sweeper
//! ```
//!
//! The root restarts one branch by itself: branches share only snapshots and slots, which outlive them, so the failure
//! of one is no reason to stop requests that run in another.

mod handle;

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use outcrop_domain::{
    clock::Ports,
    ids::Region,
    model::{CataloguePolicy, ModelBook},
};
use outcrop_store::Snapshots;
use outcrop_supervision::{ChildSpec, Intensity, Jitter, Root, RootExit, Slot, Strategy, SupervisorSpec, drain, start};
use outcrop_upstream::{
    fetch::Fetcher,
    ports::{ControlPlane, RuntimeClient},
};
use ractor::SpawnErr;

use crate::{
    admission::{KeyDirectory, KeyDirectoryArgs, KeySnapshot},
    archive::{Stores, Vault},
    catalogue::{
        CatalogueKeeper, CatalogueKeeperArgs, CatalogueRules, Discovery, DiscoveryArgs, FlagKeeper, FlagKeeperArgs, ProfileFinder,
        ProfileFinderArgs,
    },
    foundation::{
        Background, BackgroundJob, BackgroundMsg, LedgerWriter, RoutingKeeper, RoutingKeeperArgs, SettingsKeeper, SettingsKeeperArgs,
    },
    jobs::{Sweeper, SweeperArgs},
    lanes::{ChatContext, ChatPort, ResponsesContext, ResponsesPort, Sniff, StoredContext, StoredPort},
    ports::GatewayPorts,
    settings::LiveSettings,
    targets::{RegionHandle, RegionTargets, RoutingMemory, Target, TargetArgs, WaitingRoom, WaitingRoomArgs},
};

pub use handle::{Deed, GatewayReport, LaneLimits, Restarting, TreeHandle};

/// Everything a gateway is built from.
pub struct GatewayParts {
    /// Regions in order, with their clients.
    pub regions: Vec<RegionParts>,
    /// Live settings.
    pub settings: LiveSettings,
    /// Keys.
    pub keys: KeySnapshot,
    /// Model data.
    pub book: Arc<ModelBook>,
    /// Catalogue policy.
    pub policy: CataloguePolicy,
    /// Time between two discoveries of a region.
    pub discovery_interval: Duration,
    /// Limits of the lanes.
    pub limits: LaneLimits,
    /// Where responses and conversations are kept.
    pub stores: Stores,
    /// Time that a shutdown leaves to running requests.
    pub drain: Duration,
    /// The way to callers' URLs.
    pub fetcher: Arc<Fetcher>,
    /// Tells a media format from its first bytes.
    pub sniff: Sniff,
    /// What the last run knew of its targets.
    pub memory: RoutingMemory,
    /// Where what this run learns of them is kept for the next.
    pub memory_store: Option<Arc<dyn Snapshots>>,
    /// Supervisors allow so many times their restarts: 1, and more for chaos runs.
    pub tolerance: u32,
    /// Work that runs beside the tree.
    pub background: Vec<BackgroundJob>,
    /// Time, randomness, blocking work.
    pub ports: Ports,
}

/// One region of a gateway.
#[derive(Debug, Clone)]
pub struct RegionParts {
    /// Its name.
    pub region: Region,
    /// Calls models there.
    pub runtime: Arc<dyn RuntimeClient>,
    /// Asks its control plane.
    pub control: Arc<dyn ControlPlane>,
}

impl fmt::Debug for GatewayParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayParts").field("regions", &self.regions).finish_non_exhaustive()
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    root: Root,
    ports: GatewayPorts,
}

/// Starts a gateway.
///
/// # Errors
/// When a part of the tree does not start.
pub async fn start_gateway(parts: GatewayParts) -> Result<Gateway, SpawnErr> {
    let handle = TreeHandle::new(&parts);
    let chat = chat_port(&parts, &handle);
    let vault = Vault::new(parts.stores.clone(), Arc::clone(&handle.0.settings), parts.ports.clone());
    let (responses, stored) = responses_ports(&parts, &chat, &vault, &handle);
    let root = start(root_spec(&parts, &handle, &vault)).await?;
    let (keys, catalogue) = (Arc::clone(&handle.0.keys), Arc::clone(&handle.0.catalogue));
    let ports = GatewayPorts { chat, responses, stored, keys, catalogue, tree: handle };
    ports.tree.0.view.store(Some(Arc::new(root.view().clone())));
    Ok(Gateway { root, ports })
}

impl Gateway {
    /// What the edge may ask.
    #[must_use]
    pub fn ports(&self) -> &GatewayPorts {
        &self.ports
    }

    /// Waits until the tree ends by itself: its restart budget is spent.
    pub async fn ended(&mut self) -> RootExit {
        self.root.ended().await
    }

    /// Takes nothing new, lets running requests finish `within`, stops the tree.
    pub async fn drain(self, within: Duration) {
        drain(self.root.actor(), within).await;
    }
}

fn chat_port(parts: &GatewayParts, handle: &TreeHandle) -> ChatPort {
    let regions = parts
        .regions
        .iter()
        .filter_map(|part| {
            let owner = handle.0.targets.get(&part.region)?.clone();
            Some((part.region.clone(), RegionHandle { client: Arc::clone(&part.runtime), owner }))
        })
        .collect();
    let context = ChatContext {
        settings: Arc::clone(&handle.0.settings),
        catalogue: Arc::clone(&handle.0.catalogue),
        profiles: handle.0.profile_finder.clone(),
        refused_flags: Arc::clone(&handle.0.refused_flags),
        flag_keeper: handle.0.flag_keeper.clone(),
        board: Arc::clone(&handle.0.board),
        regions: RegionTargets(regions),
        waiting: handle.0.waiting.clone(),
        usage: Arc::clone(&handle.0.usage),
        fetcher: Arc::clone(&parts.fetcher),
        sniff: parts.sniff,
        ports: parts.ports.clone(),
    };
    ChatPort::new(handle.0.lane.clone(), Arc::new(context))
}

fn responses_ports(parts: &GatewayParts, chat: &ChatPort, vault: &Vault, handle: &TreeHandle) -> (ResponsesPort, StoredPort) {
    let live = Arc::clone(&handle.0.live);
    let responses =
        ResponsesContext { chat: chat.clone(), vault: vault.clone(), live: Arc::clone(&live), background: handle.0.background.clone() };
    let stored = StoredContext { vault: vault.clone(), live, sniff: parts.sniff };
    (ResponsesPort::new(handle.0.responses.clone(), Arc::new(responses)), StoredPort::new(handle.0.stored.clone(), Arc::new(stored)))
}

fn root_spec(parts: &GatewayParts, handle: &TreeHandle, vault: &Vault) -> SupervisorSpec {
    let jitter = jitter(&parts.ports);
    let branch = |spec: SupervisorSpec| branch(handle, spec.jitter(jitter.clone()).tolerance(parts.tolerance));
    SupervisorSpec::new("root", Strategy::OneForOne, Intensity::new(3, 60))
        .jitter(jitter.clone())
        .tolerance(parts.tolerance)
        .child(branch(foundation(parts, handle)))
        .child(branch(admission(handle)))
        .child(branch(catalogue(parts, handle)))
        .child(branch(targets(parts, handle)))
        .child(branch(lanes(handle)))
        .child(branch(jobs(handle, vault)))
}

/// The chance in restart delays, from the port: a simulated run must be the same every time.
fn jitter(ports: &Ports) -> Jitter {
    let entropy = Arc::clone(&ports.entropy);
    Jitter::new(move || entropy.unit())
}

/// A branch of the root, reachable by its name.
fn branch(handle: &TreeHandle, spec: SupervisorSpec) -> ChildSpec {
    let name = spec.view().report().name;
    let child = ChildSpec::supervisor(spec);
    match handle.0.branches.iter().find(|slot| slot.name() == name) {
        Some(slot) => child.filling(slot),
        None => child,
    }
}

/// The branches of the root.
const BRANCHES: [&str; 6] = ["foundation", "admission", "catalogue", "targets", "lanes", "jobs"];

fn foundation(parts: &GatewayParts, handle: &TreeHandle) -> SupervisorSpec {
    let cell = Arc::clone(&handle.0.settings);
    let memory = RoutingKeeperArgs { board: Arc::clone(&handle.0.board), store: parts.memory_store.clone(), ports: parts.ports.clone() };
    let usage = Arc::clone(&handle.0.usage);
    let mut spec = SupervisorSpec::new("foundation", Strategy::RestForOne, Intensity::new(5, 30))
        .readiness(&handle.0.readiness)
        .child(ChildSpec::actor(&handle.0.settings_keeper, move || (SettingsKeeper, SettingsKeeperArgs { cell: Arc::clone(&cell) })))
        .child(ChildSpec::actor(&handle.0.ledger, move || (LedgerWriter, Arc::clone(&usage))))
        .child(ChildSpec::actor(&handle.0.routing_keeper, move || (RoutingKeeper, memory.clone())));
    for job in &parts.background {
        let (slot, job) = (Slot::<BackgroundMsg>::new(job.name), job.clone());
        spec = spec.child(ChildSpec::actor(&slot, move || (Background, job.clone())));
    }
    spec
}

fn admission(handle: &TreeHandle) -> SupervisorSpec {
    let cell = Arc::clone(&handle.0.keys);
    SupervisorSpec::new("admission", Strategy::OneForOne, Intensity::new(10, 10))
        .readiness(&handle.0.readiness)
        .child(ChildSpec::actor(&handle.0.key_directory, move || (KeyDirectory, KeyDirectoryArgs { cell: Arc::clone(&cell) })))
}

fn catalogue(parts: &GatewayParts, handle: &TreeHandle) -> SupervisorSpec {
    let keeper_args = CatalogueKeeperArgs {
        cell: Arc::clone(&handle.0.catalogue),
        offers: Arc::clone(&handle.0.offers),
        rules: Arc::new(ArcSwap::from_pointee(CatalogueRules { book: Arc::clone(&parts.book), policy: parts.policy.clone() })),
    };
    let finder_args = ProfileFinderArgs {
        controls: parts.regions.iter().map(|part| (part.region.clone(), Arc::clone(&part.control))).collect(),
        keeper: handle.0.catalogue_keeper.clone(),
        catalogue: Arc::clone(&handle.0.catalogue),
        ports: parts.ports.clone(),
    };
    let flag_args = FlagKeeperArgs { cell: Arc::clone(&handle.0.refused_flags), ports: parts.ports.clone() };
    let mut spec = SupervisorSpec::new("catalogue", Strategy::OneForOne, Intensity::new(10, 60))
        .readiness(&handle.0.readiness)
        .child(ChildSpec::actor(&handle.0.catalogue_keeper, move || (CatalogueKeeper, keeper_args.clone())))
        .child(ChildSpec::actor(&handle.0.profile_finder, move || (ProfileFinder, finder_args.clone())))
        .child(ChildSpec::actor(&handle.0.flag_keeper, move || (FlagKeeper, flag_args.clone())));
    for (slot, part) in handle.0.discoveries.iter().zip(&parts.regions) {
        let args = DiscoveryArgs {
            control: Arc::clone(&part.control),
            keeper: handle.0.catalogue_keeper.clone(),
            interval: parts.discovery_interval,
            ports: parts.ports.clone(),
        };
        spec = spec.child(ChildSpec::actor(slot, move || (Discovery, args.clone())));
    }
    spec
}

fn targets(parts: &GatewayParts, handle: &TreeHandle) -> SupervisorSpec {
    let room_args = WaitingRoomArgs { board: Arc::clone(&handle.0.board), owners: handle.0.targets.clone(), ports: parts.ports.clone() };
    let mut spec = SupervisorSpec::new("targets", Strategy::OneForOne, Intensity::new(20, 60))
        .readiness(&handle.0.readiness)
        .child(ChildSpec::actor(&handle.0.waiting, move || (WaitingRoom, room_args.clone())));
    for part in &parts.regions {
        if let Some(slot) = handle.0.targets.get(&part.region) {
            let args = TargetArgs {
                region: part.region.clone(),
                board: Arc::clone(&handle.0.board),
                settings: Arc::clone(&handle.0.settings),
                waiting: handle.0.waiting.clone(),
                ports: parts.ports.clone(),
            };
            spec = spec.child(ChildSpec::actor(slot, move || (Target, args.clone())));
        }
    }
    spec
}

fn lanes(handle: &TreeHandle) -> SupervisorSpec {
    SupervisorSpec::new("lanes", Strategy::OneForOne, Intensity::new(10, 10))
        .readiness(&handle.0.readiness)
        .child(handle.0.lane.child_spec())
        .child(handle.0.responses.child_spec())
        .child(handle.0.stored.child_spec())
}

fn jobs(handle: &TreeHandle, vault: &Vault) -> SupervisorSpec {
    let args = SweeperArgs { vault: vault.clone() };
    SupervisorSpec::new("jobs", Strategy::OneForOne, Intensity::new(10, 60))
        .readiness(&handle.0.readiness)
        .child(handle.0.background.child_spec())
        .child(ChildSpec::actor(&handle.0.sweeper, move || (Sweeper, args.clone())))
}
