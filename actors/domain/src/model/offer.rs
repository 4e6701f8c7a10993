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
    /// Parts of discovery that failed; the rest still counts.
    pub problems: Vec<OfferProblem>,
}

/// A part of discovery that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferProblem {
    /// Which.
    pub part: OfferPart,
    /// In upstream's words.
    pub words: String,
}

/// The questions that an offer is put together from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OfferPart {
    /// ListFoundationModels.
    Models,
    /// ListInferenceProfiles of this kind.
    Profiles(ProfileKind),
    /// GetFoundationModelAvailability of this model.
    Availability(ModelId),
}

impl RegionOffer {
    /// A list is missing: what it held is not known, which is not the same as that it is empty.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.problems.iter().any(|problem| !matches!(problem.part, OfferPart::Availability(_)))
    }

    /// Fills the parts that failed with what an earlier offer of the region held there.
    #[must_use]
    pub fn completed_by(mut self, earlier: &Self) -> Self {
        for problem in &self.problems {
            match &problem.part {
                OfferPart::Models => self.models.clone_from(&earlier.models),
                OfferPart::Profiles(kind) => self.profiles.extend(earlier.profiles.iter().filter(|known| known.kind == *kind).cloned()),
                OfferPart::Availability(id) => {
                    let known = earlier.models.iter().find(|known| known.id == *id).map(|known| known.available);
                    for model in self.models.iter_mut().filter(|model| model.id == *id) {
                        model.available = known.unwrap_or(model.available);
                    }
                }
            }
        }
        self
    }
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
