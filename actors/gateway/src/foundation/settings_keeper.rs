//! The owner of the live settings.

use std::sync::Arc;

use outcrop_supervision::Reply;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;

use crate::settings::{LiveSettings, SettingsCell};

/// What a [`SettingsKeeper`] is told.
#[derive(Debug)]
pub enum SettingsKeeperMsg {
    /// Publish these settings.
    Replace(Box<LiveSettings>),
    /// Asks what is in force.
    Describe {
        /// The answer.
        reply: Reply<SettingsReport>,
    },
}

/// State of the settings, for consoles and tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingsReport {
    /// How often settings were replaced since the keeper started.
    pub replaced: u64,
}

/// What a [`SettingsKeeper`] starts from.
#[derive(Debug, Clone)]
pub struct SettingsKeeperArgs {
    /// Where the snapshot is published.
    pub cell: SettingsCell,
}

/// State of a [`SettingsKeeper`].
#[derive(Debug)]
pub struct SettingsKeeperState {
    cell: SettingsCell,
    replaced: u64,
}

/// Publishes the live settings.
///
/// * Owns: the settings snapshot.
/// * Told by: the edge, when settings were reloaded.
/// * Tells: nobody; actors and jobs read the snapshot.
/// * On restart: keeps the snapshot that is published.
/// * Bounded by: one message per reload.
#[derive(Debug, Default)]
pub struct SettingsKeeper;

impl Actor for SettingsKeeper {
    type Msg = SettingsKeeperMsg;
    type State = SettingsKeeperState;
    type Arguments = SettingsKeeperArgs;

    async fn pre_start(&self, _myself: ActorRef<Self::Msg>, args: SettingsKeeperArgs) -> Result<Self::State, ActorProcessingErr> {
        Ok(SettingsKeeperState { cell: args.cell, replaced: 0 })
    }

    async fn handle(&self, _myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        match message {
            SettingsKeeperMsg::Replace(settings) => on_replace(state, *settings),
            SettingsKeeperMsg::Describe { reply } => {
                reply.send(SettingsReport { replaced: state.replaced });
            }
        }
        Ok(())
    }
}

fn on_replace(state: &mut SettingsKeeperState, settings: LiveSettings) {
    state.cell.store(Arc::new(settings));
    state.replaced += 1;
    tracing::info!(replaced = state.replaced, "live settings replaced");
}
