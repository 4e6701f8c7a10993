//! Why a model name leads nowhere, in words a caller can act on.

use std::time::Duration;

use crate::{
    error::GatewayError,
    ids::{Geography, InvokeId, ModelId, Region},
};

/// When to come back while the first discovery runs.
const DISCOVERY_WAIT: Duration = Duration::from_secs(2);

/// Why a name could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Discovery has not answered yet.
    #[error("the model catalogue is not ready: no region has answered yet")]
    NotReady,
    /// Nothing of that name.
    #[error("the model `{asked}` does not exist{}", did_you_mean(close))]
    NotFound {
        /// The caller's name, cut if very long.
        asked: String,
        /// Up to three names that look like it.
        close: Vec<String>,
    },
    /// A pattern with several newest models.
    #[error("the pattern `{asked}` matches several newest models: {}", matches.join(", "))]
    Ambiguous {
        /// The caller's pattern.
        asked: String,
        /// What it matches.
        matches: Vec<String>,
    },
    /// A pattern that says too little.
    #[error("the pattern `{asked}` needs at least 3 characters beside its `*`")]
    BareWildcard {
        /// The caller's pattern.
        asked: String,
    },
    /// In the book, offered nowhere.
    #[error("the model `{model}` is known but not available in your regions ({}){}", list(regions), listed_for(geographies))]
    NotOffered {
        /// The model.
        model: ModelId,
        /// The regions that were asked.
        regions: Vec<Region>,
        /// Geographies AWS lists profiles for.
        geographies: Vec<Geography>,
    },
    /// Listed, not callable.
    #[error("the model `{model}` is listed in {} but this account cannot call it there: check model access", list(regions))]
    NoAccess {
        /// The model.
        model: ModelId,
        /// Where it is listed.
        regions: Vec<Region>,
    },
    /// Only reachable across the residency fence.
    #[error(
        "the model `{model}` is reachable only through `{invoke_id}`, which may be processed in {}, outside the allowed geographies ({})",
        destination.as_ref().map_or("any region", |region| region.as_str()), fence.join(", ")
    )]
    Fenced {
        /// The model.
        model: ModelId,
        /// The profile, or the bare id.
        invoke_id: InvokeId,
        /// A region outside the fence; `None` = anywhere.
        destination: Option<Region>,
        /// The fence.
        fence: Vec<String>,
    },
    /// Served by bedrock-mantle only.
    #[error("the model `{model}` is served only by the bedrock-mantle endpoint, not by bedrock-runtime, and cannot be called here")]
    MantleOnly {
        /// The model.
        model: ModelId,
    },
    /// Retired, and not replaced.
    #[error("the model `{asked}` is retired, use `{by}`: {words}")]
    Retired {
        /// The caller's name.
        asked: String,
        /// The replacement.
        by: ModelId,
        /// Why and since when.
        words: String,
    },
    /// Kept out by the operator.
    #[error("the model `{model}` is disabled on this gateway")]
    Disabled {
        /// The model.
        model: ModelId,
    },
    /// In its legacy period, and those are refused.
    #[error("the model `{model}` is in its legacy period, and this gateway does not serve legacy models")]
    Legacy {
        /// The model.
        model: ModelId,
    },
    /// An ARN that hides its model: look it up with the control plane, then resolve again.
    #[error("the model behind `{arn}` is not known")]
    ProfileUnknown {
        /// The ARN.
        arn: InvokeId,
        /// Where to ask.
        region: Region,
    },
    /// An ARN of a region that is not configured.
    #[error("`{asked}` lies in region `{region}`, which is not configured on this gateway")]
    RegionNotConfigured {
        /// The caller's name.
        asked: String,
        /// The region.
        region: Region,
    },
    /// Aliases that lead to each other.
    #[error("the alias `{alias}` leads back to itself")]
    AliasLoop {
        /// The alias.
        alias: String,
    },
}

impl From<ResolveError> for GatewayError {
    fn from(error: ResolveError) -> Self {
        let message = error.to_string();
        match error {
            ResolveError::NotReady => Self::Unavailable { message, retry_after: DISCOVERY_WAIT },
            ResolveError::BareWildcard { .. } | ResolveError::Ambiguous { .. } => {
                Self::InvalidRequest { message, param: Some("model".to_owned()), code: None }
            }
            ResolveError::Fenced { .. } => Self::Forbidden { message },
            ResolveError::NotFound { asked, .. }
            | ResolveError::Retired { asked, .. }
            | ResolveError::RegionNotConfigured { asked, .. }
            | ResolveError::AliasLoop { alias: asked } => Self::ModelNotFound { model: asked, message },
            ResolveError::NotOffered { model, .. }
            | ResolveError::NoAccess { model, .. }
            | ResolveError::MantleOnly { model }
            | ResolveError::Disabled { model }
            | ResolveError::Legacy { model } => Self::ModelNotFound { model: model.to_string(), message },
            ResolveError::ProfileUnknown { arn, .. } => Self::ModelNotFound { model: arn.to_string(), message },
        }
    }
}

fn did_you_mean(close: &[String]) -> String {
    match close {
        [] => String::new(),
        names => format!("; close names: {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    }
}

fn list(regions: &[Region]) -> String {
    if regions.is_empty() {
        return "none".to_owned();
    }
    regions.iter().map(Region::as_str).collect::<Vec<_>>().join(", ")
}

fn listed_for(geographies: &[Geography]) -> String {
    if geographies.is_empty() {
        return String::new();
    }
    let names = geographies.iter().map(Geography::as_str).collect::<Vec<_>>().join(", ");
    format!("; AWS lists profiles of it for: {names}")
}
