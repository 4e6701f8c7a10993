//! `outcrop config check` and `outcrop config show`.

use clap::{Args, Subcommand};

use super::{SettingsArgs, output::line};
use crate::settings::Origins;

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Reads the settings and tells every problem in them.
    Check(SettingsArgs),
    /// Prints the settings in force, secrets redacted.
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Tell where each value comes from.
    #[arg(long)]
    origin: bool,
}

pub(super) fn run(command: ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check(arguments) => line(arguments.load()?.0.summary()),
        ConfigCommand::Show(arguments) => {
            let origins = if arguments.origin { Origins::Shown } else { Origins::Hidden };
            line(arguments.settings.load()?.0.show(origins).trim_end())
        }
    }
}
