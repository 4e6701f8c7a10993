//! The local stack as files: Dockerfile, docker-compose.yml, the proxy, Prometheus and Grafana.
//!
//! No container engine is needed: what is checked is that the files say the same as each other and as the programs. Command
//! lines are parsed by the programs' own parsers, settings and scenario read by their strict readers, and every query may name
//! only metrics and labels that the source has.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "stack/agreement.rs"]
mod agreement;
#[path = "stack/containers.rs"]
mod containers;
#[path = "stack/dockerfile.rs"]
mod dockerfile;
#[path = "stack/files.rs"]
mod files;
#[path = "stack/metrics.rs"]
mod metrics;
#[path = "stack/observability.rs"]
mod observability;

/// Fails with every complaint.
fn expect_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
