//! The command line.

mod config;
mod explain;
mod health;
mod local;
mod models;
mod output;
mod scenario;
mod serve;

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::settings::{Flag, LoadOptions, Settings};

/// OpenAI-compatible gateway to AWS AI services, through several regions at once.
#[derive(Debug, Parser)]
#[command(name = "outcrop", version, about, max_term_width = 110)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the gateway against AWS (or whatever endpoints the settings name).
    Serve(SettingsArgs),
    /// Runs the gateway with a simulated AWS in three regions: no account, no containers.
    Local(local::LocalArgs),
    /// Lists the models that can be called, and how.
    Models(models::ModelsArgs),
    /// Shows what a chat request would become upstream, without sending it.
    Explain(explain::ExplainArgs),
    /// Checks or shows the settings.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Asks a running gateway whether it is ready; exit code 0 when it is. For container health checks.
    Health(health::HealthArgs),
    /// Prints a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Where settings come from.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingsArgs {
    /// Settings file. Without it: OUTCROP_CONFIG, ./outcrop.toml, ./config/outcrop.toml, /etc/outcrop/outcrop.toml.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on (server.bind).
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,
    /// Port to listen on (server.port).
    #[arg(long, short, value_name = "PORT")]
    port: Option<String>,
    /// Regions in order of preference, separated by commas (aws.regions).
    #[arg(long, value_name = "REGIONS")]
    regions: Option<String>,
    /// Log level (log.level).
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Any setting, by its path. May be repeated.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
}

impl SettingsArgs {
    /// Reads the settings.
    ///
    /// # Errors
    /// Every problem of every source, at once.
    pub fn load(&self) -> anyhow::Result<(Settings, LoadOptions)> {
        let options = self.options();
        let settings = Settings::load(&options)?;
        Ok((settings, options))
    }

    fn options(&self) -> LoadOptions {
        let named = [
            ("--bind", "server.bind", &self.bind),
            ("--port", "server.port", &self.port),
            ("--regions", "aws.regions", &self.regions),
            ("--log-level", "log.level", &self.log_level),
        ];
        let flags = named
            .into_iter()
            .filter_map(|(name, path, value)| {
                let value = value.clone()?;
                Some(Flag { name: name.to_owned(), path: path.to_owned(), value })
            })
            .collect();
        LoadOptions::of_process(self.config.clone(), flags, self.set.clone())
    }
}

/// Runs what the command line asks for.
///
/// # Errors
/// For people: printed as they are.
pub async fn run(command_line: CommandLine) -> anyhow::Result<()> {
    match command_line.command {
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Local(arguments) => local::run(arguments).await,
        Command::Models(arguments) => models::run(arguments).await,
        Command::Explain(arguments) => explain::run(arguments).await,
        Command::Config(command) => config::run(command),
        Command::Health(arguments) => health::run(arguments).await,
        Command::Completions { shell } => {
            let mut command = CommandLine::command();
            clap_complete::generate(shell, &mut command, "outcrop", &mut std::io::stdout());
            Ok(())
        }
    }
}
