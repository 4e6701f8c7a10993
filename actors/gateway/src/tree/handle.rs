//! The way to a running tree: its slots and snapshots, its state, and what operators and chaos do to it.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use outcrop_domain::{
    clock::Clock,
    ids::Region,
    model::{Catalogue, RegionOffer},
};
use outcrop_supervision::{
    IntakeLimits, Job, LaneHandle, LaneReport, LaneSpec, Readiness, Slot, SupervisorMsg, SupervisorReport, Trouble, trouble_ahead,
};
use serde::Serialize;

use super::{BRANCHES, GatewayParts};
use crate::{
    admission::{KeyDirectoryMsg, KeyReport, KeySnapshot},
    archive::LiveResponses,
    catalogue::{
        CatalogueKeeperMsg, CatalogueReport, DiscoveryMsg, DiscoveryReport, FlagKeeperMsg, FlagReport, ProfileFinderMsg, ProfileReport,
        RefusedFlags,
    },
    foundation::{LedgerReport, LedgerWriterMsg, RoutingKeeperMsg, RoutingKeeperReport, SettingsKeeperMsg, SettingsReport, UsageInbox},
    jobs::{SweeperMsg, SweeperReport},
    lanes::{BackgroundWork, ChatWork, LaneMetrics, ResponsesWork, StoredWork},
    ports::Reload,
    settings::SettingsCell,
    targets::{HealthBoard, RegionHealth, TargetMsg, TargetReport, WaitingReport, WaitingRoomMsg, region_health},
};

/// Slots and snapshots of a tree.
#[derive(Clone)]
pub struct TreeHandle(pub(super) Arc<TreeParts>);

pub(super) struct TreeParts {
    pub(super) settings: SettingsCell,
    pub(super) keys: Arc<ArcSwap<KeySnapshot>>,
    pub(super) catalogue: Arc<ArcSwap<Catalogue>>,
    pub(super) offers: Arc<ArcSwap<Vec<RegionOffer>>>,
    pub(super) board: Arc<HealthBoard>,
    pub(super) settings_keeper: Slot<SettingsKeeperMsg>,
    pub(super) routing_keeper: Slot<RoutingKeeperMsg>,
    pub(super) ledger: Slot<LedgerWriterMsg>,
    pub(super) usage: Arc<UsageInbox>,
    pub(super) key_directory: Slot<KeyDirectoryMsg>,
    pub(super) catalogue_keeper: Slot<CatalogueKeeperMsg>,
    pub(super) profile_finder: Slot<ProfileFinderMsg>,
    pub(super) refused_flags: Arc<ArcSwap<RefusedFlags>>,
    pub(super) flag_keeper: Slot<FlagKeeperMsg>,
    pub(super) discoveries: Vec<Slot<DiscoveryMsg>>,
    pub(super) waiting: Slot<WaitingRoomMsg>,
    pub(super) targets: HashMap<Region, Slot<TargetMsg>>,
    pub(super) regions: Vec<Region>,
    pub(super) branches: [Slot<SupervisorMsg>; 6],
    pub(super) lane: LaneHandle<ChatWork>,
    pub(super) responses: LaneHandle<ResponsesWork>,
    pub(super) stored: LaneHandle<StoredWork>,
    pub(super) background: LaneHandle<BackgroundWork>,
    pub(super) sweeper: Slot<SweeperMsg>,
    pub(super) live: Arc<LiveResponses>,
    pub(super) readiness: Readiness,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) view: arc_swap::ArcSwapOption<outcrop_supervision::SupervisorView>,
}

impl fmt::Debug for TreeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeHandle").field("regions", &self.0.regions).finish_non_exhaustive()
    }
}

/// A lane that is counted in the metrics.
fn counted<J: Job>(spec: LaneSpec, name: &'static str, drain: Duration) -> LaneHandle<J> {
    LaneHandle::new(spec.observer(LaneMetrics::new(name)).drain(drain))
}

/// Longest wait for one actor's description.
const DESCRIBE_WITHIN: Duration = Duration::from_secs(1);

impl TreeHandle {
    pub(super) fn new(parts: &GatewayParts) -> Self {
        let regions: Vec<Region> = parts.regions.iter().map(|part| part.region.clone()).collect();
        let limits = &parts.limits;
        let settings: SettingsCell = Arc::new(ArcSwap::from_pointee(parts.settings.clone()));
        let board = HealthBoard::new(Arc::clone(&settings), Arc::clone(&parts.ports.clock), parts.memory.clone());
        board.drain_again(&regions);
        let ledger = Slot::new("ledger-writer");
        Self(Arc::new(TreeParts {
            settings,
            keys: Arc::new(ArcSwap::from_pointee(parts.keys.clone())),
            catalogue: Arc::new(ArcSwap::from_pointee(Catalogue::build(&parts.book, &[], &parts.policy))),
            offers: Arc::default(),
            board: Arc::new(board),
            settings_keeper: Slot::new("settings-keeper"),
            routing_keeper: Slot::new("routing-keeper"),
            usage: Arc::new(UsageInbox::new(ledger.clone())),
            ledger,
            key_directory: Slot::new("key-directory"),
            catalogue_keeper: Slot::new("catalogue-keeper"),
            profile_finder: Slot::new("profile-finder"),
            refused_flags: Arc::default(),
            flag_keeper: Slot::new("flag-keeper"),
            discoveries: regions.iter().map(|region| Slot::new(format!("discovery-{region}"))).collect(),
            waiting: Slot::new("waiting-room"),
            targets: regions.iter().map(|region| (region.clone(), Slot::new(format!("target-{region}")))).collect(),
            regions,
            branches: BRANCHES.map(Slot::new),
            lane: counted(LaneSpec::new("chat", limits.chat), "chat", parts.drain),
            responses: counted(LaneSpec::new("responses", limits.responses), "responses", parts.drain),
            stored: counted(LaneSpec::new("stored", limits.stored), "stored", parts.drain),
            background: counted(LaneSpec::new("background", limits.background), "background", parts.drain),
            sweeper: Slot::new("sweeper"),
            live: Arc::default(),
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

    /// Changes the limits of the lanes.
    pub fn set_limits(&self, limits: LaneLimits) {
        let LaneLimits { chat, responses, stored, background } = limits;
        self.0.lane.set_limits(chat);
        self.0.responses.set_limits(responses);
        self.0.stored.set_limits(stored);
        self.0.background.set_limits(background);
    }

    /// Takes a region out, so that no new call goes there, or puts it back. `None`: it is not one of ours; else whether that
    /// is a change. A change is saved for the next start within moments; nobody here waits for that.
    #[must_use]
    pub fn drain_region(&self, region: &Region, drained: bool) -> Option<bool> {
        if !self.0.regions.contains(region) {
            return None;
        }
        let changed = self.0.board.drain(region, drained);
        if changed && self.0.routing_keeper.cast(RoutingKeeperMsg::DrainsChanged).is_err() {
            tracing::debug!("the routing keeper is restarting and saves within seconds by itself");
        }
        Some(changed)
    }

    /// The state of every region in a few words, in their order.
    #[must_use]
    pub fn region_health(&self) -> Vec<RegionHealth> {
        let (now, offers) = (self.0.clock.now(), self.0.offers.load());
        let offer = |region: &Region| offers.iter().find(|offer| offer.region == *region);
        self.0.regions.iter().map(|region| region_health(&self.0.board, region, offer(region), now)).collect()
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
            refused_flags: parts.flag_keeper.call(|reply| FlagKeeperMsg::Describe { reply }, DESCRIBE_WITHIN).await.ok(),
            memory: parts.routing_keeper.call(|reply| RoutingKeeperMsg::Describe { reply }, DESCRIBE_WITHIN).await.ok(),
            discovery,
            waiting: parts.waiting.call(|reply| WaitingRoomMsg::Describe { reply }, DESCRIBE_WITHIN).await.ok(),
            targets,
            chat_lane: parts.lane.describe(DESCRIBE_WITHIN).await.ok(),
            responses_lane: parts.responses.describe(DESCRIBE_WITHIN).await.ok(),
            stored_lane: parts.stored.describe(DESCRIBE_WITHIN).await.ok(),
            background_lane: parts.background.describe(DESCRIBE_WITHIN).await.ok(),
            sweeper: parts.sweeper.call(|reply| SweeperMsg::Describe { reply }, DESCRIBE_WITHIN).await.ok(),
            background_responses: parts.live.len(),
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
        add(parts.flag_keeper.name(), parts.flag_keeper.get().ok().map(|actor| actor.get_cell()));
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
        add(parts.responses.name(), parts.responses.slot().get().ok().map(|actor| actor.get_cell()));
        add(parts.stored.name(), parts.stored.slot().get().ok().map(|actor| actor.get_cell()));
        add(parts.background.name(), parts.background.slot().get().ok().map(|actor| actor.get_cell()));
        add(parts.sweeper.name(), parts.sweeper.get().ok().map(|actor| actor.get_cell()));
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

/// Limits of all lanes.
#[derive(Debug, Clone, Copy)]
pub struct LaneLimits {
    /// Chat requests of every dialect.
    pub chat: IntakeLimits,
    /// Requests for responses that a client waits for.
    pub responses: IntakeLimits,
    /// Questions about stored things, and changes of them.
    pub stored: IntakeLimits,
    /// Responses in the background.
    pub background: IntakeLimits,
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
    /// Beta flags that models have refused.
    pub refused_flags: Option<FlagReport>,
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
    /// The lane of responses.
    pub responses_lane: Option<LaneReport>,
    /// The lane of stored things.
    pub stored_lane: Option<LaneReport>,
    /// The lane of responses in the background.
    pub background_lane: Option<LaneReport>,
    /// What was removed of stored responses.
    pub sweeper: Option<SweeperReport>,
    /// Responses in the background that are queued or under way.
    pub background_responses: usize,
    /// Upstream calls under way.
    pub calls_in_flight: u64,
}
