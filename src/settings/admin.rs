//! `[admin]`: the port of operators.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::read::{ADDRESS, Integer, Parsed, SWITCH, Section};

/// This machine only: the port reloads settings and shows the tree, and asks for no key.
const BIND: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Beside the clients' port, and where Prometheus setups commonly look.
const PORT: u16 = 9090;

/// Where Prometheus looks unless told otherwise.
const METRICS_PATH: &str = "/metrics";

const PATH: Parsed<String> = Parsed {
    expected: "a path that begins with a slash, such as \"/metrics\"",
    parse: |text| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "/-._".contains(letter);
        let good = text.len() > 1 && text.starts_with('/') && !text.ends_with('/') && !text.contains("//") && text.chars().all(plain);
        good.then(|| text.to_owned())
    },
    show: Clone::clone,
};

/// The port of operators: metrics, state, reload, drains.
#[derive(Debug, Clone, PartialEq)]
pub struct Admin {
    /// Whether to listen.
    pub enabled: bool,
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port; 0 lets the system choose a free one.
    pub port: u16,
    /// Path of the Prometheus metrics.
    pub metrics_path: String,
    /// Routes that kill, stall and crash actors, for chaos runs.
    pub chaos: bool,
}

impl Admin {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            enabled: section.get("enabled", SWITCH, true),
            bind: section.get("bind", ADDRESS, BIND),
            port: section.get("port", Integer::between(0, 65_535), PORT),
            metrics_path: section.get("metrics_path", PATH, METRICS_PATH.to_owned()),
            // Whoever reaches the port could end every request with it.
            chaos: section.get("chaos", SWITCH, false),
        }
    }

    /// Where to listen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.port)
    }
}
