//! `outcrop local`: the gateway and a simulated AWS in one process.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Args;
use outcrop_sim::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Pace, Simulator};

use super::{SettingsArgs, output::line, scenario::Scenario, serve::Serving};
use crate::settings::{Flag, LoadOptions, Origin, Settings};

/// How to run locally.
#[derive(Debug, Args)]
pub(super) struct LocalArgs {
    /// Port to listen on; 0 = any.
    #[arg(long, short, default_value_t = 8080)]
    port: u16,
    /// Simulated regions, in order of preference.
    #[arg(long, value_delimiter = ',', default_value = "us-east-1,us-west-2,eu-west-1")]
    regions: Vec<String>,
    /// The API key that clients use.
    #[arg(long, default_value = "sk-local")]
    key: String,
    /// Time between two deltas of a simulated stream, in milliseconds.
    #[arg(long, default_value_t = 0)]
    pace_ms: u64,
    /// Writes OUTCROP_URL, OUTCROP_KEY and OUTCROP_FAULTS to this file once requests are answered.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// A scenario of the chaos harness whose faults happen again and again, by its name; a wrong one lists them.
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Settings file for everything but AWS itself.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Any setting, by its path. May be repeated.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
}

pub(super) async fn run(arguments: LocalArgs) -> anyhow::Result<()> {
    let scenario = arguments.scenario.as_deref().map(Scenario::named).transpose()?;
    let simulator = simulator(&arguments).await?;
    if let Some(scenario) = &scenario {
        scenario.prepare(&simulator)?;
    }
    let mut options = options(&arguments, &simulator);
    let kept = scenario.as_ref().map(|scenario| lay_under(&mut options, &scenario.settings)).transpose()?.unwrap_or_default();
    let settings = Settings::load(&options)?;
    let serving = Serving::start(settings, options).await?;
    wait_for_models(&serving).await;
    greet(&arguments, &serving, &simulator, scenario.as_ref(), &kept)?;
    let tree = serving.ports().tree.clone();
    let playing = async {
        match scenario {
            Some(scenario) => scenario.play(&simulator, tree).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // Only a good end has the time to wait for the simulator's connections.
        ended = serving.until_the_end() => ended?,
        never = playing => match never {},
    }
    simulator.shutdown().await;
    Ok(())
}

async fn simulator(arguments: &LocalArgs) -> anyhow::Result<Simulator> {
    // Faults can be switched while it runs, by anybody on this machine.
    let mut builder = Simulator::builder().regions(arguments.regions.clone()).control(0);
    if arguments.pace_ms > 0 {
        builder = builder.pace(Pace::fixed(Duration::ZERO, Duration::from_millis(arguments.pace_ms)));
    }
    builder.start().await.context("starting the simulated AWS")
}

/// The regions of the simulated AWS unless told otherwise.
const REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];

/// The simulated AWS of `outcrop local`, for other commands.
pub(super) async fn simulated() -> anyhow::Result<Simulator> {
    Simulator::builder().regions(REGIONS).start().await.context("starting the simulated AWS")
}

/// Settings that point at a simulated AWS.
pub(super) fn simulated_options(simulator: &Simulator, arguments: &SettingsArgs) -> LoadOptions {
    let mut options = arguments.options();
    point_at(&mut options, simulator, &REGIONS.map(str::to_owned));
    push(&mut options, "keys.required", "false");
    options
}

fn options(arguments: &LocalArgs, simulator: &Simulator) -> LoadOptions {
    let mut options = SettingsArgs { config: arguments.config.clone(), set: arguments.set.clone(), ..SettingsArgs::default() }.options();
    point_at(&mut options, simulator, &arguments.regions);
    push(&mut options, "server.bind", "127.0.0.1");
    push(&mut options, "server.port", &arguments.port.to_string());
    push(&mut options, "keys.secrets", &arguments.key);
    push(&mut options, "log.format", "text");
    push(&mut options, "admin.port", "0");
    options
}

/// Adds a scenario's settings where nobody has set any: not the file, not the environment, not the command line. Returns the paths
/// that somebody has set otherwise, and which therefore are not the scenario's.
///
/// # Errors
/// Problems of what is set without the scenario.
fn lay_under(options: &mut LoadOptions, settings: &[(String, String)]) -> anyhow::Result<Vec<String>> {
    let without = Settings::load(options)?;
    let set: BTreeSet<&str> =
        without.entries().iter().filter(|entry| entry.origin != Origin::Default).map(|entry| entry.path.as_str()).collect();
    let mut kept = Vec::new();
    for (path, value) in settings {
        if set.contains(path.as_str()) {
            kept.push(path.clone());
        } else {
            push(options, path, value);
        }
    }
    Ok(kept)
}

fn point_at(options: &mut LoadOptions, simulator: &Simulator, regions: &[String]) {
    // A settings file lying about is for a real account: it is read only when it is named.
    options.search.clear();
    push(options, "aws.regions", &regions.join(","));
    for region in regions {
        push(options, &format!("aws.endpoints.{region}.default"), &simulator.endpoint(region));
    }
    push(options, "aws.credentials.access_key_id", DEFAULT_ACCESS_KEY);
    push(options, "aws.credentials.secret_access_key", DEFAULT_SECRET_KEY);
}

fn push(options: &mut LoadOptions, path: &str, value: &str) {
    options.flags.push(Flag { name: "outcrop local".to_owned(), path: path.to_owned(), value: value.to_owned() });
}

/// The simulator answers discovery within milliseconds; whoever asks for models first should find them.
async fn wait_for_models(serving: &Serving) {
    let ready = async {
        while !serving.ports().tree.not_ready().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(10), ready).await.is_err() {
        tracing::warn!(waiting_for = ?serving.ports().tree.not_ready(), "not ready yet");
    }
}

fn greet(
    arguments: &LocalArgs,
    serving: &Serving,
    simulator: &Simulator,
    scenario: Option<&Scenario>,
    kept: &[String],
) -> anyhow::Result<()> {
    let kept = if kept.is_empty() { String::new() } else { format!("  As you set them, not as the scenario does: {}.\n", kept.join(", ")) };
    let url = format!("http://127.0.0.1:{}/v1", serving.address.port());
    if let Some(file) = &arguments.ready_file {
        let faults = simulator.control_endpoint().map(|control| format!("OUTCROP_FAULTS={control}/faults\n")).unwrap_or_default();
        let text = format!("OUTCROP_URL={url}\nOUTCROP_KEY={}\n{faults}", arguments.key);
        std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    let admin = serving.admin_address.map_or_else(|| "off".to_owned(), |address| format!("http://{address}/metrics"));
    line(format!(
        r#"
Outcrop runs with a simulated AWS in {regions}.

  base URL   {url}
  API key    {key}
  metrics    {admin}
  faults     {faults}

Try it:

  curl {url}/chat/completions -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \
    -d '{{"model": "claude-sonnet-4-6", "messages": [{{"role": "user", "content": "Hello! Who are you?"}}]}}'

{scenario}{kept}Stop it with Ctrl-C.
"#,
        regions = arguments.regions.join(", "),
        key = arguments.key,
        faults = simulator.control_endpoint().map_or_else(|| "off".to_owned(), |control| format!("{control}/faults")),
        scenario = scenario.map(Scenario::describe).unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::settings::Environment;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        local: LocalArgs,
    }

    /// What `outcrop local` would load, in an environment of the test's own.
    async fn prepared(line: &[&str], environment: &[(&str, &str)]) -> (LoadOptions, Vec<String>, Simulator) {
        let arguments = Line::parse_from(std::iter::once("local").chain(line.iter().copied())).local;
        let scenario = Scenario::named(arguments.scenario.as_deref().unwrap()).unwrap();
        let simulator = simulator(&arguments).await.unwrap();
        let mut options = options(&arguments, &simulator);
        options.environment = Environment::from_iter(environment.iter().copied());
        let kept = lay_under(&mut options, &scenario.settings).unwrap_or_else(|problems| panic!("{problems:#}"));
        (options, kept, simulator)
    }

    #[tokio::test]
    async fn the_settings_of_every_scenario_load() {
        for name in Scenario::names() {
            let (options, kept, simulator) = prepared(&["--scenario", name], &[]).await;
            Settings::load(&options).unwrap_or_else(|problems| panic!("{name}: {problems}"));
            assert_eq!(kept, Vec::<String>::new(), "{name}");
            assert!(options.flags.iter().all(|flag| !flag.value.contains('{')), "{name}: nothing is for the harness to fill in");
            simulator.shutdown().await;
        }
    }

    #[tokio::test]
    async fn what_file_environment_and_command_line_say_stands_over_a_scenario_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("own.toml");
        std::fs::write(&file, "[timeouts]\nfirst_byte = \"7s\"\n").unwrap();
        let line = ["--scenario", "one-region-throttles", "--config", file.to_str().unwrap(), "--set", "routing.strategy=ordered"];
        let (options, mut kept, simulator) = prepared(&line, &[("OUTCROP_TIMEOUTS__STREAM_IDLE", "11s")]).await;
        kept.sort();
        assert_eq!(kept, ["routing.strategy", "timeouts.first_byte", "timeouts.stream_idle"]);
        let settings = Settings::load(&options).unwrap();
        assert_eq!(settings.timeouts.first_byte, Duration::from_secs(7));
        assert_eq!(settings.timeouts.stream_idle, Duration::from_secs(11));
        // What nobody has set is the scenario's.
        assert_eq!(settings.timeouts.total, Duration::from_secs(45));
        simulator.shutdown().await;
    }
}
