//! `[server]`: where clients connect, and how much of one they may take.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::read::{ADDRESS, Integer, ROUTE_PREFIX, SWITCH, Section, Size, Span, show_size};

/// Every interface: the server runs in containers, and keys are required unless that is switched off.
const BIND: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The usual port of HTTP services that do not run as root.
const PORT: u16 = 8080;

/// Where OpenAI's own API has its routes, so that clients only change the host.
const OPENAI_PREFIX: &str = "/v1";

/// Apart from OpenAI's: both APIs have a path `/v1/models`.
const ANTHROPIC_PREFIX: &str = "/anthropic";

/// A 20 MB document or several images in base64, with room for the conversation around them.
const BODY_LIMIT: u64 = 64 << 20;

/// A connection of 10 Mbit/s sends the largest body of the default limit in about this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// A client that is still there sends something well within this time, also after a few lost packets.
const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Eight of the largest bodies, or a thousand prompts of half a megabyte; decoding and translating a body takes as much again
/// for a moment, which still fits a container of two gigabytes.
const BODY_MEMORY: u64 = 512 << 20;

/// Four times what common proxies let through (16 KiB), for long cookies and trace headers.
const HEADER_LIMIT: u64 = 64 << 10;

/// Also how long a connection waits for its next request, so it must be more than the 60 s of AWS load balancers: the
/// balancer has to be the one to close, or it sends requests into closed connections. Slow clients are bounded by
/// `MAX_CONNECTIONS` besides.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(75);

/// Agents give up after 20 s of silence, load balancers after 60 s: one sign of life may be lost on the way to either.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Each costs a few KiB while idle; one process has file handles for them under the usual limit of 65,536.
const MAX_CONNECTIONS: u32 = 10_000;

/// Orchestrators kill 30 s after they asked to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(25);

/// Without a load balancer there is nobody to wait for.
const SHUTDOWN_DELAY: Duration = Duration::ZERO;

/// Where clients connect. `TCP_NODELAY` is always on: a streamed token must not wait for the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port; 0 lets the system choose a free one.
    pub port: u16,
    /// Path before the OpenAI routes; empty for none.
    pub openai_prefix: String,
    /// Path before the Anthropic routes, which begin with `/v1`; empty for none.
    pub anthropic_prefix: String,
    /// Whether Bedrock's own paths are served at the root, for AWS's clients.
    pub native_routes: bool,
    /// Largest request body. Bytes, 1 KiB to 1 GiB.
    pub body_limit: u64,
    /// Longest time for a body to arrive. 1 s to 1 h.
    pub body_timeout: Duration,
    /// Longest silence within a body. 1 s to 1 h.
    pub body_idle_timeout: Duration,
    /// Request bodies in memory at once, with what was fetched for them and what is read of stored things, all together, but for the
    /// small ones. Bytes, `body_limit` to 1 TiB.
    pub body_memory: u64,
    /// Largest request head. Bytes, 4 KiB to 1 MiB.
    pub header_limit: u64,
    /// Longest wait for a complete request head, from the end of the request before it. 1 s to 1 h.
    pub header_read_timeout: Duration,
    /// Time between the keep-alive comments of a silent stream. 1 s to 5 min.
    pub keep_alive_interval: Duration,
    /// Most connections at once. 1 to 1,000,000.
    pub max_connections: u32,
    /// How long requests are still accepted after readiness fell, so that load balancers can notice. 0 s to 5 min.
    pub shutdown_delay: Duration,
    /// How long the end may take after the server was asked to stop and no longer accepts, all in all. 0 s to 1 h.
    pub shutdown_grace: Duration,
}

impl Server {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let second = Duration::from_secs(1);
        let server = Self {
            bind: section.get("bind", ADDRESS, BIND),
            port: section.get("port", Integer::between(0, 65_535), PORT),
            openai_prefix: section.get("openai_prefix", ROUTE_PREFIX, OPENAI_PREFIX.to_owned()),
            anthropic_prefix: section.get("anthropic_prefix", ROUTE_PREFIX, ANTHROPIC_PREFIX.to_owned()),
            native_routes: section.get("native_routes", SWITCH, true),
            body_limit: section.get("body_limit", Size::between(1 << 10, 1 << 30), BODY_LIMIT),
            body_timeout: section.get("body_timeout", Span::between(second, minutes(60)), BODY_TIMEOUT),
            body_idle_timeout: section.get("body_idle_timeout", Span::between(second, minutes(60)), BODY_IDLE_TIMEOUT),
            body_memory: section.get("body_memory", Size::between(1 << 10, 1 << 40), BODY_MEMORY),
            header_limit: section.get("header_limit", Size::between(4 << 10, 1 << 20), HEADER_LIMIT),
            header_read_timeout: section.get("header_read_timeout", Span::between(second, minutes(60)), HEADER_READ_TIMEOUT),
            keep_alive_interval: section.get("keep_alive_interval", Span::between(second, minutes(5)), KEEP_ALIVE_INTERVAL),
            max_connections: section.get("max_connections", Integer::between(1, 1_000_000), MAX_CONNECTIONS),
            shutdown_delay: section.get("shutdown_delay", Span::between(Duration::ZERO, minutes(5)), SHUTDOWN_DELAY),
            shutdown_grace: section.get("shutdown_grace", Span::between(Duration::ZERO, minutes(60)), SHUTDOWN_GRACE),
        };
        if server.body_memory < server.body_limit && !section.is_faulty("body_memory") && !section.is_faulty("body_limit") {
            let blamed = if section.is_set("body_memory") { "body_memory" } else { "body_limit" };
            let (memory, limit) = (show_size(server.body_memory), show_size(server.body_limit));
            section.problem(blamed, format!("`body_memory` ({memory}) must hold at least one body of `body_limit` ({limit})"));
        }
        server
    }

    /// Where to listen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.port)
    }
}
