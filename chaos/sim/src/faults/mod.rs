//! Faults: what goes wrong, where, when and for how many calls. They come from scenario files, Rust or the control port.
//!
//! A fault is one flat table: its `kind`, the parameters of that kind ([`FaultKind`]) and the conditions of its
//! [`Selector`]. Unknown keys, missing units and impossible values are errors.
//!
//! ```toml
//! fault = [
//!   { kind = "region_down", mode = "blackhole", region = "us-east-1", from = "10m", for = "6m" },
//!   { kind = "reset", at_byte = "random", share = 0.03, from = "5m", for = "50m" },
//!   { kind = "corrupt_frame", field = "message_crc", share = 0.005, max_active = 5 },
//! ]
//! ```
//!
//! Faults act at four stages, and at each stage the first one that matches wins, in the order of installation:
//!
//! | Stage | Kinds |
//! |---|---|
//! | standing ([`Stage::Standing`]) | `quota`, `quota_scale`, `clock_skew`, `credentials_expired` (these add up) |
//! | place ([`Stage::Place`]) | `region_down` (`refuse`, `blackhole`), unconditional `refuse`, `dns` |
//! | connection ([`Stage::Connection`]) | `refuse` with a share, `blackhole`, `reset` and `close` at `connect` |
//! | call ([`Stage::Call`]) | everything else |
//!
//! A call that a [`Rule`](crate::Rule) of the script decides about is left alone by call faults.

mod board;
mod effects;
mod gate;
mod kind;
mod problem;
mod selector;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

pub use kind::{DnsMode, FaultKind, Outage, Position, WireMoment};
pub use problem::FaultProblem;
pub use selector::Selector;

pub(crate) use board::{Board, Strike, Target};
pub(crate) use effects::{orders, stream_action};
pub(crate) use gate::{Door, Gate, Running};

use crate::span::Nanos;

/// One fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fault {
    /// Its own stream of random numbers and its name in reports; without one, its other keys are its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it does.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// To which calls.
    #[serde(flatten)]
    pub selector: Selector,
}

/// Names an installed fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultId(pub u64);

/// When a fault acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It changes the world as long as it is in force.
    Standing,
    /// It takes a region's listener and connections.
    Place,
    /// It takes a connection as it is accepted.
    Connection,
    /// It takes a call whose request has been read.
    Call,
}

/// An installed fault and what it has done so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultStatus {
    /// Its id.
    pub id: FaultId,
    /// The fault as it was given.
    pub fault: Fault,
    /// When it acts.
    pub stage: Stage,
    /// When it comes into force.
    pub from: Nanos,
    /// When it goes out of force; `None` = never.
    pub until: Option<Nanos>,
    /// Whether it is in force now.
    pub in_force: bool,
    /// Calls and connections it has struck. A `quota` counts its refusals, a `clock_skew` and `credentials_expired`
    /// the calls refused for them, `quota_scale` nothing.
    pub hits: u64,
    /// Calls it is striking now.
    pub active: usize,
    /// When it struck first.
    pub first_hit: Option<Nanos>,
    /// When it struck last.
    pub last_hit: Option<Nanos>,
}

impl Fault {
    /// A fault for everything, always.
    #[must_use]
    pub fn new(kind: FaultKind) -> Self {
        Self { name: None, kind, selector: Selector::default() }
    }

    /// With these conditions.
    #[must_use]
    pub fn when(mut self, selector: Selector) -> Self {
        self.selector = selector;
        self
    }

    /// With a name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The word for its kind in files (`region_down`).
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        self.kind.name()
    }

    /// When it acts.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.kind.stage(&self.selector)
    }

    /// What its random draws are called: stable while other faults come and go.
    pub(crate) fn stream_name(&self) -> String {
        let own = self.name.clone().or_else(|| serde_json::to_string(self).ok());
        format!("fault/{}", own.unwrap_or_default())
    }
}

/// serde cannot refuse unknown keys of flattened structs: the table is split into its three parts by hand.
impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut kind = serde_json::Map::deserialize(deserializer)?;
        let name = kind.remove("name").map(String::deserialize).transpose().map_err(D::Error::custom)?;
        let mut conditions = serde_json::Map::new();
        for key in Selector::NAMES {
            if let Some(value) = kind.remove(key) {
                conditions.insert(key.to_owned(), value);
            }
        }
        // Faults that are events say when they happen.
        let event = kind.get("kind").and_then(serde_json::Value::as_str).is_some_and(|kind| kind::EVENTS.contains(&kind));
        if event
            && let Some(at) = kind.remove("at")
            && conditions.insert("from".to_owned(), at).is_some()
        {
            return Err(D::Error::custom("`at` and `from` say the same: give one of them"));
        }
        let kind = FaultKind::deserialize(serde_json::Value::Object(kind)).map_err(D::Error::custom)?;
        let selector = Selector::deserialize(serde_json::Value::Object(conditions)).map_err(D::Error::custom)?;
        let fault = Self { name, kind, selector };
        fault.check().map_err(D::Error::custom)?;
        Ok(fault)
    }
}

#[cfg(test)]
mod tests;
