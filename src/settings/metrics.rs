//! `[metrics]`: numbers for Prometheus.

use super::read::{SWITCH, Section};

/// Numbers for Prometheus, at the admin port.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Whether they are recorded and shown.
    pub enabled: bool,
}

impl Metrics {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        // Recording costs well under a microsecond per request.
        Self { enabled: section.get("enabled", SWITCH, true) }
    }
}
