//! The simulator as a program of its own, for containers and for users.

use std::{io::Write, path::Path, time::Duration};

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use outcrop_sim::{AuthMode, Credential, FastAnswers, Options, Pace, Quota, Simulator, faults::Fault};
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let options = Options::parse();
    let simulator = start(&options).await?;
    if options.requests_per_minute.is_some() || options.tokens_per_minute.is_some() {
        let quota =
            Quota { requests_per_minute: options.requests_per_minute, tokens_per_minute: options.tokens_per_minute, ..Quota::default() };
        for region in simulator.regions() {
            simulator.quota(&region, "*", quota)?;
        }
    }
    if let Some(file) = &options.faults {
        install(&simulator, file)?;
    }
    let mut stdout = std::io::stdout();
    for region in simulator.regions() {
        writeln!(stdout, "{region} {}", simulator.endpoint(&region))?;
    }
    if let Some(endpoint) = simulator.control_endpoint() {
        writeln!(stdout, "control {endpoint}")?;
    }
    stdout.flush()?;
    stopped().await?;
    simulator.shutdown().await;
    Ok(())
}

/// A file of faults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultFile {
    fault: Vec<Fault>,
}

fn install(simulator: &Simulator, file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let faults: FaultFile = toml::from_str(&text).with_context(|| format!("{} does not describe faults", file.display()))?;
    for fault in faults.fault {
        let kind = fault.kind_name();
        simulator.install(fault).with_context(|| format!("the `{kind}` fault in {} cannot be installed", file.display()))?;
    }
    Ok(())
}

async fn start(options: &Options) -> Result<Simulator> {
    let mut builder = Simulator::builder()
        .bind(options.bind)
        .seed(options.seed)
        .credential(Credential::new(&options.access_key, &options.secret_key))
        .pace(Pace::fixed(Duration::from_millis(options.first_token_ms), Duration::from_millis(options.per_delta_ms)));
    for region in &options.regions {
        let (name, port) = named_port(region)?;
        builder = builder.region(name, port);
    }
    if let Some(port) = options.control_port {
        builder = builder.control(port);
    }
    if let Some(prefix) = &options.nonce {
        builder = builder.nonce(prefix);
    }
    if let Some(token) = &options.bearer {
        builder = builder.bearer(token);
    }
    if options.no_auth {
        builder = builder.auth(AuthMode::Off);
    }
    if options.fast {
        builder = builder.fast(FastAnswers::new().context("the stored answers cannot be encoded")?);
    }
    Ok(builder.start().await?)
}

/// `us-east-1=4601`, or a name alone for any free port.
fn named_port(text: &str) -> Result<(&str, u16)> {
    let (name, port) = text.split_once('=').unwrap_or((text, "0"));
    if name.is_empty() {
        return Err(anyhow!("`{text}` names no region"));
    }
    let port = port.parse().with_context(|| format!("`{port}` of region `{name}` is not a port"))?;
    Ok((name, port))
}

/// Waits for the signals that end a program.
async fn stopped() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        // Either signal ends the program: nothing is lost with the other one.
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
