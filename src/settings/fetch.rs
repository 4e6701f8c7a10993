//! `[fetch]`: the fence around URLs that callers name.

mod network;

use std::time::Duration;

use network::NETWORK;
pub use network::Network;

use super::read::{Integer, List, Parsed, SWITCH, Section, Size, Span};

/// Bedrock takes no request above 25 MB; what is larger is of no use to any model.
const MAX_BYTES: u64 = 25 << 20;

/// The request waits for it; the largest file on a slow line takes about this long.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Enough for object stores behind link shorteners and content networks.
const MAX_REDIRECTS: u32 = 5;

/// Much of what callers name is still served in the clear; the fence around it is the same.
const ALLOW_HTTP: bool = true;

/// The ports of `https` and `http`; others lead to services that are no web servers.
const PORTS: [u16; 2] = [443, 80];

const HOST: Parsed<String> = Parsed {
    expected: "a host such as \"minio.corp\" or \"minio.corp:9000\", or \"*.minio.corp\" for those below it",
    parse: |text| {
        let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
        let name = name.strip_prefix("*.").unwrap_or(name);
        let good_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_')
        };
        (good_port && name.len() <= 253 && name.split('.').all(label)).then(|| text.to_ascii_lowercase())
    },
    show: Clone::clone,
};

/// The fence around URLs that callers name.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetch {
    /// URLs are fetched at all.
    pub enabled: bool,
    /// Largest answer. Bytes, 1 KiB to 1 GiB.
    pub max_bytes: u64,
    /// Longest time for one URL, redirects included. 1 s to 10 min.
    pub timeout: Duration,
    /// Redirects that are followed. 0 to 20.
    pub max_redirects: u32,
    /// `http` URLs are fetched too, unprotected on the way.
    pub allow_http: bool,
    /// Hosts (`minio.corp`, `*.minio.corp`, with or without `:port`) that may be asked on every port although their
    /// addresses are private.
    pub allowed_hosts: Vec<String>,
    /// Private addresses that may be asked on every port.
    pub allowed_networks: Vec<Network>,
    /// Ports of public addresses that may be asked.
    pub ports: Vec<u16>,
}

impl Fetch {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let ports = section.get("ports", List::unique(Integer::between(1, 65_535)), PORTS.to_vec());
        if ports.is_empty() && !section.is_faulty("ports") {
            section.problem("ports", "expected at least one port; to fetch nothing set `fetch.enabled = false`".to_owned());
        }
        Self {
            enabled: section.get("enabled", SWITCH, true),
            max_bytes: section.get("max_bytes", Size::between(1 << 10, 1 << 30), MAX_BYTES),
            timeout: section.get("timeout", Span::between(Duration::from_secs(1), Duration::from_secs(600)), TIMEOUT),
            max_redirects: section.get("max_redirects", Integer::between(0, 20), MAX_REDIRECTS),
            allow_http: section.get("allow_http", SWITCH, ALLOW_HTTP),
            allowed_hosts: section.get("allowed_hosts", List::unique(HOST), Vec::new()),
            allowed_networks: section.get("allowed_networks", List::unique(NETWORK), Vec::new()),
            ports,
        }
    }
}
