//! `outcrop models`.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use outcrop_domain::{
    ids::Region,
    model::{ModelFilter, Standing},
};
use outcrop_gateway::{ports::GatewayPorts, tree::Gateway};
use serde::Serialize;

use super::{SettingsArgs, output::line};
use crate::{app, settings::Settings, world};

/// Which models, in what form.
#[derive(Debug, Args)]
pub(super) struct ModelsArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Only models whose id or alias fits this pattern (`*` stands for anything).
    pattern: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// Also the models that are known but cannot be called, with the reason.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    aliases: Vec<String>,
    regions: Vec<String>,
    calls: Vec<String>,
}

pub(super) async fn run(arguments: ModelsArgs) -> anyhow::Result<()> {
    let (settings, _) = arguments.settings.load()?;
    let gateway = discovered(&settings).await?;
    let catalogue = gateway.ports().catalogue.load();
    let filter = ModelFilter::parse(arguments.pattern.iter().map(|pattern| ("model", pattern.as_str())), catalogue.regions())?;
    let rows: Vec<Row> = catalogue
        .list()
        .filter(|model| filter.matches(model))
        .map(|model| Row {
            id: model.id.to_string(),
            aliases: model.aliases.iter().map(ToString::to_string).collect(),
            regions: model.regions.iter().map(Region::to_string).collect(),
            calls: catalogue.resolve(model.id.as_str()).map_or_else(
                |_| Vec::new(),
                |resolution| resolution.targets.iter().map(|target| format!("{}:{}", target.region, target.invoke_id)).collect(),
            ),
        })
        .collect();
    if arguments.json {
        line(serde_json::to_string_pretty(&rows)?)?;
    } else {
        for row in &rows {
            line(format!("{:<48} {}", row.id, row.regions.join(" ")))?;
            if !row.aliases.is_empty() {
                line(format!("    also: {}", row.aliases.join(", ")))?;
            }
        }
        line(format!("{} models", rows.len()))?;
        if arguments.all {
            for model in catalogue.uncallable() {
                line(format!("not callable: {:<48} {}", model.model, why(&model.standing)))?;
            }
        }
    }
    gateway.drain(Duration::from_secs(1)).await;
    Ok(())
}

fn why(standing: &Standing) -> String {
    let list = |regions: &[Region]| regions.iter().map(Region::as_str).collect::<Vec<_>>().join(", ");
    match standing {
        Standing::Callable => "callable".to_owned(),
        Standing::MantleOnly => "served only by the bedrock-mantle endpoint".to_owned(),
        Standing::NotOffered => "not offered in your regions".to_owned(),
        Standing::NoAccess(regions) => format!("no access in {}", list(regions)),
        Standing::Fenced { invoke_id, .. } => format!("only through {invoke_id}, which leaves the residency fence"),
        Standing::Disabled => "kept out by models.allow or models.deny".to_owned(),
        Standing::Legacy => "in its legacy period".to_owned(),
    }
}

/// Longest wait for the control planes of all regions.
const DISCOVERY_WITHIN: Duration = Duration::from_secs(60);

/// A gateway without listeners, once every region has answered or failed.
pub(super) async fn discovered(settings: &Settings) -> anyhow::Result<Gateway> {
    let gateway = app::start(settings, &world::real(), None).await?;
    let wait = async {
        loop {
            let report = gateway.ports().describe().await;
            let asked = report.catalogue.map_or(0, |catalogue| catalogue.regions.len());
            if asked >= settings.aws.regions.len() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(DISCOVERY_WITHIN, wait).await.is_err() {
        bail!("the control planes did not answer within {} seconds: {}", DISCOVERY_WITHIN.as_secs(), failures(gateway.ports()).await);
    }
    if gateway.ports().catalogue.load().list().len() == 0 {
        bail!("no region offers any model: {}", failures(gateway.ports()).await);
    }
    Ok(gateway)
}

async fn failures(ports: &GatewayPorts) -> String {
    let report = ports.describe().await;
    let told: Vec<String> = report
        .discovery
        .into_iter()
        .filter_map(|discovery| discovery.last_failure.map(|failure| format!("{}: {failure}", discovery.region)))
        .collect();
    told.join("; ")
}
