//! The owner of the catalogue.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use outcrop_domain::{
    error::UpstreamFailure,
    ids::Region,
    model::{Catalogue, CataloguePolicy, ModelBook, OfferedProfile, ProfileKind, RegionOffer},
};
use outcrop_supervision::Reply;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;

/// What a [`CatalogueKeeper`] is told.
#[derive(Debug)]
pub enum CatalogueKeeperMsg {
    /// A region answered discovery.
    Offered(Box<RegionOffer>),
    /// A region could not be asked; what it offered before stays.
    Unreachable {
        /// The region.
        region: Region,
        /// Why.
        failure: Box<UpstreamFailure>,
    },
    /// A profile was looked up by its ARN. The reply comes when the catalogue knows it.
    ProfileFound {
        /// Where it was found.
        region: Region,
        /// The profile.
        profile: Box<OfferedProfile>,
        /// Answered when the snapshot holds it.
        reply: Reply<()>,
    },
    /// The settings changed.
    Replace {
        /// Model data.
        book: Arc<ModelBook>,
        /// Aliases, fence, preferences.
        policy: Box<CataloguePolicy>,
    },
    /// Asks for the state of the catalogue.
    Describe {
        /// The answer.
        reply: Reply<CatalogueReport>,
    },
}

/// State of the catalogue, for consoles and tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CatalogueReport {
    /// Models that can be called.
    pub models: usize,
    /// What is known of each region.
    pub regions: BTreeMap<Region, RegionReport>,
}

/// What discovery said of a region last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RegionReport {
    /// Foundation models listed.
    pub models: usize,
    /// Profiles listed.
    pub profiles: usize,
    /// The last failure since the last answer.
    pub failure: Option<String>,
}

/// What a [`CatalogueKeeper`] starts from.
#[derive(Debug, Clone)]
pub struct CatalogueKeeperArgs {
    /// Where the snapshot is published.
    pub cell: Arc<ArcSwap<Catalogue>>,
    /// Where the offers it was built from are kept for a restart.
    pub offers: Arc<ArcSwap<Vec<RegionOffer>>>,
    /// What it is built by; kept here for a restart.
    pub rules: Arc<ArcSwap<CatalogueRules>>,
}

/// What the catalogue is built by.
#[derive(Debug, Clone)]
pub struct CatalogueRules {
    /// Model data.
    pub book: Arc<ModelBook>,
    /// Aliases, fence, preferences, order of regions.
    pub policy: CataloguePolicy,
}

/// State of a [`CatalogueKeeper`].
#[derive(Debug)]
pub struct CatalogueKeeperState {
    args: CatalogueKeeperArgs,
    failures: BTreeMap<Region, String>,
}

/// Builds and publishes the catalogue.
///
/// * Owns: the catalogue snapshot and the offers it is built from.
/// * Told by: one `Discovery` per region, the `Errand` of a `ProfileFinder`, the edge on reload.
/// * Tells: nobody; everyone reads the snapshot.
/// * On restart: builds the snapshot again from the offers and rules that are published beside it.
/// * Bounded by: one message per region and discovery interval, and one per unknown profile.
#[derive(Debug, Default)]
pub struct CatalogueKeeper;

impl Actor for CatalogueKeeper {
    type Msg = CatalogueKeeperMsg;
    type State = CatalogueKeeperState;
    type Arguments = CatalogueKeeperArgs;

    async fn pre_start(&self, _myself: ActorRef<Self::Msg>, args: CatalogueKeeperArgs) -> Result<Self::State, ActorProcessingErr> {
        let state = CatalogueKeeperState { args, failures: BTreeMap::new() };
        publish(&state);
        Ok(state)
    }

    async fn handle(&self, _myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        match message {
            CatalogueKeeperMsg::Offered(offer) => on_offered(state, *offer),
            CatalogueKeeperMsg::Unreachable { region, failure } => {
                state.failures.insert(region, failure.to_string());
            }
            CatalogueKeeperMsg::ProfileFound { region, profile, reply } => on_profile_found(state, &region, *profile, reply),
            CatalogueKeeperMsg::Replace { book, policy } => on_replace(state, book, *policy),
            CatalogueKeeperMsg::Describe { reply } => {
                reply.send(report(state));
            }
        }
        Ok(())
    }
}

fn on_offered(state: &mut CatalogueKeeperState, offer: RegionOffer) {
    state.failures.remove(&offer.region);
    let mut offers = state.args.offers.load_full().as_ref().clone();
    match offers.iter_mut().find(|known| known.region == offer.region) {
        Some(known) if *known == offer => return,
        Some(known) => {
            // A list that failed is not an empty one: what it held before still counts.
            let offer = offer.completed_by(known);
            // Profiles that were looked up one by one (another account's) are in no list, and stay.
            let listed = |profile: &OfferedProfile| offer.profiles.iter().any(|new| new.arn == profile.arn);
            let kept: Vec<OfferedProfile> =
                known.profiles.iter().filter(|old| old.kind == ProfileKind::Application && !listed(old)).cloned().collect();
            *known = offer;
            known.profiles.extend(kept);
        }
        None => offers.push(offer),
    }
    state.args.offers.store(Arc::new(offers));
    publish(state);
}

fn on_profile_found(state: &CatalogueKeeperState, region: &Region, profile: OfferedProfile, reply: Reply<()>) {
    let mut offers = state.args.offers.load_full().as_ref().clone();
    if let Some(offer) = offers.iter_mut().find(|offer| offer.region == *region) {
        offer.profiles.retain(|known| known.arn != profile.arn);
        offer.profiles.push(profile);
    } else {
        offers.push(RegionOffer { region: region.clone(), models: Vec::new(), profiles: vec![profile], problems: Vec::new() });
    }
    state.args.offers.store(Arc::new(offers));
    publish(state);
    reply.send(());
}

fn on_replace(state: &CatalogueKeeperState, book: Arc<ModelBook>, policy: CataloguePolicy) {
    state.args.rules.store(Arc::new(CatalogueRules { book, policy }));
    publish(state);
}

fn publish(state: &CatalogueKeeperState) {
    let offers = state.args.offers.load();
    let rules = state.args.rules.load();
    let catalogue = Catalogue::build(&rules.book, &offers, &rules.policy);
    tracing::info!(models = catalogue.list().count(), regions = offers.len(), "catalogue published");
    state.args.cell.store(Arc::new(catalogue));
}

fn report(state: &CatalogueKeeperState) -> CatalogueReport {
    let mut regions: BTreeMap<Region, RegionReport> = BTreeMap::new();
    for offer in state.args.offers.load().iter() {
        let entry = regions.entry(offer.region.clone()).or_default();
        entry.models = offer.models.len();
        entry.profiles = offer.profiles.len();
    }
    for (region, failure) in &state.failures {
        regions.entry(region.clone()).or_default().failure = Some(failure.clone());
    }
    CatalogueReport { models: state.args.cell.load().list().count(), regions }
}
