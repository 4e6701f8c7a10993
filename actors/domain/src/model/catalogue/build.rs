//! Builds a catalogue.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    Catalogue, CataloguePolicy, ListedModel, PrefixedNames, ProfileUse, Standing, Target,
    arn::Arn,
    index::{CALLABLE_RANK, Candidate, KNOWN_RANK, MANTLE_RANK, Meaning, RETIRED_RANK, RetiredWords, WordIndex},
    spelling::{Spelling, shortened},
    targets::{Entry, Fence, GLOBAL, Surveyor, class_of, prefix_of},
};
use crate::{
    ids::{Geography, ModelAlias, ModelId, Region},
    model::{ModelBook, OfferedProfile, ProfileKind, RegionOffer},
};

impl Catalogue {
    /// Puts the book, the offers and the policy together. Without offers the catalogue is not ready.
    #[must_use]
    pub fn build(book: &ModelBook, offers: &[RegionOffer], policy: &CataloguePolicy) -> Self {
        if offers.is_empty() {
            return Self::not_ready();
        }
        let regions = regions(offers, policy);
        let fence = Fence::of(&policy.residency, &book.geographies);
        let surveyor = Surveyor { policy, fence: &fence, regions: &regions };
        let entries = surveyor.survey(&book.models, offers);
        let mut catalogue = Self {
            ready: true,
            retired_fallback: policy.retired_fallback,
            honour_prefixes: policy.prefixed_names == PrefixedNames::Honour,
            by_id: entries.iter().enumerate().map(|(index, entry)| (entry.spec.id.clone(), index)).collect(),
            providers: providers(book, &entries),
            entries,
            book_aliases: book.aliases.clone(),
            retired: book.retired.clone(),
            wrappers: book.wrappers.iter().cloned().collect(),
            dialects: book.dialects.iter().cloned().collect(),
            geographies: geographies(book, offers),
            aliases: policy.aliases.iter().map(|alias| (alias.name.clone(), alias.model.clone())).collect(),
            ..Self::default()
        };
        for word in &fence.unknown {
            catalogue.problems.push(format!("residency `{word}` is neither a geography nor a region: nothing lies within it"));
        }
        catalogue.index_words();
        catalogue.take_offered_arns(offers, &surveyor);
        catalogue.take_configured_arns(policy, &fence, &regions);
        catalogue.index_words();
        catalogue.regions = regions;
        catalogue.fence = fence;
        catalogue.settle_names();
        catalogue.list_models();
        catalogue
    }

    fn index_words(&mut self) {
        let mut words = WordIndex::default();
        let mut retired_words = RetiredWords::default();
        let insert = |words: &mut WordIndex, id: &str, name: &str, meaning, rank| {
            let prefix = id.split_once('.').map_or("", |(prefix, _)| prefix).to_owned();
            words.insert(&Candidate { meaning, prefix, spelling: Spelling::of(name), rank });
        };
        let rest = |id: &str| id.split_once('.').map_or(id, |(_, rest)| rest).to_owned();
        let rank = |standing: &Standing| match standing {
            Standing::Callable => CALLABLE_RANK,
            Standing::MantleOnly => MANTLE_RANK,
            _ => KNOWN_RANK,
        };
        for (index, entry) in self.entries.iter().enumerate() {
            let id = entry.spec.id.as_str();
            insert(&mut words, id, &rest(id), Meaning::Model(index), rank(&entry.standing));
        }
        for (name, id) in &self.book_aliases {
            if let Some(index) = self.by_id.get(id.as_str()).copied() {
                insert(&mut words, id, name, Meaning::Model(index), CALLABLE_RANK);
            }
        }
        for (row, retired) in self.retired.iter().enumerate() {
            match retired.id.strip_suffix('*') {
                Some(beginning) => retired_words.insert(beginning, row),
                None => insert(&mut words, &retired.id, &rest(&retired.id), Meaning::Retired(row), RETIRED_RANK),
            }
        }
        words.sort();
        self.words = words;
        self.retired_words = retired_words;
    }

    /// Application inference profiles that discovery found.
    fn take_offered_arns(&mut self, offers: &[RegionOffer], surveyor: &Surveyor<'_>) {
        let in_use = offers.iter().filter(|offer| surveyor.regions.contains(&offer.region) && surveyor.fence.allows(&offer.region));
        for profile in in_use.flat_map(|offer| &offer.profiles).filter(|profile| profile.kind == ProfileKind::Application) {
            let Some(index) = self.by_id.get(profile.model.as_str()).copied() else { continue };
            let Some(arn) = Arn::parse(&profile.arn) else { continue };
            if surveyor.escapes(profile).is_some() {
                self.problems.push(format!("profile `{}` routes outside the allowed geographies and is not used", profile.arn));
                continue;
            }
            let geography = self.geography_of(profile, offers);
            let target = Target { region: arn.region.clone(), invoke_id: profile.arn.as_str().into(), class: class_of(&arn, geography) };
            self.arns.insert(profile.arn.clone(), (index, target.clone()));
            self.arns.insert(profile.id.to_string(), (index, target));
        }
    }

    /// The geography whose profile an application profile was made from: the one with the same destinations.
    fn geography_of(&self, profile: &OfferedProfile, offers: &[RegionOffer]) -> Option<Geography> {
        if profile.regions.len() < 2 {
            return None;
        }
        let set = |profile: &OfferedProfile| profile.regions.iter().cloned().collect::<BTreeSet<_>>();
        let own = set(profile);
        let system = offers.iter().flat_map(|offer| &offer.profiles).filter(|known| known.model == profile.model);
        system.filter(|known| set(known) == own).find_map(prefix_of).filter(|prefix| prefix.as_str() != GLOBAL)
    }

    /// Profiles that the operator named: they may hide any model, and may stand in for its own ids.
    fn take_configured_arns(&mut self, policy: &CataloguePolicy, fence: &Fence, regions: &[Region]) {
        for profile in &policy.profiles {
            let text = profile.arn.as_str();
            let Some(arn) = Arn::parse(text) else {
                self.problems.push(format!("`{text}` is no ARN of a Bedrock model or profile"));
                continue;
            };
            if !regions.contains(&arn.region) || !fence.allows(&arn.region) {
                self.problems.push(format!("profile `{text}` lies in `{}`, which is not among the usable regions", arn.region));
                continue;
            }
            let Ok(index) = self.locate_model(&profile.model) else {
                self.problems.push(format!("profile `{text}`: the model `{}` does not exist", profile.model));
                continue;
            };
            let known = self.arns.get(text).map(|(_, target)| target.class.clone());
            let class = known.unwrap_or_else(|| class_of(&arn, None));
            let target = Target { region: arn.region, invoke_id: profile.arn.clone(), class };
            self.arns.insert(text.to_owned(), (index, target.clone()));
            if profile.serves == ProfileUse::ItsModel {
                self.put_first(index, target, regions);
            }
        }
    }

    /// Lets `target` take the place of the model's own target in its region.
    fn put_first(&mut self, index: usize, target: Target, regions: &[Region]) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        if matches!(entry.standing, Standing::Disabled | Standing::Legacy) {
            return;
        }
        let mut targets: Vec<Target> = entry.targets.iter().filter(|known| known.region != target.region).cloned().collect();
        targets.push(target);
        targets.sort_by_key(|target| regions.iter().position(|region| *region == target.region));
        entry.targets = targets.into();
        entry.standing = Standing::Callable;
    }

    /// Resolves every name that is known beforehand, in the order of precedence.
    fn settle_names(&mut self) {
        let ids: Vec<ModelId> = self.entries.iter().map(|entry| entry.spec.id.clone()).collect();
        let mut names: HashMap<ModelAlias, _> = HashMap::new();
        for id in &ids {
            let name = ModelAlias::from(id.as_str());
            names.insert(name, self.resolve_slowly(id.as_str()));
        }
        let aliases: BTreeSet<ModelAlias> = self.aliases.keys().cloned().collect();
        for alias in aliases {
            if names.contains_key(&alias) {
                self.problems.push(format!("alias `{alias}` has no effect: a model has this id"));
                self.aliases.remove(&alias);
                continue;
            }
            let resolved = self.resolve_slowly(alias.as_str());
            if let Err(error) = &resolved {
                self.problems.push(format!("alias `{alias}`: {error}"));
            }
            names.insert(alias, resolved);
        }
        let mut others: Vec<String> = self.book_aliases.keys().cloned().collect();
        for entry in &self.entries {
            others.extend(entry.profiles.values().flat_map(|targets| targets.iter()).map(|target| target.invoke_id.to_string()));
            others.extend(spellings(entry.spec.id.as_str()));
        }
        for name in others {
            let key = ModelAlias::from(name.as_str());
            if !names.contains_key(&key)
                && let Ok(resolution) = self.resolve_slowly(&name)
            {
                names.insert(key, Ok(resolution));
            }
        }
        // In order: of two that differ in case alone the last wins, the same one at every start.
        let mixed: BTreeSet<&ModelAlias> = names.keys().filter(|name| name.as_str().chars().any(char::is_uppercase)).collect();
        self.folded = mixed.into_iter().map(|name| (name.as_str().to_lowercase(), name.clone())).collect();
        self.names = names;
    }

    fn list_models(&mut self) {
        let mut aliases: HashMap<ModelId, Vec<ModelAlias>> = HashMap::new();
        let own: BTreeSet<&ModelAlias> = self.aliases.keys().collect();
        let book: BTreeSet<ModelAlias> = self.book_aliases.keys().map(|name| ModelAlias::from(name.as_str())).collect();
        for name in own.into_iter().chain(&book) {
            if let Some(Ok(resolution)) = self.names.get(name)
                && resolution.replaced.is_none()
            {
                let known = aliases.entry(resolution.model.id.clone()).or_default();
                if !known.contains(name) {
                    known.push(name.clone());
                }
            }
        }
        let callable = self.entries.iter().filter(|entry| entry.standing == Standing::Callable);
        let listed = callable.map(|entry| {
            let id = entry.spec.id.clone();
            let mut aliases = aliases.remove(&id).unwrap_or_default();
            let [_, short] = shortened(id.as_str().split_once('.').map_or(id.as_str(), |(_, rest)| rest));
            let short = ModelAlias::from(short);
            let meant = matches!(self.names.get(&short), Some(Ok(resolution)) if resolution.model.id == id);
            if meant && !aliases.contains(&short) {
                aliases.push(short);
            }
            let regions = entry.targets.iter().map(|target| target.region.clone()).collect();
            ListedModel { id, spec: Arc::clone(&entry.spec), regions, aliases }
        });
        self.listed = listed.collect();
    }
}

/// The policy's order, or that of the offers.
fn regions(offers: &[RegionOffer], policy: &CataloguePolicy) -> Vec<Region> {
    let mut regions: Vec<Region> = Vec::new();
    let configured = policy.regions.iter();
    let offered = offers.iter().map(|offer| &offer.region).filter(|_| policy.regions.is_empty());
    for region in configured.chain(offered) {
        if !regions.contains(region) {
            regions.push(region.clone());
        }
    }
    regions
}

fn providers(book: &ModelBook, entries: &[Entry]) -> HashMap<String, Vec<String>> {
    let mut providers: HashMap<String, Vec<String>> = HashMap::new();
    for (prefix, spellings) in &book.providers {
        for spelling in spellings {
            providers.entry(spelling.to_lowercase()).or_default().push(prefix.clone());
        }
    }
    for entry in entries {
        let prefix = entry.spec.id_prefix();
        providers.entry(prefix.to_owned()).or_insert_with(|| vec![prefix.to_owned()]);
    }
    providers
}

/// The book's geographies and those that discovery found.
fn geographies(book: &ModelBook, offers: &[RegionOffer]) -> HashSet<String> {
    let found = offers.iter().flat_map(|offer| &offer.profiles).filter_map(prefix_of);
    book.geographies.keys().cloned().chain(found).map(|geography| geography.to_string()).collect()
}

/// The usual ways to write an id, so that they cost one look-up.
fn spellings(id: &str) -> Vec<String> {
    let (prefix, rest) = id.split_once('.').unwrap_or(("", id));
    let [unversioned, undated] = shortened(rest);
    let dotted = dotted(&undated);
    let mut all = Vec::new();
    for name in [rest, &unversioned, &undated, &dotted] {
        all.push(name.to_owned());
        all.push(format!("{prefix}/{name}"));
        all.push(format!("{prefix}.{name}"));
        all.push(format!("bedrock/{prefix}.{name}"));
    }
    all
}

/// `claude-sonnet-4-6` as `claude-sonnet-4.6`: a hyphen between single digits becomes a point.
fn dotted(name: &str) -> String {
    let is_digit = |part: &str| part.len() == 1 && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut all = String::new();
    let mut before = "";
    for part in name.split('-') {
        if !all.is_empty() {
            all.push(if is_digit(before) && is_digit(part) { '.' } else { '-' });
        }
        all.push_str(part);
        before = part;
    }
    all
}
