//! Settings: one TOML file, environment variables and flags; strict, and all problems told at once.
//!
//! A value comes from the first of these that has it: a flag, a variable `OUTCROP_SECTION__NAME`, the settings file, a
//! variable of the AWS tools (`AWS_REGION`, `AWS_ENDPOINT_URL`, `HTTPS_PROXY`, ...), the default. Every setting, with its
//! default and its reason, stands in `config/outcrop.toml`; a test keeps that file and this module in step.
//!
//! * [`Settings::load`] reads, [`SettingsError`] holds everything that is wrong.
//! * [`Settings::show`] writes what is in force, secrets redacted.
//! * [`changes`] tells what a reload changes, and what of it needs a restart.
//!
//! This is the only place of the workspace that reads environment variables.

mod admin;
mod aws;
mod changes;
mod chat;
mod checks;
mod environment;
mod fetch;
mod guardrail;
mod keys;
mod lanes;
mod load;
mod log;
mod metrics;
mod models;
mod read;
mod responses;
mod routing;
mod server;
mod show;
mod timeouts;

use std::path::PathBuf;

pub use admin::Admin;
pub use aws::{AssumeRole, Aws, Endpoints, Proxy, ProxyUrl, Service, StaticCredentials};
pub use changes::{Change, changes};
pub use chat::{Chat, ReasoningBudgets};
pub use environment::{Environment, FILE_VARIABLE};
pub use fetch::{Fetch, Network};
pub use keys::{Key, Keys};
pub use lanes::{Lane, Lanes};
pub use load::{Flag, LoadOptions, SEARCH};
pub use log::{Level, Log, LogFormat};
pub use metrics::Metrics;
pub use models::{Alias, Models};
pub(crate) use read::parse_duration;
pub use read::{Entry, Origin, Problem, SettingsError};
pub use responses::{Responses, Store};
pub use routing::{Quotas, RegionQuotas, Routing};
pub use server::Server;
pub use show::Origins;
pub use timeouts::Timeouts;

/// Everything a user can set, checked as a whole. Immutable; a reload makes a new one.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where clients connect.
    pub server: Server,
    /// The port of operators.
    pub admin: Admin,
    /// Regions, endpoints, credentials.
    pub aws: Aws,
    /// Deadlines of calls to AWS.
    pub timeouts: Timeouts,
    /// Bulkheads.
    pub lanes: Lanes,
    /// Order of regions, backoffs.
    pub routing: Routing,
    /// Which models, by which names, where.
    pub models: Models,
    /// Defaults and limits of chat requests.
    pub chat: Chat,
    /// What is stored of responses and conversations.
    pub responses: Responses,
    /// Where it is stored.
    pub store: Store,
    /// The fence around URLs of callers.
    pub fetch: Fetch,
    /// Who may call.
    pub keys: Keys,
    /// What is logged.
    pub log: Log,
    /// Numbers for Prometheus.
    pub metrics: Metrics,
    file: Option<PathBuf>,
    entries: Vec<Entry>,
}

impl Settings {
    /// The file that was read, if there was one.
    #[must_use]
    pub fn file(&self) -> Option<&std::path::Path> {
        self.file.as_deref()
    }

    /// Every setting with its value and origin, section by section.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

#[cfg(test)]
mod tests;
