//! `[models]`: which models there are, by which names, and where they may run.

mod alias;
mod book;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use outcrop_domain::{
    ids::Region,
    model::{LegacyModels, ModelBook, PrefixedNames, ProfilePreference},
};

pub use alias::Alias;
use alias::{ALIAS, check_name, report_loops};

use super::{
    aws::REGION,
    read::{ExistingFile, List, Map, NAME, Parsed, SWITCH, Section, Span, Words},
};

/// New models and profiles appear some times a month; a quarter of an hour is soon enough and costs a handful of calls.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(15 * 60);

const PLACE: Parsed<String> = Parsed {
    expected: "a geography such as \"us\", \"eu\" or \"us-gov\", or a region such as \"eu-west-1\"",
    parse: |text| {
        let letter = |letter: char| letter.is_ascii_lowercase() || letter == '-' || letter.is_ascii_digit();
        let good = text.len() >= 2 && text.starts_with(|letter: char| letter.is_ascii_lowercase()) && text.chars().all(letter);
        (good && text != "global").then(|| text.to_owned())
    },
    show: Clone::clone,
};

/// An id with `*` for any characters.
const PATTERN: Parsed<String> =
    Parsed { expected: "the id of a model without spaces, with `*` for any characters", parse: NAME.parse, show: Clone::clone };

const PREFER: Words<ProfilePreference> = Words(&[("regional", ProfilePreference::Regional), ("global", ProfilePreference::Global)]);

const LEGACY: Words<LegacyModels> = Words(&[("serve", LegacyModels::Serve), ("refuse", LegacyModels::Refuse)]);

const PREFIXED_NAMES: Words<PrefixedNames> = Words(&[("honour", PrefixedNames::Honour), ("remap", PrefixedNames::Remap)]);

/// Which models there are, by which names, and where they may run.
#[derive(Debug, Clone)]
pub struct Models {
    /// Time between two questions to a region's control plane. 10 s to 24 h.
    pub discovery_interval: Duration,
    /// Ask about each model whether this account may call it.
    pub check_availability: bool,
    /// Profiles that route anywhere in the world may be used.
    pub allow_global_profiles: bool,
    /// Requests stay within these geographies (`eu`) and single regions (`eu-west-1`); empty = anywhere.
    pub residency: Vec<String>,
    /// Which of several ways to call a model in a region goes first.
    pub prefer: ProfilePreference,
    /// Whether models in their legacy period are served.
    pub legacy: LegacyModels,
    /// What the prefix of a profile (`us.`, `global.`) in a caller's model name means.
    pub prefixed_names: PrefixedNames,
    /// A name of a model that AWS has retired is answered by its replacement, and the answer says so.
    pub retired_fallback: bool,
    /// Ids of models that may be called, `*` for any characters; empty = all.
    pub allow: Vec<String>,
    /// Models that may not be called, though `allow` says so.
    pub deny: Vec<String>,
    /// Files with further model data, over the data built in.
    pub data_files: Vec<PathBuf>,
    /// Names of the operator's own.
    pub aliases: BTreeMap<String, Alias>,
    /// ARNs of application inference profiles, prompt routers and provisioned throughput, and the models behind them.
    pub inference_profiles: BTreeMap<String, String>,
    /// The data built in with `data_files` over it.
    pub book: Arc<ModelBook>,
}

impl Models {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let interval = Span::between(Duration::from_secs(10), Duration::from_secs(24 * 3600));
        let residency = section.get("residency", List::unique(PLACE), Vec::new());
        // Whoever fences requests in does not want profiles that leave the fence.
        let allow_global_profiles = section.get("allow_global_profiles", SWITCH, residency.is_empty());
        if allow_global_profiles && !residency.is_empty() {
            section.problem("allow_global_profiles", "global profiles leave every geography: not together with `residency`".to_owned());
        }
        let prefer = section.get("prefer", PREFER, ProfilePreference::default());
        if prefer == ProfilePreference::Global && !allow_global_profiles {
            let message = "global profiles are off: not together with `residency` or `allow_global_profiles = false`";
            section.problem("prefer", message.to_owned());
        }
        let legacy = section.get("legacy", LEGACY, LegacyModels::default());
        let prefixed_names = section.get("prefixed_names", PREFIXED_NAMES, PrefixedNames::default());
        let discovery_interval = section.get("discovery_interval", interval, DISCOVERY_INTERVAL);
        let check_availability = section.get("check_availability", SWITCH, true);
        let retired_fallback = section.get("retired_fallback", SWITCH, true);
        let allow = section.get("allow", List::unique(PATTERN), Vec::new());
        let deny = section.get("deny", List::unique(PATTERN), Vec::new());
        let data_files = section.get("data_files", List::unique(ExistingFile), Vec::new());
        let inference_profiles = section.get("inference_profiles", Map { check_name: check_arn, item: NAME }, BTreeMap::new());
        let aliases = section.get("aliases", Map { check_name, item: ALIAS }, BTreeMap::new());
        report_loops(section, &aliases);
        let book = Arc::new(book::load(section, &data_files));
        Self {
            discovery_interval,
            check_availability,
            allow_global_profiles,
            residency,
            prefer,
            legacy,
            prefixed_names,
            retired_fallback,
            allow,
            deny,
            data_files,
            aliases,
            inference_profiles,
            book,
        }
    }

    /// True when requests may run in `region`: the fence names it or a geography it lies in, or there is no fence.
    #[must_use]
    pub fn admits(&self, region: &Region) -> bool {
        self.residency.is_empty() || self.residency.iter().any(|place| self.lies_in(region, place))
    }

    /// True when `place` is a region, or a geography of the model data with regions in it.
    pub(super) fn knows(&self, place: &str) -> bool {
        self.patterns_of(place).is_some() || (REGION.parse)(place).is_some()
    }

    /// Geographies that can fence something in.
    pub(super) fn geographies(&self) -> impl Iterator<Item = &str> {
        self.book.geographies().iter().filter(|(_, regions)| !regions.is_empty()).map(|(geography, _)| geography.as_str())
    }

    fn lies_in(&self, region: &Region, place: &str) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => region.as_str().starts_with(beginning),
            None => region.as_str() == pattern,
        };
        region.as_str() == place || self.patterns_of(place).is_some_and(|patterns| patterns.iter().any(fits))
    }

    fn patterns_of(&self, place: &str) -> Option<&Vec<String>> {
        self.book.geographies().get(place).filter(|patterns| !patterns.is_empty())
    }
}

/// Source: ARN format of Bedrock resources, Service Authorization Reference.
fn check_arn(name: &str) -> Result<(), &'static str> {
    let good = name.chars().all(|letter| letter.is_ascii_graphic())
        && arn_region(name).is_some()
        && name.split_once('/').is_some_and(|(_, id)| !id.is_empty());
    if good { Ok(()) } else { Err("is not the ARN of a Bedrock resource") }
}

/// The region of a Bedrock ARN.
pub(super) fn arn_region(arn: &str) -> Option<Region> {
    let mut parts = arn.splitn(6, ':');
    let (scheme, partition, service, region) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let good = scheme == "arn" && partition.starts_with("aws") && service == "bedrock" && parts.count() == 2;
    good.then(|| (REGION.parse)(region)).flatten()
}
