//! Per model: the best way to call it in each region, or why there is none.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    CataloguePolicy, LegacyModels, ProfileClass, ProfilePreference, Standing, Target,
    arn::{Arn, ArnResource, is_region},
    spelling::matches_pattern,
};
use crate::{
    ids::{Geography, InvokeId, ModelId, Region},
    model::{
        BareId, ChatCapabilities, Geographies, Lifecycle, Modality, ModelKind, ModelSpec, OfferedModel, OfferedProfile, Origin,
        ProfileKind, RegionOffer, Surface,
    },
};

/// The prefix of profiles that may route anywhere.
pub(super) const GLOBAL: &str = "global";

/// A model with the ways to call it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) spec: Arc<ModelSpec>,
    /// The best way per region, in region order; empty unless callable.
    pub(super) targets: Arc<[Target]>,
    /// Every system profile of the model that may be used, with the regions that offer it.
    pub(super) profiles: BTreeMap<Geography, Arc<[Target]>>,
    pub(super) standing: Standing,
}

/// The residency fence.
#[derive(Debug, Clone, Default)]
pub(super) struct Fence {
    patterns: Vec<String>,
    /// As the operator wrote it; empty = no fence.
    pub(super) words: Vec<String>,
    /// Entries that mean nothing.
    pub(super) unknown: Vec<String>,
}

impl Fence {
    pub(super) fn of(residency: &[String], geographies: &Geographies) -> Self {
        let mut fence = Self { words: residency.to_vec(), ..Self::default() };
        for word in residency {
            match geographies.get(word.as_str()) {
                Some(regions) => fence.patterns.extend(regions.iter().cloned()),
                None if is_region(word) => fence.patterns.push(word.clone()),
                // Matches nothing: a misspelt fence keeps everything in, never out.
                None => fence.unknown.push(word.clone()),
            }
        }
        fence
    }

    pub(super) fn stands(&self) -> bool {
        !self.words.is_empty()
    }

    pub(super) fn allows(&self, region: &Region) -> bool {
        !self.stands() || self.patterns.iter().any(|pattern| matches_pattern(pattern, region.as_str()))
    }
}

/// What all regions offer of one model.
#[derive(Default)]
struct Offered<'a> {
    listed: HashMap<&'a Region, &'a OfferedModel>,
    profiles: HashMap<&'a Region, Vec<&'a OfferedProfile>>,
}

/// Why one region gives no target.
enum Blocked {
    NotListed,
    NoAccess,
    Fenced { invoke_id: InvokeId, destination: Option<Region> },
}

/// Puts models and offers together.
pub(super) struct Surveyor<'a> {
    pub(super) policy: &'a CataloguePolicy,
    pub(super) fence: &'a Fence,
    /// Regions in order.
    pub(super) regions: &'a [Region],
}

impl<'a> Surveyor<'a> {
    /// Every model of the book and of the offers, in the order of ids.
    pub(super) fn survey(&self, book: &BTreeMap<ModelId, Arc<ModelSpec>>, offers: &'a [RegionOffer]) -> Vec<Entry> {
        let mut offered: BTreeMap<&ModelId, Offered<'a>> = BTreeMap::new();
        for offer in offers.iter().filter(|offer| self.regions.contains(&offer.region)) {
            for model in &offer.models {
                offered.entry(&model.id).or_default().listed.entry(&offer.region).or_insert(model);
            }
            for profile in &offer.profiles {
                offered.entry(&profile.model).or_default().profiles.entry(&offer.region).or_default().push(profile);
            }
        }
        let mut entries: BTreeMap<&ModelId, Entry> = BTreeMap::new();
        for (id, offered) in &offered {
            let known = book.get(*id).cloned();
            let listed = self.regions.iter().find_map(|region| offered.listed.get(region).copied());
            let spec = match (known, listed) {
                (Some(spec), Some(listed)) => with_live_status(spec, listed),
                (Some(spec), None) => spec,
                (None, Some(listed)) => Arc::new(unknown_model(listed)),
                // A profile of a model that nothing else is known of.
                (None, None) => Arc::new(unknown_model(&bare_offer(id))),
            };
            entries.insert(*id, self.entry(spec, offered));
        }
        let nothing = Offered::default();
        for (id, spec) in book {
            entries.entry(id).or_insert_with(|| self.entry(spec.clone(), &nothing));
        }
        entries.into_values().collect()
    }

    fn entry(&self, spec: Arc<ModelSpec>, offered: &Offered<'_>) -> Entry {
        let mut targets = Vec::new();
        let mut no_access = Vec::new();
        let mut fenced = None;
        for region in self.regions {
            match self.best(&spec, region, offered) {
                Ok(target) => targets.push(target),
                Err(Blocked::NotListed) => {}
                Err(Blocked::NoAccess) => no_access.push(region.clone()),
                Err(Blocked::Fenced { invoke_id, destination }) => fenced = fenced.or(Some(Standing::Fenced { invoke_id, destination })),
            }
        }
        let standing = if spec.mantle_only() {
            Standing::MantleOnly
        } else if !self.permitted(spec.id.as_str()) {
            Standing::Disabled
        } else if spec.lifecycle == Lifecycle::Legacy && self.policy.legacy == LegacyModels::Refuse {
            Standing::Legacy
        } else if !targets.is_empty() {
            Standing::Callable
        } else if let Some(fenced) = fenced {
            fenced
        } else if !no_access.is_empty() {
            Standing::NoAccess(no_access)
        } else {
            Standing::NotOffered
        };
        let callable = standing == Standing::Callable;
        let profiles = if callable { self.usable_profiles(offered) } else { BTreeMap::new() };
        let targets = if callable { Arc::from(targets) } else { Arc::from([]) };
        Entry { spec, targets, profiles, standing }
    }

    fn permitted(&self, id: &str) -> bool {
        let matches = |patterns: &[String]| patterns.iter().any(|pattern| matches_pattern(&pattern.to_lowercase(), id));
        (self.policy.allow_models.is_empty() || matches(&self.policy.allow_models)) && !matches(&self.policy.deny_models)
    }

    fn best(&self, spec: &ModelSpec, region: &Region, offered: &Offered<'_>) -> Result<Target, Blocked> {
        let inside = self.fence.allows(region);
        let listed = offered.listed.get(region).copied();
        let profiles = offered.profiles.get(region).map(Vec::as_slice).unwrap_or_default();
        if listed.is_some_and(|listed| !listed.available) {
            return Err(Blocked::NoAccess);
        }
        let target = |invoke_id: InvokeId, class| Target { region: region.clone(), invoke_id, class };
        let on_demand = listed
            .filter(|listed| listed.on_demand && spec.bare_id != BareId::Mantle)
            .map(|_| target(InvokeId::from(spec.id.as_str()), ProfileClass::OnDemand));
        let mut geography: Vec<(&OfferedProfile, Geography)> = profiles
            .iter()
            .filter_map(|profile| Some((*profile, prefix_of(profile)?)))
            .filter(|(_, prefix)| prefix.as_str() != GLOBAL)
            .collect();
        // The narrowest first: `jp` before `apac`.
        geography.sort_by(|(a, _), (b, _)| (a.regions.len(), &a.id).cmp(&(b.regions.len(), &b.id)));
        let global = profiles.iter().find(|profile| prefix_of(profile).is_some_and(|prefix| prefix.as_str() == GLOBAL));
        let near = || {
            geography
                .iter()
                .find(|(profile, _)| inside && self.escapes(profile).is_none())
                .map(|(profile, prefix)| (*profile, prefix.clone()))
        };
        let wide = || global.filter(|profile| inside && self.escapes(profile).is_none());
        let own = on_demand.filter(|_| inside);
        let through_near = || near().map(|(profile, prefix)| target(profile.id.clone(), ProfileClass::Geography(prefix)));
        let through_wide = || wide().map(|profile| target(profile.id.clone(), ProfileClass::Global));
        let chosen = match self.policy.prefer {
            ProfilePreference::Regional => own.or_else(through_near).or_else(through_wide),
            ProfilePreference::Global => through_wide().or(own).or_else(through_near),
        };
        if let Some(target) = chosen {
            return Ok(target);
        }
        let fenced = geography.iter().map(|(profile, _)| *profile).chain(global.copied()).find_map(|profile| {
            let destination = self.escapes(profile).or((!inside).then(|| Some(region.clone())))?;
            Some(Blocked::Fenced { invoke_id: profile.id.clone(), destination })
        });
        let bare = listed.filter(|listed| listed.on_demand && !inside);
        let bare = bare.map(|listed| Blocked::Fenced { invoke_id: InvokeId::from(listed.id.as_str()), destination: Some(region.clone()) });
        Err(fenced.or(bare).unwrap_or(if listed.is_some() { Blocked::NoAccess } else { Blocked::NotListed }))
    }

    /// The system profiles that may be used, each with the regions that offer it.
    fn usable_profiles(&self, offered: &Offered<'_>) -> BTreeMap<Geography, Arc<[Target]>> {
        let mut found: BTreeMap<Geography, Vec<Target>> = BTreeMap::new();
        for region in self.regions.iter().filter(|region| self.fence.allows(region)) {
            for profile in offered.profiles.get(region).into_iter().flatten() {
                let Some(prefix) = prefix_of(profile).filter(|_| self.escapes(profile).is_none()) else { continue };
                let class = if prefix.as_str() == GLOBAL { ProfileClass::Global } else { ProfileClass::Geography(prefix.clone()) };
                let target = Target { region: region.clone(), invoke_id: profile.id.clone(), class };
                let targets = found.entry(prefix).or_default();
                if targets.iter().all(|known| known.region != *region) {
                    targets.push(target);
                }
            }
        }
        found.into_iter().map(|(prefix, targets)| (prefix, Arc::from(targets))).collect()
    }

    /// `Some` when a profile must not be used: with the first destination outside the fence, `None` inside = anywhere.
    pub(super) fn escapes(&self, profile: &OfferedProfile) -> Option<Option<Region>> {
        let prefix = prefix_of(profile);
        if prefix.as_ref().is_some_and(|prefix| prefix.as_str() == GLOBAL) {
            return (self.fence.stands() || !self.policy.allow_global).then_some(None);
        }
        if !self.fence.stands() {
            return None;
        }
        if profile.regions.is_empty() {
            // Nothing is known of its destinations: only the geography's own name in the fence vouches for them.
            let vouched = prefix.is_some_and(|prefix| self.fence.words.iter().any(|word| word == prefix.as_str()));
            return (!vouched).then_some(None);
        }
        profile.regions.iter().find(|region| !self.fence.allows(region)).map(|region| Some(region.clone()))
    }
}

/// The geography of a system profile: what stands before its model's id.
pub(super) fn prefix_of(profile: &OfferedProfile) -> Option<Geography> {
    if profile.kind != ProfileKind::SystemDefined {
        return None;
    }
    let id = profile.id.as_str();
    let id = id.rsplit_once('/').map_or(id, |(_, last)| last);
    let prefix = id.strip_suffix(profile.model.as_str())?.strip_suffix('.')?;
    (!prefix.is_empty()).then(|| Geography::from(prefix))
}

/// The class of a call by ARN. `geography`: where it is known to route to several regions.
pub(super) fn class_of(arn: &Arn<'_>, geography: Option<Geography>) -> ProfileClass {
    match arn.resource {
        ArnResource::Provisioned => ProfileClass::Provisioned,
        ArnResource::FoundationModel(_) => ProfileClass::OnDemand,
        ArnResource::InferenceProfile(_) | ArnResource::Hidden => ProfileClass::Application(geography),
    }
}

/// Discovery knows better than the book whether a model is in its legacy period.
fn with_live_status(spec: Arc<ModelSpec>, listed: &OfferedModel) -> Arc<ModelSpec> {
    let lifecycle = lifecycle(listed);
    if spec.lifecycle == lifecycle {
        return spec;
    }
    let mut spec = ModelSpec::clone(&spec);
    spec.lifecycle = lifecycle;
    Arc::new(spec)
}

fn lifecycle(listed: &OfferedModel) -> Lifecycle {
    if listed.lifecycle.eq_ignore_ascii_case("LEGACY") { Lifecycle::Legacy } else { Lifecycle::Active }
}

fn bare_offer(id: &ModelId) -> OfferedModel {
    OfferedModel {
        id: id.clone(),
        name: id.to_string(),
        provider: String::new(),
        input: vec!["TEXT".to_owned()],
        output: vec!["TEXT".to_owned()],
        streaming: true,
        lifecycle: String::new(),
        on_demand: false,
        available: true,
    }
}

/// A model that the book lacks: what discovery says, cautious capabilities, no price.
fn unknown_model(listed: &OfferedModel) -> ModelSpec {
    let modalities = |words: &[String]| words.iter().filter_map(|word| Modality::from_word(word)).collect::<Vec<_>>();
    let (input, output) = (modalities(&listed.input), modalities(&listed.output));
    let kind = match output.as_slice() {
        [Modality::Embedding, ..] => ModelKind::Embedding,
        [Modality::Image, ..] => ModelKind::Image,
        [Modality::Video, ..] => ModelKind::Video,
        [Modality::Speech, ..] => ModelKind::Speech,
        _ => ModelKind::Chat,
    };
    let reads = |modality| input.contains(&modality);
    let chat = (kind == ModelKind::Chat).then(|| ChatCapabilities {
        images: reads(Modality::Image),
        video: reads(Modality::Video),
        audio: reads(Modality::Audio) || reads(Modality::Speech),
        ..ChatCapabilities::default()
    });
    let surfaces = match kind {
        ModelKind::Chat => vec![Surface::Converse, Surface::Invoke],
        ModelKind::Speech => vec![Surface::InvokeBidirectional],
        ModelKind::Video => vec![Surface::AsyncInvoke],
        ModelKind::Embedding | ModelKind::Image | ModelKind::Rerank => vec![Surface::Invoke],
    };
    ModelSpec {
        id: listed.id.clone(),
        name: listed.name.clone(),
        provider: listed.provider.clone(),
        kind,
        family: None,
        streaming: listed.streaming,
        context_tokens: None,
        max_output_tokens: None,
        lifecycle: lifecycle(listed),
        shutdown: None,
        released: None,
        surfaces,
        bare_id: BareId::Unlisted,
        geographies: Vec::new(),
        runtime_id: None,
        embedding_sizes: Vec::new(),
        image_tasks: Vec::new(),
        burndown: 1,
        long_context_beta: None,
        price: None,
        chat,
        origin: Origin::Discovery,
        input,
        output,
    }
}
