//! What a reload changes.

use std::collections::BTreeMap;

use super::{Entry, Settings, read::lies_within};

/// Settings that are read once at start: sockets, connection pools, actors that are started by them. Everything else is
/// read from the snapshot that a reload replaces.
const NEEDS_RESTART: [&str; 25] = [
    "server.bind",
    "server.port",
    "server.openai_prefix",
    "server.anthropic_prefix",
    "server.native_routes",
    "server.body_memory",
    "server.header_limit",
    "server.header_read_timeout",
    "server.max_connections",
    "server.shutdown_grace",
    "admin",
    "aws",
    "timeouts.connect",
    "models.discovery_interval",
    "models.check_availability",
    "routing.state_file",
    "routing.quotas",
    "store",
    "fetch.max_redirects",
    "fetch.allow_http",
    "fetch.allowed_hosts",
    "fetch.allowed_networks",
    "fetch.ports",
    "log.format",
    "metrics",
];

/// A setting whose value differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Dotted path.
    pub path: String,
    /// The old value in TOML, secrets redacted; `None` when it was not set.
    pub before: Option<String>,
    /// The new value; equal to `before` when only a secret in it changed.
    pub after: Option<String>,
    /// True when it is in force after a reload, false when it needs a restart.
    pub reloadable: bool,
}

/// Every setting whose value differs, in the order of the settings.
#[must_use]
pub fn changes(old: &Settings, new: &Settings) -> Vec<Change> {
    let before: BTreeMap<&str, &Entry> = old.entries().iter().map(|entry| (entry.path.as_str(), entry)).collect();
    let after: BTreeMap<&str, &Entry> = new.entries().iter().map(|entry| (entry.path.as_str(), entry)).collect();
    let gone = old.entries().iter().filter(|entry| !after.contains_key(entry.path.as_str()));
    new.entries()
        .iter()
        .chain(gone)
        .map(|entry| entry.path.as_str())
        .filter_map(|path| change(path, before.get(path).copied(), after.get(path).copied()))
        .collect()
}

fn change(path: &str, before: Option<&Entry>, after: Option<&Entry>) -> Option<Change> {
    let same = |before: &Entry, after: &Entry| before.value == after.value && before.hidden == after.hidden;
    if let (Some(before), Some(after)) = (before, after)
        && same(before, after)
    {
        return None;
    }
    let text = |entry: Option<&Entry>| entry.and_then(|entry| entry.value.as_ref()).map(ToString::to_string);
    let (before, after) = (text(before), text(after));
    if before.is_none() && after.is_none() {
        return None;
    }
    Some(Change { path: path.to_owned(), before, after, reloadable: is_reloadable(path) })
}

/// True when a reload brings the setting into force.
pub(super) fn is_reloadable(path: &str) -> bool {
    !NEEDS_RESTART.iter().any(|root| lies_within(path, root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::load::known_paths;

    #[test]
    fn every_path_that_needs_a_restart_is_one_of_the_settings() {
        let known = known_paths();
        for root in NEEDS_RESTART {
            assert!(known.iter().any(|path| lies_within(path, root)), "{root}");
        }
    }
}
