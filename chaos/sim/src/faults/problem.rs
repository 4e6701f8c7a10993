//! What makes a fault impossible.

use super::{DnsMode, Fault, FaultKind, Outage, Selector, Stage, WireMoment};
use crate::{behaviour::Delay, script::ScriptedError};

/// Why a fault cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultProblem {
    /// A number outside its range.
    #[error("`{key}` of a `{kind}` fault must be {range}")]
    Range {
        /// Kind of the fault.
        kind: &'static str,
        /// The key.
        key: &'static str,
        /// What it may be.
        range: &'static str,
    },
    /// A condition that the stage of the fault cannot look at.
    #[error("a `{kind}` fault acts before a request is read: it cannot select by `{key}`")]
    Blind {
        /// Kind of the fault.
        kind: &'static str,
        /// The condition.
        key: &'static str,
    },
    /// Not exactly one of two keys.
    #[error("a `{kind}` fault takes {rule} of `{first}` and `{second}`")]
    Choice {
        /// Kind of the fault.
        kind: &'static str,
        /// How many.
        rule: &'static str,
        /// One key.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// An error code without a known status.
    #[error("error code `{code}` is not in the service model of Converse: give its `status`")]
    Status {
        /// The code.
        code: String,
    },
    /// Names exist only in memory.
    #[error("a simulator with ports has no names to resolve: `dns` faults other than `moved` need one in memory")]
    Names,
    /// A region that is not simulated.
    #[error("region `{region}` is not simulated")]
    Region {
        /// The name.
        region: String,
    },
}

impl Fault {
    /// Checks everything that can be checked without a simulator.
    ///
    /// # Errors
    /// The first problem.
    pub fn check(&self) -> Result<(), FaultProblem> {
        self.conditions()?;
        self.parameters()
    }

    fn range(&self, holds: bool, key: &'static str, range: &'static str) -> Result<(), FaultProblem> {
        if holds { Ok(()) } else { Err(FaultProblem::Range { kind: self.kind.name(), key, range }) }
    }

    fn conditions(&self) -> Result<(), FaultProblem> {
        let selector = &self.selector;
        self.range((0.0..=1.0).contains(&selector.share), "share", "between 0 and 1")?;
        self.range(selector.nth != Some(0), "nth", "at least 1")?;
        self.range(selector.max_active != Some(0), "max_active", "at least 1")?;
        match seen_too_early(self.stage(), &self.kind, selector) {
            Some(key) => Err(FaultProblem::Blind { kind: self.kind.name(), key }),
            None => Ok(()),
        }
    }

    fn parameters(&self) -> Result<(), FaultProblem> {
        match &self.kind {
            FaultKind::QuotaScale { factor } => self.range(factor.is_finite() && *factor > 0.0, "factor", "above 0"),
            FaultKind::Throttle { status: Some(status), .. } => self.status(*status),
            FaultKind::Error { code, status, .. } => match status {
                Some(status) => self.status(*status),
                None if ScriptedError::modeled_status(code).is_some() => Ok(()),
                None => Err(FaultProblem::Status { code: code.clone() }),
            },
            FaultKind::Latency(delay) | FaultKind::FirstToken(delay) | FaultKind::InterToken(delay) | FaultKind::Delay(delay) => {
                self.delay(delay)
            }
            FaultKind::Stall { after_events: Some(_), after_bytes: Some(_), .. } => {
                Err(self.choice("at most one", "after_events", "after_bytes"))
            }
            FaultKind::Reset { at, at_byte } | FaultKind::Close { at, at_byte } if at.is_some() == at_byte.is_some() => {
                Err(self.choice("exactly one", "at", "at_byte"))
            }
            FaultKind::Slice { chunk } => self.range(*chunk > 0, "chunk", "at least 1"),
            FaultKind::Bandwidth { bytes_per_s } => self.range(*bytes_per_s > 0, "bytes_per_s", "at least 1"),
            FaultKind::Brownout { p50, p99, errors } => {
                self.range((0.0..=1.0).contains(errors), "errors", "between 0 and 1")?;
                self.range(p99.is_none_or(|p99| p99 >= *p50), "p99", "at least `p50`")
            }
            _ => Ok(()),
        }
    }

    fn status(&self, status: u16) -> Result<(), FaultProblem> {
        self.range((400..=599).contains(&status), "status", "between 400 and 599")
    }

    fn delay(&self, delay: &Delay) -> Result<(), FaultProblem> {
        self.range(delay.p99.is_none_or(|p99| p99 >= delay.p50), "p99", "at least `p50`")
    }

    fn choice(&self, rule: &'static str, first: &'static str, second: &'static str) -> FaultProblem {
        FaultProblem::Choice { kind: self.kind.name(), rule, first, second }
    }
}

/// A condition that cannot be judged at this stage.
fn seen_too_early(stage: Stage, kind: &FaultKind, selector: &Selector) -> Option<&'static str> {
    let per_request = [
        ("model", selector.model.is_some()),
        ("profile", selector.profile.is_some()),
        ("operation", selector.operation.is_some()),
        ("key", selector.key.is_some()),
    ];
    let per_item = [("share", selector.share < 1.0), ("nth", selector.nth.is_some()), ("max_active", selector.max_active.is_some())];
    let given = |conditions: &[(&'static str, bool)], except: &[&str]| {
        conditions.iter().find(|(key, given)| *given && !except.contains(key)).map(|(key, _)| *key)
    };
    match (stage, kind) {
        (Stage::Call, _) => None,
        (Stage::Standing, FaultKind::Quota(_) | FaultKind::QuotaScale { .. }) => {
            given(&per_request, &["model", "profile"]).or_else(|| given(&per_item, &[]))
        }
        (Stage::Standing, FaultKind::CredentialsExpired {}) => given(&per_request, &["key"]).or_else(|| given(&per_item, &[])),
        (Stage::Connection, _) => given(&per_request, &[]),
        (Stage::Standing | Stage::Place, _) => given(&per_request, &[]).or_else(|| given(&per_item, &[])),
    }
}

impl FaultKind {
    /// The word for the kind in files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Quota(_) => "quota",
            Self::QuotaScale { .. } => "quota_scale",
            Self::Throttle { .. } => "throttle",
            Self::Storm { .. } => "storm",
            Self::Error { .. } => "error",
            Self::ModelTimeout { .. } => "model_timeout",
            Self::AccessLost { .. } => "access_lost",
            Self::ModelGone { .. } => "model_gone",
            Self::CredentialsExpired {} => "credentials_expired",
            Self::ClockSkew { .. } => "clock_skew",
            Self::Latency(_) => "latency",
            Self::FirstToken(_) => "first_token",
            Self::InterToken(_) => "inter_token",
            Self::Stall { .. } => "stall",
            Self::ExceptionFrame { .. } => "exception_frame",
            Self::ErrorFrame { .. } => "error_frame",
            Self::NoStop {} => "no_stop",
            Self::NoUsage {} => "no_usage",
            Self::LateUsage { .. } => "late_usage",
            Self::DuplicateEvent { .. } => "duplicate_event",
            Self::CorruptFrame { .. } => "corrupt_frame",
            Self::TruncateFrame { .. } => "truncate_frame",
            Self::Refuse {} => "refuse",
            Self::Blackhole { .. } => "blackhole",
            Self::Dns { .. } => "dns",
            Self::Reset { .. } => "reset",
            Self::Close { .. } => "close",
            Self::HalfClose { .. } => "half_close",
            Self::Slice { .. } => "slice",
            Self::Bandwidth { .. } => "bandwidth",
            Self::Delay(_) => "delay",
            Self::IdleCut { .. } => "idle_cut",
            Self::RegionDown { .. } => "region_down",
            Self::Brownout { .. } => "brownout",
            Self::ControlPlaneDown { .. } => "control_plane_down",
        }
    }

    /// When a fault of this kind acts under these conditions.
    pub(super) fn stage(&self, selector: &Selector) -> Stage {
        match self {
            Self::Quota(_) | Self::QuotaScale { .. } | Self::ClockSkew { .. } | Self::CredentialsExpired {} => Stage::Standing,
            Self::RegionDown { mode: Outage::Refuse | Outage::Blackhole } => Stage::Place,
            Self::Dns { mode: DnsMode::Nxdomain | DnsMode::Timeout | DnsMode::Moved } => Stage::Place,
            Self::Refuse {} if selector.share >= 1.0 && selector.nth.is_none() && selector.max_active.is_none() => Stage::Place,
            Self::Refuse {}
            | Self::Blackhole { at: WireMoment::Connect }
            | Self::Reset { at: Some(WireMoment::Connect), .. }
            | Self::Close { at: Some(WireMoment::Connect), .. } => Stage::Connection,
            _ => Stage::Call,
        }
    }

    /// Whether it means something for event streams only.
    pub(crate) fn concerns_streams_only(&self) -> bool {
        matches!(
            self,
            Self::ExceptionFrame { .. }
                | Self::ErrorFrame { .. }
                | Self::NoStop {}
                | Self::NoUsage {}
                | Self::LateUsage { .. }
                | Self::DuplicateEvent { .. }
                | Self::CorruptFrame { .. }
                | Self::TruncateFrame { .. }
                | Self::Stall { after_bytes: None, .. }
                | Self::InterToken(_)
        )
    }
}
