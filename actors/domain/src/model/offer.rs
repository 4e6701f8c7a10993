//! What one region offers this account, as the control plane tells it.

use serde::{Deserialize, Serialize};

use crate::ids::{InvokeId, ModelId, Region};

/// One region's answer to discovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionOffer {
    /// The region.
    pub region: Region,
    /// Foundation models listed there.
    pub models: Vec<OfferedModel>,
    /// Inference profiles usable there (system-defined and the account's own).
    pub profiles: Vec<OfferedProfile>,
    /// Parts of discovery that failed, in upstream's words; the rest still counts.
    pub problems: Vec<String>,
}

/// A foundation model as ListFoundationModels tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedModel {
    /// Its id.
    pub id: ModelId,
    /// Display name.
    pub name: String,
    /// Provider's name, e.g. `Anthropic`.
    pub provider: String,
    /// `TEXT`, `IMAGE`, `VIDEO`, `AUDIO`, `SPEECH`, `EMBEDDING`: AWS's words.
    pub input: Vec<String>,
    /// As `input`.
    pub output: Vec<String>,
    /// Streaming is supported.
    pub streaming: bool,
    /// `ACTIVE` or `LEGACY`.
    pub lifecycle: String,
    /// Callable by its bare id (`ON_DEMAND` among the inference types).
    pub on_demand: bool,
    /// Callable by this account: false when GetFoundationModelAvailability denied it. True when not asked.
    pub available: bool,
}

/// An inference profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedProfile {
    /// Its id, e.g. `us.anthropic.claude-sonnet-4-6`, or the ARN of an application profile.
    pub id: InvokeId,
    /// Its ARN.
    pub arn: String,
    /// Display name.
    pub name: String,
    /// The foundation model behind it.
    pub model: ModelId,
    /// Regions it may route to (from the model ARNs).
    pub regions: Vec<Region>,
    /// `SYSTEM_DEFINED` or `APPLICATION`.
    pub kind: ProfileKind,
}

/// Who made a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProfileKind {
    /// AWS: a geography or global profile.
    SystemDefined,
    /// The account: an application inference profile.
    Application,
}
