//! Runs on disk: `target/chaos/<scenario>/<strategy>/history.jsonl`, `report.json`, and `target/chaos/<scenario>.html`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{RunReport, page};
use crate::{
    history::{self, History},
    scenario::{Scenario, parse_text},
};

/// The folder of all runs.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// A run that was stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Scenario.
    pub scenario: String,
    /// Strategy.
    pub strategy: String,
    /// Folder.
    pub folder: PathBuf,
}

impl Store {
    /// Runs below `root`.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder of a run, empty.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn fresh(&self, scenario: &str, strategy: &str) -> anyhow::Result<PathBuf> {
        let folder = self.root.join(scenario).join(strategy);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("clearing {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(folder)
    }

    /// The history file within a run's folder.
    #[must_use]
    pub fn history_file(folder: &Path) -> PathBuf {
        folder.join("history.jsonl")
    }

    /// All stored runs, sorted.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn list(&self) -> anyhow::Result<Vec<Stored>> {
        let mut runs = Vec::new();
        if !self.root.exists() {
            return Ok(runs);
        }
        let names = |folder: &Path| -> anyhow::Result<Vec<(String, PathBuf)>> {
            let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?.collect::<Result<Vec<_>, _>>()?;
            let folders = entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir());
            Ok(folders.filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path))).collect())
        };
        for (scenario, below) in names(&self.root)? {
            for (strategy, folder) in names(&below)? {
                if Self::history_file(&folder).exists() {
                    runs.push(Stored { scenario: scenario.clone(), strategy, folder });
                }
            }
        }
        runs.sort_by(|one, other| (&one.scenario, &one.strategy).cmp(&(&other.scenario, &other.strategy)));
        Ok(runs)
    }

    /// Judges a stored run again, with the scenario that it was expanded from.
    ///
    /// # Errors
    /// A history that cannot be read, or whose scenario no longer loads.
    pub fn judge(stored: &Stored) -> anyhow::Result<(RunReport, History)> {
        let history = history::read(&Self::history_file(&stored.folder))?;
        let scenario = expanded(&history)?;
        Ok((RunReport::of(&history, &scenario), history))
    }

    /// Writes the JSON of each run and the page of the scenario; gives the page's file.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, scenario: &str, runs: &[(RunReport, History)]) -> anyhow::Result<PathBuf> {
        for (report, _) in runs {
            let file = self.root.join(scenario).join(&report.about.strategy).join("report.json");
            fs::write(&file, serde_json::to_vec_pretty(report)?).with_context(|| format!("writing {}", file.display()))?;
        }
        let file = self.root.join(format!("{scenario}.html"));
        fs::write(&file, page::page(runs)).with_context(|| format!("writing {}", file.display()))?;
        Ok(file)
    }
}

/// The scenario that a history was made from; its times are scaled as they were.
fn expanded(history: &History) -> anyhow::Result<Scenario> {
    let name = PathBuf::from(format!("{}.toml", history.about.scenario));
    let mut scenario = parse_text(&name, &history.about.expansion)?;
    scenario.scale(history.about.scale);
    Ok(scenario)
}
