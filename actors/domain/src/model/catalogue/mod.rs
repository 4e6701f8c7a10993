//! The catalogue: an immutable snapshot of which models can be called where, and under which names.
//!
//! Built from the book, from what regions offer and from the operator's policy whenever one of them changes, then read
//! by every request without a lock.

mod arn;
mod build;
mod error;
mod filter;
mod index;
mod near;
mod policy;
mod resolve;
mod spelling;
mod targets;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

pub use error::ResolveError;
pub use filter::{FilterError, ModelFilter, Route};
pub use policy::{
    AliasTarget, CataloguePolicy, ConfiguredProfile, LegacyModels, PrefixedNames, ProfileClass, ProfilePreference, ProfileUse, Standing,
    Target, Uncallable,
};

use self::{
    index::{RetiredWords, WordIndex},
    targets::{Entry, Fence},
};
use super::{ModelSpec, Retired};
use crate::{
    adjust::Adjustments,
    ids::{Geography, InvokeId, ModelAlias, ModelId, Region},
};

/// Which models can be called where, and under which names.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    ready: bool,
    regions: Vec<Region>,
    fence: Fence,
    retired_fallback: bool,
    honour_prefixes: bool,
    /// Every model, in the order of ids.
    entries: Vec<Entry>,
    by_id: HashMap<ModelId, usize>,
    /// Names known beforehand, with what they resolve to.
    names: HashMap<ModelAlias, Result<Resolution, ResolveError>>,
    /// Lower-case form of the names that are not in lower case.
    folded: HashMap<String, ModelAlias>,
    /// The operator's aliases, and what they stand for.
    aliases: HashMap<ModelAlias, String>,
    /// The book's aliases.
    book_aliases: BTreeMap<String, String>,
    words: WordIndex,
    retired: Vec<Retired>,
    retired_words: RetiredWords,
    /// ARNs whose model is known.
    arns: HashMap<String, (usize, Target)>,
    /// Spelling of a provider -> prefixes of ids.
    providers: HashMap<String, Vec<String>>,
    wrappers: HashSet<String>,
    dialects: HashSet<String>,
    geographies: HashSet<String>,
    listed: Vec<ListedModel>,
    problems: Vec<String>,
}

/// What a name leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolution {
    /// The model.
    pub model: Arc<ModelSpec>,
    /// The ways to call it, in the order of preference; never empty.
    pub targets: Arc<[Target]>,
    /// The caller's name.
    pub asked: ModelAlias,
    /// Set when the model asked for is retired and another answers.
    pub replaced: Option<Replaced>,
    /// What was changed on the way, to be reported.
    pub notes: Adjustments,
    /// The operator's alias that was named, as the settings spell it: what else is configured with it applies.
    pub alias: Option<ModelAlias>,
    /// `anthropic_beta` flag that the name asks for (`[1m]` on a model that has the long window only so).
    pub beta_flag: Option<Arc<str>>,
}

/// One model that stands in for a retired one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The caller's name.
    pub asked: ModelAlias,
    /// The model that answers.
    pub by: ModelId,
    /// Why, in the data files' words.
    pub words: Arc<str>,
}

/// One line of the model list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedModel {
    /// The name callers should use: the canonical id.
    pub id: ModelId,
    /// The model.
    pub spec: Arc<ModelSpec>,
    /// Regions it can be called in, in order.
    pub regions: Vec<Region>,
    /// The operator's aliases first, then the book's, then the short name.
    pub aliases: Vec<ModelAlias>,
}

/// A system-defined inference profile that can be called.
#[derive(Debug, Clone, Copy)]
pub struct ListedProfile<'c> {
    /// Its id.
    pub id: &'c InvokeId,
    /// The prefix of its id.
    pub geography: &'c Geography,
    /// The model behind it.
    pub spec: &'c Arc<ModelSpec>,
    /// The ways to call it: one in each region that offers it.
    pub targets: &'c [Target],
}

impl Catalogue {
    /// A catalogue before the first discovery: every name answers [`ResolveError::NotReady`].
    #[must_use]
    pub fn not_ready() -> Self {
        Self::default()
    }

    /// False until a region has answered discovery.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// The models that can be called, in the order of ids.
    pub fn list(&self) -> impl ExactSizeIterator<Item = &ListedModel> {
        self.listed.iter()
    }

    /// One callable model by its canonical id.
    #[must_use]
    pub fn listed(&self, id: &str) -> Option<&ListedModel> {
        self.listed.binary_search_by(|model| model.id.as_str().cmp(id)).ok().and_then(|position| self.listed.get(position))
    }

    /// The system-defined inference profiles of the models that can be called, by model and prefix.
    pub fn profiles(&self) -> impl Iterator<Item = ListedProfile<'_>> {
        let callable = self.entries.iter().filter(|entry| entry.standing == Standing::Callable);
        callable.flat_map(|entry| {
            entry.profiles.iter().filter_map(|(geography, targets)| {
                let id = &targets.first()?.invoke_id;
                Some(ListedProfile { id, geography, spec: &entry.spec, targets })
            })
        })
    }

    /// The models that are known and cannot be called, with the reason.
    pub fn uncallable(&self) -> impl Iterator<Item = Uncallable> {
        let entries = self.entries.iter().filter(|entry| entry.standing != Standing::Callable);
        entries.map(|entry| Uncallable { model: entry.spec.id.clone(), standing: entry.standing.clone() })
    }

    /// The regions in use, in order.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// What in the policy has no effect or cannot be followed, for the log.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

#[cfg(test)]
mod tests;
