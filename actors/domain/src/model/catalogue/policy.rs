//! What the operator allows, and where models may be called.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{Geography, InvokeId, ModelAlias, ModelId, Region};

/// How the catalogue is put together. `Default` allows everything and prefers to stay in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CataloguePolicy {
    /// Regions in the order of preference; empty = every region that discovery told of, in its order.
    pub regions: Vec<Region>,
    /// Which profile to prefer where the bare id is not callable.
    pub prefer: ProfilePreference,
    /// Whether `global.` profiles are used at all.
    pub allow_global: bool,
    /// The residency fence: geographies (`eu`) or single regions (`eu-west-1`) that requests may be processed in.
    /// Empty = no fence. Behind a fence `global.` profiles are never used.
    pub residency: Vec<String>,
    /// Patterns of model ids that may be called; empty = all.
    pub allow_models: Vec<String>,
    /// Patterns of model ids that may not.
    pub deny_models: Vec<String>,
    /// Whether models in their legacy period are served.
    pub legacy: LegacyModels,
    /// What a profile prefix in the caller's model name means.
    pub prefixed_names: PrefixedNames,
    /// Profiles that the operator named.
    pub profiles: Vec<ConfiguredProfile>,
    /// The operator's aliases.
    pub aliases: Vec<AliasTarget>,
    /// Whether a retired model is served by its replacement.
    pub retired_fallback: bool,
}

impl Default for CataloguePolicy {
    fn default() -> Self {
        Self {
            regions: Vec::new(),
            prefer: ProfilePreference::Regional,
            allow_global: true,
            residency: Vec::new(),
            allow_models: Vec::new(),
            deny_models: Vec::new(),
            legacy: LegacyModels::Serve,
            prefixed_names: PrefixedNames::Honour,
            profiles: Vec::new(),
            aliases: Vec::new(),
            retired_fallback: true,
        }
    }
}

/// Order of the ways to call a model in a region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfilePreference {
    /// Bare id, geography profile, global profile: data stays near, and a surcharge is paid.
    #[default]
    Regional,
    /// Global profile, bare id, geography profile: most capacity, least price.
    Global,
}

/// Whether models in their legacy period are served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegacyModels {
    /// As any other.
    #[default]
    Serve,
    /// As if they had ended: replaced, or refused with the name of the replacement.
    Refuse,
}

/// What a profile prefix in the caller's model name means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrefixedNames {
    /// That very profile, in the regions that offer it; where none does, as `Remap`.
    #[default]
    Honour,
    /// The model behind it, by the best way each region has.
    Remap,
}

/// An application inference profile, provisioned throughput, imported model or prompt router that the operator named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfiguredProfile {
    /// Its ARN.
    pub arn: InvokeId,
    /// The foundation model behind it: any name that resolves to a model of the book or of discovery.
    pub model: String,
    /// Which calls go to it.
    #[serde(default)]
    pub serves: ProfileUse,
}

/// Which calls go to a configured profile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileUse {
    /// Those that name its ARN.
    #[default]
    ItsArn,
    /// Those that name its model, too: in the ARN's region it takes the place of the model's own ids.
    ItsModel,
}

/// A name of the operator's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasTarget {
    /// The name.
    pub name: ModelAlias,
    /// What it stands for: any name that resolves, another alias among them.
    pub model: String,
}

/// One way to call a model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Where to call.
    pub region: Region,
    /// What goes into the path.
    pub invoke_id: InvokeId,
    /// What kind of id that is; quota and price depend on it.
    pub class: ProfileClass,
}

/// What kind of id a call names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProfileClass {
    /// The bare model id: processed in the region itself.
    OnDemand,
    /// A geography profile.
    Geography(Geography),
    /// The global profile.
    Global,
    /// An application inference profile or prompt router; the geography when it is known to route to several regions.
    Application(Option<Geography>),
    /// Capacity paid by the hour: provisioned throughput, imported and custom models.
    Provisioned,
}

impl fmt::Display for ProfileClass {
    /// A label from a closed set (geographies come from discovery): for logs and metrics.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnDemand => f.write_str("on_demand"),
            Self::Geography(geography) => write!(f, "{geography}"),
            Self::Global => f.write_str("global"),
            Self::Application(_) => f.write_str("application"),
            Self::Provisioned => f.write_str("provisioned"),
        }
    }
}

/// Why a known model cannot be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    Callable,
    /// Only bedrock-mantle serves it.
    MantleOnly,
    /// No configured region offers it.
    NotOffered,
    /// Regions list it, but this account has no access, or no callable id exists there.
    NoAccess(Vec<Region>),
    /// Every way to it leaves the residency fence.
    Fenced {
        /// The profile, or the bare id.
        invoke_id: InvokeId,
        /// Where it would be processed; `None` = anywhere.
        destination: Option<Region>,
    },
    /// The operator's patterns keep it out.
    Disabled,
    /// In its legacy period, and the operator refuses those.
    Legacy,
}

/// A canonical model id with why it cannot be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncallable {
    /// The model.
    pub model: ModelId,
    /// Why.
    pub standing: Standing,
}
