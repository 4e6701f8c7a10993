//! What a region does with its listener and its connections at a moment.

use std::time::Duration;

use super::FaultId;
use crate::world::RegionMode;

/// The state of a region as connections see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Gate {
    /// New connections.
    pub(crate) door: Door,
    /// Running connections.
    pub(crate) running: Running,
    /// Connections opened before this stand still, whatever `running` says.
    pub(crate) moved_since: Option<Duration>,
    /// The fault behind it.
    pub(crate) fault: Option<FaultId>,
    /// When it may be different.
    pub(crate) next_change: Option<Duration>,
}

/// What becomes of new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Door {
    /// They are accepted.
    #[default]
    Open,
    /// Nobody listens.
    Refused,
    /// They are accepted and reset at once.
    Reset,
    /// In memory connecting never ends; on TCP they are accepted and stand still.
    Silent,
    /// The name does not exist (in memory).
    NoName,
    /// The name is never resolved (in memory).
    NoAnswer,
}

/// What becomes of running connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Running {
    /// They are served.
    #[default]
    Served,
    /// They are reset.
    Reset,
    /// They stand still.
    Still,
}

impl Gate {
    pub(super) fn refusing(self) -> Self {
        Self { door: Door::Refused, ..self }
    }

    pub(super) fn resetting(self) -> Self {
        Self { running: Running::Reset, ..self }
    }

    pub(super) fn silent(self) -> Self {
        Self { door: Door::Silent, running: Running::Still, ..self }
    }

    pub(super) fn without_name(self) -> Self {
        Self { door: Door::NoName, ..self }
    }

    pub(super) fn without_answer(self) -> Self {
        Self { door: Door::NoAnswer, ..self }
    }

    pub(super) fn moved(self, since: Duration) -> Self {
        Self { moved_since: Some(since), ..self }
    }

    /// A mode set by hand rules over all faults.
    pub(crate) fn under(self, mode: RegionMode) -> Self {
        let by_hand = Self { next_change: self.next_change, ..Self::default() };
        match mode {
            RegionMode::Up => self,
            RegionMode::Refuse => by_hand.refusing().resetting(),
            RegionMode::Reset => Self { door: Door::Reset, ..by_hand }.resetting(),
            RegionMode::BlackHole => by_hand.silent(),
        }
    }

    /// What becomes of a connection that was opened at `opened_at`.
    pub(crate) fn running(&self, opened_at: Duration) -> Running {
        if self.moved_since.is_some_and(|since| opened_at < since) { Running::Still } else { self.running }
    }

    /// Whether a port is to be listened on.
    pub(crate) fn listens(&self) -> bool {
        self.door != Door::Refused
    }
}
