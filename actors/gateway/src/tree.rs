//! The supervision tree: what is started in which order, and what happens when a part of it fails.
//!
//! ```text
//! Root [one_for_one 3/60]
//! |- Foundation [rest_for_one 5/30]  SettingsKeeper, LedgerWriter, RoutingKeeper
//! |- Admission  [one_for_one 10/10]  KeyDirectory
//! |- Catalogue  [one_for_one 10/60]  CatalogueKeeper, ProfileFinder, one Discovery per region
//! |- Targets    [one_for_one 20/60]  WaitingRoom, one Target per region
//! `- Lanes      [one_for_one 10/10]  chat
//! ```
//!
//! The root restarts one branch by itself: branches share only snapshots and slots, which outlive them, so the failure
//! of one is no reason to stop requests that run in another.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use outcrop_domain::{
    clock::{Clock, Ports},
    ids::Region,
    model::{Catalogue, CataloguePolicy, ModelBook, RegionOffer},
};
use outcrop_store::Snapshots;
use outcrop_supervision::{
    ChildSpec, IntakeLimits, Intensity, Jitter, LaneHandle, LaneReport, LaneSpec, Readiness, Root, RootExit, Slot, Strategy, SupervisorMsg,
    SupervisorReport, SupervisorSpec, Trouble, drain, start, trouble_ahead,
};
use outcrop_upstream::{
    fetch::Fetcher,
    ports::{ControlPlane, RuntimeClient},
};
use ractor::SpawnErr;
use serde::Serialize;

use crate::{
    admission::{KeyDirectory, KeyDirectoryArgs, KeyDirectoryMsg, KeyReport, KeySnapshot},
    catalogue::{
        CatalogueKeeper, CatalogueKeeperArgs, CatalogueKeeperMsg, CatalogueReport, CatalogueRules, Discovery, DiscoveryArgs, DiscoveryMsg,
        DiscoveryReport, ProfileFinder, ProfileFinderArgs, ProfileFinderMsg, ProfileReport,
    },
    foundation::{
        Background, BackgroundJob, BackgroundMsg, LedgerReport, LedgerWriter, LedgerWriterMsg, RoutingKeeper, RoutingKeeperArgs,
        RoutingKeeperMsg, RoutingKeeperReport, SettingsKeeper, SettingsKeeperArgs, SettingsKeeperMsg, SettingsReport,
    },
    lanes::{ChatContext, ChatPort, ChatWork, LaneMetrics, Sniff},
    ports::{GatewayPorts, Reload},
    settings::{LiveSettings, SettingsCell},
    targets::{
        HealthBoard, RegionHandle, RegionHealth, RegionTargets, RoutingMemory, Target, TargetArgs, TargetMsg, TargetReport, WaitingReport,
        WaitingRoom, WaitingRoomArgs, WaitingRoomMsg, region_health,
    },
};

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
    /// Limits of the chat lane.
    pub chat_limits: IntakeLimits,
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
    let root = start(root_spec(&parts, &handle)).await?;
    let ports = GatewayPorts { chat, keys: Arc::clone(&handle.0.keys), catalogue: Arc::clone(&handle.0.catalogue), tree: handle };
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

/// Slots and snapshots of a tree.
#[derive(Clone)]
pub struct TreeHandle(Arc<TreeParts>);

struct TreeParts {
    settings: SettingsCell,
    keys: Arc<ArcSwap<KeySnapshot>>,
    catalogue: Arc<ArcSwap<Catalogue>>,
    offers: Arc<ArcSwap<Vec<RegionOffer>>>,
    board: Arc<HealthBoard>,
    settings_keeper: Slot<SettingsKeeperMsg>,
    routing_keeper: Slot<RoutingKeeperMsg>,
    ledger: Slot<LedgerWriterMsg>,
    key_directory: Slot<KeyDirectoryMsg>,
    catalogue_keeper: Slot<CatalogueKeeperMsg>,
    profile_finder: Slot<ProfileFinderMsg>,
    discoveries: Vec<Slot<DiscoveryMsg>>,
    waiting: Slot<WaitingRoomMsg>,
    targets: HashMap<Region, Slot<TargetMsg>>,
    regions: Vec<Region>,
    branches: [Slot<SupervisorMsg>; 5],
    lane: LaneHandle<ChatWork>,
    readiness: Readiness,
    clock: Arc<dyn Clock>,
    view: arc_swap::ArcSwapOption<outcrop_supervision::SupervisorView>,
}

impl fmt::Debug for TreeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeHandle").field("regions", &self.0.regions).finish_non_exhaustive()
    }
}

/// Longest wait for one actor's description.
const DESCRIBE_WITHIN: Duration = Duration::from_secs(1);

impl TreeHandle {
    fn new(parts: &GatewayParts) -> Self {
        let regions: Vec<Region> = parts.regions.iter().map(|part| part.region.clone()).collect();
        let lane = LaneSpec::new("chat", parts.chat_limits).observer(LaneMetrics::new("chat")).drain(parts.drain);
        let settings: SettingsCell = Arc::new(ArcSwap::from_pointee(parts.settings.clone()));
        let board = HealthBoard::new(Arc::clone(&settings), Arc::clone(&parts.ports.clock), parts.memory.clone());
        Self(Arc::new(TreeParts {
            settings,
            keys: Arc::new(ArcSwap::from_pointee(parts.keys.clone())),
            catalogue: Arc::new(ArcSwap::from_pointee(Catalogue::build(&parts.book, &[], &parts.policy))),
            offers: Arc::default(),
            board: Arc::new(board),
            settings_keeper: Slot::new("settings-keeper"),
            routing_keeper: Slot::new("routing-keeper"),
            ledger: Slot::new("ledger-writer"),
            key_directory: Slot::new("key-directory"),
            catalogue_keeper: Slot::new("catalogue-keeper"),
            profile_finder: Slot::new("profile-finder"),
            discoveries: regions.iter().map(|region| Slot::new(format!("discovery-{region}"))).collect(),
            waiting: Slot::new("waiting-room"),
            targets: regions.iter().map(|region| (region.clone(), Slot::new(format!("target-{region}")))).collect(),
            regions,
            branches: BRANCHES.map(Slot::new),
            lane: LaneHandle::new(lane),
            readiness: Readiness::new(),
            clock: Arc::clone(&parts.ports.clock),
            view: arc_swap::ArcSwapOption::empty(),
        }))
    }

    /// What the gateway waits for before it can serve; empty when it is ready.
    #[must_use]
    pub fn not_ready(&self) -> Vec<String> {
        let mut missing: Vec<String> = self
            .0
            .readiness
            .snapshot()
            .components
            .into_iter()
            .filter(|(_, component)| !component.ready)
            .map(|(name, component)| component.waiting_for.map_or(name.clone(), |why| format!("{name}: {why}")))
            .collect();
        if self.0.catalogue.load().list().next().is_none() {
            missing.push("catalogue: no models discovered yet".to_owned());
        }
        missing
    }

    /// Publishes reloaded settings, keys and model data.
    pub fn reload(&self, reload: Reload) -> Result<(), Restarting> {
        let Reload { settings, keys, book, policy } = reload;
        self.0.settings_keeper.cast(SettingsKeeperMsg::Replace(Box::new(settings))).map_err(|_| Restarting("settings keeper"))?;
        self.0.key_directory.cast(KeyDirectoryMsg::Replace(Box::new(keys))).map_err(|_| Restarting("key directory"))?;
        let replace = CatalogueKeeperMsg::Replace { book, policy: Box::new(policy) };
        self.0.catalogue_keeper.cast(replace).map_err(|_| Restarting("catalogue keeper"))
    }

    /// Changes the limits of the chat lane.
    pub fn set_chat_limits(&self, limits: IntakeLimits) {
        self.0.lane.set_limits(limits);
    }

    /// Takes a region out, so that no new call goes there, or puts it back. `None`: it is not one of ours; else whether that
    /// is a change.
    #[must_use]
    pub fn drain_region(&self, region: &Region, drained: bool) -> Option<bool> {
        self.0.regions.contains(region).then(|| self.0.board.drain(region, drained))
    }

    /// The state of every region in a few words, in their order.
    #[must_use]
    pub fn region_health(&self) -> Vec<RegionHealth> {
        let now = self.0.clock.now();
        self.0.regions.iter().map(|region| region_health(&self.0.board, region, now)).collect()
    }

    /// Asks every region again what it offers.
    pub fn refresh_models(&self) {
        for discovery in &self.0.discoveries {
            if discovery.cast(DiscoveryMsg::Ask).is_err() {
                tracing::debug!(actor = discovery.name(), "discovery is restarting and asks by itself");
            }
        }
    }

    /// State of the whole tree; parts that do not answer in time are left out.
    pub async fn describe(&self) -> GatewayReport {
        let parts = &self.0;
        let mut targets = Vec::new();
        for region in &parts.regions {
            if let Some(slot) = parts.targets.get(region) {
                targets.extend(slot.call(|reply| TargetMsg::Describe { reply }, DESCRIBE_WITHIN).await.ok());
            }
        }
        let mut discovery = Vec::new();
        for slot in &parts.discoveries {
            discovery.extend(slot.call(|reply| DiscoveryMsg::Describe { reply }, DESCRIBE_WITHIN).await.ok());
        }
        GatewayReport {
            tree: parts.view.load().as_ref().map(|view| view.report()),
            settings: parts.settings_keeper.call(|reply| SettingsKeeperMsg::Describe { reply }, DESCRIBE_WITHIN).await.ok(),
            ledger: parts.ledger.call(|reply| LedgerWriterMsg::Describe { reply }, DESCRIBE_WITHIN).await.ok(),
            keys: parts.key_directory.call(|reply| KeyDirectoryMsg::Describe { reply }, DESCRIBE_WITHIN).await.ok(),
            catalogue: parts.catalogue_keeper.call(|reply| CatalogueKeeperMsg::Describe { reply }, DESCRIBE_WITHIN).await.ok(),
            profiles: parts.profile_finder.call(|reply| ProfileFinderMsg::Describe { reply }, DESCRIBE_WITHIN).await.ok(),
            memory: parts.routing_keeper.call(|reply| RoutingKeeperMsg::Describe { reply }, DESCRIBE_WITHIN).await.ok(),
            discovery,
            waiting: parts.waiting.call(|reply| WaitingRoomMsg::Describe { reply }, DESCRIBE_WITHIN).await.ok(),
            targets,
            chat_lane: parts.lane.describe(DESCRIBE_WITHIN).await.ok(),
            calls_in_flight: parts.board.in_flight(),
        }
    }

    /// Does something to the actor or supervisor of this name, for chaos. False when it does not run.
    #[must_use]
    pub fn trouble(&self, name: &str, deed: Deed) -> bool {
        let Some((_, cell)) = self.killables().into_iter().find(|(known, _)| known == name) else { return false };
        match deed {
            Deed::Kill => cell.kill(),
            Deed::Panic => trouble_ahead(&cell, Trouble::Panic),
            Deed::Stall(lasting) => trouble_ahead(&cell, Trouble::Stall(lasting)),
        }
        true
    }

    /// The actors and supervisors by name, for chaos: killing any of them must be harmless.
    #[must_use]
    pub fn killables(&self) -> Vec<(String, ractor::ActorCell)> {
        let parts = &self.0;
        let mut cells: Vec<(String, ractor::ActorCell)> = Vec::new();
        let mut add = |name: &str, cell: Option<ractor::ActorCell>| cells.extend(cell.map(|cell| (name.to_owned(), cell)));
        add(parts.settings_keeper.name(), parts.settings_keeper.get().ok().map(|actor| actor.get_cell()));
        add(parts.routing_keeper.name(), parts.routing_keeper.get().ok().map(|actor| actor.get_cell()));
        add(parts.ledger.name(), parts.ledger.get().ok().map(|actor| actor.get_cell()));
        add(parts.key_directory.name(), parts.key_directory.get().ok().map(|actor| actor.get_cell()));
        add(parts.catalogue_keeper.name(), parts.catalogue_keeper.get().ok().map(|actor| actor.get_cell()));
        add(parts.profile_finder.name(), parts.profile_finder.get().ok().map(|actor| actor.get_cell()));
        for slot in &parts.discoveries {
            add(slot.name(), slot.get().ok().map(|actor| actor.get_cell()));
        }
        add(parts.waiting.name(), parts.waiting.get().ok().map(|actor| actor.get_cell()));
        for region in &parts.regions {
            if let Some(slot) = parts.targets.get(region) {
                add(slot.name(), slot.get().ok().map(|actor| actor.get_cell()));
            }
        }
        for slot in &parts.branches {
            add(slot.name(), slot.get().ok().map(|actor| actor.get_cell()));
        }
        add(parts.lane.name(), parts.lane.slot().get().ok().map(|actor| actor.get_cell()));
        cells
    }
}

/// What chaos does to an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Ends it at its next await.
    Kill,
    /// Lets it panic over its next message.
    Panic,
    /// Lets its next message wait that long.
    Stall(Duration),
}

/// A keeper was restarting when it should have been told something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {0} is restarting: reload again in a moment")]
pub struct Restarting(pub &'static str);

/// State of a gateway, for consoles and tests.
#[derive(Debug, Clone, Serialize)]
pub struct GatewayReport {
    /// Supervisors and their children.
    pub tree: Option<SupervisorReport>,
    /// Settings.
    pub settings: Option<SettingsReport>,
    /// Usage.
    pub ledger: Option<LedgerReport>,
    /// Keys.
    pub keys: Option<KeyReport>,
    /// Models.
    pub catalogue: Option<CatalogueReport>,
    /// Look-ups of profiles that nobody has listed.
    pub profiles: Option<ProfileReport>,
    /// What is kept for the next run.
    pub memory: Option<RoutingKeeperReport>,
    /// Discovery, by region.
    pub discovery: Vec<DiscoveryReport>,
    /// Requests that wait for room.
    pub waiting: Option<WaitingReport>,
    /// Health, by region.
    pub targets: Vec<TargetReport>,
    /// The chat lane.
    pub chat_lane: Option<LaneReport>,
    /// Upstream calls under way.
    pub calls_in_flight: u64,
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
        board: Arc::clone(&handle.0.board),
        regions: RegionTargets(regions),
        waiting: handle.0.waiting.clone(),
        ledger: handle.0.ledger.clone(),
        fetcher: Arc::clone(&parts.fetcher),
        sniff: parts.sniff,
        ports: parts.ports.clone(),
    };
    ChatPort::new(handle.0.lane.clone(), Arc::new(context))
}

fn root_spec(parts: &GatewayParts, handle: &TreeHandle) -> SupervisorSpec {
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
const BRANCHES: [&str; 5] = ["foundation", "admission", "catalogue", "targets", "lanes"];

fn foundation(parts: &GatewayParts, handle: &TreeHandle) -> SupervisorSpec {
    let cell = Arc::clone(&handle.0.settings);
    let memory = RoutingKeeperArgs { board: Arc::clone(&handle.0.board), store: parts.memory_store.clone(), ports: parts.ports.clone() };
    let mut spec = SupervisorSpec::new("foundation", Strategy::RestForOne, Intensity::new(5, 30))
        .readiness(&handle.0.readiness)
        .child(ChildSpec::actor(&handle.0.settings_keeper, move || (SettingsKeeper, SettingsKeeperArgs { cell: Arc::clone(&cell) })))
        .child(ChildSpec::actor(&handle.0.ledger, || (LedgerWriter, ())))
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
    let mut spec = SupervisorSpec::new("catalogue", Strategy::OneForOne, Intensity::new(10, 60))
        .readiness(&handle.0.readiness)
        .child(ChildSpec::actor(&handle.0.catalogue_keeper, move || (CatalogueKeeper, keeper_args.clone())))
        .child(ChildSpec::actor(&handle.0.profile_finder, move || (ProfileFinder, finder_args.clone())));
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
}
