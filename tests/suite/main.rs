//! The gateway over real HTTP, against the simulated AWS, in one process.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![allow(missing_docs, unreachable_pub, reason = "nobody reads the docs of a test binary")]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod background;
mod bad_bodies;
mod bad_clients;
mod bad_fields;
mod bad_input;
mod chat;
mod completions;
mod connections;
mod conversations;
mod count_tokens;
mod edge;
mod every_route;
mod growth;
mod harness;
mod hosted_tools;
mod linked;
mod memory;
mod messages;
mod native;
mod native_switches;
mod operations;
mod pains;
mod program;
mod rate_headers;
mod resilience;
mod responses;
mod restarts;
mod resumed;
mod returned;
mod router_metrics;
mod routing;
mod stretches;
mod switches;
mod tools;
mod transparent;
