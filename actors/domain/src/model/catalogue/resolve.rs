//! The one resolver: from whatever a caller wrote to a model and the ways to call it.
//!
//! Order: a name known beforehand (canonical id, the operator's alias, profile id, usual spelling); then ARN, router and
//! provider prefixes, profile prefix, wildcard, words in any case and order; then retired names; then the close names.

use std::sync::Arc;

use super::{
    Catalogue, Replaced, Resolution, ResolveError, Standing, Target,
    arn::{Arn, ArnResource, is_region},
    index::Meaning,
    near::near,
    spelling::{Spelling, matches_pattern},
    targets::{Entry, GLOBAL},
};
use crate::{
    adjust::Adjustments,
    ids::{InvokeId, ModelAlias, ModelId, Region},
    model::{Replacing, Retired},
};

/// Longest name looked at; Converse takes ids of up to 2048 characters.
const MAX_NAME: usize = 2048;
/// Longest piece of an unknown name that an error repeats.
const MAX_QUOTED: usize = 200;
/// Deepest chain of aliases and of retired models.
const MAX_DEPTH: usize = 8;
/// Fewest characters beside the `*` of a pattern.
const MIN_LITERALS: usize = 3;
/// Asks for the window of a million tokens. Claude Code writes it behind a model's name.
const LONG_SUFFIX: &str = "[1m]";
/// Tokens of that window.
const LONG_CONTEXT: u32 = 1_000_000;
/// Field of every note: the caller's `model`.
const FIELD: &str = "model";

impl Catalogue {
    /// Resolves a name. Cheap for names known beforehand: one look-up and a few reference counts.
    ///
    /// # Errors
    /// See [`ResolveError`]; on [`ResolveError::ProfileUnknown`] the caller may look the ARN up and resolve again.
    pub fn resolve(&self, name: &str) -> Result<Resolution, ResolveError> {
        if !self.ready {
            return Err(ResolveError::NotReady);
        }
        match self.names.get(name) {
            Some(known) => known.clone(),
            None => self.resolve_slowly(name),
        }
    }

    /// Resolves a name without the table of names known beforehand.
    pub(super) fn resolve_slowly(&self, name: &str) -> Result<Resolution, ResolveError> {
        let mut resolution = self.follow(name, 0)?;
        resolution.asked = ModelAlias::from(name);
        if let Some(replaced) = &mut resolution.replaced {
            replaced.asked = resolution.asked.clone();
        }
        Ok(resolution)
    }

    /// The model that a name means, callable or not.
    pub(super) fn locate_model(&self, name: &str) -> Result<usize, ResolveError> {
        let mut name = name.to_owned();
        for _ in 0..MAX_DEPTH {
            match self.locate(&name)? {
                Found::Model { index, .. } => return Ok(index),
                Found::Alias { target, .. } => name = target,
                Found::Retired(row) => {
                    let wanted = self.retired.get(row).and_then(|retired| retired.replacements.first());
                    name = wanted.map_or(name, ModelId::to_string);
                }
            }
        }
        Err(ResolveError::AliasLoop { alias: name })
    }

    fn follow(&self, name: &str, depth: usize) -> Result<Resolution, ResolveError> {
        if depth >= MAX_DEPTH {
            return Err(ResolveError::AliasLoop { alias: quoted(name) });
        }
        if let Some(rest) = strip_long_suffix(name) {
            let mut resolution = self.follow(rest, depth + 1)?;
            note_long_context(&mut resolution);
            return Ok(resolution);
        }
        match self.locate(name)? {
            Found::Alias { target, own } => {
                let mut resolution = self.follow(&target, depth + 1)?;
                resolution.alias = own.or(resolution.alias);
                Ok(resolution)
            }
            Found::Model { index, pin } => self.settle(name, index, &pin),
            Found::Retired(row) => self.replace(name, row),
        }
    }

    /// The operator's alias that a name means, whether or not its model can be called at the moment.
    #[must_use]
    pub fn operator_alias(&self, name: &str) -> Option<ModelAlias> {
        let name = strip_long_suffix(name).unwrap_or(name);
        match self.locate(name).ok()? {
            Found::Alias { own: Some(own), .. } => Some(own),
            Found::Alias { target, own: None } => match self.locate(&target).ok()? {
                Found::Alias { own, .. } => own,
                Found::Model { .. } | Found::Retired(_) => None,
            },
            Found::Model { .. } | Found::Retired(_) => None,
        }
    }

    /// What a name means, before asking whether it can be called.
    fn locate(&self, name: &str) -> Result<Found, ResolveError> {
        let name = name.trim();
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(ResolveError::NotFound { asked: quoted(name), close: Vec::new() });
        }
        if let Some(index) = self.by_id.get(name) {
            return Ok(Found::model(*index));
        }
        if let Some(found) = self.alias(name) {
            return Ok(found);
        }
        let asked = self.unwrap(name)?;
        if asked.rest.starts_with("arn:") || self.arns.contains_key(asked.rest) {
            return self.locate_arn(asked.rest);
        }
        let lower = asked.rest.to_lowercase();
        if lower.contains('*') {
            return self.locate_pattern(name, &lower, asked);
        }
        if let Some(index) = self.by_id.get(lower.as_str()) {
            return Ok(Found::Model { index: *index, pin: asked.pin });
        }
        if let Some(found) = self.alias(asked.rest) {
            return Ok(found);
        }
        let spelling = Spelling::of(asked.bare);
        let allowed = |prefix: &str| asked.providers.is_none_or(|providers| providers.iter().any(|known| known == prefix));
        let meaning = self.words.best(&spelling, allowed).or_else(|| asked.dialect.then(|| self.words.best(&spelling, |_| true)).flatten());
        match meaning {
            Some(Meaning::Model(index)) => Ok(Found::Model { index, pin: asked.pin }),
            Some(Meaning::Retired(row)) => Ok(Found::Retired(row)),
            None => self.retired_words.find(asked.bare, allowed).map(Found::Retired).ok_or_else(|| self.not_found(name, asked.bare)),
        }
    }

    /// The operator's alias, or the book's, in any case.
    fn alias(&self, name: &str) -> Option<Found> {
        let of = |name: &str| {
            let own = self.aliases.get_key_value(name);
            let own = own.map(|(name, target)| Found::Alias { target: target.clone(), own: Some(name.clone()) });
            own.or_else(|| self.book_aliases.get(name).map(|target| Found::Alias { target: target.clone(), own: None }))
        };
        of(name).or_else(|| {
            let lower = name.to_lowercase();
            of(&lower).or_else(|| of(self.folded.get(&lower)?.as_str()))
        })
    }

    /// Takes off router, region, provider and profile prefixes.
    fn unwrap<'n>(&self, name: &'n str) -> Result<Asked<'n, '_>, ResolveError> {
        let mut asked = Asked { rest: name, bare: name, pin: Pin::default(), providers: None, dialect: false };
        while !asked.rest.starts_with("arn:") && !self.arns.contains_key(asked.rest) {
            let Some((head, tail)) = asked.rest.split_once('/') else { break };
            let head = head.to_lowercase();
            if let Some(providers) = self.providers.get(&head) {
                asked.providers = Some(providers);
                asked.dialect = self.dialects.contains(&head);
            } else if is_region(&head) {
                asked.pin.region = Some(Region::from(head));
            } else if !self.wrappers.contains(&head) {
                return Err(self.not_found(name, asked.rest));
            }
            asked.rest = tail;
        }
        if let Some((head, tail)) = asked.rest.split_once('.')
            && let Some(geography) = self.geographies.get(head.to_lowercase().as_str())
            && tail.split_once('.').is_some_and(|(provider, _)| self.providers.contains_key(&provider.to_lowercase()))
        {
            asked.pin.geography = Some(geography.clone());
            asked.rest = tail;
        }
        asked.bare = asked.rest;
        if let Some((head, tail)) = asked.rest.split_once('.')
            && let Some(providers) = self.providers.get(&head.to_lowercase())
        {
            asked.providers = Some(providers);
            asked.dialect = false;
            asked.bare = tail;
        }
        Ok(asked)
    }

    fn locate_arn(&self, text: &str) -> Result<Found, ResolveError> {
        if let Some((index, target)) = self.arns.get(text) {
            let pin = Pin { exactly: Some(target.clone()), ..Pin::default() };
            return Ok(Found::Model { index: *index, pin });
        }
        let Some(arn) = Arn::parse(text) else { return Err(ResolveError::NotFound { asked: quoted(text), close: Vec::new() }) };
        let id = match arn.resource {
            ArnResource::FoundationModel(id) | ArnResource::InferenceProfile(id) => id,
            ArnResource::Hidden | ArnResource::Provisioned if !self.regions.contains(&arn.region) => {
                return Err(ResolveError::RegionNotConfigured { asked: quoted(text), region: arn.region });
            }
            ArnResource::Hidden | ArnResource::Provisioned => {
                return Err(ResolveError::ProfileUnknown { arn: InvokeId::from(text), region: arn.region });
            }
        };
        // An ARN inside an ARN would recurse; ids hold no slash and no `arn:`.
        if id.contains('/') || id.starts_with("arn:") {
            return Err(ResolveError::NotFound { asked: quoted(text), close: Vec::new() });
        }
        match self.locate(id)? {
            Found::Model { index, mut pin } => {
                pin.region = Some(arn.region);
                Ok(Found::Model { index, pin })
            }
            other => Ok(other),
        }
    }

    /// The newest callable model of a pattern.
    fn locate_pattern(&self, name: &str, lower: &str, asked: Asked<'_, '_>) -> Result<Found, ResolveError> {
        if lower.chars().filter(|character| character.is_alphanumeric()).count() < MIN_LITERALS {
            return Err(ResolveError::BareWildcard { asked: quoted(name) });
        }
        let mut newest: Vec<(usize, Spelling)> = Vec::new();
        for (index, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.standing == Standing::Callable) {
            let id = entry.spec.id.as_str();
            let (prefix, rest) = id.split_once('.').unwrap_or(("", id));
            let provided = asked.providers.is_none_or(|providers| providers.iter().any(|known| known == prefix));
            if !provided || !(matches_pattern(lower, id) || matches_pattern(lower, rest)) {
                continue;
            }
            let spelling = Spelling::of(rest);
            let age = |spelling: &Spelling| (spelling.numbers.clone(), spelling.date, spelling.version);
            match newest.first().map(|(_, known)| age(&spelling).cmp(&age(known))) {
                Some(std::cmp::Ordering::Less) => continue,
                Some(std::cmp::Ordering::Greater) => newest.clear(),
                Some(std::cmp::Ordering::Equal) | None => {}
            }
            newest.push((index, spelling));
        }
        match newest.as_slice() {
            [] => Err(self.not_found(name, asked.bare)),
            [(index, _)] => Ok(Found::Model { index: *index, pin: asked.pin }),
            several => {
                let matches = several.iter().filter_map(|(index, _)| self.entries.get(*index)).map(|entry| entry.spec.id.to_string());
                Err(ResolveError::Ambiguous { asked: quoted(name), matches: matches.collect() })
            }
        }
    }

    /// Answers with a model, or with the reason why it cannot be called.
    fn settle(&self, name: &str, index: usize, pin: &Pin) -> Result<Resolution, ResolveError> {
        let Some(entry) = self.entries.get(index) else { return Err(self.not_found(name, name)) };
        if let Some(target) = &pin.exactly
            && !matches!(entry.standing, Standing::Disabled | Standing::Legacy)
        {
            return Ok(resolution(name, entry, Arc::from([target.clone()]), Adjustments::default()));
        }
        if entry.standing == Standing::Callable {
            let (targets, notes) = self.pinned(entry, pin);
            return Ok(resolution(name, entry, targets, notes));
        }
        if entry.standing == Standing::MantleOnly
            && let Some(twin) = entry.spec.runtime_id.as_ref().and_then(|twin| self.by_id.get(twin.as_str()))
        {
            let mut resolution = self.settle(name, *twin, pin)?;
            resolution.notes.note(FIELD, "runtime_id_used");
            return Ok(resolution);
        }
        let ended = matches!(entry.standing, Standing::NotOffered | Standing::NoAccess(_) | Standing::Legacy);
        match self.retired_row(&entry.spec.id).filter(|_| ended) {
            Some(row) => self.replace(name, row),
            None => Err(self.why_not(entry)),
        }
    }

    /// The targets that a pin leaves; all of them, with a note, when it leaves none.
    fn pinned(&self, entry: &Entry, pin: &Pin) -> (Arc<[Target]>, Adjustments) {
        let mut notes = Adjustments::default();
        let mut targets = Arc::clone(&entry.targets);
        if let Some(geography) = &pin.geography {
            match entry.profiles.get(geography.as_str()).filter(|_| self.honour_prefixes) {
                Some(profile) => targets = Arc::clone(profile),
                None => {
                    let same = |target: &Target| target.invoke_id.as_str().split_once('.').is_some_and(|(prefix, _)| prefix == geography);
                    if !targets.iter().all(same) {
                        notes.note(FIELD, "profile_remapped");
                    }
                }
            }
        }
        if let Some(region) = &pin.region {
            let here: Arc<[Target]> = targets.iter().filter(|target| target.region == *region).cloned().collect();
            if here.is_empty() {
                notes.note(FIELD, "region_remapped");
            } else {
                targets = here;
            }
        }
        (targets, notes)
    }

    fn retired_row(&self, id: &ModelId) -> Option<usize> {
        let exact = self.retired.iter().position(|retired| retired.id == id.as_str());
        exact.or_else(|| self.retired.iter().position(|retired| matches_pattern(&retired.id, id.as_str())))
    }

    /// Answers in the place of a retired model, along the chain of replacements.
    fn replace(&self, name: &str, row: usize) -> Result<Resolution, ResolveError> {
        let Some(retired) = self.retired.get(row) else { return Err(self.not_found(name, name)) };
        let successor = self.successor(retired, &mut vec![row]);
        let by = successor.map(|entry| &entry.spec.id).or(retired.replacements.first());
        let by = by.cloned().unwrap_or_else(|| ModelId::from(retired.id.as_str()));
        match successor {
            Some(entry) if self.retired_fallback && retired.replacing == Replacing::Automatic => {
                let mut notes = Adjustments::default();
                notes.note(FIELD, format!("replaced_by_{by}"));
                let replaced = Replaced { asked: ModelAlias::from(name), by, words: Arc::clone(&retired.words) };
                let answer = resolution(name, entry, Arc::clone(&entry.targets), notes);
                Ok(Resolution { replaced: Some(replaced), ..answer })
            }
            Some(_) => Err(ResolveError::Retired { asked: quoted(name), by, words: retired.words.to_string() }),
            None => {
                let words = format!("{}; its replacement cannot be called in your regions either", retired.words);
                Err(ResolveError::Retired { asked: quoted(name), by, words })
            }
        }
    }

    /// The first replacement that can be called; `seen` guards against rows that lead to each other.
    fn successor(&self, retired: &Retired, seen: &mut Vec<usize>) -> Option<&Entry> {
        let entries = || retired.replacements.iter().filter_map(|id| self.entries.get(*self.by_id.get(id.as_str())?));
        if let Some(entry) = entries().find(|entry| entry.standing == Standing::Callable) {
            return Some(entry);
        }
        for entry in entries() {
            if let Some(row) = self.retired_row(&entry.spec.id).filter(|row| !seen.contains(row) && seen.len() < MAX_DEPTH) {
                seen.push(row);
                if let Some(found) = self.retired.get(row).and_then(|next| self.successor(next, seen)) {
                    return Some(found);
                }
            }
        }
        None
    }

    fn why_not(&self, entry: &Entry) -> ResolveError {
        let model = entry.spec.id.clone();
        match &entry.standing {
            Standing::MantleOnly => ResolveError::MantleOnly { model },
            Standing::Disabled => ResolveError::Disabled { model },
            Standing::Legacy => ResolveError::Legacy { model },
            Standing::NoAccess(regions) => ResolveError::NoAccess { model, regions: regions.clone() },
            Standing::Fenced { invoke_id, destination } => {
                let fence = if self.fence.stands() { self.fence.words.clone() } else { vec![format!("`{GLOBAL}` is switched off")] };
                ResolveError::Fenced { model, invoke_id: invoke_id.clone(), destination: destination.clone(), fence }
            }
            Standing::NotOffered | Standing::Callable => {
                ResolveError::NotOffered { model, regions: self.regions.clone(), geographies: entry.spec.geographies.clone() }
            }
        }
    }

    fn not_found(&self, name: &str, bare: &str) -> ResolveError {
        let ids = self.listed.iter().flat_map(|model| {
            let id = model.id.as_str();
            let rest = id.split_once('.').map_or(id, |(_, rest)| rest);
            [id, rest].into_iter().chain(model.aliases.iter().map(ModelAlias::as_str))
        });
        let asked = bare.trim_matches('*');
        ResolveError::NotFound { asked: quoted(name), close: near(asked, ids) }
    }
}

/// What a name means.
enum Found {
    Model { index: usize, pin: Pin },
    Alias { target: String, own: Option<ModelAlias> },
    Retired(usize),
}

impl Found {
    fn model(index: usize) -> Self {
        Self::Model { index, pin: Pin::default() }
    }
}

/// What a name says of the way to call.
#[derive(Debug, Clone, Default)]
struct Pin {
    region: Option<Region>,
    geography: Option<String>,
    exactly: Option<Target>,
}

/// A name without its router, region, provider and profile prefixes.
struct Asked<'n, 'c> {
    /// With the provider's dotted prefix, if there was one.
    rest: &'n str,
    /// Without it.
    bare: &'n str,
    pin: Pin,
    /// Prefixes of ids that the provider named may stand for.
    providers: Option<&'c Vec<String>>,
    /// The provider may only have named the API that the client speaks.
    dialect: bool,
}

fn resolution(name: &str, entry: &Entry, targets: Arc<[Target]>, notes: Adjustments) -> Resolution {
    let model = Arc::clone(&entry.spec);
    Resolution { model, targets, asked: ModelAlias::from(name), replaced: None, notes, alias: None, beta_flag: None }
}

fn strip_long_suffix(name: &str) -> Option<&str> {
    let name = name.trim_end();
    let start = name.len().checked_sub(LONG_SUFFIX.len()).filter(|start| name.is_char_boundary(*start))?;
    let (rest, suffix) = name.split_at(start);
    (suffix.eq_ignore_ascii_case(LONG_SUFFIX) && !rest.is_empty()).then_some(rest)
}

fn note_long_context(resolution: &mut Resolution) {
    if let Some(flag) = &resolution.model.long_context_beta {
        resolution.beta_flag = Some(Arc::from(flag.as_str()));
    } else if resolution.model.context_tokens.is_none_or(|tokens| tokens < LONG_CONTEXT) {
        resolution.notes.note(FIELD, "1m_context_unsupported");
    }
}

fn quoted(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(MAX_QUOTED).collect()
}
