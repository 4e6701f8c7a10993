//! Which calls and connections a fault concerns.

use serde::{Deserialize, Serialize};

use crate::{quota::ProfileClass, route::Operation, span::Span};

/// Conditions of a fault; all that are given must hold. In files they stand beside the fault's own parameters.
///
/// Connection and place faults happen before a request is read: they take `region`, `share`, `nth`, `max_active`
/// (connection faults only), `from` and `for`, and refuse the rest when they are installed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selector {
    /// Only this region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Only calls whose path label is this, or stands for this foundation model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Only calls through this class of inference profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileClass>,
    /// Only this operation, by its name in the service model (`ConverseStream`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Only calls signed with this access key, or sent with this API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Share of the otherwise matching calls, 0 to 1; drawn for each call from the seed.
    #[serde(skip_serializing_if = "is_whole")]
    pub share: f64,
    /// Only the n-th otherwise matching call (from 1; share included).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// At most so many calls at a time; further ones pass unharmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_active: Option<usize>,
    /// Begins so long after the installation of the fault.
    #[serde(skip_serializing_if = "is_zero")]
    pub from: Span,
    /// Ends so long after `from`; without it, never.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasting: Option<Span>,
}

impl Selector {
    /// Names of the conditions in files.
    pub(crate) const NAMES: [&'static str; 10] =
        ["region", "model", "profile", "operation", "key", "share", "nth", "max_active", "from", "for"];
}

impl Default for Selector {
    /// Everything, always.
    fn default() -> Self {
        Self {
            region: None,
            model: None,
            profile: None,
            operation: None,
            key: None,
            share: 1.0,
            nth: None,
            max_active: None,
            from: Span::default(),
            lasting: None,
        }
    }
}

fn is_whole(share: &f64) -> bool {
    *share >= 1.0
}

fn is_zero(span: &Span) -> bool {
    span.0.is_zero()
}
